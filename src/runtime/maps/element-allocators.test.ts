// Elements that are drawn from allocators: how many there may be, what they cost, and what is said where there are none.
import { describe, expect, it } from 'vitest';
import { createMap as createMapOfRuntime, load, Runtime } from '../../index.ts';
import { MAP_ELEM_ALLOCATOR } from '../../plane/layout/map.ts';
import { readStats } from '../allocators/stats.ts';
import { allocatorsOf } from '../allocators/store.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap, type PlaneMap } from './plane-map.ts';

const NO_PREALLOC = 1;
const fresh = (cpus = 1) => createPlane(createMemory(cpus, 1n), { hashSeed: 42n });
const key = (n: number) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, n, true);
  return bytes;
};

/** Keys from `first` on, side by side; prefixes of 32 bits in tries. */
function keys(first: number, count: number, trie = false): Uint8Array {
  const view = new DataView(new ArrayBuffer(count * 8));
  for (let i = 0; i < count; i++) {
    if (trie) view.setUint32(i * 8, 32, true);
    view.setUint32(i * 8 + (trie ? 4 : 0), first + i, !trie);
  }
  return new Uint8Array(view.buffer);
}

function allocatorOf(map: PlaneMap): number {
  const common = allocatorsOf(map.plane);
  return map.allocator('elem')?.address ?? common.at(elements(map))!.address;
}

function elements(map: PlaneMap): number {
  return map.plane.view().getUint32(map.address + MAP_ELEM_ALLOCATOR, true);
}

describe('a batch of a million new keys', () => {
  it.each([
    ['hash', 8],
    ['lpm_trie', 8],
  ] as const)('is written without one failure: %s', (type, keySize) => {
    const plane = fresh();
    const count = 1_000_000;
    const map = createMap(plane, { type, keySize, valueSize: 8, maxEntries: count, flags: NO_PREALLOC });
    const step = 100_000;
    for (let n = 0; n < count; n += step)
      map.updateBatch(keys(n, step, type === 'lpm_trie'), new Uint8Array(step * 8).fill(7));
    const trie = type === 'lpm_trie';
    expect(map.lookup(keys(count - 1, 1, trie))).toEqual(new Uint8Array(8).fill(7));
    // One more is one too many, and only then.
    const full = trie ? /ENOSPC/ : /E2BIG: it has all 1000000 entries/;
    expect(() => map.update(keys(count, 1, trie), new Uint8Array(8))).toThrow(full);
    map.update(keys(5, 1, trie), new Uint8Array(8));
    const { live, slabBytes, liveBytes } = readStats(plane, allocatorOf(map));
    // A trie has up to one node between for each entry but one; a hash one spare element a CPU.
    expect(live).toBe(trie ? 2 * count - 1 + 1 : count + 1);
    expect(slabBytes / liveBytes).toBeLessThan(1.02);
    const allocator = allocatorOf(map);
    map.close();
    expect(readStats(plane, allocator).live).toBe(0);
  });
});

describe('footprint', () => {
  it('stays at most 1.4 of what is live, whatever is deleted and added', () => {
    const plane = fresh();
    const map = createMap(plane, { type: 'hash', keySize: 8, valueSize: 8, maxEntries: 1 << 20, flags: NO_PREALLOC });
    const value = new Uint8Array(8);
    let first = 0;
    let last = 0;
    let seed = 12345;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    // 24 bytes an element, of a class of 32.
    const live = () => (last - first) * 32;
    let worst = 0;
    for (let round = 0; round < 60; round++) {
      const target = 4096 + random(60_000);
      while (last - first < target) map.update(key(last++), value);
      while (last - first > target) map.delete(key(first++));
      for (let i = 0; i < 2000; i++) {
        map.delete(key(first++));
        map.update(key(last++), value);
      }
      const { liveBytes } = readStats(plane, allocatorOf(map));
      worst = Math.max(worst, liveBytes / live());
    }
    expect(worst).toBeLessThanOrEqual(1.4);
    while (first < last) map.delete(key(first++));
    const { live: left } = readStats(plane, allocatorOf(map));
    expect(left).toBeLessThanOrEqual(64 + 64 + 1);
    map.close();
  });

  it('goes back with several CPUs too, when none is at work', () => {
    const plane = fresh(4);
    const map = createMap(plane, { type: 'hash', keySize: 8, valueSize: 8, maxEntries: 1 << 16, flags: NO_PREALLOC });
    for (let n = 0; n < 20_000; n++) map.update(key(n), new Uint8Array(8));
    for (let n = 0; n < 20_000; n++) map.delete(key(n));
    const { live, waiting } = readStats(plane, allocatorOf(map));
    expect(live + waiting).toBeLessThan(200);
    map.close();
  });
});

