import fc from 'fast-check';
import { expect, it } from 'vitest';
import { emptyProgram, newInterpreter } from '../../test/interpreter-testbed.ts';
import { MEMORY_SIZE, memoryBytes, randomProgram, STACK } from '../../test/program-arbitrary.ts';
import type { JumpOp, Operation } from '../isa/operation.ts';

type Result = { readonly r0: bigint } | { readonly faultAt: number };

/** What RFC 9669 says, in BigInt: small and slow. `bytes`, what r9 points to, is changed in place; an LDDW counts as one slot. */
function reference(operations: readonly Operation[], bytes: Uint8Array): Result {
  const r = new Array<bigint>(11).fill(0n);
  const stack = new Uint8Array(512);
  const wrap = (width: number, value: bigint) => BigInt.asUintN(width, value);
  const sign = (width: number, value: bigint) => BigInt.asIntN(width, value);
  /** Where an access lies; undefined: outside. */
  const place = (base: number, off: number, size: number) => {
    const [area, at] = base === STACK ? [stack, off + stack.length] : [bytes, off];
    return at >= 0 && at + size <= area.length ? { area, at } : undefined;
  };
  const read = ({ area, at }: { area: Uint8Array; at: number }, size: number) => {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(area[at + i]!);
    return value;
  };
  const write = ({ area, at }: { area: Uint8Array; at: number }, size: number, value: bigint) => {
    for (let i = 0; i < size; i++) area[at + i] = Number((value >> BigInt(8 * i)) & 255n);
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
        const from = place(o.src, o.off, o.size);
        if (from === undefined) return { faultAt: pc };
        const value = read(from, o.size);
        r[o.dst] = o.kind === 'load' && o.signed ? wrap(64, sign(o.size * 8, value)) : value;
        break;
      }
      case 'store':
      case 'store-release': {
        const to = place(o.dst, o.off, o.size);
        if (to === undefined) return { faultAt: pc };
        write(to, o.size, o.kind === 'store' && o.source === 'imm' ? BigInt(o.imm) : r[o.src]!);
        break;
      }
      case 'atomic': {
        const at = place(o.dst, o.off, o.size);
        if (at === undefined) return { faultAt: pc };
        const bits = o.size * 8;
        const old = read(at, o.size);
        const b = wrap(bits, r[o.src]!);
        if (o.op === 'cmpxchg') {
          if (old === wrap(bits, r[0]!)) write(at, o.size, b);
          r[0] = old;
          break;
        }
        const value = { add: old + b, or: old | b, and: old & b, xor: old ^ b, xchg: b }[o.op];
        write(at, o.size, value);
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

it('agrees with a BigInt reference on r0, memory, and the slot of the first bad access', () => {
  const bed = newInterpreter();
  const address = bed.space(MEMORY_SIZE);
  fc.assert(
    fc.property(randomProgram({ outOfBounds: true }), memoryBytes, ({ operations, insns, slots }, bytes) => {
      const expectedMemory = bytes.slice();
      const expected = reference(operations, expectedMemory);

      bed.plane.bytes().set(bytes, address);
      const image = bed.interpreter.load(emptyProgram('main', insns));
      const outcome = bed.interpreter.run(image, [{ kind: 'memory', address, size: MEMORY_SIZE }]);
      bed.interpreter.unload(image);

      if ('r0' in expected) {
        expect(outcome).toMatchObject({ kind: 'exit', r0: expected.r0, byAddress: 0 });
      } else {
        const slot = slots[expected.faultAt];
        expect(outcome).toMatchObject({ kind: 'fault', fault: { code: 'SLUICE_FAULT_OUT_OF_BOUNDS', slot } });
      }
      expect(bed.plane.bytes().slice(address, address + MEMORY_SIZE)).toEqual(expectedMemory);
    }),
    { numRuns: 3000 },
  );
});
