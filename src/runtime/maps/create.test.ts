import { describe, expect, it } from 'vitest';
import { InputError } from '../../errors.ts';
import { MAP_VALUES } from '../../plane/layout/map.ts';
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
    plane.exports.map_hold(first.address);
    first.close();
    expect(plane.view().getUint8(values + 999 * 8)).toBe(255);
    plane.exports.map_destroy(first.address);
    const second = createMap(plane, { type: 'array', keySize: 4, valueSize: 8, maxEntries: 1000 });
    expect(second.address).toBe(first.address);
    expect(second.bytesAt(999)).toEqual(new Uint8Array(8));
    second.close();
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
