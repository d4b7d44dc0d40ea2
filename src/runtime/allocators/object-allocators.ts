/** The allocators of an object's maps: made or taken over when the maps are there, as their definitions say. */
import type { Btf } from '../../btf/types.ts';
import { InputError, InternalError } from '../../errors.ts';
import type { AllocatorPart, MapSpec } from '../../object/spec.ts';
import { MAP_ELEM_ALLOCATOR, MAP_KPTR_ALLOCATOR } from '../../plane/layout/map.ts';
import type { MapHandle } from '../handles.ts';
import { mapError } from '../maps/errno.ts';
import { PlaneMap } from '../maps/plane-map.ts';
import type { PlaneInstance } from '../plane.ts';
import type { Claim } from './facts.ts';
import type { KnownAllocator } from './known-allocator.ts';
import { mapField, type PlacedMap } from './program-facts.ts';
import { allocatorsOf } from './store.ts';

interface Created {
  readonly map: PlaneMap;
  readonly spec: MapSpec;
  /** It has no allocators yet. */
  readonly made: boolean;
}

/**
 * Bytes that an allocator's definition lets be out, 0n: any number. `map_extra` says bytes, `max_entries` objects of its value, which count with the bytes of their
 * size class.
 */
export function quotaOf(plane: PlaneInstance, { maxEntries, mapExtra, valueSize, name }: MapSpec): bigint {
  if (mapExtra !== 0n || maxEntries === 0) return mapExtra;
  if (valueSize === 0)
    throw new InputError(
      'SLUICE_MAP_EINVAL',
      `allocator ${name}: a quota of ${maxEntries} objects needs their type: __type(value, struct …), or say it in bytes: __ulong(map_extra, …)`,
    );
  return BigInt(maxEntries) * BigInt(plane.exports.allocator_rounded(valueSize) >>> 0);
}

/** Gives the maps that were just made their allocators. */
export function allocateFor(plane: PlaneInstance, created: ReadonlyMap<string, Created>): void {
  for (const { map, spec, made } of created.values())
    if (made && spec.type === 'allocator') giveOwn(plane, map, spec.name, 'kptr', spec);
  for (const { map, spec, made } of created.values()) {
    if (!made) continue;
    for (const part of partsOf(spec)) {
      const named = spec.allocators![part]!;
      if (named.kind === 'implicit') giveOwn(plane, map, `${spec.name}.${part}_allocator`, part, named.definition);
      else {
        const of = created.get(named.map)?.map;
        if (of === undefined) throw new InternalError(`allocator ${named.map} of map ${spec.name} was not created`);
        give(map, part, kptrOf(of)!);
      }
    }
  }
}

/** As `allocateFor`, of a map that no object defines. */
export function allocateWith(map: PlaneMap, spec: MapSpec, [elem, kptr]: readonly (MapHandle | undefined)[]): void {
  const { plane } = map;
  if (spec.type === 'allocator') giveOwn(plane, map, spec.name, 'kptr', spec);
  for (const [part, given] of [
    ['elem', elem],
    ['kptr', kptr],
  ] as const) {
    if (given === undefined) continue;
    const { raw } = given;
    const allocator =
      given.type === 'allocator' && raw instanceof PlaneMap && raw.plane.memory === plane.memory
        ? kptrOf(raw)
        : undefined;
    if (allocator === undefined)
      throw new InputError(
        'SLUICE_MAP_SHARE',
        `map ${given.name} is no allocator of the runtime that map ${spec.name} is made in`,
      );
    give(map, part, allocator);
  }
}

function partsOf({ allocators }: MapSpec): readonly AllocatorPart[] {
  return (['elem', 'kptr'] as const).filter((part) => allocators?.[part] !== undefined);
}

function giveOwn(plane: PlaneInstance, map: PlaneMap, name: string, part: AllocatorPart, definition: MapSpec): void {
  const store = allocatorsOf(plane);
  const allocator = store.create(name, quotaOf(plane, definition));
  try {
    give(map, part, allocator);
  } finally {
    // The map holds it.
    store.release(allocator);
  }
}

function give(map: PlaneMap, part: AllocatorPart, { address }: KnownAllocator): void {
  const [elem, kptr] = part === 'elem' ? [address, 0] : [0, address];
  const result = map.plane.exports.map_set_allocators(map.address, elem, kptr);
  if (result !== 0)
    throw mapError(
      result,
      `map ${map.name}: elements of type ${map.type} do not come from an allocator; leave out ${part}_allocator`,
    );
}

function kptrOf({ plane, address }: PlaneMap): KnownAllocator | undefined {
  return allocatorsOf(plane).at(plane.view().getUint32(address + MAP_KPTR_ALLOCATOR, true));
}

/** The maps as policies know them. */
export function placedMaps(
  plane: PlaneInstance,
  created: ReadonlyMap<string, Pick<Created, 'map' | 'spec'>>,
  btf: Btf | undefined,
): ReadonlyMap<string, PlacedMap> {
  const store = allocatorsOf(plane);
  const placed = new Map<string, PlacedMap>();
  for (const [name, { map, spec }] of created) {
    const { id } = map;
    store.introduce(id, name, (offset) => mapField(id, offset, spec, btf));
    const elem = store.at(plane.view().getUint32(map.address + MAP_ELEM_ALLOCATOR, true));
    const kptr = kptrOf(map);
    const allocators = spec.type === 'allocator' ? { map: kptr } : { elem, kptr };
    placed.set(name, { id, spec, allocators });
  }
  return placed;
}

/** Where the object names another allocator for a map than the map was made with. */
export function claimsOf(
  created: ReadonlyMap<string, Created>,
  placed: ReadonlyMap<string, PlacedMap>,
): readonly Claim[] {
  return [...created.values()].flatMap(({ map, spec, made }) => {
    const named = spec.allocators?.kptr;
    if (made || named?.kind !== 'map') return [];
    const allocator = placed.get(named.map)?.allocators.map;
    return allocator === undefined || allocator.id === kptrOf(map)?.id
      ? []
      : [{ map: String(map.id), name: spec.name, allocator }];
  });
}
