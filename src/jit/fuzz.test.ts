// Random programs of arithmetic, jumps in any direction and stack accesses: the JIT against a reference that is as plain as
// the tables of RFC 9669. fast-check prints seed and path of a failure.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccessSize, AluOp, JumpOp, Operation, Width } from '../isa/operation.ts';
import { insnsOf } from '../isa/operation-slots.ts';
import { rawProgram, Testbed } from './testbed.ts';

const MASK = (1n << 64n) - 1n;
const STEPS = 3000;

/** r0 after the program, undefined if it takes more than STEPS instructions. */
function evaluate(program: readonly Operation[], r1: bigint, r2: bigint): bigint | undefined {
  const registers = new Array<bigint>(11).fill(0n);
  registers[1] = r1;
  registers[2] = r2;
  const stack = new DataView(new ArrayBuffer(512));
  for (let at = 0, steps = 0; steps < STEPS; steps++) {
    const o = program[at++]!;
    const get = (register: number): bigint => registers[register]!;
    switch (o.kind) {
      case 'alu':
        registers[o.dst] = alu(o.op, o.width, get(o.dst), o.source === 'reg' ? get(o.src) : BigInt(o.imm));
        break;
      case 'neg':
        registers[o.dst] = BigInt.asUintN(o.width, -get(o.dst));
        break;
      case 'movsx':
        registers[o.dst] = BigInt.asUintN(o.width, BigInt.asIntN(o.from, get(o.src)));
        break;
      case 'endian':
        registers[o.dst] = o.op === 'to-le' ? BigInt.asUintN(o.bits, get(o.dst)) : swap(get(o.dst), o.bits);
        break;
      case 'load':
        registers[o.dst] = BigInt.asUintN(64, read(stack, 512 + o.off, o.size, o.signed));
        break;
      case 'store':
        write(stack, 512 + o.off, o.size, o.source === 'reg' ? get(o.src) : BigInt(o.imm));
        break;
      case 'jump':
        at += o.off;
        break;
      case 'branch':
        if (jumps(o.op, o.width, get(o.dst), o.source === 'reg' ? get(o.src) : BigInt(o.imm))) at += o.off;
        break;
      case 'exit':
        return get(0);
      default:
        throw new Error(`the reference has no ${o.kind}`);
    }
  }
  return undefined;
}

function alu(op: AluOp, width: Width, x: bigint, y: bigint): bigint {
  const a = BigInt.asUintN(width, x);
  const b = BigInt.asUintN(width, y);
  const signedA = BigInt.asIntN(width, a);
  const signedB = BigInt.asIntN(width, b);
  const shift = b & BigInt(width - 1);
  const results: Record<AluOp, () => bigint> = {
    add: () => a + b,
    sub: () => a - b,
    mul: () => a * b,
    div: () => (b === 0n ? 0n : a / b),
    mod: () => (b === 0n ? a : a % b),
    sdiv: () => (b === 0n ? 0n : signedA / signedB),
    smod: () => (b === 0n ? a : signedA % signedB),
    or: () => a | b,
    and: () => a & b,
    xor: () => a ^ b,
    mov: () => b,
    lsh: () => a << shift,
    rsh: () => a >> shift,
    arsh: () => signedA >> shift,
  };
  return BigInt.asUintN(width, results[op]());
}

function jumps(op: JumpOp, width: Width, x: bigint, y: bigint): boolean {
  const a = BigInt.asUintN(width, x);
  const b = BigInt.asUintN(width, y);
  const signedA = BigInt.asIntN(width, a);
  const signedB = BigInt.asIntN(width, b);
  const results: Record<JumpOp, boolean> = {
    eq: a === b,
    ne: a !== b,
    gt: a > b,
    ge: a >= b,
    lt: a < b,
    le: a <= b,
    set: (a & b) !== 0n,
    sgt: signedA > signedB,
    sge: signedA >= signedB,
    slt: signedA < signedB,
    sle: signedA <= signedB,
  };
  return results[op];
}

function swap(value: bigint, bits: number): bigint {
  let result = 0n;
  for (let at = 0; at < bits; at += 8) result = (result << 8n) | ((value >> BigInt(at)) & 0xffn);
  return result;
}

function read(view: DataView, at: number, size: AccessSize, signed: boolean): bigint {
  let value = 0n;
  for (let byte = size - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(view.getUint8(at + byte));
  return signed ? BigInt.asIntN(size * 8, value) : value;
}

function write(view: DataView, at: number, size: AccessSize, value: bigint): void {
  for (let byte = 0; byte < size; byte++) view.setUint8(at + byte, Number((value >> BigInt(byte * 8)) & 0xffn));
}

const register = fc.integer({ min: 0, max: 9 });
const width = fc.constantFrom<Width>(32, 64);
const source = fc.constantFrom<'imm' | 'reg'>('imm', 'reg');
const size = fc.constantFrom<AccessSize>(1, 2, 4, 8);
const imm = fc.oneof(
  fc.integer({ min: -3, max: 70 }),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -1, 0, 1),
);
const aluOps: AluOp[] = 'add sub mul div sdiv or and lsh rsh mod smod xor mov arsh'.split(' ') as AluOp[];
const jumpOps: JumpOp[] = 'eq gt ge set ne sgt sge lt le slt sle'.split(' ') as JumpOp[];

