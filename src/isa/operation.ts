/**
 * What an instruction means, as a discriminated union: one place that tells the tuples (opcode, src, off, imm) apart, and its
 * inverse. The engines may use it or decode for themselves.
 */
import type { Insn } from './insn.ts';
import {
  ADDR_SPACE_CAST_OFFSET,
  ALU,
  ATOMIC,
  CALL_SOURCE,
  CLASS,
  CLASS_MASK,
  MODE,
  MODE_MASK,
  OPCODE,
  OPERATION_MASK,
  SIZE,
  SIZE_MASK,
  SOURCE,
  SOURCE_MASK,
} from './opcodes.ts';
import { atomicCodes, jumpCodes } from './operation-slots.ts';

export { insnsOf } from './operation-slots.ts';

export type Width = 32 | 64;
/** Bytes of a memory access. */
export type AccessSize = 1 | 2 | 4 | 8;

export type AluOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sdiv'
  | 'or'
  | 'and'
  | 'lsh'
  | 'rsh'
  | 'mod'
  | 'smod'
  | 'xor'
  | 'mov'
  | 'arsh';
export type JumpOp = 'eq' | 'gt' | 'ge' | 'set' | 'ne' | 'sgt' | 'sge' | 'lt' | 'le' | 'slt' | 'sle';
export type AtomicOp = 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg';
export type CallTarget = 'helper' | 'local' | 'kfunc';

