/** Arithmetic, RFC 9669 section 4.1 and 4.2: in i32 where the result's lower half is all that counts. */
import type { Emitter } from './emitter.ts';
import { lowBitsSuffice } from './fact.ts';
import type { BinaryOp, Op } from './ir.ts';
import { I32, I64, type ValueType, wasm } from './wasm/opcodes.ts';

type Alu = Extract<Op, { kind: 'alu' }>;

/** Opcode pairs [i32, i64] of what needs no care: shifts are masked alike in both instruction sets. */
const plain: Partial<Record<BinaryOp, readonly [number, number]>> = {
  add: [wasm.i32Add, wasm.i64Add],
  sub: [wasm.i32Sub, wasm.i64Sub],
  mul: [wasm.i32Mul, wasm.i64Mul],
  and: [wasm.i32And, wasm.i64And],
  or: [wasm.i32Or, wasm.i64Or],
  xor: [wasm.i32Xor, wasm.i64Xor],
  lsh: [wasm.i32Shl, wasm.i64Shl],
  rsh: [wasm.i32ShrU, wasm.i64ShrU],
  arsh: [wasm.i32ShrS, wasm.i64ShrS],
};

export function emitAlu(e: Emitter, op: Alu): void {
  const type = op.width === 32 || fitsI32(e, op) ? I32 : I64;
  const opcodes = plain[op.op];
  if (opcodes === undefined) emitDivision(e, op, type);
  else {
    e.push(op.dst, type);
    e.pushOperand(op, type);
    e.code.op(opcodes[type === I32 ? 0 : 1]);
  }
  e.define(op, type);
}

/** A 64-bit operation whose result an i32 operation gives, zero-extended or with an upper half that nobody reads. */
function fitsI32(e: Emitter, op: Alu): boolean {
  const a = e.fact(op.dst);
  const b = e.factOf(op);
  if (e.resultType() === I32 && lowBitsSuffice(op.op, b)) return true;
  switch (op.op) {
    case 'and':
      return a.bits <= 32 || b.bits <= 32;
    case 'or':
    case 'xor':
    case 'div':
    case 'mod':
      return a.bits <= 32 && b.bits <= 32;
    case 'rsh':
      return a.bits <= 32 && b.kind === 'const' && (b.value & 63n) < 32n;
    default:
      return false;
  }
}

function emitDivision(e: Emitter, op: Alu, type: ValueType): void {
  const { code } = e;
  const b = e.factOf(op);
  const narrow = type === I32;
  const a = (): void => e.push(op.dst, type);
  const divisor = (): void => e.pushOperand(op, type);
  const divide = (): void => {
    a();
    divisor();
    code.op(opcodeOf(op.op, narrow));
  };
  const byZero = (): void => (op.op === 'div' || op.op === 'sdiv' ? code.constant(type, 0n) : a());
  if (b.kind === 'const') {
    const value = BigInt.asIntN(narrow ? 32 : 64, b.value);
    if (value === 0n) byZero();
    else if (value === -1n && op.op === 'sdiv') negate(e, op.dst, type);
    else divide();
    return;
  }
  if (op.op !== 'sdiv' && e.analysis.ranges.isSafe(op)) {
    divide();
    return;
  }
  if (op.op === 'sdiv') {
    // By 0 and by -1 the product is the defined result, and the latter is what WebAssembly traps on for the least number.
    divisor();
    code.constant(type, 1n);
    code.op(narrow ? wasm.i32Add : wasm.i64Add);
    code.constant(type, 1n);
    code.op(narrow ? wasm.i32GtU : wasm.i64GtU);
    code.openIf(type);
    divide();
    code.op(wasm.else);
    a();
    divisor();
    code.op(narrow ? wasm.i32Mul : wasm.i64Mul);
    code.end();
    return;
  }
  divisor();
  code.op(narrow ? wasm.i32Eqz : wasm.i64Eqz);
  code.openIf(type);
  byZero();
  code.op(wasm.else);
  divide();
  code.end();
}

