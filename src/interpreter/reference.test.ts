import fc from 'fast-check';
import { expect, it } from 'vitest';
import { emptyProgram, newInterpreter } from '../../test/interpreter-testbed.ts';
import type { Insn } from '../isa/insn.ts';
import type { JumpOp, Operation } from '../isa/operation.ts';
import { insnsOf } from '../isa/operation-slots.ts';

/** The memory that r9 points to: 64 bytes. Registers r0 to r8 hold numbers. */
const SIZE = 64;
const MEMORY = 9;

type Result = { readonly r0: bigint } | { readonly faultAt: number };

/** What RFC 9669 says, in BigInt: small and slow. Memory is changed in place; slots count LDDWs as one here. */
function reference(operations: readonly Operation[], memory: DataView, start: readonly bigint[]): Result {
  const r = [...start];
  const wrap = (width: number, value: bigint) => BigInt.asUintN(width, value);
  const sign = (width: number, value: bigint) => BigInt.asIntN(width, value);
  const inside = (off: number, size: number) => off >= 0 && off + size <= SIZE;
  const read = (off: number, size: number) => {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(memory.getUint8(off + i));
    return value;
  };
  const write = (off: number, size: number, value: bigint) => {
    for (let i = 0; i < size; i++) memory.setUint8(off + i, Number((value >> BigInt(8 * i)) & 255n));
  };
  for (let pc = 0; ; pc++) {
    const o = operations[pc];
    if (o === undefined) throw new Error(`no operation ${pc}`);
    switch (o.kind) {
      case 'exit':
        return { r0: r[0]! };
      case 'alu': {
        const a = wrap(o.width, r[o.dst]!);
        const b = wrap(o.width, o.source === 'reg' ? r[o.src]! : BigInt(o.imm));
        const shift = b & BigInt(o.width - 1);
        const [sa, sb] = [sign(o.width, a), sign(o.width, b)];
        const value = {
          add: () => a + b,
          sub: () => a - b,
          mul: () => a * b,
          div: () => (b === 0n ? 0n : a / b),
          sdiv: () => (b === 0n ? 0n : sa / sb),
          mod: () => (b === 0n ? a : a % b),
          smod: () => (b === 0n ? a : sa % sb),
          or: () => a | b,
          and: () => a & b,
          xor: () => a ^ b,
          lsh: () => a << shift,
          rsh: () => a >> shift,
          arsh: () => sa >> shift,
          mov: () => b,
        }[o.op]();
        r[o.dst] = wrap(o.width, value);
        break;
      }
      case 'neg':
        r[o.dst] = wrap(o.width, -wrap(o.width, r[o.dst]!));
        break;
      case 'movsx':
        r[o.dst] = wrap(o.width, sign(o.from, r[o.src]!));
        break;
      case 'endian': {
        let value = wrap(o.bits, r[o.dst]!);
        if (o.op !== 'to-le') {
          let swapped = 0n;
          for (let i = 0; i < o.bits; i += 8) swapped = (swapped << 8n) | ((value >> BigInt(i)) & 255n);
          value = swapped;
        }
        r[o.dst] = value;
        break;
      }
      case 'lddw':
        r[o.dst] = wrap(64, (BigInt(o.high) << 32n) | BigInt(o.low >>> 0));
        break;
      case 'load':
      case 'load-acquire': {
        if (!inside(o.off, o.size)) return { faultAt: pc };
        const value = read(o.off, o.size);
        r[o.dst] = o.kind === 'load' && o.signed ? wrap(64, sign(o.size * 8, value)) : value;
        break;
      }
      case 'store':
      case 'store-release':
        if (!inside(o.off, o.size)) return { faultAt: pc };
        write(o.off, o.size, o.kind === 'store' && o.source === 'imm' ? BigInt(o.imm) : r[o.src]!);
        break;
      case 'atomic': {
        if (!inside(o.off, o.size)) return { faultAt: pc };
        const bits = o.size * 8;
        const old = read(o.off, o.size);
        const b = wrap(bits, r[o.src]!);
        if (o.op === 'cmpxchg') {
          if (old === wrap(bits, r[0]!)) write(o.off, o.size, b);
          r[0] = old;
          break;
        }
        const value = { add: old + b, or: old | b, and: old & b, xor: old ^ b, xchg: b }[o.op];
        write(o.off, o.size, value);
        if (o.fetch) r[o.src] = old;
        break;
      }
      case 'jump':
        pc += o.off;
        break;
      case 'branch': {
        const a = wrap(o.width, r[o.dst]!);
        const b = wrap(o.width, o.source === 'reg' ? r[o.src]! : BigInt(o.imm));
        const [sa, sb] = [sign(o.width, a), sign(o.width, b)];
        const taken: Record<JumpOp, boolean> = {
          eq: a === b,
          ne: a !== b,
          gt: a > b,
          ge: a >= b,
          lt: a < b,
          le: a <= b,
          sgt: sa > sb,
          sge: sa >= sb,
          slt: sa < sb,
          sle: sa <= sb,
          set: (a & b) !== 0n,
        };
        if (taken[o.op]) pc += o.off;
        break;
      }
      default:
        throw new Error(`no reference for ${o.kind}`);
    }
  }
}

