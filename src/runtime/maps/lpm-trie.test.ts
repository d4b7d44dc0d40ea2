import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LpmModel } from '../../../test/map-models.ts';
import { attempt, keysOf, operations, prefixes, replay, u32 } from '../../../test/map-operations.ts';
import type { RawMap } from '../handles.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap, type MapAttributes } from './plane-map.ts';

const plane = createPlane(createMemory(1, 1n));

describe('LPM trie', () => {
  for (const dataSize of [1, 3, 4, 8, 9, 16, 21]) {
    it(`agrees with the model: ${dataSize} bytes of data`, () => {
      const attributes: MapAttributes = {
        type: 'lpm_trie',
        keySize: 4 + dataSize,
        valueSize: 6,
        maxEntries: 12,
        flags: 1,
      };
      const shape = { keys: prefixes(dataSize), valueSize: 6, ordered: true };
      fc.assert(
        fc.property(operations(shape), (sequence) => {
          const map = createMap(plane, attributes);
          try {
            expect(replay(map, sequence, true)).toEqual(replay(new LpmModel(12, dataSize), sequence, true));
          } finally {
            map.close();
          }
        }),
        { numRuns: 60 },
      );
    });
  }

  it('works at the longest key', () => {
    const map = createMap(plane, { type: 'lpm_trie', keySize: 260, valueSize: 4, maxEntries: 3, flags: 1 });
    const key = (bits: number, last: number) => {
      const bytes = new Uint8Array(260).fill(0xaa);
      new DataView(bytes.buffer).setUint32(0, bits, true);
      bytes[259] = last;
      return bytes;
    };
    map.update(key(2048, 1), u32(1));
    map.update(key(2047, 1), u32(2));
    map.update(key(0, 0), u32(3));
    expect(map.lookup(key(2048, 1))).toEqual(u32(1));
    expect(map.lookup(key(2048, 0))).toEqual(u32(2));
    expect(map.lookup(key(2048, 2))).toEqual(u32(3));
    map.close();
  });

  it('agrees with the model on hundreds of prefixes, while they come and as they go', () => {
    for (const dataSize of [4, 8, 16]) {
      const attributes: MapAttributes = {
        type: 'lpm_trie',
        keySize: 4 + dataSize,
        valueSize: 4,
        maxEntries: 300,
        flags: 1,
      };
      const map = createMap(plane, attributes);
      const model = new LpmModel(300, dataSize);
      const keys = fc.sample(prefixes(dataSize), { numRuns: 450, seed: dataSize });
      const fits = keys.filter((key) => new DataView(key.buffer).getUint32(0, true) <= dataSize * 8);
      const probes = fits.map((key) => {
        const probe = key.slice();
        new DataView(probe.buffer).setUint32(0, dataSize * 8, true);
        return probe;
      });
      const compare = () => {
        for (const probe of probes) expect(map.lookup(probe)).toEqual(model.lookup(probe));
        expect(keysOf(map)).toEqual(keysOf(model));
      };
      for (const [i, key] of fits.entries()) {
        const update = (target: RawMap) =>
          attempt(() => {
            target.update(key, u32(i));
            return 'ok';
          });
        expect(update(map)).toBe(update(model));
        if (i % 150 === 0) compare();
      }
      compare();
      for (const [i, key] of fits.entries()) {
        expect(map.delete(key)).toBe(model.delete(key));
        if (i % 150 === 0) compare();
      }
      expect(map.nextKey()).toBeUndefined();
      map.close();
    }
  });
});
