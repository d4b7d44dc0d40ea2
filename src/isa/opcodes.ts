/**
 * Numbers of the instruction set: RFC 9669 (section given per table) and what Linux added up to 6.18.
 *
 * An opcode is class | size | mode for loads and stores, class | source | operation for arithmetic and jumps.
 */

/** Low three bits of the opcode, RFC 9669 section 3.1. */
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;
export const CLASS_MASK = 0x07;

/** Where arithmetic and jumps take their second operand from, section 4.1. */
export const SOURCE = { K: 0x00, X: 0x08 } as const;
export const SOURCE_MASK = 0x08;

/** Size of a memory access, section 5. */
export const SIZE = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;
export const SIZE_MASK = 0x18;

/** Mode of a load or store, section 5; ABS and IND are the legacy packet loads of section 5.5. */
export const MODE = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, MEMSX: 0x80, ATOMIC: 0xc0 } as const;
export const MODE_MASK = 0xe0;

/** Arithmetic operations, section 4.1. DIV and MOD with offset 1 are signed; MOV with offset 8, 16 or 32 extends the sign. */
export const ALU = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  MOV: 0xb0,
  ARSH: 0xc0,
  END: 0xd0,
} as const;

/** Jump operations, section 4.3; JCOND is Linux 6.9 (`may_goto`). JA with source X in class JMP is Linux 6.18 (`gotox`). */
export const JUMP = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
  JCOND: 0xe0,
} as const;

const mirrored: Readonly<Record<number, number>> = {
  [JUMP.JGT]: JUMP.JLT,
  [JUMP.JGE]: JUMP.JLE,
  [JUMP.JLT]: JUMP.JGT,
  [JUMP.JLE]: JUMP.JGE,
  [JUMP.JSGT]: JUMP.JSLT,
  [JUMP.JSGE]: JUMP.JSLE,
  [JUMP.JSLT]: JUMP.JSGT,
  [JUMP.JSLE]: JUMP.JSGE,
};

/** The comparison that holds when its operands change places: of JGT JLT, of JEQ itself. */
export function mirroredJump(operation: number): number {
  return mirrored[operation] ?? operation;
}
export const OPERATION_MASK = 0xf0;

/** `imm` of an ATOMIC store, section 5.3; LOAD_ACQUIRE and STORE_RELEASE are Linux 6.15. */
export const ATOMIC = {
  ADD: 0x00,
  OR: 0x40,
  AND: 0x50,
  XOR: 0xa0,
  /** Bit that makes the four above return the old value. */
  FETCH: 0x01,
  EXCHANGE: 0xe1,
  COMPARE_EXCHANGE: 0xf1,
  LOAD_ACQUIRE: 0x100,
  STORE_RELEASE: 0x110,
} as const;

/** `src` of LDDW, section 5.4, in Linux's meaning: what the constant stands for. */
export const LDDW_SOURCE = {
  CONSTANT: 0,
  /** File descriptor of a map. */
  MAP_FD: 1,
  /** File descriptor of a map; the upper constant is a byte offset in its first value. */
  MAP_VALUE: 2,
  /** BTF id of a kernel variable; the upper constant is the descriptor of the module's BTF. */
  BTF_ID: 3,
  /** Slot distance of a function, from the slot after this one's first. */
  FUNCTION: 4,
  /** Index into the load request's array of map descriptors. */
  MAP_INDEX: 5,
  MAP_INDEX_VALUE: 6,
} as const;

/** `src` of CALL, section 4.3.1 and 4.3.2. */
export const CALL_SOURCE = { HELPER: 0, LOCAL: 1, KFUNC: 2 } as const;

/** `off` of an ALU64 MOV X that converts a pointer between address spaces (Linux 6.9); imm = to << 16 | from. */
export const ADDR_SPACE_CAST_OFFSET = 1;

/** `src` of JCOND; the only condition there is. */
export const JCOND_MAY_GOTO = 0;

/** r0 to r9 general, r10 the read-only frame pointer. */
export const REGISTER_COUNT = 11;
export const FRAME_POINTER = 10;

/** Whole opcodes that are compared against often. */
export const OPCODE = {
  LDDW: CLASS.LD | SIZE.DW | MODE.IMM,
  EXIT: CLASS.JMP | JUMP.EXIT,
  CALL: CLASS.JMP | JUMP.CALL,
  CALLX: CLASS.JMP | JUMP.CALL | SOURCE.X,
  JA: CLASS.JMP | JUMP.JA,
  JA32: CLASS.JMP32 | JUMP.JA,
  GOTOX: CLASS.JMP | JUMP.JA | SOURCE.X,
  MAY_GOTO: CLASS.JMP | JUMP.JCOND,
} as const;

/** The instruction with this opcode takes two slots. */
export function isWide(opcode: number): boolean {
  return opcode === OPCODE.LDDW;
}
