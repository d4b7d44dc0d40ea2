/**
 * The verifier's registers in its memory: one record per register and per stack slot, 128 bytes, addressed by its first byte. Read by
 * the TypeScript of this room and by `assembly/`, which holds the arithmetic on them; plain constants, no imports.
 */

/** Size of a record. */
export const RECORD = 128;

/** What the register holds: one of kinds.ts. */
export const KIND = 0;
/** NULL possible, read-only and the like: bits of kinds.ts. */
export const FLAGS = 4;
/** Same non-zero id: same value (scalars; with DELTA), or same pointer before its NULL check. */
export const ID = 8;
/** Id of the reference that must be released, 0 for none. */
export const REFERENCE = 12;
/** Constant part of a pointer's offset, i32; for scalars with a linked id the distance to the id's value. */
export const OFFSET = 16;
/** By kind: index of the map, size of the memory, range of the packet pointer, frame of the stack pointer, … */
export const AUX = 20;
/** By kind: unique id of a map lookup, BTF type id, … */
export const AUX2 = 24;
/** Non-zero: the value matters to safety on some path (precision tracking). */
export const PRECISE = 28;

/** Known bits: value and mask of unknown bits, u64 each. */
export const VALUE = 32;
export const MASK = 40;
/** Ranges, inclusive: u64 and i64. */
export const UMIN = 48;
export const UMAX = 56;
export const SMIN = 64;
export const SMAX = 72;
/** Ranges of the lower half: u32 and i32. */
export const UMIN32 = 80;
export const UMAX32 = 84;
export const SMIN32 = 88;
export const SMAX32 = 92;
/** Of a stack slot: what each of its eight bytes is, from the highest address down, as in the kernel. Not part of registers. */
export const BYTES = 96;
export const RECORD_USED = 104;