/** `off` of jumps is a target from 0 to 1, made a distance once the length is known. Stack accesses overlap often. */
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('alu' as const),
      op: fc.constantFrom(...aluOps),
      width,
      source,
      dst: register,
      src: register,
      imm,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('neg' as const), width, dst: register }) },
  {
    weight: 1,
    arbitrary: fc
      .record({
        kind: fc.constant('movsx' as const),
        width,
        from: fc.constantFrom<8 | 16 | 32>(8, 16, 32),
        dst: register,
        src: register,
      })
      .map((o) => (o.from === 32 ? { ...o, width: 64 as const } : o)),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('endian' as const),
      op: fc.constantFrom<'to-le' | 'to-be' | 'bswap'>('to-le', 'to-be', 'bswap'),
      bits: fc.constantFrom<16 | 32 | 64>(16, 32, 64),
      dst: register,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('store' as const),
      size,
      source,
      dst: fc.constant(10),
      src: register,
      imm,
      off: fc.integer({ min: -4, max: -1 }).map((at) => at * 8),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('load' as const),
      size,
      signed: fc.boolean(),
      dst: register,
      src: fc.constant(10),
      off: fc.integer({ min: -4, max: -1 }).map((at) => at * 8),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('branch' as const),
      op: fc.constantFrom(...jumpOps),
      width,
      source,
      dst: register,
      src: register,
      imm,
      off: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('jump' as const),
      long: fc.boolean(),
      off: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
);

/** Sizes that the slots are always accessed with, in half of the programs. */
const slotSizes: Readonly<Record<number, AccessSize>> = { [-8]: 8, [-16]: 4, [-24]: 2, [-32]: 1 };

/** The stack is written before anything else, so that no read finds what an earlier run left. */
function prologue(sameSizes: boolean): Operation[] {
  return [-8, -16, -24, -32].map((off) => {
    const size = sameSizes ? slotSizes[off]! : 8;
    return { kind: 'store', size, source: 'reg', dst: 10, src: 1, imm: 0, off };
  });
}

function finish(body: readonly Operation[], sameSizes: boolean): Operation[] {
  const length = body.length + 1;
  const sized = <T extends { size: AccessSize; off: number }>(o: T): T =>
    sameSizes ? { ...o, size: slotSizes[o.off]! } : o;
  return [
    ...prologue(sameSizes),
    ...body.map((o, at): Operation => {
      switch (o.kind) {
        case 'branch':
          return { ...onlyOne(o), off: Math.floor(o.off * length * 0.999) - at - 1 };
        case 'jump':
          return { ...o, off: Math.floor(o.off * length * 0.999) - at - 1 };
        case 'alu':
          return onlyOne(o);
        case 'store':
          return sized(onlyOne(o));
        case 'load': {
          const load = sized(o);
          return { ...load, signed: load.signed && load.size < 8 };
        }
        default:
          return o;
      }
    }),
    // Whatever went wrong in any register shows in r0.
    ...Array.from({ length: 9 }, (_, at): Operation[] => [
      { kind: 'alu', op: 'mul', width: 64, source: 'imm', dst: 0, src: 0, imm: 31 },
      { kind: 'alu', op: 'xor', width: 64, source: 'reg', dst: 0, src: at + 1, imm: 0 },
    ]).flat(),
    { kind: 'exit' },
  ];
}

/** The operand that does not count is 0, as in the encoding. */
function onlyOne<T extends { source: 'imm' | 'reg'; src: number; imm: number }>(o: T): T {
  return o.source === 'reg' ? { ...o, imm: 0 } : { ...o, src: 0 };
}

describe('random programs', () => {
  const bed = new Testbed();
  const r = fc.bigInt({ min: 0n, max: MASK });

  /** Returns how many programs came to their end. */
  const check = (maxLength: number, numRuns: number): number => {
    let finished = 0;
    fc.assert(
      fc.property(fc.array(operation, { maxLength }), fc.boolean(), r, r, (body, sameSizes, r1, r2) => {
        const program = finish(body, sameSizes);
        const expected = evaluate(program, r1, r2);
        if (expected === undefined) return;
        finished++;
        const insns = program.flatMap(insnsOf);
        bed.fuel = 2 * STEPS;
        const limited = bed.load([rawProgram(insns)], {}, { fuel: true });
        expect(BigInt.asUintN(64, limited.entry!(r1, r2))).toBe(expected);
        const free = bed.load([rawProgram(insns)]);
        expect(BigInt.asUintN(64, free.entry!(r1, r2))).toBe(expected);
      }),
      { numRuns },
    );
    return finished;
  };

  it('short ones give what the reference gives', () => {
    expect(check(12, 2500)).toBeGreaterThan(1200);
  });

  it('long ones, many of them with irreducible loops, give what the reference gives', () => {
    // One in eight comes to its end.
    expect(check(80, 1600)).toBeGreaterThan(130);
  });
});