describe('an allocator of its own', () => {
  it('refuses at its quota, and says so', async () => {
    const runtime = new Runtime({ cpus: 1, seed: 1n });
    const pool = await createMapOfRuntime(
      { type: 'allocator', name: 'pool', maxEntries: 0, mapExtra: 2400n },
      { runtime },
    );
    const spec = { type: 'hash', keySize: 8, valueSize: 8, maxEntries: 1000 } as const;
    const one = await createMapOfRuntime({ ...spec, name: 'one', elemAllocator: pool }, { runtime });
    const two = await createMapOfRuntime({ ...spec, name: 'two', elemAllocator: pool }, { runtime });
    // 24 bytes an element, a spare one for each of the two.
    for (let n = 0; n < 60; n++) one.set(BigInt(n), 1n);
    for (let n = 0; n < 38; n++) two.set(BigInt(n), 1n);
    expect(() => two.set(99n, 1n)).toThrow(
      /map two: update: ENOMEM: quota of allocator pool: 100 elements of 2400 bytes are live, 2400 of 2400 bytes are charged/,
    );
    // What is there may be replaced, and what the one gives back the other may have once it goes.
    two.set(5n, 7n);
    expect(two.get(5n)).toBe(7n);
    one.close();
    for (let n = 38; n < 99; n++) two.set(BigInt(n), 1n);
    expect(() => two.set(99n, 1n)).toThrow('ENOMEM');
    two.close();
    pool.close();
    runtime.plane.exports.allocators_settle();
    await expect(
      createMapOfRuntime({ type: 'array', valueSize: 8, maxEntries: 4, elemAllocator: pool }, { runtime }),
    ).rejects.toThrow();
  });

  it('is where elements of all kinds come from', async () => {
    const runtime = new Runtime({ cpus: 2, seed: 1n });
    const pool = await createMapOfRuntime({ type: 'allocator', name: 'pool', maxEntries: 0 }, { runtime });
    const sizes = { keySize: 8, valueSize: 8, maxEntries: 100, flags: NO_PREALLOC, elemAllocator: pool } as const;
    const address = (pool.raw as PlaneMap).allocator('kptr')!.address;
    const live = () => readStats(runtime.plane, address).live;
    for (const type of ['hash', 'percpu_hash', 'lpm_trie'] as const) {
      const before = live();
      const map = await createMapOfRuntime({ ...sizes, name: type, type }, { runtime });
      (map.raw as PlaneMap).update(keys(1, 1, type === 'lpm_trie'), new Uint8Array((map.raw as PlaneMap).elementSize));
      expect(live() - before).toBe(type === 'hash' ? 3 : 1);
      expect((map.raw as PlaneMap).allocator('elem')?.name).toBe('pool');
      map.close();
      expect(live()).toBe(before);
    }
    await expect(createMapOfRuntime({ ...sizes, type: 'array', keySize: 4, flags: 0 }, { runtime })).rejects.toThrow(
      /elements of type array do not come from an allocator/,
    );
  });
});

describe('an object that says another allocator than the map has that is there', () => {
  const bytes = () => import('node:fs').then(({ readFileSync }) => readFileSync('bpf/objects/mem/declared.bpf.o'));

  it('takes it, is refused with the difference named, merges, or migrates, as it is told', async () => {
    const runtime = new Runtime({ cpus: 1, seed: 1n });
    const object = await bytes();
    const options = { runtime, unverified: true, programs: [] };
    const first = await load(object, options);
    const given = { maps: { hash: first.maps['hash']! } };
    const own = (first.maps['hash']!.raw as PlaneMap).allocator('elem')!;
    expect(own.name).toBe('hash.elem_allocator');
    // Its implicit allocator has no quota, and neither has the one that is there.
    const again = await load(object, { ...options, ...given });
    expect((again.maps['hash']!.raw as PlaneMap).allocator('elem')!.id).toBe(own.id);
    again.close();
    const limited = await createMapOfRuntime(
      { type: 'allocator', name: 'limited', maxEntries: 0, mapExtra: 64000n },
      { runtime },
    );
    const { keySize, valueSize, maxEntries, flags } = first.maps['hash']!.spec;
    const other = await createMapOfRuntime(
      { type: 'hash', name: 'other', keySize, valueSize, maxEntries, flags, elemAllocator: limited },
      { runtime },
    );
    const against = { ...options, maps: { hash: other } };
    const refusal =
      /elem_allocator limited \(quota 64000 bytes\), and the object says one of its own \(hash.elem_allocator\) \(no quota\)/;
    await expect(load(object, against)).rejects.toThrow(refusal);
    await expect(load(object, { ...against, allocators: 'merge' })).rejects.toThrow(/cannot be merged/);
    (await load(object, { ...against, allocators: 'keep' })).close();
    expect((other.raw as PlaneMap).allocator('elem')!.name).toBe('limited');
    (await load(object, { ...against, allocators: 'migrate' })).close();
    expect((other.raw as PlaneMap).allocator('elem')!.quota).toBe(0n);
    other.close();
    limited.close();
    first.close();
  });
});
