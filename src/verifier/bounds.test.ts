// The arithmetic of assembly/ against concrete evaluation: what comes out of an operation on members lies inside the result.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALU, JUMP } from '../isa/opcodes.ts';
import { MASK, SMAX, SMAX32, SMIN, SMIN32, UMAX, UMAX32, UMIN, UMIN32, VALUE } from './layout.ts';
import { arithmetic, longs, makeConstant, SCRATCH, SCRATCH2, ulongs, words } from './states/records.ts';

const A = SCRATCH;
const B = SCRATCH2;
const u64 = (x: bigint) => BigInt.asUintN(64, x);
const s64 = (x: bigint) => BigInt.asIntN(64, x);
const u32 = (x: bigint) => BigInt.asUintN(32, x);
const s32 = (x: bigint) => BigInt.asIntN(32, x);

const order = (a: bigint, b: bigint) => (a < b ? -1 : 1);

/** The least that holds all members: bits and all four ranges. */
function abstract(r: number, members: readonly bigint[]): void {
  makeConstant(r, 0, 0);
  let ones = (1n << 64n) - 1n;
  let zeros = (1n << 64n) - 1n;
  for (const x of members) {
    ones &= x;
    zeros &= u64(~x);
  }
  ulongs[(r + VALUE) >> 3] = ones;
  ulongs[(r + MASK) >> 3] = u64(~(ones | zeros));
  const least = (f: (x: bigint) => bigint) => members.map(f).sort(order)[0]!;
  const most = (f: (x: bigint) => bigint) => members.map(f).sort(order).at(-1)!;
  ulongs[(r + UMIN) >> 3] = least(u64);
  ulongs[(r + UMAX) >> 3] = most(u64);
  longs[(r + SMIN) >> 3] = least(s64);
  longs[(r + SMAX) >> 3] = most(s64);
  words[(r + UMIN32) >> 2] = Number(s32(least(u32)));
  words[(r + UMAX32) >> 2] = Number(s32(most(u32)));
  words[(r + SMIN32) >> 2] = Number(least(s32));
  words[(r + SMAX32) >> 2] = Number(most(s32));
}

function contains(r: number, x: bigint): boolean {
  const value = ulongs[(r + VALUE) >> 3]!;
  const mask = ulongs[(r + MASK) >> 3]!;
  return (
    (x & ~mask & ((1n << 64n) - 1n)) === value &&
    x >= ulongs[(r + UMIN) >> 3]! &&
    x <= ulongs[(r + UMAX) >> 3]! &&
    s64(x) >= longs[(r + SMIN) >> 3]! &&
    s64(x) <= longs[(r + SMAX) >> 3]! &&
    u32(x) >= BigInt(words[(r + UMIN32) >> 2]! >>> 0) &&
    u32(x) <= BigInt(words[(r + UMAX32) >> 2]! >>> 0) &&
    s32(x) >= BigInt(words[(r + SMIN32) >> 2]!) &&
    s32(x) <= BigInt(words[(r + SMAX32) >> 2]!)
  );
}

const operations: Readonly<Record<string, number>> = {
  ADD: ALU.ADD,
  SUB: ALU.SUB,
  MUL: ALU.MUL,
  OR: ALU.OR,
  AND: ALU.AND,
  XOR: ALU.XOR,
  LSH: ALU.LSH,
  RSH: ALU.RSH,
  ARSH: ALU.ARSH,
};

function evaluate(op: number, wide: boolean, a: bigint, b: bigint): bigint {
  const bits = wide ? 64 : 32;
  const by = b & BigInt(bits - 1);
  const signed = BigInt.asIntN(bits, a);
  const x = BigInt.asUintN(bits, a);
  const results: Readonly<Record<number, bigint>> = {
    [ALU.ADD]: a + b,
    [ALU.SUB]: a - b,
    [ALU.MUL]: a * b,
    [ALU.OR]: a | b,
    [ALU.AND]: a & b,
    [ALU.XOR]: a ^ b,
    [ALU.LSH]: x << by,
    [ALU.RSH]: x >> by,
    [ALU.ARSH]: signed >> by,
  };
  return BigInt.asUintN(bits, results[op]!);
}

const jumps: Readonly<Record<string, number>> = {
  JEQ: JUMP.JEQ,
  JNE: JUMP.JNE,
  JGT: JUMP.JGT,
  JGE: JUMP.JGE,
  JLT: JUMP.JLT,
  JLE: JUMP.JLE,
  JSGT: JUMP.JSGT,
  JSGE: JUMP.JSGE,
  JSLT: JUMP.JSLT,
  JSLE: JUMP.JSLE,
  JSET: JUMP.JSET,
};

