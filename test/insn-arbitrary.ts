/**
 * Generators of instructions for property tests: every operation there is, with every register and edge values in its fields.
 */
import fc from 'fast-check';
import type { Insn } from '../src/isa/insn.ts';
import { OPCODE } from '../src/isa/opcodes.ts';
import type { AluOp, AtomicOp, JumpOp, Operation, OperationOf } from '../src/isa/operation.ts';
import { insnsOf } from '../src/isa/operation-slots.ts';

export const aluOps: readonly AluOp[] = [
  'add',
  'sub',
  'mul',
  'div',
  'sdiv',
  'or',
  'and',
  'lsh',
  'rsh',
  'mod',
  'smod',
  'xor',
  'mov',
  'arsh',
];
export const jumpOps: readonly JumpOp[] = ['eq', 'gt', 'ge', 'set', 'ne', 'sgt', 'sge', 'lt', 'le', 'slt', 'sle'];
export const atomicOps: readonly AtomicOp[] = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'];

const edges32 = [0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000];
const edges16 = [0, 1, -1, 8, -8, 0x7f, 0x7fff, -0x8000];

/** Signed 32 bits, edges often. */
export const imm32: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(...edges32),
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
);
/** Signed 16 bits, edges often. */
export const off16: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(...edges16),
  fc.integer({ min: -0x8000, max: 0x7fff }),
);
/** r0 to r10. */
export const readableRegister: fc.Arbitrary<number> = fc.integer({ min: 0, max: 10 });
/** r0 to r9. */
export const writableRegister: fc.Arbitrary<number> = fc.integer({ min: 0, max: 9 });

const width = fc.constantFrom(32 as const, 64 as const);
const accessSize = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);
const operand = fc.oneof(
  fc.record({ source: fc.constant('imm' as const), src: fc.constant(0), imm: imm32 }),
  fc.record({ source: fc.constant('reg' as const), src: readableRegister, imm: fc.constant(0) }),
);

/** By kind, each giving operations that `checkInsn` takes (with callx). Jump distances are not inside of any program. */
export const operations: { readonly [K in Operation['kind']]: fc.Arbitrary<OperationOf<K>> } = {
  alu: fc
    .tuple(fc.constantFrom(...aluOps), width, writableRegister, operand)
    .map(([op, bits, dst, second]) => ({ kind: 'alu' as const, op, width: bits, dst, ...second })),
  neg: fc.record({ kind: fc.constant('neg' as const), width, dst: writableRegister }),
  movsx: fc
    .record({
      kind: fc.constant('movsx' as const),
      width: fc.constant(64 as const),
      from: fc.constantFrom(8 as const, 16 as const, 32 as const),
      dst: writableRegister,
      src: readableRegister,
    })
    .chain((wide) =>
      fc.constantFrom(wide, { ...wide, width: 32 as const, from: wide.from === 32 ? (8 as const) : wide.from }),
    ),
  endian: fc.record({
    kind: fc.constant('endian' as const),
    op: fc.constantFrom('to-le' as const, 'to-be' as const, 'bswap' as const),
    bits: fc.constantFrom(16 as const, 32 as const, 64 as const),
    dst: writableRegister,
  }),
  'addr-space-cast': fc
    .tuple(writableRegister, readableRegister, fc.boolean())
    .map(([dst, src, up]) => ({ kind: 'addr-space-cast' as const, dst, src, to: up ? 1 : 0, from: up ? 0 : 1 })),
  load: fc
    .tuple(accessSize, fc.boolean(), writableRegister, readableRegister, off16)
    .map(([size, signed, dst, src, off]) => ({
      kind: 'load' as const,
      size,
      signed: signed && size < 8,
      dst,
      src,
      off,
    })),
  store: fc
    .tuple(accessSize, readableRegister, operand, off16)
    .map(([size, dst, second, off]) => ({ kind: 'store' as const, size, dst, off, ...second })),
  atomic: fc
    .tuple(
      fc.constantFrom(...atomicOps),
      fc.boolean(),
      fc.constantFrom(4 as const, 8 as const),
      readableRegister,
      writableRegister,
      off16,
    )
    .map(([op, fetch, size, dst, src, off]) => ({
      kind: 'atomic' as const,
      op,
      fetch: fetch || op === 'xchg' || op === 'cmpxchg',
      size,
      dst,
      src,
      off,
    })),
  'load-acquire': fc.record({
    kind: fc.constant('load-acquire' as const),
    size: accessSize,
    dst: writableRegister,
    src: readableRegister,
    off: off16,
  }),
  'store-release': fc.record({
    kind: fc.constant('store-release' as const),
    size: accessSize,
    dst: readableRegister,
    src: readableRegister,
    off: off16,
  }),
  jump: fc.oneof(
    fc.record({ kind: fc.constant('jump' as const), long: fc.constant(false), off: off16 }),
    fc.record({ kind: fc.constant('jump' as const), long: fc.constant(true), off: imm32 }),
  ),
  branch: fc
    .tuple(fc.constantFrom(...jumpOps), width, readableRegister, operand, off16)
    .map(([op, bits, dst, second, off]) => ({ kind: 'branch' as const, op, width: bits, dst, off, ...second })),
  'may-goto': fc.record({ kind: fc.constant('may-goto' as const), off: off16 }),
  'jump-indirect': fc.record({ kind: fc.constant('jump-indirect' as const), dst: readableRegister }),
  call: fc
    .tuple(fc.constantFrom('helper' as const, 'local' as const, 'kfunc' as const), imm32, off16)
    .map(([target, imm, off]) => ({ kind: 'call' as const, target, imm, off: target === 'kfunc' ? off : 0 })),
  'call-register': fc.record({ kind: fc.constant('call-register' as const), dst: readableRegister }),
  exit: fc.constant({ kind: 'exit' as const }),
  lddw: fc
    .tuple(writableRegister, fc.integer({ min: 0, max: 6 }), imm32, imm32)
    // The descriptor or index of a map has no upper half.
    .map(([dst, source, low, high]) => ({
      kind: 'lddw' as const,
      dst,
      source,
      low,
      high: source === 1 || source === 5 ? 0 : high,
    })),
  'load-packet': fc
    .tuple(fc.constantFrom(1 as const, 2 as const, 4 as const), fc.boolean(), readableRegister, imm32)
    .map(([size, indirect, src, imm]) =>
      indirect
        ? { kind: 'load-packet' as const, size, mode: 'indirect' as const, src, imm }
        : { kind: 'load-packet' as const, size, mode: 'absolute' as const, src: 0, imm },
    ),
};