function opcodeOf(op: BinaryOp, narrow: boolean): number {
  switch (op) {
    case 'div':
      return narrow ? wasm.i32DivU : wasm.i64DivU;
    case 'sdiv':
      return narrow ? wasm.i32DivS : wasm.i64DivS;
    case 'mod':
      return narrow ? wasm.i32RemU : wasm.i64RemU;
    default:
      return narrow ? wasm.i32RemS : wasm.i64RemS;
  }
}

function negate(e: Emitter, register: number, type: ValueType): void {
  e.code.constant(type, 0n);
  e.push(register, type);
  e.code.op(type === I32 ? wasm.i32Sub : wasm.i64Sub);
}

export function emitNeg(e: Emitter, op: Extract<Op, { kind: 'neg' }>): void {
  const type = op.width === 32 ? I32 : e.resultType();
  negate(e, op.dst, type);
  e.define(op, type);
}

export function emitMov(e: Emitter, op: Extract<Op, { kind: 'mov' }>): void {
  const type = e.resultType();
  e.push(op.src, type);
  e.define(op, type);
}

export function emitExtend(e: Emitter, op: Extract<Op, { kind: 'extend' }>): void {
  const { code } = e;
  if (!op.signed || op.width === 32 || e.resultType() === I32) {
    e.push(op.src, I32);
    if (op.signed && op.bits !== 32) code.op(op.bits === 8 ? wasm.i32Extend8S : wasm.i32Extend16S);
    else if (!op.signed && op.bits !== 32 && e.fact(op.src).bits > op.bits) {
      code.i32(op.bits === 8 ? 0xff : 0xffff);
      code.op(wasm.i32And);
    }
    e.define(op, I32);
    return;
  }
  if (op.bits === 32) {
    e.push(op.src, I32);
    code.op(wasm.i64ExtendI32S);
  } else {
    e.push(op.src, I64);
    code.op(op.bits === 8 ? wasm.i64Extend8S : wasm.i64Extend16S);
  }
  e.define(op, I64);
}

/** Byte swaps: WebAssembly has none, rotations and masks come closest. */
export function emitSwap(e: Emitter, op: Extract<Op, { kind: 'swap' }>): void {
  if (op.bits === 64) {
    emitSwap64(e, op);
    return;
  }
  pushSwapped(e, op.bits, () => e.push(op.dst, I32));
  e.define(op, I32);
}

/** Leaves the i32 that `push` leaves, whenever it is called, with the bytes of its lower half or of all of it reversed. */
export function pushSwapped({ code }: Emitter, bits: 16 | 32, push: () => void): void {
  const half = (shift: number, opcode: number, mask: number): void => {
    push();
    code.i32(shift);
    code.op(opcode);
    code.i32(mask);
    code.op(wasm.i32And);
  };
  if (bits === 16) {
    half(8, wasm.i32Shl, 0xff00);
    half(8, wasm.i32ShrU, 0xff);
  } else {
    half(8, wasm.i32Rotl, 0x00ff00ff);
    half(24, wasm.i32Rotl, 0xff00ff00);
  }
  code.op(wasm.i32Or);
}

function emitSwap64(e: Emitter, op: Extract<Op, { kind: 'swap' }>): void {
  const { code } = e;
  const value = e.scratch('swap', I64);
  e.push(op.dst, I64);
  code.set(value);
  for (const [shift, mask] of [
    [8n, 0x00ff00ff00ff00ffn],
    [16n, 0x0000ffff0000ffffn],
  ] as const) {
    code.get(value);
    code.i64(mask);
    code.op(wasm.i64And);
    code.i64(shift);
    code.op(wasm.i64Shl);
    code.get(value);
    code.i64(shift);
    code.op(wasm.i64ShrU);
    code.i64(mask);
    code.op(wasm.i64And);
    code.op(wasm.i64Or);
    code.set(value);
  }
  code.get(value);
  code.i64(32n);
  code.op(wasm.i64Rotl);
  e.define(op, I64);
}
