import { describe, expect, it } from 'vitest';
import { InputError } from '../../errors.ts';
import { MAP_CPU_STRIDE, MAP_VALUES } from '../../plane/layout/map.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap, type MapAttributes } from './plane-map.ts';

const plane = createPlane(createMemory(2, 1n), { hashSeed: 42n });

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof InputError) return error.code;
    throw error;
  }
  return 'none';
}

describe('creation', () => {
  const cases: [string, MapAttributes, string][] = [
    ['array without entries', { type: 'array', keySize: 4, valueSize: 4, maxEntries: 0 }, 'EINVAL'],
    ['array with wide keys', { type: 'array', keySize: 8, valueSize: 4, maxEntries: 1 }, 'EINVAL'],
    ['array without prealloc', { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1, flags: 1 }, 'EINVAL'],
    ['array closed both ways', { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1, flags: 0x180 }, 'EINVAL'],
    ['array of huge values', { type: 'array', keySize: 4, valueSize: 0x8000_0000, maxEntries: 1 }, 'E2BIG'],
    ['array beyond the memory', { type: 'array', keySize: 4, valueSize: 1 << 20, maxEntries: 1 << 20 }, 'ENOMEM'],
    ['array with map_extra', { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1, mapExtra: 1n << 33n }, 'EINVAL'],
    [
      'mmapable per-CPU array',
      { type: 'percpu_array', keySize: 4, valueSize: 4, maxEntries: 1, flags: 1024 },
      'EINVAL',
    ],
    ['wide per-CPU array', { type: 'percpu_array', keySize: 4, valueSize: 32769, maxEntries: 1 }, 'E2BIG'],
    ['prog array of 8 bytes', { type: 'prog_array', keySize: 4, valueSize: 8, maxEntries: 1 }, 'EINVAL'],
    ['LPM trie with prealloc', { type: 'lpm_trie', keySize: 8, valueSize: 4, maxEntries: 1 }, 'EINVAL'],
    ['LPM trie without data', { type: 'lpm_trie', keySize: 4, valueSize: 4, maxEntries: 1, flags: 1 }, 'EINVAL'],
    ['LPM trie with wide keys', { type: 'lpm_trie', keySize: 261, valueSize: 4, maxEntries: 1, flags: 1 }, 'EINVAL'],
    ['LPM trie without values', { type: 'lpm_trie', keySize: 8, valueSize: 0, maxEntries: 1, flags: 1 }, 'EINVAL'],
    ['hash without keys', { type: 'hash', keySize: 0, valueSize: 4, maxEntries: 1 }, 'EINVAL'],
    ['hash with LRU flag', { type: 'hash', keySize: 4, valueSize: 4, maxEntries: 1, flags: 2 }, 'EINVAL'],
    ['hash of huge elements', { type: 'hash', keySize: 4, valueSize: 4 << 20, maxEntries: 1 }, 'E2BIG'],
    ['hash of too many buckets', { type: 'hash', keySize: 4, valueSize: 4, maxEntries: 0x8000_0001 }, 'E2BIG'],
  ];
  for (const [title, attributes, errno] of cases) {
    it(`refuses: ${title} (${errno})`, () => {
      expect(code(() => createMap(plane, attributes))).toBe(`SLUICE_MAP_${errno}`);
    });
  }

  it('gives memory back at the last reference, zeroed for the next map', () => {
    const first = createMap(plane, { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1000 });
    const values = plane.view().getUint32(first.address + MAP_VALUES, true);
    first.bytesAt(999).fill(255);
    plane.exports.map_hold_user(first.address);
    first.close();
    expect(plane.view().getUint8(values + 999 * 8)).toBe(255);
    plane.exports.map_destroy(first.address);
    const second = createMap(plane, { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1000 });
    expect(second.address).toBe(first.address);
    expect(second.bytesAt(999)).toEqual(new Uint8Array(8));
    second.close();
  });

  const perCpu = ['percpu_array', 'percpu_hash', 'lru_percpu_hash'] as const;
  it.each(perCpu)('%s: no two CPUs have values in one cache line, and user space sees all in order', (type) => {
    const cpus = 4;
    const four = createPlane(createMemory(cpus, 1n), { hashSeed: 42n });
    const map = createMap(four, { type, keySize: 4, valueSize: 12, maxEntries: 8 });
    const room = four.scratch(64);
    const lines = new Map<number, number>();
    for (const key of [0, 5]) {
      const bytes = new Uint8Array(Uint32Array.of(key).buffer);
      const values = Uint8Array.from({ length: cpus * 16 }, (_, i) => (i % 16 < 12 ? key + i : 0));
      map.update(bytes, values);
      expect(map.lookup(bytes)).toEqual(values);
      four.bytes().set(bytes, room);
      for (let cpu = 0; cpu < cpus; cpu++) {
        const value = (four.exports[`${type}_lookup_cpu`] as (map: number, key: number, cpu: number) => number)(
          map.address,
          room,
          cpu,
        );
        expect([...four.bytes().subarray(value, value + 12)]).toEqual([...values.subarray(cpu * 16, cpu * 16 + 12)]);
        for (const line of [value >> 6, (value + 11) >> 6]) {
          expect(lines.get(line) ?? cpu).toBe(cpu);
          lines.set(line, cpu);
        }
      }
    }
    map.close();
  });

  it('tables of many elements keep the values of CPUs side by side', () => {
    const four = createPlane(createMemory(4, 1n), { hashSeed: 42n });
    const map = createMap(four, { type: 'percpu_hash', keySize: 4, valueSize: 8, maxEntries: 100_000 });
    expect(four.view().getUint32(map.address + MAP_CPU_STRIDE, true)).toBe(8);
    map.close();
  });

  it('numbers maps', () => {
    const first = createMap(plane, { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 });
    const second = createMap(plane, { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 });
    expect(first.id).toBeGreaterThan(0);
    expect(second.id).toBe(first.id + 1);
    first.close();
    second.close();
  });
});