/** Any operation. */
export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(...Object.values(operations));

/** Any valid instruction: one slot, or two for LDDW. */
export const validInsn: fc.Arbitrary<readonly Insn[]> = anyOperation.map(insnsOf);

/** Valid instructions in a row, without regard to where they jump. */
export const validInsns: fc.Arbitrary<readonly Insn[]> = fc
  .array(validInsn, { minLength: 1 })
  .map((list) => list.flat());

/** Any bits; opcodes that exist are frequent, and so are fields of 0. */
export const anySlot: fc.Arbitrary<Insn> = fc.record({
  opcode: fc.integer({ min: 0, max: 255 }),
  dst: fc.oneof(readableRegister, fc.integer({ min: 0, max: 15 })),
  src: fc.oneof(fc.constant(0), readableRegister, fc.integer({ min: 0, max: 15 })),
  off: fc.oneof(fc.constant(0), fc.constantFrom(1, 8, 16, 32), off16),
  imm: fc.oneof(fc.constant(0), fc.constantFrom(1, 16, 32, 64, 0x10000, 0xe1, 0xf1, 0x100, 0x110, 0x41, 0xa0), imm32),
});

/**
 * Programs whose shape `checkInsns` takes: the operations given, jumps led to some instruction of the program, EXIT at the
 * end. Calls to local functions and indirect jumps are left to their tests.
 *
 * @param operation what they are made of.
 */
export function shapedProgram(
  operation: fc.Arbitrary<Operation> = anyOperation,
  maxLength = 40,
): fc.Arbitrary<readonly Insn[]> {
  const usable = operation.filter(
    (o) =>
      o.kind !== 'jump-indirect' &&
      o.kind !== 'call-register' &&
      !(o.kind === 'call' && o.target === 'local') &&
      !(o.kind === 'lddw' && o.source === 4),
  );
  return fc.array(fc.tuple(usable, fc.nat()), { minLength: 0, maxLength }).map((list) => {
    const starts: number[] = [];
    let slots = 0;
    for (const [o] of list) {
      starts.push(slots);
      slots += o.kind === 'lddw' ? 2 : 1;
    }
    starts.push(slots);
    const insns = list.flatMap(([o, choice], index) => {
      const off = starts[choice % starts.length]! - starts[index]! - 1;
      return insnsOf(o.kind === 'jump' || o.kind === 'branch' || o.kind === 'may-goto' ? { ...o, off } : o);
    });
    return [...insns, { opcode: OPCODE.EXIT, dst: 0, src: 0, off: 0, imm: 0 }];
  });
}

