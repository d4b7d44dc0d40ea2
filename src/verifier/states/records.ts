/**
 * The memory in which the current state is worked on, and the arithmetic over it (assembly/). One verification at a time uses it, from
 * start to end, without giving way; saved states are copies in arrays of their own.
 */
import { wasmBase64 } from '../generated/verifier-wasm.ts';
import {
  AUX,
  AUX2,
  FLAGS,
  ID,
  KIND,
  MASK,
  OFFSET,
  RECORD,
  REFERENCE,
  SMAX,
  SMIN,
  UMAX,
  UMIN,
  VALUE,
} from '../layout.ts';

interface Arithmetic {
  unknown(r: number): void;
  constant(r: number, low: number, high: number): void;
  sync(r: number): void;
  coerce(r: number, size: number): void;
  signExtend(r: number, bits: number): void;
  signExtend32(r: number, bits: number): void;
  zeroExtend32(r: number): void;
  negate(r: number, scratch: number, wide: number): void;
  within(a: number, b: number): number;
  alu(op: number, wide: number, d: number, s: number): void;
  byteOrder(d: number, bits: number, swap: number): void;
  taken(op: number, narrow: number, a: number, b: number): number;
  refine(op: number, narrow: number, a: number, b: number, holds: number): void;
  pointerOffset(d: number, p: number, s: number, subtract: number): void;
  between(r: number, least: number, most: number): void;
  atMost(r: number, low: number, high: number): void;
}

const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
const table = new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
const module = new WebAssembly.Module(Uint8Array.from(atob(wasmBase64), (c) => c.charCodeAt(0)));
// What the module exports is fixed by its sources; the interface above states it.
export const arithmetic = new WebAssembly.Instance(module, { env: { memory, table } }).exports as unknown as Arithmetic;

export const words = new Int32Array(memory.buffer);
export const bytes = new Uint8Array(memory.buffer);
export const longs = new BigInt64Array(memory.buffer);
export const ulongs = new BigUint64Array(memory.buffer);

export const REGISTERS = 11;
export const MAX_STACK = 512;
const MAX_SLOTS = 64;

/** Records for passing operands; nothing survives in them from one instruction to the next. */
export const SCRATCH = 0x400;
export const SCRATCH2 = SCRATCH + RECORD;
export const SCRATCH3 = SCRATCH + 2 * RECORD;
/** An unknown scalar, never written to after it was made. */
export const UNKNOWN = SCRATCH + 4 * RECORD;
/** Where saved records are put to be compared with current ones. */
export const COMPARED = SCRATCH + 5 * RECORD;
/** First record of frame 0; a frame has its registers, then its stack slots from the top down. */
const FRAMES = 0x1_0000;
export const FRAME_BYTES = (REGISTERS + MAX_SLOTS) * RECORD;

arithmetic.unknown(UNKNOWN);
words[(UNKNOWN + KIND) >> 2] = 1;

export function frameAt(frame: number): number {
  return FRAMES + frame * FRAME_BYTES;
}
export function registerAt(frame: number, register: number): number {
  return FRAMES + frame * FRAME_BYTES + register * RECORD;
}
export function slotAt(frame: number, slot: number): number {
  return FRAMES + frame * FRAME_BYTES + (REGISTERS + slot) * RECORD;
}

export const kindOf = (r: number) => words[(r + KIND) >> 2]!;
export const flagsOf = (r: number) => words[(r + FLAGS) >> 2]!;
export const idOf = (r: number) => words[(r + ID) >> 2]!;
export const referenceOf = (r: number) => words[(r + REFERENCE) >> 2]!;
export const offsetOf = (r: number) => words[(r + OFFSET) >> 2]!;
export const auxOf = (r: number) => words[(r + AUX) >> 2]!;
export const aux2Of = (r: number) => words[(r + AUX2) >> 2]!;
/** Of a BTF_ID: KERNEL_TYPES or PROGRAM_TYPES. */
export const typesOf = (r: number) => aux2Of(r) & 1;
export const set = (r: number, field: number, value: number) => {
  words[(r + field) >> 2] = value;
};

/** The scalar part of a register, or the variable part of a pointer's offset, is one number. */
export const isConstant = (r: number) => words[(r + MASK) >> 2] === 0 && words[(r + MASK + 4) >> 2] === 0;
export const isZero = (r: number) =>
  isConstant(r) && words[(r + VALUE) >> 2] === 0 && words[(r + VALUE + 4) >> 2] === 0;

/** 64-bit fields as doubles: exact up to 2^53, rounded beyond, which no limit of the verifier reaches. */
const signed = (r: number, field: number) =>
  words[(r + field + 4) >> 2]! * 4294967296 + (words[(r + field) >> 2]! >>> 0);
const unsigned = (r: number, field: number) =>
  (words[(r + field + 4) >> 2]! >>> 0) * 4294967296 + (words[(r + field) >> 2]! >>> 0);
export const sminOf = (r: number) => signed(r, SMIN);
export const smaxOf = (r: number) => signed(r, SMAX);
export const uminOf = (r: number) => unsigned(r, UMIN);
export const umaxOf = (r: number) => unsigned(r, UMAX);
/** The value of a constant, as i64. */
export const constantOf = (r: number) => signed(r, VALUE);
/** The same, as u64 and exact. */
export const exactConstantOf = (r: number) =>
  (BigInt(words[(r + VALUE + 4) >> 2]! >>> 0) << 32n) | BigInt(words[(r + VALUE) >> 2]! >>> 0);

export function copyRecord(to: number, from: number): void {
  words.copyWithin(to >> 2, from >> 2, (from + 96) >> 2);
}

/** Register without a value. */
export function clearRecord(r: number): void {
  words.fill(0, r >> 2, (r + 96) >> 2);
}

export function makeUnknown(r: number): void {
  copyRecord(r, UNKNOWN);
}

export function makeConstant(r: number, low: number, high: number): void {
  const at = r >> 2;
  words.fill(0, at, at + 8);
  words[at] = 1;
  arithmetic.constant(r, low, high);
}

/** Pointer of a kind with offset 0. */
export function makePointer(r: number, kind: number, flags: number, aux: number): void {
  const at = r >> 2;
  words.fill(0, at, at + 24);
  words[at] = kind;
  words[at + (FLAGS >> 2)] = flags;
  words[at + (AUX >> 2)] = aux;
}

/** `(0x0; 0xff)`, or the number if it is one: tnum_strn. */
export function bitsText(r: number): string {
  const value = ulongs[(r + VALUE) >> 3]!.toString(16);
  return isConstant(r)
    ? value === '0'
      ? '0'
      : `0x${value}`
    : `(0x${value}; 0x${ulongs[(r + MASK) >> 3]!.toString(16)})`;
}
