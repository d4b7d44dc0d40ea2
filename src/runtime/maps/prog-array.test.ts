import { describe, expect, it } from 'vitest';
import { u32 } from '../../../test/map-operations.ts';
import type { MapSpec } from '../../object/spec.ts';
import { MAP_VALUES, PROG_ARRAY_STRIDE } from '../../plane/layout/map.ts';
import type { ProgramHandle } from '../handles.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { createMap } from './plane-map.ts';
import { ProgArrayMap } from './prog-array.ts';
import { tailTargetsOf } from './tail-targets.ts';

const plane = createPlane(createMemory(1, 1n));
tailTargetsOf(plane).add(41, 'xdp');
tailTargetsOf(plane).add(42, 'tc');

function progArray(maxEntries: number) {
  const spec: MapSpec = {
    name: 'calls',
    type: 'prog_array',
    keySize: 4,
    valueSize: 4,
    maxEntries,
    flags: 0,
    mapExtra: 0n,
    numaNode: 0,
    pinning: 'none',
    keyTypeId: 0,
    valueTypeId: 0,
    inner: undefined,
    contents: { kind: 'none' },
    section: '.maps',
  };
  const raw = createMap(plane, spec);
  // Only the name matters to the array and to this resolver.
  const program = (name: string) => ({ name }) as ProgramHandle;
  const map = new ProgArrayMap(raw, spec, undefined, ({ name }) => (name === 'known' ? 41 : undefined));
  return { map, raw, program };
}

describe('prog array', () => {
  it('holds table indices where tail calls look for them', () => {
    const { map, raw, program } = progArray(3);
    map.put(2, program('known'));
    const values = plane.view().getUint32(raw.address + MAP_VALUES, true);
    expect([0, 1, 2].map((i) => plane.view().getUint32(values + i * PROG_ARRAY_STRIDE, true))).toEqual([0, 0, 41]);
    expect(map.get(2)).toBe(41);
    expect(map.get(1)).toBeUndefined();
    expect(map.delete(2)).toBe(true);
    expect(map.delete(2)).toBe(false);
    expect(plane.view().getUint32(values + 2 * PROG_ARRAY_STRIDE, true)).toBe(0);
    map.close();
  });

  it('refuses as Linux does', () => {
    const { map, raw, program } = progArray(3);
    expect(() => map.put(3, program('known'))).toThrow('E2BIG');
    expect(() => map.delete(3)).toThrow('E2BIG');
    expect(() => raw.update(u32(0), u32(41), 'noexist')).toThrow('EINVAL');
    expect(() => map.put(0, program('other'))).toThrow('not of this runtime');
    expect(() => map.set(0, 7)).toThrow('EBADF');
    map.set(0, 41);
    expect(() => map.set(1, 42)).toThrow('EINVAL');
    map.delete(0);
    expect(() => map.set(1, 42)).toThrow('EINVAL');
    map.close();
  });
});
