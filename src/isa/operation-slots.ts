/** Operations back to slots: the inverse of `describeInsn`, and the numbers that it needs. */
import type { Insn } from './insn.ts';
import {
  ADDR_SPACE_CAST_OFFSET,
  ALU,
  ATOMIC,
  CALL_SOURCE,
  CLASS,
  JUMP,
  MODE,
  OPCODE,
  SIZE,
  SOURCE,
} from './opcodes.ts';
import type { AccessSize, AluOp, AtomicOp, CallTarget, JumpOp, Operation, Width } from './operation.ts';

const aluCodes: Readonly<Record<AluOp, number>> = {
  add: ALU.ADD,
  sub: ALU.SUB,
  mul: ALU.MUL,
  div: ALU.DIV,
  sdiv: ALU.DIV,
  or: ALU.OR,
  and: ALU.AND,
  lsh: ALU.LSH,
  rsh: ALU.RSH,
  mod: ALU.MOD,
  smod: ALU.MOD,
  xor: ALU.XOR,
  mov: ALU.MOV,
  arsh: ALU.ARSH,
};
export const jumpCodes: Readonly<Record<JumpOp, number>> = {
  eq: JUMP.JEQ,
  gt: JUMP.JGT,
  ge: JUMP.JGE,
  set: JUMP.JSET,
  ne: JUMP.JNE,
  sgt: JUMP.JSGT,
  sge: JUMP.JSGE,
  lt: JUMP.JLT,
  le: JUMP.JLE,
  slt: JUMP.JSLT,
  sle: JUMP.JSLE,
};
export const atomicCodes: Readonly<Record<AtomicOp, number>> = {
  add: ATOMIC.ADD,
  or: ATOMIC.OR,
  and: ATOMIC.AND,
  xor: ATOMIC.XOR,
  xchg: ATOMIC.EXCHANGE,
  cmpxchg: ATOMIC.COMPARE_EXCHANGE,
};
const callSources: Readonly<Record<CallTarget, number>> = {
  helper: CALL_SOURCE.HELPER,
  local: CALL_SOURCE.LOCAL,
  kfunc: CALL_SOURCE.KFUNC,
};

function sizeBits(size: AccessSize): number {
  return size === 1 ? SIZE.B : size === 2 ? SIZE.H : size === 4 ? SIZE.W : SIZE.DW;
}

/** The slots of an operation: one, or two for LDDW. Inverse of `describeInsn` with all reserved fields 0. */
export function insnsOf(operation: Operation): Insn[] {
  if (operation.kind !== 'lddw') return [insnOf(operation)];
  return [
    { opcode: OPCODE.LDDW, dst: operation.dst, src: operation.source, off: 0, imm: operation.low },
    { opcode: 0, dst: 0, src: 0, off: 0, imm: operation.high },
  ];
}

function insnOf(o: Exclude<Operation, { kind: 'lddw' }>): Insn {
  switch (o.kind) {
    case 'alu':
      return {
        opcode: aluClass(o.width) | aluCodes[o.op] | sourceBit(o.source),
        dst: o.dst,
        src: o.src,
        off: o.op === 'sdiv' || o.op === 'smod' ? 1 : 0,
        imm: o.imm,
      };
    case 'neg':
      return { opcode: aluClass(o.width) | ALU.NEG, dst: o.dst, src: 0, off: 0, imm: 0 };
    case 'movsx':
      return { opcode: aluClass(o.width) | ALU.MOV | SOURCE.X, dst: o.dst, src: o.src, off: o.from, imm: 0 };
    case 'endian': {
      const opcode = (o.op === 'bswap' ? CLASS.ALU64 : CLASS.ALU) | ALU.END | (o.op === 'to-be' ? SOURCE.X : SOURCE.K);
      return { opcode, dst: o.dst, src: 0, off: 0, imm: o.bits };
    }
    case 'addr-space-cast':
      return {
        opcode: CLASS.ALU64 | ALU.MOV | SOURCE.X,
        dst: o.dst,
        src: o.src,
        off: ADDR_SPACE_CAST_OFFSET,
        imm: (o.to << 16) | o.from,
      };
    case 'load':
      return {
        opcode: CLASS.LDX | (o.signed ? MODE.MEMSX : MODE.MEM) | sizeBits(o.size),
        dst: o.dst,
        src: o.src,
        off: o.off,
        imm: 0,
      };
    case 'store':
      return {
        opcode: (o.source === 'reg' ? CLASS.STX : CLASS.ST) | MODE.MEM | sizeBits(o.size),
        dst: o.dst,
        src: o.src,
        off: o.off,
        imm: o.imm,
      };
    case 'atomic': {
      const imm = atomicCodes[o.op] | (o.fetch ? ATOMIC.FETCH : 0);
      return { opcode: CLASS.STX | MODE.ATOMIC | sizeBits(o.size), dst: o.dst, src: o.src, off: o.off, imm };
    }
    case 'load-acquire':
    case 'store-release': {
      const imm = o.kind === 'load-acquire' ? ATOMIC.LOAD_ACQUIRE : ATOMIC.STORE_RELEASE;
      return { opcode: CLASS.STX | MODE.ATOMIC | sizeBits(o.size), dst: o.dst, src: o.src, off: o.off, imm };
    }
    case 'jump':
      return o.long
        ? { opcode: OPCODE.JA32, dst: 0, src: 0, off: 0, imm: o.off }
        : { opcode: OPCODE.JA, dst: 0, src: 0, off: o.off, imm: 0 };
    case 'branch':
      return {
        opcode: (o.width === 64 ? CLASS.JMP : CLASS.JMP32) | jumpCodes[o.op] | sourceBit(o.source),
        dst: o.dst,
        src: o.src,
        off: o.off,
        imm: o.imm,
      };
    case 'may-goto':
      return { opcode: OPCODE.MAY_GOTO, dst: 0, src: 0, off: o.off, imm: 0 };
    case 'jump-indirect':
      return { opcode: OPCODE.GOTOX, dst: o.dst, src: 0, off: 0, imm: 0 };
    case 'call':
      return { opcode: OPCODE.CALL, dst: 0, src: callSources[o.target], off: o.off, imm: o.imm };
    case 'call-register':
      return { opcode: OPCODE.CALLX, dst: o.dst, src: 0, off: 0, imm: 0 };
    case 'exit':
      return { opcode: OPCODE.EXIT, dst: 0, src: 0, off: 0, imm: 0 };
    case 'load-packet':
      return {
        opcode: CLASS.LD | (o.mode === 'absolute' ? MODE.ABS : MODE.IND) | sizeBits(o.size),
        dst: 0,
        src: o.src,
        off: 0,
        imm: o.imm,
      };
  }
}

function aluClass(width: Width): number {
  return width === 64 ? CLASS.ALU64 : CLASS.ALU;
}

function sourceBit(source: 'imm' | 'reg'): number {
  return source === 'reg' ? SOURCE.X : SOURCE.K;
}