function compare(op: number, narrow: boolean, a: bigint, b: bigint): boolean {
  const bits = narrow ? 32 : 64;
  const x = BigInt.asUintN(bits, a);
  const y = BigInt.asUintN(bits, b);
  const sx = BigInt.asIntN(bits, a);
  const sy = BigInt.asIntN(bits, b);
  switch (op) {
    case JUMP.JEQ:
      return x === y;
    case JUMP.JNE:
      return x !== y;
    case JUMP.JGT:
      return x > y;
    case JUMP.JGE:
      return x >= y;
    case JUMP.JLT:
      return x < y;
    case JUMP.JLE:
      return x <= y;
    case JUMP.JSGT:
      return sx > sy;
    case JUMP.JSGE:
      return sx >= sy;
    case JUMP.JSLT:
      return sx < sy;
    case JUMP.JSLE:
      return sx <= sy;
    default:
      return (x & y) !== 0n;
  }
}

/** Near the edges, where ranges wrap around and signs change. */
const edge = fc
  .tuple(fc.constantFrom(0n, 1n << 31n, 1n << 32n, 1n << 63n, (1n << 64n) - 1n, 0xffffffffn), fc.bigInt(-20n, 20n))
  .map(([base, off]) => u64(base + off));
const number = fc.oneof(edge, fc.bigInt(0n, (1n << 64n) - 1n), fc.bigInt(0n, 300n));
const members = fc.array(number, { minLength: 1, maxLength: 4 });

