/** Instructions to operations: the one place that tells the tuples (opcode, src, off, imm) apart. `operation-slots.ts` is the inverse. */
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
import type { AccessSize, AluOp, AtomicOp, JumpOp, Operation, Width } from './operation.ts';
import { atomicCodes, jumpCodes } from './operation-slots.ts';

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
