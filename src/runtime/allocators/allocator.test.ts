import { describe, expect, it } from 'vitest';
import { Runtime } from '../runtime.ts';
import { Allocator, allocatorAddresses, allocatorName } from './allocator.ts';
import { readHeap } from './heap.ts';

describe('Allocator', () => {
  it('is made with a name and a quota, and says what is live', () => {
    const runtime = new Runtime();
    const { exports } = runtime.plane;
    const flows = Allocator.create(runtime, { quota: 1000, name: 'flows' });
    const objects = [100, 50, 300].map((size) => exports.allocator_alloc(flows.address, size, 0) >>> 0);
    expect(flows.stats()).toMatchObject({
      state: 'open',
      live: 3,
      liveBytes: 112 + 56 + 320,
      quota: 1000,
      slabBytes: 3 * 16384,
      sharers: 1,
    });
    expect(flows.stats().classes.map(({ size, live, slabs }) => ({ size, live, slabs }))).toEqual([
      { size: 56, live: 1, slabs: 1 },
      { size: 112, live: 1, slabs: 1 },
      { size: 320, live: 1, slabs: 1 },
    ]);
    expect(flows.heap().map(({ live }) => live.filter((id) => id === flows.id).length)).toEqual([1, 1, 1]);
    const held = flows
      .heap()
      .flatMap(({ address, objectSize, live }) =>
        live.flatMap((id, i) => (id === 0 ? [] : [address + i * objectSize])),
      );
    expect(held.sort()).toEqual(objects.sort());
    expect(flows.name).toBe('flows');
    flows.close();
    expect(flows.stats().state).toBe('draining');
    for (const at of objects) exports.allocator_free(at);
    expect(flows.stats()).toMatchObject({ state: 'dead', live: 0, slabBytes: 0 });
    expect(flows.isThere).toBe(false);
    expect(readHeap(runtime.plane)).toEqual([]);
  });

  it('tells why it cannot set apart or merge', () => {
    const runtime = new Runtime();
    const limited = Allocator.create(runtime, { quota: 6400, name: 'limited' });
    limited.prefill(64, 60);
    expect(() => limited.prefill(64, 41)).toThrow(
      '41 objects of 64 bytes take 2624 bytes, and the quota of allocator limited leaves 2560 of 6400: ENOMEM',
    );
    expect(() => limited.prefill(0, 1)).toThrow('objects have 1 to 4 MiB');
    const other = Allocator.create(runtime, { name: 'other' });
    expect(() => limited.merge(other)).toThrow('allocators limited and other cannot be merged');
    other.close();
    expect(() => other.prefill(64, 1)).toThrow('is closed');
    expect(() => Allocator.create(runtime, { quota: -1 })).toThrow('a quota is a number of bytes');
  });

  it('merges, and is listed by name', () => {
    const runtime = new Runtime();
    const [a, b] = [Allocator.create(runtime, { name: 'a' }), Allocator.create(runtime, { merge: true })];
    const { exports } = runtime.plane;
    exports.allocator_alloc(a.address, 64, 0);
    const own = exports.allocator_alloc(b.address, 64, 0) >>> 0;
    a.merge(b);
    expect(a.stats()).toMatchObject({ live: 1, sharers: 2 });
    expect(new Set(a.heap().flatMap(({ live }) => live))).toEqual(new Set([0, a.id, b.id]));
    Allocator.global(runtime).close();
    expect(allocatorAddresses(runtime.plane).map((at) => allocatorName(runtime.plane, at))).toEqual([
      'a',
      `#${b.id}`,
      'global',
    ]);
    b.close();
    expect(b.isThere).toBe(true);
    exports.allocator_free(own);
    expect(b.isThere).toBe(false);
  });
});