/** Every form of instruction at least once, each with a few registers and constants, in a fixed order. */
export function everyForm(): Operation[] {
  const all: Operation[] = [];
  const operands = [
    { source: 'imm', src: 0, imm: 5 },
    { source: 'imm', src: 0, imm: -5 },
    { source: 'imm', src: 0, imm: -0x80000000 },
    { source: 'reg', src: 7, imm: 0 },
  ] as const;
  const places = [
    { dst: 3, off: 0 },
    { dst: 10, off: -8 },
    { dst: 1, off: 0x7fff },
    { dst: 1, off: -0x8000 },
  ];
  for (const bits of [32, 64] as const) {
    for (const second of operands) {
      for (const op of aluOps) all.push({ kind: 'alu', op, width: bits, dst: 2, ...second });
      for (const op of jumpOps) all.push({ kind: 'branch', op, width: bits, dst: 4, off: 1, ...second });
    }
    all.push({ kind: 'neg', width: bits, dst: 6 });
    for (const from of [8, 16, 32] as const)
      if (from < bits) all.push({ kind: 'movsx', width: bits, from, dst: 2, src: 8 });
  }
  for (const op of ['to-le', 'to-be', 'bswap'] as const)
    for (const bits of [16, 32, 64] as const) all.push({ kind: 'endian', op, bits, dst: 9 });
  all.push({ kind: 'addr-space-cast', dst: 1, src: 2, to: 0, from: 1 });
  all.push({ kind: 'addr-space-cast', dst: 1, src: 2, to: 1, from: 0 });
  for (const { dst, off } of places) {
    for (const size of [1, 2, 4, 8] as const) {
      all.push({ kind: 'load', size, signed: false, dst: 5, src: dst, off });
      if (size < 8) all.push({ kind: 'load', size, signed: true, dst: 5, src: dst, off });
      for (const second of operands) all.push({ kind: 'store', size, dst, off, ...second });
      all.push({ kind: 'load-acquire', size, dst: 5, src: dst, off });
      all.push({ kind: 'store-release', size, dst, src: 5, off });
    }
    for (const size of [4, 8] as const) {
      for (const op of atomicOps) {
        all.push({ kind: 'atomic', op, fetch: true, size, dst, src: 6, off });
        if (op !== 'xchg' && op !== 'cmpxchg') all.push({ kind: 'atomic', op, fetch: false, size, dst, src: 6, off });
      }
    }
  }
  for (const off of [0, 3, -2]) {
    all.push({ kind: 'jump', long: false, off }, { kind: 'jump', long: true, off }, { kind: 'may-goto', off });
  }
  all.push({ kind: 'jump-indirect', dst: 3 }, { kind: 'call-register', dst: 4 }, { kind: 'exit' });
  all.push({ kind: 'call', target: 'helper', imm: 5, off: 0 }, { kind: 'call', target: 'helper', imm: -1, off: 0 });
  all.push({ kind: 'call', target: 'local', imm: 2, off: 0 }, { kind: 'call', target: 'kfunc', imm: 77, off: 0 });
  all.push({ kind: 'call', target: 'kfunc', imm: 77, off: 3 });
  for (const [low, high] of [
    [5, 0],
    [-5, -1],
    [0x55667788, 0x11223344],
    [0, -0x80000000],
    [-1, 0],
  ] as const)
    all.push({ kind: 'lddw', dst: 8, source: 0, low, high });
  for (const source of [1, 2, 3, 4, 5, 6]) all.push({ kind: 'lddw', dst: 8, source, low: 1, high: 0 });
  for (const source of [2, 3, 6]) all.push({ kind: 'lddw', dst: 8, source, low: 1, high: 9 });
  for (const size of [1, 2, 4] as const) {
    all.push({ kind: 'load-packet', size, mode: 'absolute', src: 0, imm: 14 });
    all.push({ kind: 'load-packet', size, mode: 'absolute', src: 0, imm: -0x100000 });
    all.push({ kind: 'load-packet', size, mode: 'indirect', src: 7, imm: 0 });
    all.push({ kind: 'load-packet', size, mode: 'indirect', src: 7, imm: -4 });
  }
  return all;
}
