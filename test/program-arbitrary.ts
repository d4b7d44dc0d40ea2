/**
 * Random programs that compute over numbers, the memory that r1 points to at entry, and the stack: straight code and forward jumps
 * inside one counted loop. They end whatever they do, and what they read is initialised.
 */
import fc from 'fast-check';
import type { Insn } from '../src/isa/insn.ts';
import type { Operation } from '../src/isa/operation.ts';
import { insnsOf } from '../src/isa/operation-slots.ts';

/** Bytes of memory that a program is given, and bytes of stack that it initialises. */
export const MEMORY_SIZE = 64;
export const STACK_SIZE = 64;
/** r0 to r7 hold numbers, r8 counts the loop down, r9 points to the memory, r10 to the stack. */
export const NUMBERS = 8;
const COUNTER = 8;
export const MEMORY = 9;
export const STACK = 10;

export interface RandomProgram {
  /** Jump distances count operations, as if an LDDW took one slot. */
  readonly operations: readonly Operation[];
  readonly insns: readonly Insn[];
  /** First slot by operation. */
  readonly slots: readonly number[];
}

const register = fc.integer({ min: 0, max: NUMBERS - 1 });
const width = fc.constantFrom(32 as const, 64 as const);
const size = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);
const edges = [0, 1, -1, 7, 31, 32, 63, 64, 0x80, 0xff, 0x8000, 0x7fffffff, -0x80000000];
const imm = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: -0x80000000, max: 0x7fffffff }));
const operand = fc.oneof(
  fc.record({ source: fc.constant('imm' as const), src: fc.constant(0), imm }),
  fc.record({ source: fc.constant('reg' as const), src: register, imm: fc.constant(0) }),
);
const aluOp = fc.constantFrom(
  ...(['add', 'sub', 'mul', 'div', 'sdiv', 'or', 'and', 'lsh', 'rsh', 'mod', 'smod', 'xor', 'mov', 'arsh'] as const),
);
const jumpOp = fc.constantFrom('eq', 'gt', 'ge', 'set', 'ne', 'sgt', 'sge', 'lt', 'le', 'slt', 'sle');
const atomicOp = fc.constantFrom('add', 'or', 'and', 'xor', 'xchg', 'cmpxchg');
const skip = fc.integer({ min: 0, max: 4 });

interface Place {
  readonly base: number;
  readonly off: number;
}

const stackPlace = fc.record({
  base: fc.constant(STACK),
  off: fc.integer({ min: -STACK_SIZE, max: -8 }),
});
const insidePlace = fc.record({ base: fc.constant(MEMORY), off: fc.integer({ min: 0, max: MEMORY_SIZE - 8 }) });
const anyPlace = fc.record({ base: fc.constant(MEMORY), off: fc.integer({ min: -9, max: MEMORY_SIZE + 1 }) });

