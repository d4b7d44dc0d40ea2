// Hash maps with BPF_F_NO_PREALLOC and room for more elements than the memory holds.
import { describe, expect, it } from 'vitest';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap } from './plane-map.ts';

const NO_PREALLOC = 1;
const key = (n: number, size: number) => {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, n, true);
  return bytes;
};

describe.each(['hash', 'percpu_hash'] as const)('%s of 16 M entries', (type) => {
  // The sizes of a flow collector's map: a slab of it would take 2.5 GiB, and two times that twice what there is.
  const sizes = { type, keySize: 40, valueSize: 104, maxEntries: 1 << 24 };
  const cpus = 2;
  const value = (n: number) => key(n, type === 'hash' ? 104 : 104 * cpus);

  it('takes memory as elements come, and gives it back', () => {
    const plane = createPlane(createMemory(cpus, 1n), { hashSeed: 42n });
    expect(() => [createMap(plane, sizes), createMap(plane, sizes)]).toThrow('ENOMEM');
    const first = createMap(plane, { ...sizes, flags: NO_PREALLOC });
    const second = createMap(plane, { ...sizes, flags: NO_PREALLOC });
    const { byteLength } = plane.memory.buffer;
    for (let n = 0; n < 30_000; n++) first.update(key(n, 40), value(n));
    second.update(key(7, 40), value(70));
    const used = plane.memory.buffer.byteLength - byteLength;
    for (let n = 0; n < 30_000; n += 997) expect(first.lookup(key(n, 40))).toEqual(value(n));
    expect(second.lookup(key(7, 40))).toEqual(value(70));
    // What is deleted is used again.
    for (let n = 0; n < 30_000; n++) expect(first.delete(key(n, 40))).toBe(true);
    expect(first.lookup(key(7, 40))).toBeUndefined();
    for (let n = 0; n < 30_000; n++) first.update(key(n + 50_000, 40), value(n));
    expect(plane.memory.buffer.byteLength - byteLength - used).toBeLessThanOrEqual(2 * 65536);
    expect(used).toBeLessThan(30_000 * (152 + 104) + (4 << 20));
    first.close();
    second.close();
    const third = createMap(plane, { ...sizes, flags: NO_PREALLOC });
    for (let n = 0; n < 30_000; n++) third.update(key(n, 40), value(n));
    expect(plane.memory.buffer.byteLength - byteLength - used).toBeLessThanOrEqual(2 * 65536);
    third.close();
  });

  it('is full at max_entries, and ENOMEM where the memory is', () => {
    const plane = createPlane(createMemory(cpus, 1n), { hashSeed: 42n });
    const map = createMap(plane, { ...sizes, maxEntries: 20_000, flags: NO_PREALLOC });
    for (let n = 0; n < 20_000; n++) map.update(key(n, 40), value(n));
    expect(() => map.update(key(20_000, 40), value(0))).toThrow('E2BIG');
    map.close();
    const large = createMap(plane, { ...sizes, flags: NO_PREALLOC });
    const taken = 65535 - plane.memory.buffer.byteLength / 65536;
    const address = plane.exports.pages_alloc(taken) >>> 0;
    expect(address).not.toBe(0);
    let count = 0;
    expect(() => {
      for (; count < 40_000; count++) large.update(key(count, 40), value(count));
    }).toThrow('ENOMEM');
    plane.exports.pages_free(address, taken);
    for (let n = count; n < count + 10_000; n++) large.update(key(n, 40), value(n));
    for (const n of [0, count - 1, count, count + 9_999]) expect(large.lookup(key(n, 40))).toEqual(value(n));
    large.close();
  });
});
