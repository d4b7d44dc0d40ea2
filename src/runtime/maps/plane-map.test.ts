import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArrayModel, HashModel } from '../../../test/map-models.ts';
import { fewKeys, indices, keysOf, operations, replay, u32 } from '../../../test/map-operations.ts';
import { InputError } from '../../errors.ts';
import type { RawMap } from '../handles.ts';
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

/** Replays random operations on a fresh map and on a model; both transcripts must be the same. */
function agrees(attributes: MapAttributes, shape: Parameters<typeof operations>[0], model: () => RawMap): void {
  fc.assert(
    fc.property(operations(shape), (sequence) => {
      const map = createMap(plane, attributes);
      try {
        expect(replay(map, sequence, shape.ordered)).toEqual(replay(model(), sequence, shape.ordered));
      } finally {
        map.close();
      }
    }),
    { numRuns: 60 },
  );
}

describe('hash', () => {
  for (const keySize of [1, 3, 4, 7, 8, 12, 16, 17, 36]) {
    for (const flags of [0, 1]) {
      it(`agrees with the model: keys of ${keySize} bytes, flags ${flags}`, () => {
        const attributes: MapAttributes = { type: 'hash', keySize, valueSize: 13, maxEntries: 6, flags };
        agrees(attributes, { keys: fewKeys(keySize, 10), valueSize: 13, ordered: false }, () => new HashModel(6));
      });
    }
  }

  it('holds exactly max_entries, and an update of an existing key still works when full', () => {
    const map = createMap(plane, { type: 'hash', keySize: 4, valueSize: 4, maxEntries: 1000 });
    for (let i = 0; i < 1000; i++) map.update(u32(i * 7), u32(i), 'noexist');
    expect(code(() => map.update(u32(5), u32(0)))).toBe('SLUICE_MAP_E2BIG');
    for (let i = 0; i < 1000; i++) map.update(u32(i * 7), u32(i + 1), 'exist');
    expect(map.lookup(u32(999 * 7))).toEqual(u32(1000));
    expect(keysOf(map).length).toBe(1000);
    for (let i = 0; i < 1000; i += 2) expect(map.delete(u32(i * 7))).toBe(true);
    expect(keysOf(map).length).toBe(500);
    for (let i = 0; i < 500; i++) map.update(u32(100_000 + i), u32(i), 'noexist');
    expect(code(() => map.update(u32(5), u32(0)))).toBe('SLUICE_MAP_E2BIG');
    map.close();
  });

  it('gives a replaced element a new address and leaves the old bytes alone', () => {
    const map = createMap(plane, { type: 'hash', keySize: 4, valueSize: 8, maxEntries: 2 });
    map.update(u32(1), new Uint8Array(8).fill(1));
    const lookup = plane.exports['hash_lookup'] as (map: number, key: number) => number;
    const at = plane.scratch(8);
    plane.bytes().set(u32(1), at);
    const before = lookup(map.address, at);
    map.update(u32(1), new Uint8Array(8).fill(2));
    plane.bytes().set(u32(1), at);
    const after = lookup(map.address, at);
    expect(after).not.toBe(before);
    expect(plane.view().getBigUint64(before, true)).toBe(0x0101010101010101n);
    expect(plane.view().getBigUint64(after, true)).toBe(0x0202020202020202n);
    map.close();
  });

  it('refuses unknown flags of programs', () => {
    const map = createMap(plane, { type: 'hash', keySize: 4, valueSize: 8, maxEntries: 2 });
    const update = plane.exports['hash_update'] as (map: number, key: number, value: number, flags: bigint) => bigint;
    const at = plane.scratch(64);
    for (const flags of [3n, 4n, 5n, 1n << 40n]) expect(update(map.address, at, at + 8, flags)).toBe(-22n);
    map.close();
  });

  it('spreads regular keys over the buckets about as well as chance', () => {
    // Buckets in use of n after n keys: n * (1 - 1/e) if random.
    const patterns: [string, (i: number) => number][] = [
      ['counting', (i) => i],
      ['steps of 256', (i) => i << 8],
      ['steps of 65536', (i) => (i << 16) | (i >>> 16)],
      ['addresses in network order', (i) => (10 | ((i & 255) << 24) | ((i >> 8) << 16)) >>> 0],
    ];
    for (const [name, pattern] of patterns) {
      const count = 4096;
      const map = createMap(plane, { type: 'hash', keySize: 4, valueSize: 4, maxEntries: count });
      for (let i = 0; i < count; i++) map.update(u32(pattern(i)), u32(i));
      const view = plane.view();
      const buckets = view.getUint32(map.address + 64, true);
      let used = 0;
      for (let i = 0; i < count; i++) if (view.getUint32(buckets + 8 * i, true) !== 0) used++;
      expect(used / count, name).toBeGreaterThan(0.6);
      map.close();
    }
  });
});

describe('array', () => {
  it('agrees with the model', () => {
    const attributes: MapAttributes = { type: 'array', keySize: 4, valueSize: 9, maxEntries: 5 };
    agrees(attributes, { keys: indices(7), valueSize: 9, ordered: true }, () => new ArrayModel(5, 9));
  });

  it('shows its bytes in place', () => {
    const map = createMap(plane, { type: 'array', keySize: 4, valueSize: 12, maxEntries: 3 });
    map.bytesAt(2).fill(7);
    expect(map.lookup(u32(2))).toEqual(new Uint8Array(12).fill(7));
    expect(map.lookup(u32(1))).toEqual(new Uint8Array(12));
    expect(code(() => map.bytesAt(3))).toBe('SLUICE_MAP_INDEX');
    map.close();
  });

  it('does not let user space write when frozen', () => {
    const map = createMap(plane, { type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 });
    map.freeze();
    expect(code(() => map.update(u32(0), u32(1)))).toBe('SLUICE_MAP_EPERM');
    expect(code(() => map.freeze())).toBe('SLUICE_MAP_EBUSY');
    map.close();
    expect(code(() => map.lookup(u32(0)))).toBe('SLUICE_MAP_CLOSED');
  });
});

describe('per-CPU array', () => {
  it('agrees with the model', () => {
    const attributes: MapAttributes = { type: 'percpu_array', keySize: 4, valueSize: 5, maxEntries: 4 };
    agrees(attributes, { keys: indices(6), valueSize: 16, ordered: true }, () => new ArrayModel(4, 16));
  });

  it('shows each CPU its own value', () => {
    const other = createPlane(plane.memory, { cpu: 1 });
    const map = createMap(plane, { type: 'percpu_array', keySize: 4, valueSize: 8, maxEntries: 4 });
    const value = new Uint8Array(16);
    value[0] = 11;
    value[8] = 22;
    map.update(u32(3), value);
    const at = plane.scratch(4);
    plane.bytes().set(u32(3), at);
    for (const [instance, expected] of [
      [plane, 11],
      [other, 22],
    ] as const) {
      const lookup = instance.exports['bpf_map_lookup_elem'] as (map: bigint, key: bigint) => bigint;
      expect(plane.bytes()[Number(lookup(BigInt(map.address), BigInt(at)))]).toBe(expected);
    }
    const lookupCpu = plane.exports['bpf_map_lookup_percpu_elem'] as (m: bigint, k: bigint, c: bigint) => bigint;
    expect(plane.bytes()[Number(lookupCpu(BigInt(map.address), BigInt(at), 1n))]).toBe(22);
    expect(lookupCpu(BigInt(map.address), BigInt(at), 2n)).toBe(0n);
    map.close();
  });
});
