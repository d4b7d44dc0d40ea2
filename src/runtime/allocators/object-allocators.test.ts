import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createMap, isAllocator, load } from '../../index.ts';
import { PlaneMap } from '../maps/plane-map.ts';
import { Runtime } from '../runtime.ts';
import { allocatorsOf } from './store.ts';

const object = (name: string) => readFileSync(`bpf/objects/mem/${name}.bpf.o`);

/** Allocators by name, without the one that is always there. */
function names(runtime: Runtime): string[] {
  return allocatorsOf(runtime.plane)
    .all()
    .filter(({ global }) => !global)
    .map(({ name }) => name);
}
function held(runtime: Runtime): Record<string, [elem: string | undefined, kptr: string | undefined]> {
  return Object.fromEntries(
    [...allocatorsOf(runtime.plane).maps()].map(({ name, elem, kptr }) => [name, [elem?.name, kptr?.name]]),
  );
}

describe('allocators of an object', () => {
  it('are made, or taken over, with its maps', async () => {
    const runtime = new Runtime();
    const loaded = await load(object('declared'), { runtime, programs: [] });
    expect(held(runtime)).toMatchObject({
      ma: [undefined, 'ma'],
      hash: ['hash.elem_allocator', 'ma'],
      own: ['the common allocator of elements', 'own.kptr_allocator'],
    });
    const { ma } = loaded.maps;
    if (ma === undefined || !isAllocator(ma)) throw new Error('no handle of an allocator');
    // 48 bytes is a size class: 8 objects of it.
    expect(ma.stats()).toMatchObject({ state: 'open', live: 0, references: 2, quota: 8 * 48 });
    loaded.close();
    expect(names(runtime)).toEqual(['the common allocator of elements']);
  });

  it('go with the last map that has them', async () => {
    const runtime = new Runtime();
    const first = await load(object('declared'), { runtime, programs: [] });
    const ma = allocatorsOf(runtime.plane)
      .all()
      .find(({ name }) => name === 'ma')!;
    const hash = first.maps.hash!;
    const second = await load(object('declared'), { runtime, programs: [], maps: { hash } });
    first.close();
    expect(ma.state).toBe('open');
    second.close();
    expect(ma.state).toBe('dead');
    expect(ma.stats()).toBeUndefined();
  });

  it('give a hash its elements', async () => {
    const runtime = new Runtime();
    const loaded = await load(object('declared'), { runtime, programs: [] });
    const elements = allocatorsOf(runtime.plane)
      .all()
      .find(({ name }) => name === 'hash.elem_allocator')!;
    const before = elements.stats()!.live;
    const raw = loaded.maps.hash!.raw;
    for (let i = 0; i < 100; i++) raw.update(Uint8Array.of(i, 0, 0, 0), new Uint8Array(8));
    expect(elements.stats()!.live - before).toBeGreaterThanOrEqual(99);
    loaded.close();
    expect(elements.state).toBe('dead');
  });

  it('are shared by pinned maps, and refused where they are not alike', async () => {
    const runtime = new Runtime();
    const first = await load(object('moves'), { runtime, programs: [] });
    const second = await load(object('moves'), { runtime, programs: [] });
    expect(names(runtime)).toEqual(['ma']);
    first.close();
    second.close();
    // The pin holds it.
    expect(names(runtime)).toEqual(['ma']);
    await expect(load(object('moves'), { runtime, programs: [], mapSizes: { ma: { maxEntries: 3 } } })).rejects.toThrow(
      "the map pinned as ma is not like the object's: maxEntries 0 and 3",
    );
  });

  it('can be made without an object', async () => {
    const runtime = new Runtime();
    const pool = await createMap({ type: 'allocator', name: 'pool', maxEntries: 10, valueSize: 100 }, { runtime });
    if (!isAllocator(pool)) throw new Error('no handle of an allocator');
    expect(pool.stats().quota).toBe(1120);
    const bytes = await createMap({ type: 'allocator', name: 'bytes', maxEntries: 0, mapExtra: 4096n }, { runtime });
    expect(isAllocator(bytes) && bytes.stats().quota).toBe(4096);
    const open = { type: 'allocator', name: 'open', maxEntries: 0 } as const;
    const [a, b] = [await createMap(open, { runtime }), await createMap(open, { runtime })];
    if (!isAllocator(a) || !isAllocator(b)) throw new Error('no handle of an allocator');
    a.merge(b);
    expect(a.stats().sharers).toBe(2);
    expect(() => a.merge(pool)).toThrow('EINVAL');
    const hash = await createMap({ type: 'hash', maxEntries: 50, elemAllocator: a }, { runtime });
    hash.set(1, 2n);
    expect(hash.get(1)).toBe(2n);
    // One, and one that a CPU has to spare.
    expect(a.stats().live).toBe(2);
    a.close();
    b.close();
    hash.close();
    pool.close();
    bytes.close();
    expect(names(runtime)).toEqual([]);
  });

  it('refuse what cannot be', async () => {
    const runtime = new Runtime();
    await expect(createMap({ type: 'allocator', maxEntries: 3, valueSize: 0 }, { runtime })).rejects.toThrow(
      'a quota of 3 objects needs their type',
    );
    const a = await createMap({ type: 'allocator', maxEntries: 0 }, { runtime });
    await expect(createMap({ type: 'array', maxEntries: 1, elemAllocator: a }, { runtime })).rejects.toThrow(
      'elements of type array do not come from an allocator',
    );
    await expect(
      createMap({ type: 'hash', maxEntries: 1, elemAllocator: a }, { runtime: new Runtime() }),
    ).rejects.toThrow('is no allocator of the runtime');
    const array = await createMap({ type: 'array', maxEntries: 1 }, { runtime });
    await expect(createMap({ type: 'hash', maxEntries: 1, kptrAllocator: array }, { runtime })).rejects.toThrow(
      'is no allocator',
    );
    expect(a.raw).toBeInstanceOf(PlaneMap);
    expect(() => a.get(0)).toThrow();
  });
});