describe('scalars at 64 bits', () => {
  for (const [name, op] of Object.entries(operations))
    for (const wide of [true, false])
      it(`${name}${wide ? '64' : '32'}: each result of members is a member of the result`, () => {
        fc.assert(
          fc.property(members, members, (as, given) => {
            const bs = op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH ? [given[0]! % (wide ? 64n : 32n)] : given;
            abstract(A, as);
            abstract(B, bs);
            arithmetic.alu(op, wide ? 1 : 0, A, B);
            for (const a of as)
              for (const b of bs) if (!contains(A, evaluate(op, wide, a, b))) expect({ a, b }).toBe('a member');
          }),
          { numRuns: 1500 },
        );
      });

  for (const [name, op] of Object.entries(jumps))
    for (const narrow of [false, true])
      it(`${name}${narrow ? '32' : ''}: what each outcome leaves holds the members with that outcome`, () => {
        fc.assert(
          fc.property(members, members, (as, bs) => {
            abstract(A, as);
            abstract(B, bs);
            const known = arithmetic.taken(op, narrow ? 1 : 0, A, B);
            for (const holds of [true, false]) {
              const pairs = as.flatMap((a) =>
                bs.filter((b) => compare(op, narrow, a, b) === holds).map((b) => [a, b] as const),
              );
              if (known === (holds ? 0 : 1)) expect(pairs).toEqual([]);
              if (pairs.length === 0) continue;
              abstract(A, as);
              abstract(B, bs);
              arithmetic.refine(op, narrow ? 1 : 0, A, B, holds ? 1 : 0);
              for (const [a, b] of pairs) if (!contains(A, a) || !contains(B, b)) expect({ a, b, holds }).toBe('kept');
            }
          }),
          { numRuns: 1500 },
        );
      });

  it('extension, truncation, negation', () => {
    fc.assert(
      fc.property(members, fc.constantFrom(8, 16, 32), (as, bits) => {
        abstract(A, as);
        arithmetic.signExtend(A, bits);
        expect(as.every((a) => contains(A, u64(BigInt.asIntN(bits, a))))).toBe(true);
        if (bits < 32) {
          abstract(A, as);
          arithmetic.signExtend32(A, bits);
          expect(as.every((a) => contains(A, u32(BigInt.asIntN(bits, a))))).toBe(true);
        }
        abstract(A, as);
        arithmetic.coerce(A, bits / 8);
        expect(as.every((a) => contains(A, BigInt.asUintN(bits, a)))).toBe(true);
        abstract(A, as);
        arithmetic.negate(A, B, 1);
        expect(as.every((a) => contains(A, u64(-a)))).toBe(true);
        abstract(A, as);
        arithmetic.negate(A, B, 0);
        expect(as.every((a) => contains(A, u32(-a)))).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});

describe.each([0n, 30n, 60n])('exhaustively, for all sets of known bits among 4 from bit %i', (from) => {
  const sets: bigint[][] = [];
  for (let value = 0; value < 16; value++)
    for (let mask = 0; mask < 16; mask++) {
      if ((value & mask) !== 0) continue;
      const all: bigint[] = [];
      for (let x = 0; x < 16; x++) if ((x & ~mask & 15) === value) all.push(BigInt(x) << from);
      sets.push(all);
    }
  for (const [name, op] of Object.entries(operations))
    it(`${name}: sound, and exact on constants`, () => {
      for (const as of sets)
        for (const bs of sets) {
          if ((op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH) && (bs.length > 1 || bs[0]! > 63n)) continue;
          for (const wide of [true, false]) {
            abstract(A, as);
            abstract(B, bs);
            arithmetic.alu(op, wide ? 1 : 0, A, B);
            for (const a of as)
              for (const b of bs) if (!contains(A, evaluate(op, wide, a, b))) expect({ a, b, wide }).toBe('a member');
            if (as.length === 1 && bs.length === 1) expect(ulongs[(A + MASK) >> 3]).toBe(0n);
          }
        }
    });
});

describe.each([0n, 1n << 31n, 1n << 32n, 1n << 63n])(
  'exhaustively, for all ranges of up to 6 numbers around %i',
  (centre) => {
    const ranges: bigint[][] = [];
    for (let least = -3n; least < 3n; least++)
      for (let most = least; most < 3n; most++) {
        const all: bigint[] = [];
        for (let x = least; x <= most; x++) all.push(u64(centre + x));
        ranges.push(all);
      }
    const pairs = (use: (as: readonly bigint[], bs: readonly bigint[]) => void) => {
      for (const as of ranges) for (const bs of ranges) use(as, bs);
    };

    it.each(Object.entries(operations))('%s', (_name, op) => {
      pairs((as, bs) => {
        if (op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH) return;
        for (const wide of [true, false]) {
          abstract(A, as);
          abstract(B, bs);
          arithmetic.alu(op, wide ? 1 : 0, A, B);
          for (const a of as)
            for (const b of bs) if (!contains(A, evaluate(op, wide, a, b))) expect({ a, b, wide }).toBe('a member');
        }
      });
      for (const as of ranges)
        for (let by = 0n; by < 64n; by++)
          for (const wide of by < 32n ? [true, false] : [true]) {
            if (op !== ALU.LSH && op !== ALU.RSH && op !== ALU.ARSH) return;
            abstract(A, as);
            makeConstant(B, Number(by), 0);
            arithmetic.alu(op, wide ? 1 : 0, A, B);
            for (const a of as) if (!contains(A, evaluate(op, wide, a, by))) expect({ a, by, wide }).toBe('a member');
          }
    });

    it.each(Object.entries(jumps))('%s', (_name, op) => {
      pairs((as, bs) => {
        for (const narrow of [false, true]) {
          abstract(A, as);
          abstract(B, bs);
          const known = arithmetic.taken(op, narrow ? 1 : 0, A, B);
          for (const holds of [true, false]) {
            const left = as.flatMap((a) =>
              bs.filter((b) => compare(op, narrow, a, b) === holds).map((b) => [a, b] as const),
            );
            if (known === (holds ? 0 : 1) && left.length > 0) expect({ as, bs, narrow, holds }).toBe('possible');
            if (left.length === 0) continue;
            abstract(A, as);
            abstract(B, bs);
            arithmetic.refine(op, narrow ? 1 : 0, A, B, holds ? 1 : 0);
            for (const [a, b] of left)
              if (!contains(A, a) || !contains(B, b)) expect({ a, b, narrow, holds }).toBe('kept');
          }
        }
      });
    });

    it('extension, truncation, negation, pointer offsets, inclusion', () => {
      for (const as of ranges)
        for (const bits of [8, 16, 32]) {
          const each = (apply: () => void, result: (a: bigint) => bigint) => {
            abstract(A, as);
            apply();
            for (const a of as) if (!contains(A, result(a))) expect({ a, bits, apply: String(apply) }).toBe('a member');
          };
          each(
            () => arithmetic.signExtend(A, bits),
            (a) => u64(BigInt.asIntN(bits, a)),
          );
          each(
            () => arithmetic.coerce(A, bits / 8),
            (a) => BigInt.asUintN(bits, a),
          );
          each(
            () => arithmetic.negate(A, B, 1),
            (a) => u64(-a),
          );
          each(
            () => arithmetic.negate(A, B, 0),
            (a) => u32(-a),
          );
          if (bits < 32)
            each(
              () => arithmetic.signExtend32(A, bits),
              (a) => u32(BigInt.asIntN(bits, a)),
            );
        }
      pairs((as, bs) => {
        abstract(A, as);
        abstract(B, bs);
        const inside = bs.every((b) => as.includes(b));
        // The least record of a range holds all and only what lies in the range, as long as its bits do.
        if (inside && arithmetic.within(A, B) === 0) expect({ as, bs }).toBe('inside');
        if (arithmetic.within(A, B) !== 0) for (const b of bs) if (!contains(A, b)) expect({ as, bs }).toBe('outside');
      });
    });
  },
);

describe('byte order', () => {
  const swapped = (x: bigint, bits: number) => {
    let result = 0n;
    for (let at = 0; at < bits; at += 8) result |= ((x >> BigInt(at)) & 0xffn) << BigInt(bits - 8 - at);
    return result;
  };
  it.each([16, 32, 64])('of %i bits', (bits) => {
    fc.assert(
      fc.property(members, fc.boolean(), (as, swap) => {
        abstract(A, as);
        arithmetic.byteOrder(A, bits, swap ? 1 : 0);
        for (const a of as) {
          const low = BigInt.asUintN(bits, a);
          expect(contains(A, swap ? swapped(low, bits) : low)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
