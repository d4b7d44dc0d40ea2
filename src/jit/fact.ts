/** What can be known of one value: the lattice that facts.ts works on, and what arithmetic makes of it. */
import type { MapFacts } from '../object/resolved.ts';
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import type { BinaryOp } from './ir.ts';

export type Fact =
  /** Not reached yet. */
  | { readonly kind: 'none'; readonly bits: 0 }
  | {
      readonly kind: 'const';
      readonly value: bigint;
      readonly map: MapFacts | undefined;
      /** Of an object: arithmetic on it gives addresses. */
      readonly address: boolean;
      readonly bits: number;
    }
  /** r10 + offset, exactly. */
  | { readonly kind: 'frame'; readonly offset: number; readonly bits: 32 }
  | { readonly kind: 'function'; readonly target: number; readonly bits: 32 }
  /** The context that the program was entered with. */
  | { readonly kind: 'context'; readonly bits: 32 }
  /** Some pointer of a verified program: an address below 2^32 whatever the verifier let be added to it. */
  | { readonly kind: 'pointer'; readonly bits: 32; readonly nonNull: boolean }
  /** Below 2^bits. */
  | { readonly kind: 'number'; readonly bits: number };

export const none: Fact = { kind: 'none', bits: 0 };
export const pointer: Fact = { kind: 'pointer', bits: 32, nonNull: false };
export const object: Fact = { kind: 'pointer', bits: 32, nonNull: true };
export const number = (bits: number): Fact => ({ kind: 'number', bits: Math.min(bits, 64) });
export const anything = number(64);

export function constant(value: bigint, address = false, map?: MapFacts): Fact {
  const unsigned = BigInt.asUintN(64, value);
  return { kind: 'const', value: unsigned, map, address, bits: unsigned === 0n ? 0 : unsigned.toString(2).length };
}
/** Operations whose low 32 result bits need only the low 32 bits of their operands. */
export function lowBitsSuffice(op: BinaryOp, b: Fact): boolean {
  switch (op) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'and':
    case 'or':
    case 'xor':
      return true;
    case 'lsh':
      return b.kind === 'const' && (b.value & 63n) < 32n;
    default:
      return false;
  }
}

export function isShift(op: BinaryOp): boolean {
  return op === 'lsh' || op === 'rsh' || op === 'arsh';
}
export function isPointer(fact: Fact): boolean {
  return (
    fact.kind === 'pointer' ||
    fact.kind === 'frame' ||
    fact.kind === 'context' ||
    (fact.kind === 'const' && fact.address)
  );
}

/** The value's lower half is below the limit whatever happens. */
export function isBelow(fact: Fact, limit: number): boolean {
  if (fact.kind === 'const') return BigInt.asUintN(32, fact.value) < BigInt(limit);
  return fact.kind === 'number' && fact.bits <= 31 && 2 ** fact.bits <= limit;
}

export function join(a: Fact, b: Fact): Fact {
  if (a.kind === 'none') return b;
  if (b.kind === 'none' || sameFact(a, b)) return a;
  if (isPointer(a) && isPointer(b)) return pointer;
  return number(Math.max(a.bits, b.bits));
}

export function sameFact(a: Fact, b: Fact): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.bits !== b.bits) return false;
  if (a.kind === 'const' && b.kind === 'const')
    return a.value === b.value && a.address === b.address && a.map === b.map;
  if (a.kind === 'frame' && b.kind === 'frame') return a.offset === b.offset;
  if (a.kind === 'function' && b.kind === 'function') return a.target === b.target;
  if (a.kind === 'pointer' && b.kind === 'pointer') return a.nonNull === b.nonNull;
  return true;
}

/** The frame address `a` plus or minus the constant `b`, while it stays near the frame. */
export function moveFrame(a: Fact, b: Fact, sign: 1 | -1): Fact | undefined {
  if (a.kind !== 'frame' || b.kind !== 'const') return undefined;
  const offset = a.offset + sign * Number(BigInt.asIntN(64, b.value));
  return Math.abs(offset) <= 2 * FRAME_SIZE ? { kind: 'frame', offset, bits: 32 } : undefined;
}

export function extend(from: Fact, bits: number, signed: boolean, width: 32 | 64): Fact {
  if (from.kind === 'none') return none;
  if (from.kind === 'const') {
    const low = BigInt.asUintN(bits, from.value);
    const value = signed ? BigInt.asUintN(width, BigInt.asIntN(bits, low)) : low;
    return value === from.value ? from : constant(value);
  }
  if (signed) return number(from.bits < bits ? from.bits : width);
  // Zero-extending 32 bits of a pointer is what addr_space_cast and `w1 = w1` do: the value stays.
  if (bits === 32 && from.bits <= 32) return from;
  return number(Math.min(bits, from.bits));
}

export function narrowed(op: BinaryOp, a: Fact, b: Fact): Fact {
  const low = (fact: Fact): Fact =>
    fact.kind === 'const' ? constant(BigInt.asUintN(32, fact.value)) : number(Math.min(32, fact.bits));
  const left = low(a);
  const right = low(b);
  if (left.kind === 'const' && right.kind === 'const' && !isShift(op)) {
    const folded = fold(op, left.value, right.value);
    if (folded !== undefined) return constant(BigInt.asUintN(32, folded));
  }
  if (isShift(op))
    return right.kind === 'const'
      ? number(Math.min(32, resultBits(op, left, constant(right.value & 31n))))
      : number(32);
  return number(Math.min(32, resultBits(op, left, right)));
}

export function fold(op: BinaryOp, a: bigint, b: bigint): bigint | undefined {
  switch (op) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'and':
      return a & b;
    case 'or':
      return a | b;
    case 'xor':
      return a ^ b;
    case 'lsh':
      return a << (b & 63n);
    case 'rsh':
      return a >> (b & 63n);
    default:
      return undefined;
  }
}

/** How many low bits of the 64-bit result may be set. */
export function resultBits(op: BinaryOp, a: Fact, b: Fact): number {
  switch (op) {
    case 'add':
      return Math.max(a.bits, b.bits) + 1;
    case 'mul':
      return a.bits + b.bits;
    case 'and':
      return Math.min(a.bits, b.bits);
    case 'or':
    case 'xor':
      return Math.max(a.bits, b.bits);
    case 'lsh':
      return b.kind === 'const' ? a.bits + Number(b.value & 63n) : 64;
    case 'rsh':
      return b.kind === 'const' ? Math.max(0, a.bits - Number(b.value & 63n)) : a.bits;
    case 'arsh':
      return a.bits < 32 && b.kind === 'const' ? Math.max(0, a.bits - Number(b.value & 63n)) : 64;
    case 'div':
    case 'mod':
      return a.bits;
    default:
      return 64;
  }
}