const register = fc.integer({ min: 0, max: 8 });
const width = fc.constantFrom(32 as const, 64 as const);
const size = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);
const edges = [0, 1, -1, 7, 31, 32, 63, 64, 0x80, 0xff, 0x8000, 0x7fffffff, -0x80000000];
const imm = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: -0x80000000, max: 0x7fffffff }));
const operand = fc.oneof(
  fc.record({ source: fc.constant('imm' as const), src: fc.constant(0), imm }),
  fc.record({ source: fc.constant('reg' as const), src: register, imm: fc.constant(0) }),
);
/** Mostly inside of the memory. */
const off = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 0, max: SIZE - 8 }) },
  { weight: 1, arbitrary: fc.integer({ min: -9, max: SIZE + 1 }) },
);
const aluOp = fc.constantFrom(
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
);
const jumpOp = fc.constantFrom('eq', 'gt', 'ge', 'set', 'ne', 'sgt', 'sge', 'lt', 'le', 'slt', 'sle');
const skip = fc.integer({ min: 0, max: 4 });

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({ op: aluOp, width, operand, dst: register })
      .map((x): Operation => ({ kind: 'alu', op: x.op, width: x.width, dst: x.dst, ...x.operand })),
  },
  fc.record({ kind: fc.constant('neg' as const), width, dst: register }),
  fc
    .record({
      kind: fc.constant('movsx' as const),
      from: fc.constantFrom(8 as const, 16 as const, 32 as const),
      width,
      dst: register,
      src: register,
    })
    .map((x) => (x.from === 32 ? { ...x, width: 64 as const } : x)),
  fc.record({
    kind: fc.constant('endian' as const),
    op: fc.constantFrom('to-le', 'to-be', 'bswap'),
    bits: fc.constantFrom(16 as const, 32 as const, 64 as const),
    dst: register,
  }),
  fc.record({ kind: fc.constant('lddw' as const), dst: register, source: fc.constant(0), low: imm, high: imm }),
  {
    weight: 3,
    arbitrary: fc
      .record({
        kind: fc.constant('load' as const),
        size,
        signed: fc.boolean(),
        dst: register,
        src: fc.constant(MEMORY),
        off,
      })
      .map((x) => (x.size === 8 ? { ...x, signed: false } : x)),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ size, operand, off })
      .map((x): Operation => ({ kind: 'store', size: x.size, dst: MEMORY, off: x.off, ...x.operand })),
  },
  fc
    .record({
      kind: fc.constant('atomic' as const),
      op: fc.constantFrom('add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'),
      fetch: fc.boolean(),
      size: fc.constantFrom(4 as const, 8 as const),
      dst: fc.constant(MEMORY),
      src: register,
      off: fc.integer({ min: -1, max: 8 }).map((at) => at * 8),
    })
    .map((x) => (x.op === 'xchg' || x.op === 'cmpxchg' ? { ...x, fetch: true } : x)),
  fc.record({
    kind: fc.constant('load-acquire' as const),
    size,
    dst: register,
    src: fc.constant(MEMORY),
    off: off.map((at) => at & ~7),
  }),
  fc.record({
    kind: fc.constant('store-release' as const),
    size,
    dst: fc.constant(MEMORY),
    src: register,
    off: off.map((at) => at & ~7),
  }),
  fc.record({ kind: fc.constant('jump' as const), long: fc.boolean(), off: skip }),
  {
    weight: 2,
    arbitrary: fc
      .record({ op: jumpOp, width, operand, dst: register, off: skip })
      .map((x): Operation => ({ kind: 'branch', op: x.op, width: x.width, dst: x.dst, off: x.off, ...x.operand })),
  },
);

/** Jump distances of the program count operations; in slots an LDDW counts twice. */
function assemble(operations: readonly Operation[]): { readonly insns: Insn[]; readonly slots: readonly number[] } {
  const slots: number[] = [];
  let slot = 0;
  for (const o of operations) {
    slots.push(slot);
    slot += o.kind === 'lddw' ? 2 : 1;
  }
  const insns = operations.flatMap((o, at) =>
    insnsOf(o.kind === 'jump' || o.kind === 'branch' ? { ...o, off: slots[at + 1 + o.off]! - slots[at]! - 1 } : o),
  );
  return { insns, slots };
}

it('agrees with a BigInt reference on r0, memory, and the slot of the first bad access', () => {
  const bed = newInterpreter();
  const address = bed.space(SIZE);
  const u64 = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    imm.map((value) => BigInt.asUintN(64, BigInt(value))),
  );
  fc.assert(
    fc.property(
      fc.array(operation, { minLength: 1, maxLength: 30 }),
      fc.array(u64, { minLength: 9, maxLength: 9 }),
      fc.uint8Array({ minLength: SIZE, maxLength: SIZE }),
      (body, start, bytes) => {
        const load = start.map(
          (value, dst): Operation => ({
            kind: 'lddw',
            dst,
            source: 0,
            low: Number(BigInt.asIntN(32, value)),
            high: Number(BigInt.asIntN(32, value >> 32n)),
          }),
        );
        const prologue: Operation[] = [
          { kind: 'alu', op: 'mov', width: 64, source: 'reg', dst: MEMORY, src: 1, imm: 0 },
          ...load,
        ];
        // Wherever a jump goes, it ends at an exit.
        const operations = [...body, ...Array.from({ length: 5 }, (): Operation => ({ kind: 'exit' }))];
        const { insns, slots } = assemble([...prologue, ...operations]);
        const expectedMemory = bytes.slice();
        const expected = reference(operations, new DataView(expectedMemory.buffer), start);

        bed.plane.bytes().set(bytes, address);
        const image = bed.interpreter.load(emptyProgram('main', insns));
        const outcome = bed.interpreter.run(image, [{ kind: 'memory', address, size: SIZE }]);
        bed.interpreter.unload(image);

        if ('r0' in expected) {
          expect(outcome).toMatchObject({ kind: 'exit', r0: expected.r0, byAddress: 0 });
        } else {
          const slot = slots[prologue.length + expected.faultAt];
          expect(outcome).toMatchObject({ kind: 'fault', fault: { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot } });
        }
        expect(bed.plane.bytes().slice(address, address + SIZE)).toEqual(expectedMemory);
      },
    ),
    { numRuns: 3000 },
  );
});
