import { describe, expect, it } from 'vitest';
import { keysOf, u32 } from '../../../test/map-operations.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap } from './plane-map.ts';

const plane = createPlane(createMemory(2, 1n), { hashSeed: 42n });

describe('LRU hash', () => {
  const lookup = plane.exports['lru_hash_lookup'] as (map: number, key: number) => number;

  for (const flags of [0, 2]) {
    it(`never refuses, and holds no more than it may; flags ${flags}`, () => {
      const map = createMap(plane, { type: 'lru_hash', keySize: 8, valueSize: 4, maxEntries: 101, flags });
      expect(map.maxEntries).toBe(flags === 2 ? 102 : 101);
      const key = (n: number) => new Uint8Array(BigUint64Array.of(BigInt(n)).buffer);
      for (let n = 0; n < 1000; n++) {
        map.update(key(n), u32(n), 'noexist');
        expect(map.lookup(key(n))).toEqual(u32(n));
      }
      const kept = keysOf(map).length;
      expect(kept).toBeLessThanOrEqual(map.maxEntries);
      // Updates run on one of two CPUs: with lists for each, half of the elements are out of their reach.
      expect(kept).toBeGreaterThan(flags === 2 ? 45 : 49);
      map.close();
    });
  }

  it('keeps what programs look up and drops what they do not; what user space reads does not count', () => {
    const map = createMap(plane, { type: 'lru_hash', keySize: 4, valueSize: 4, maxEntries: 1000 });
    // Not full: free elements are handed out in batches, and the last batch already pushes others out.
    for (let n = 0; n < 800; n++) map.update(u32(n), u32(n));
    const at = plane.scratch(64);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 100; n++) {
        plane.bytes().set(u32(n), at);
        expect(lookup(map.address, at)).not.toBe(0);
      }
      for (let n = 100; n < 200; n++) map.lookup(u32(n));
      for (let n = 0; n < 400; n++) map.update(u32(10_000 + round * 1000 + n), u32(n));
    }
    const kept = new Set(keysOf(map).map((key) => new DataView(key.buffer).getUint32(0, true)));
    const count = (from: number) => Array.from({ length: 100 }, (_, i) => from + i).filter((n) => kept.has(n)).length;
    expect(count(0)).toBe(100);
    expect(count(100)).toBeLessThan(10);
    map.close();
  });
});