function operation(place: fc.Arbitrary<Place>): fc.Arbitrary<Operation> {
  const aligned = place.map(({ base, off }) => ({ base, off: off & ~7 }));
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .record({ op: aluOp, width, operand, dst: register })
        .map((x): Operation => ({ kind: 'alu', op: x.op, width: x.width, dst: x.dst, ...x.operand })),
    },
    fc.record({ kind: fc.constant('neg' as const), width, dst: register }),
    fc
      .record({ from: fc.constantFrom(8 as const, 16 as const, 32 as const), width, dst: register, src: register })
      .map((x): Operation => ({ kind: 'movsx', ...x, width: x.from === 32 ? 64 : x.width })),
    fc.record({
      kind: fc.constant('endian' as const),
      op: fc.constantFrom('to-le', 'to-be', 'bswap'),
      bits: fc.constantFrom(16 as const, 32 as const, 64 as const),
      dst: register,
    }),
    fc.record({ kind: fc.constant('lddw' as const), dst: register, source: fc.constant(0), low: imm, high: imm }),
    {
      weight: 4,
      arbitrary: fc.record({ size, signed: fc.boolean(), dst: register, place }).map(
        (x): Operation => ({
          kind: 'load',
          size: x.size,
          signed: x.signed && x.size !== 8,
          dst: x.dst,
          src: x.place.base,
          off: x.place.off,
        }),
      ),
    },
    {
      weight: 4,
      arbitrary: fc
        .record({ size, operand, place })
        .map((x): Operation => ({ kind: 'store', size: x.size, dst: x.place.base, off: x.place.off, ...x.operand })),
    },
    fc
      .record({
        op: atomicOp,
        fetch: fc.boolean(),
        size: fc.constantFrom(4 as const, 8 as const),
        src: register,
        aligned,
      })
      .map(
        (x): Operation => ({
          kind: 'atomic',
          op: x.op,
          fetch: x.fetch || x.op === 'xchg' || x.op === 'cmpxchg',
          size: x.size,
          dst: x.aligned.base,
          src: x.src,
          off: x.aligned.off,
        }),
      ),
    fc
      .record({ size, dst: register, aligned })
      .map(
        (x): Operation => ({ kind: 'load-acquire', size: x.size, dst: x.dst, src: x.aligned.base, off: x.aligned.off }),
      ),
    fc.record({ size, src: register, aligned }).map(
      (x): Operation => ({
        kind: 'store-release',
        size: x.size,
        dst: x.aligned.base,
        src: x.src,
        off: x.aligned.off,
      }),
    ),
    fc.record({ kind: fc.constant('jump' as const), long: fc.boolean(), off: skip }),
    {
      weight: 2,
      arbitrary: fc
        .record({ op: jumpOp, width, operand, dst: register, off: skip })
        .map((x): Operation => ({ kind: 'branch', op: x.op, width: x.width, dst: x.dst, off: x.off, ...x.operand })),
    },
  );
}

const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  imm.map((value) => BigInt.asUintN(64, BigInt(value))),
);

/** @param outOfBounds some accesses lie outside of the memory. */
export function randomProgram({ outOfBounds }: { readonly outOfBounds: boolean }): fc.Arbitrary<RandomProgram> {
  const places = [
    { weight: 20, arbitrary: insidePlace },
    { weight: 20, arbitrary: stackPlace },
    ...(outOfBounds ? [{ weight: 1, arbitrary: anyPlace }] : []),
  ];
  return fc
    .record({
      body: fc.array(operation(fc.oneof(...places)), { minLength: 1, maxLength: 30 }),
      start: fc.array(u64, { minLength: NUMBERS, maxLength: NUMBERS }),
      rounds: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ body, start, rounds }) => whole(body, start, rounds));
}

function whole(body: readonly Operation[], start: readonly bigint[], rounds: number): RandomProgram {
  const mov = { kind: 'alu', op: 'mov', width: 64, src: 0 } as const;
  const exit: Operation = { kind: 'exit' };
  const operations: Operation[] = [
    { ...mov, source: 'reg', dst: MEMORY, src: 1, imm: 0 },
    { ...mov, source: 'imm', dst: COUNTER, imm: rounds },
    ...start.map((value, dst): Operation => {
      const [low, high] = [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))];
      return { kind: 'lddw', dst, source: 0, low, high };
    }),
    ...start.map((_, i): Operation => {
      return { kind: 'store', size: 8, source: 'reg', dst: STACK, src: i % NUMBERS, imm: 0, off: -8 * (i + 1) };
    }),
    // Counted first: no jump of the body gets past it to the loop's end.
    { kind: 'alu', op: 'sub', width: 64, source: 'imm', dst: COUNTER, src: 0, imm: 1 },
    ...body,
    { kind: 'branch', op: 'ne', width: 64, source: 'imm', dst: COUNTER, src: 0, imm: 0, off: -(body.length + 2) },
    // Wherever a jump of the body goes, it ends at an exit.
    ...Array.from({ length: 5 }, () => exit),
  ];
  const slots: number[] = [];
  let slot = 0;
  for (const o of operations) {
    slots.push(slot);
    slot += o.kind === 'lddw' ? 2 : 1;
  }
  const insns = operations.flatMap((o, at) =>
    insnsOf(o.kind === 'jump' || o.kind === 'branch' ? { ...o, off: slots[at + 1 + o.off]! - slots[at]! - 1 } : o),
  );
  return { operations, insns, slots };
}

export const memoryBytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: MEMORY_SIZE, maxLength: MEMORY_SIZE });