/** `source` says which of `src` and `imm` counts; the other is 0. Distances (`off` of jumps) count slots from the next one. */
export type Operation =
  | AluOperation
  | { readonly kind: 'neg'; readonly width: Width; readonly dst: number }
  /** Sign extension of the low `from` bits to `width`; of 32 only the 64-bit form exists. */
  | {
      readonly kind: 'movsx';
      readonly width: Width;
      readonly from: 8 | 16 | 32;
      readonly dst: number;
      readonly src: number;
    }
  /** `to-le` and `to-be` depend on the machine's byte order (little-endian here), `bswap` does not; all zero-extend. */
  | {
      readonly kind: 'endian';
      readonly op: 'to-le' | 'to-be' | 'bswap';
      readonly bits: 16 | 32 | 64;
      readonly dst: number;
    }
  | {
      readonly kind: 'addr-space-cast';
      readonly dst: number;
      readonly src: number;
      readonly to: number;
      readonly from: number;
    }
  | {
      readonly kind: 'load';
      readonly size: AccessSize;
      readonly signed: boolean;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  | {
      readonly kind: 'store';
      readonly size: AccessSize;
      readonly source: 'imm' | 'reg';
      readonly dst: number;
      readonly src: number;
      readonly imm: number;
      readonly off: number;
    }
  /** Memory at dst + off; the old value goes to src if `fetch`, to r0 for cmpxchg (which compares with r0). */
  | {
      readonly kind: 'atomic';
      readonly op: AtomicOp;
      readonly fetch: boolean;
      readonly size: 4 | 8;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  /** dst = memory at src + off, zero-extended. */
  | {
      readonly kind: 'load-acquire';
      readonly size: AccessSize;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  /** Memory at dst + off = src. */
  | {
      readonly kind: 'store-release';
      readonly size: AccessSize;
      readonly dst: number;
      readonly src: number;
      readonly off: number;
    }
  /** `long`: the 32-bit distance of class JMP32 (`gotol`). */
  | { readonly kind: 'jump'; readonly long: boolean; readonly off: number }
  | BranchOperation
  | { readonly kind: 'may-goto'; readonly off: number }
  /** `gotox`: the address of an instruction is in dst. */
  | { readonly kind: 'jump-indirect'; readonly dst: number }
  /** imm: helper id, slot distance, or BTF id of the kfunc (off: index of the module's BTF descriptor). */
  | { readonly kind: 'call'; readonly target: CallTarget; readonly imm: number; readonly off: number }
  | { readonly kind: 'call-register'; readonly dst: number }
  | { readonly kind: 'exit' }
  /** Two slots: the 32-bit halves as signed numbers, `source` as in LDDW_SOURCE. */
  | {
      readonly kind: 'lddw';
      readonly dst: number;
      readonly source: number;
      readonly low: number;
      readonly high: number;
    }
  /** r0 = packet bytes in network order at imm, or at src + imm. Scratches r1 to r5, and needs the context in r6. */
  | {
      readonly kind: 'load-packet';
      readonly size: 1 | 2 | 4;
      readonly mode: 'absolute' | 'indirect';
      readonly src: number;
      readonly imm: number;
    };

/** One member of the union by its kind. */
export type OperationOf<K extends Operation['kind']> = Extract<Operation, { readonly kind: K }>;

export interface AluOperation {
  readonly kind: 'alu';
  readonly op: AluOp;
  readonly width: Width;
  readonly source: 'imm' | 'reg';
  readonly dst: number;
  readonly src: number;
  readonly imm: number;
}

export interface BranchOperation {
  readonly kind: 'branch';
  readonly op: JumpOp;
  readonly width: Width;
  readonly source: 'imm' | 'reg';
  readonly dst: number;
  readonly src: number;
  readonly imm: number;
  readonly off: number;
}

/** The u64 that an LDDW loads, of its halves. */
export function lddwValue(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

const aluNames = new Map<number, AluOp>([
  [ALU.ADD, 'add'],
  [ALU.SUB, 'sub'],
  [ALU.MUL, 'mul'],
  [ALU.DIV, 'div'],
  [ALU.OR, 'or'],
  [ALU.AND, 'and'],
  [ALU.LSH, 'lsh'],
  [ALU.RSH, 'rsh'],
  [ALU.MOD, 'mod'],
  [ALU.XOR, 'xor'],
  [ALU.MOV, 'mov'],
  [ALU.ARSH, 'arsh'],
]);

const jumpNames = new Map<number, JumpOp>();
for (const name of Object.keys(jumpCodes) as JumpOp[]) jumpNames.set(jumpCodes[name], name); // keys of a Record<JumpOp, …>

const atomicNames = new Map<number, AtomicOp>();
for (const name of Object.keys(atomicCodes) as AtomicOp[]) atomicNames.set(atomicCodes[name], name); // likewise

/** Bytes of the size bits of an opcode. */
export function accessSize(opcode: number): AccessSize {
  switch (opcode & SIZE_MASK) {
    case SIZE.B:
      return 1;
    case SIZE.H:
      return 2;
    case SIZE.W:
      return 4;
    default:
      return 8;
  }
}

/** Width of the register form (r or w) that holds a value of this size. */
export function registerWidth(size: AccessSize): Width {
  return size === 8 ? 64 : 32;
}

/**
 * The operation at a slot; undefined where the tuple is none that is known. Reserved fields and register numbers are
 * `checkInsn`'s business: only what selects an operation is looked at.
 *
 * @param next the slot after `insn`, needed for LDDW only.
 */
export function describeInsn(insn: Insn, next?: Insn): Operation | undefined {
  switch (insn.opcode & CLASS_MASK) {
    case CLASS.ALU:
      return describeAlu(insn, 32);
    case CLASS.ALU64:
      return describeAlu(insn, 64);
    case CLASS.JMP:
      return describeJump(insn, 64);
    case CLASS.JMP32:
      return describeJump(insn, 32);
    case CLASS.LD:
      return describeLd(insn, next);
    case CLASS.LDX: {
      const mode = insn.opcode & MODE_MASK;
      const size = accessSize(insn.opcode);
      if (mode !== MODE.MEM && (mode !== MODE.MEMSX || size === 8)) return undefined;
      return { kind: 'load', size, signed: mode === MODE.MEMSX, dst: insn.dst, src: insn.src, off: insn.off };
    }
    default:
      return describeStore(insn);
  }
}

function describeAlu(insn: Insn, width: Width): Operation | undefined {
  const { opcode, dst, src, off, imm } = insn;
  const fromRegister = (opcode & SOURCE_MASK) === SOURCE.X;
  const code = opcode & OPERATION_MASK;
  if (code === ALU.NEG) return fromRegister ? undefined : { kind: 'neg', width, dst };
  if (code === ALU.END) {
    if ((imm !== 16 && imm !== 32 && imm !== 64) || (width === 64 && fromRegister)) return undefined;
    return { kind: 'endian', op: width === 64 ? 'bswap' : fromRegister ? 'to-be' : 'to-le', bits: imm, dst };
  }
  if (code === ALU.MOV && off !== 0) {
    if (!fromRegister) return undefined;
    if (off === ADDR_SPACE_CAST_OFFSET && width === 64)
      return { kind: 'addr-space-cast', dst, src, to: imm >>> 16, from: imm & 0xffff };
    if (off === 8 || off === 16 || (off === 32 && width === 64)) return { kind: 'movsx', width, from: off, dst, src };
    return undefined;
  }
  let op = aluNames.get(code);
  if (op === undefined) return undefined;
  if (off !== 0) {
    if (off !== 1) return undefined;
    if (op === 'div') op = 'sdiv';
    else if (op === 'mod') op = 'smod';
    else return undefined;
  }
  return fromRegister
    ? { kind: 'alu', op, width, source: 'reg', dst, src, imm: 0 }
    : { kind: 'alu', op, width, source: 'imm', dst, src: 0, imm };
}

function describeJump(insn: Insn, width: Width): Operation | undefined {
  const { opcode, dst, src, off, imm } = insn;
  switch (opcode) {
    case OPCODE.JA:
      return { kind: 'jump', long: false, off };
    case OPCODE.JA32:
      return { kind: 'jump', long: true, off: imm };
    case OPCODE.GOTOX:
      return { kind: 'jump-indirect', dst };
    case OPCODE.MAY_GOTO:
      return src === 0 ? { kind: 'may-goto', off } : undefined;
    case OPCODE.EXIT:
      return { kind: 'exit' };
    case OPCODE.CALLX:
      return { kind: 'call-register', dst };
    case OPCODE.CALL:
      if (src === CALL_SOURCE.HELPER) return { kind: 'call', target: 'helper', imm, off: 0 };
      if (src === CALL_SOURCE.LOCAL) return { kind: 'call', target: 'local', imm, off: 0 };
      if (src === CALL_SOURCE.KFUNC) return { kind: 'call', target: 'kfunc', imm, off };
      return undefined;
  }
  const op = jumpNames.get(opcode & OPERATION_MASK);
  if (op === undefined) return undefined;
  return (opcode & SOURCE_MASK) === SOURCE.X
    ? { kind: 'branch', op, width, source: 'reg', dst, src, imm: 0, off }
    : { kind: 'branch', op, width, source: 'imm', dst, src: 0, imm, off };
}

function describeLd(insn: Insn, next: Insn | undefined): Operation | undefined {
  if (insn.opcode === OPCODE.LDDW) {
    if (next === undefined || insn.src > 6) return undefined;
    return { kind: 'lddw', dst: insn.dst, source: insn.src, low: insn.imm, high: next.imm };
  }
  const mode = insn.opcode & MODE_MASK;
  const size = accessSize(insn.opcode);
  if ((mode !== MODE.ABS && mode !== MODE.IND) || size === 8) return undefined;
  return mode === MODE.ABS
    ? { kind: 'load-packet', size, mode: 'absolute', src: 0, imm: insn.imm }
    : { kind: 'load-packet', size, mode: 'indirect', src: insn.src, imm: insn.imm };
}

function describeStore(insn: Insn): Operation | undefined {
  const { opcode, dst, src, off, imm } = insn;
  const size = accessSize(opcode);
  const fromRegister = (opcode & CLASS_MASK) === CLASS.STX;
  const mode = opcode & MODE_MASK;
  if (mode === MODE.MEM)
    return fromRegister
      ? { kind: 'store', size, source: 'reg', dst, src, imm: 0, off }
      : { kind: 'store', size, source: 'imm', dst, src: 0, imm, off };
  if (mode !== MODE.ATOMIC || !fromRegister) return undefined;
  if (imm === ATOMIC.LOAD_ACQUIRE) return { kind: 'load-acquire', size, dst, src, off };
  if (imm === ATOMIC.STORE_RELEASE) return { kind: 'store-release', size, dst, src, off };
  if (size !== 4 && size !== 8) return undefined;
  const exact = atomicNames.get(imm);
  if (exact !== undefined)
    return {
      kind: 'atomic',
      op: exact,
      fetch: exact === 'xchg' || exact === 'cmpxchg',
      size,
      dst,
      src,
      off,
    };
  const plain = (imm & ATOMIC.FETCH) !== 0 ? atomicNames.get(imm - ATOMIC.FETCH) : undefined;
  return plain === undefined ? undefined : { kind: 'atomic', op: plain, fetch: true, size, dst, src, off };
}
