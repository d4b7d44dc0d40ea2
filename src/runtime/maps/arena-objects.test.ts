import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARENA_TAKEN } from '../../plane/layout/map-arena.ts';
import { Runtime } from '../runtime.ts';
import { createMap } from './plane-map.ts';

const BPF_F_MMAPABLE = 0x400;

function arena(pages: number) {
  const runtime = new Runtime({ seed: 1n });
  const { plane } = runtime;
  const map = createMap(plane, {
    name: 'arena',
    type: 'arena',
    keySize: 0,
    valueSize: 0,
    maxEntries: pages,
    flags: BPF_F_MMAPABLE,
  });
  const call = (name: string, ...args: (number | bigint)[]) =>
    Number((plane.exports[name] as (...args: bigint[]) => bigint)(BigInt(map.address), ...args.map(BigInt))); // kfuncs take and return i64
  return {
    runtime,
    alloc: (size: number) => call('bpf_arena_alloc', size),
    free: (pointer: number) => call('bpf_arena_free', pointer),
    freePages: (pointer: number, count: number) => call('bpf_arena_free_pages', pointer, count),
    taken: () => runtime.view().getUint32(map.address + ARENA_TAKEN, true),
    said: () => runtime.printk().lines,
  };
}

const rounded = (size: number) =>
  size > 4096 ? Math.ceil(size / 4096) * 4096 : Math.max(16, 2 ** Math.ceil(Math.log2(size)));

describe('objects in an arena', () => {
  it('are zeroed, aligned, apart from each other, and give all pages back', () => {
    const step = fc.record({ size: fc.integer({ min: 1, max: 9000 }), drop: fc.boolean(), which: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 150 }), (steps) => {
        const { runtime, alloc, free, taken, said } = arena(512);
        const live: { at: number; size: number }[] = [];
        for (const { size, drop, which } of steps) {
          if (drop && live.length > 0) {
            const [{ at }] = live.splice(which % live.length, 1) as [{ at: number; size: number }];
            free(at);
            continue;
          }
          const small = which % 3 === 0 ? size : (size % 300) + 1;
          const at = alloc(small);
          expect(at).not.toBe(0);
          expect(at % Math.min(rounded(small), 4096)).toBe(0);
          const bytes = runtime.bytes().subarray(at, at + rounded(small));
          expect(bytes.every((byte) => byte === 0)).toBe(true);
          for (const other of live)
            expect(at + rounded(small) <= other.at || other.at + rounded(other.size) <= at).toBe(true);
          bytes.fill(0xa5);
          live.push({ at, size: small });
        }
        for (const { at } of live) free(at);
        expect(taken()).toBe(0);
        expect(said()).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('end where the pages do, and not before', () => {
    const { alloc, taken } = arena(2);
    const all = Array.from({ length: 128 }, () => alloc(64));
    expect(new Set(all).size).toBe(128);
    expect(all.includes(0)).toBe(false);
    expect([alloc(64), alloc(16), taken()]).toEqual([0, 0, 2]);
  });

  it('are given back whole and once; what else is freed is said, and stays', () => {
    const { alloc, free, freePages, taken, said } = arena(16);
    const [a, b, large] = [alloc(100), alloc(100), alloc(10_000)];
    free(a + 8);
    free(large + 4096);
    free(a);
    free(a);
    free(large + 5 * 4096);
    freePages(b, 1);
    freePages(large + 4096, 1);
    expect(said().map((line) => line.replace(/.*arena \d+: free of /, '').replace(/[0-9a-f]{5,}/, 'P'))).toEqual([
      'P, which is inside of an object',
      'P, which is inside of an object',
      'P, which is free',
      'P, which bpf_arena_alloc has not given',
      'pages at P, which hold objects',
      'pages at P, which hold objects',
    ]);
    expect(taken()).toBe(4);
    free(b);
    free(large);
    expect(taken()).toBe(0);
  });
});
