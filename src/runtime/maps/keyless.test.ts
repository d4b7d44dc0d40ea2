import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QueueModel } from '../../../test/map-models.ts';
import { operations, replay } from '../../../test/map-operations.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap } from './plane-map.ts';

const plane = createPlane(createMemory(2, 1n), { hashSeed: 42n });
const noKey = new Uint8Array(0);

describe('queue and stack', () => {
  for (const type of ['queue', 'stack'] as const) {
    for (const maxEntries of [1, 2, 5]) {
      it(`${type} of ${maxEntries} agrees with the model`, () => {
        const shape = { keys: fc.constant(noKey), valueSize: 5, ordered: true, take: true };
        fc.assert(
          fc.property(operations(shape), (sequence) => {
            const map = createMap(plane, { type, keySize: 0, valueSize: 5, maxEntries });
            try {
              const model = new QueueModel(maxEntries, type === 'stack');
              expect(replay(map, sequence, true)).toEqual(replay(model, sequence, true));
            } finally {
              map.close();
            }
          }),
          { numRuns: 60 },
        );
      });
    }
  }
});

describe('bloom filter', () => {
  for (const [hashes, valueSize] of [
    [0, 4],
    [1, 4],
    [3, 13],
    [5, 8],
    [10, 4],
  ] as const) {
    it(`${hashes} hashes, values of ${valueSize} bytes: finds all that was added, and little else`, () => {
      const count = 4000;
      const mapExtra = BigInt(hashes);
      const map = createMap(plane, { type: 'bloom_filter', keySize: 0, valueSize, maxEntries: count, mapExtra });
      const value = (i: number) => {
        const bytes = new Uint8Array(valueSize);
        new DataView(bytes.buffer).setUint32(0, i, true);
        return bytes;
      };
      for (let i = 0; i < count; i++) map.update(noKey, value(i));
      let missing = 0;
      for (let i = 0; i < count; i++) if (!map.contains(value(i))) missing++;
      expect(missing).toBe(0);
      const asked = 20_000;
      let found = 0;
      for (let i = 0; i < asked; i++) if (map.contains(value(count + i))) found++;
      // Linux's number of bits, and the rate that independent hashes give with it.
      const k = hashes === 0 ? 5 : hashes;
      const bits = 2 ** Math.ceil(Math.log2(Math.floor((count * k) / 5) * 7));
      const expected = (1 - Math.exp((-k * count) / bits)) ** k;
      const deviation = Math.sqrt((expected * (1 - expected)) / asked);
      expect(Math.abs(found / asked - expected)).toBeLessThan(5 * deviation + 0.3 * expected);
      map.close();
    });
  }

  it('is not changed by asking, and takes no keys', () => {
    const map = createMap(plane, { type: 'bloom_filter', keySize: 0, valueSize: 4, maxEntries: 100 });
    expect(map.contains(new Uint8Array(4))).toBe(false);
    expect(map.contains(new Uint8Array(4))).toBe(false);
    expect(() => map.delete(noKey)).toThrow('EOPNOTSUPP');
    expect(() => map.nextKey()).toThrow('EOPNOTSUPP');
    expect(() => map.update(noKey, new Uint8Array(4), 'exist')).toThrow('EINVAL');
    map.close();
  });
});
