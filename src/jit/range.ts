/**
 * Unsigned ranges of values and what operations make of them. Numbers up to 2^53 - 1 are exact; Infinity as the upper end
 * stands for anything a u64 can be.
 */
import type { Width } from '../isa/operation.ts';
import { type BinaryOp, definition, NO_REGISTER, type Op } from './ir.ts';

export const EXACT = Number.MAX_SAFE_INTEGER;
export const U32 = 0xffff_ffff;

export interface Range {
  readonly low: number;
  readonly high: number;
}

const anything: Range = { low: 0, high: Number.POSITIVE_INFINITY };
const anyU32: Range = { low: 0, high: U32 };

function range(low: number, high: number): Range {
  return high <= EXACT ? { low, high } : { low: Math.min(low, EXACT), high: Number.POSITIVE_INFINITY };
}

/** Position of the highest bit that is set, from 1; 0 for 0. */
export function bitLength(value: number): number {
  return value <= U32 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 2 ** 32));
}

/** Ranges of all registers at one place. */
export class Registers {
  readonly #low: Float64Array;
  readonly #high: Float64Array;

  constructor(low: Float64Array, high: Float64Array) {
    this.#low = low;
    this.#high = high;
  }

  static of(registers: number): Registers {
    return new Registers(new Float64Array(registers), new Float64Array(registers).fill(Number.POSITIVE_INFINITY));
  }

  copy(): Registers {
    return new Registers(this.#low.slice(), this.#high.slice());
  }

  get(register: number): Range {
    return { low: this.#low[register]!, high: this.#high[register]! };
  }

  set(register: number, { low, high }: Range): void {
    this.#low[register] = low;
    this.#high[register] = high;
  }

  step(op: Op): void {
    const register = definition(op);
    if (register !== NO_REGISTER) this.set(register, result(op, this));
  }
}
/** The second operand as the operation sees it: its lower half for 32 bits, sign-extended for 64. */
export function operand(from: { readonly b: number; readonly imm: number }, width: Width, state: Registers): Range {
  if (from.b !== NO_REGISTER) {
    const value = state.get(from.b);
    return width === 32 && value.high > U32 ? anyU32 : value;
  }
  if (width === 32) return { low: from.imm >>> 0, high: from.imm >>> 0 };
  return from.imm >= 0 ? { low: from.imm, high: from.imm } : { low: EXACT, high: Number.POSITIVE_INFINITY };
}

function result(op: Op, state: Registers): Range {
  switch (op.kind) {
    case 'const':
      return range(Number(op.value), Number(op.value));
    case 'mov':
      return state.get(op.src);
    case 'extend': {
      const from = state.get(op.src);
      const limit = 2 ** (op.signed ? op.bits - 1 : op.bits) - 1;
      if (from.high <= limit) return from;
      return op.signed ? (op.width === 32 ? anyU32 : anything) : { low: 0, high: limit };
    }
    case 'alu': {
      const b = operand(op, op.width, state);
      const a = state.get(op.dst);
      if (op.width === 64) return arithmetic(op.op, a, b, op) ?? anything;
      const narrow = arithmetic(op.op, a.high > U32 ? anyU32 : a, b, op);
      return narrow === undefined || narrow.high > U32 ? anyU32 : narrow;
    }
    case 'neg':
      return op.width === 32 ? anyU32 : anything;
    case 'swap':
      return op.bits === 64 ? anything : { low: 0, high: 2 ** op.bits - 1 };
    case 'load':
      return op.signed || op.size === 8 ? anything : { low: 0, high: 2 ** (op.size * 8) - 1 };
    case 'load-acquire':
    case 'load-packet':
    case 'atomic':
      return op.size === 8 ? anything : { low: 0, high: 2 ** (op.size * 8) - 1 };
    case 'function':
    case 'array-lookup':
      return anyU32;
    default:
      return anything;
  }
}

/** undefined where nothing is known: the result may have wrapped. */
function arithmetic(
  op: BinaryOp,
  a: Range,
  b: Range,
  { width, imm, b: register }: { width: Width; imm: number; b: number },
): Range | undefined {
  const bounded = (low: number, high: number): Range | undefined => (high <= EXACT ? { low, high } : undefined);
  const isConstant = b.low === b.high;
  const shift = b.low % width;
  switch (op) {
    case 'add':
      // Adding a negative constant is subtracting.
      if (register === NO_REGISTER && imm < 0) return a.low >= -imm ? range(a.low + imm, a.high + imm) : undefined;
      return bounded(a.low + b.low, a.high + b.high);
    case 'sub':
      return a.low >= b.high ? range(a.low - b.high, a.high - b.low) : undefined;
    case 'mul':
      return bounded(a.low * b.low, a.high * b.high);
    case 'and':
      return { low: 0, high: Math.min(a.high, b.high) };
    case 'or':
    case 'xor': {
      const high = Math.max(a.high, b.high);
      return high <= EXACT
        ? { low: op === 'or' ? Math.max(a.low, b.low) : 0, high: 2 ** bitLength(high) - 1 }
        : undefined;
    }
    case 'lsh':
      return isConstant ? bounded(a.low * 2 ** shift, a.high * 2 ** shift) : undefined;
    case 'rsh':
    case 'arsh':
      // A sign that could be set would be kept by arsh.
      if (op === 'arsh' && a.high > (width === 32 ? 0x7fff_ffff : EXACT)) return undefined;
      if (!isConstant) return range(0, a.high);
      return range(Math.floor(a.low / 2 ** shift), Math.floor(a.high / 2 ** shift));
    case 'div':
      if (b.low === 0) return range(0, a.high);
      return range(Math.floor(a.low / b.high), Math.floor(a.high / b.low));
    case 'mod':
      if (b.low === 0) return range(0, a.high);
      return range(0, Math.min(a.high, b.high - 1));
    default:
      return undefined;
  }
}
