/** Which allocators live objects in fields of maps, and in fields of objects behind them, come from; and which maps are in maps of maps. Good while no program runs. */
import { mapTypes } from '../../abi/map-types.ts';
import { MAP_ID, MAP_KEY_SIZE, MAP_MAX_ENTRIES, MAP_NEXT, MAP_TYPE, MAP_VALUE_SIZE } from '../../plane/layout/map.ts';
import { ROOT, ROOT_MAPS } from '../../plane/layout/memory.ts';
import { PERCPU_HEADER } from '../../plane/layout/record.ts';
import { copiesOf, cpuStride, type OwnedField, ownedBy, valuesOf } from '../maps/owned.ts';
import { PlaneMap } from '../maps/plane-map.ts';
import type { PlaneInstance } from '../plane.ts';
import { structOfRecord } from '../records.ts';
import type { Field, ProgramFacts } from './facts.ts';
import type { KnownAllocator } from './known-allocator.ts';
import { objectField } from './program-facts.ts';

interface Store {
  readonly plane: PlaneInstance;
  at(address: number): KnownAllocator | undefined;
  maps(): Iterable<{ readonly id: number; readonly address: number; readonly record: number }>;
}

export interface Contents {
  readonly field: Field;
  readonly allocators: ReadonlySet<KnownAllocator>;
}

export function contentsOf(store: Store, fieldOf: (map: number, offset: number) => Field): Contents[] {
  const { plane } = store;
  const found = new Map<string, { field: Field; allocators: Set<KnownAllocator> }>();
  const add = (fields: readonly OwnedField[], placeOf: (offset: number) => Field | undefined) => {
    for (const { kind, offset, objects } of fields) {
      const field = placeOf(offset);
      for (const { address, size, record, fields: own } of objects) {
        // Objects of the kernel have no allocator.
        if (size === 0) continue;
        const block = kind === 'percpu_kptr' ? address - PERCPU_HEADER : address;
        const allocator = store.at(plane.exports.allocator_of(block) >>> 0);
        if (allocator !== undefined && field !== undefined) {
          const there = found.get(field.key) ?? { field, allocators: new Set() };
          there.allocators.add(allocator);
          found.set(field.key, there);
        }
        const struct = structOfRecord(plane, record);
        add(own, (at) => (struct === undefined ? undefined : objectField(struct.btf, struct.struct, at)));
      }
    }
  };
  const seen = new Set<number>();
  for (const { id, address, record } of store.maps()) {
    if (record === 0) continue;
    const [copies, stride] = [copiesOf(plane, address), cpuStride(plane, address)];
    for (const value of valuesOf(plane, address))
      add(ownedBy(plane, record, value, copies, stride, seen), (offset) => fieldOf(id, offset));
  }
  return [...found.values()];
}

/** Fields of the maps in a map of maps, each with the template's, as far as programs speak of such fields. `added`: ids of maps that are to be put in. */
export function innerMapsOf(
  plane: PlaneInstance,
  programs: readonly ProgramFacts[],
  added: readonly (readonly [outer: number, inner: number])[],
  fieldOf: (map: number, offset: number) => Field,
): (readonly [inner: Field, template: Field])[] {
  const templates = new Map<string, Field>();
  for (const { flows, taken } of programs)
    for (const field of [
      ...taken,
      ...flows.flatMap(({ source, into }) => [into, ...(source.kind === 'field' ? [source.field] : [])]),
    ])
      if (field.map?.startsWith('template:')) templates.set(field.key, field);
  const inside = new Map<string, readonly number[]>();
  return [...templates.values()].flatMap((template) => {
    const map = template.map!;
    const outer = Number(map.slice('template:'.length));
    const ids = inside.get(map) ?? [
      ...idsIn(plane, outer),
      ...added.filter(([each]) => each === outer).map(([, id]) => id),
    ];
    inside.set(map, ids);
    const offset = Number(template.key.slice(map.length + 1));
    return ids.map((id) => [fieldOf(id, offset), template] as const);
  });
}

/** Ids of the maps that a map of maps holds. */
function idsIn(plane: PlaneInstance, outer: number): number[] {
  const address = plane.exports.map_open_user(outer) >>> 0;
  if (address === 0) return [];
  const word = (at: number) => plane.view().getUint32(address + at, true);
  const type = word(MAP_TYPE) === mapTypes.array_of_maps ? 'array_of_maps' : 'hash_of_maps';
  const attributes = {
    keySize: word(MAP_KEY_SIZE),
    valueSize: word(MAP_VALUE_SIZE),
    maxEntries: word(MAP_MAX_ENTRIES),
  };
  const map = new PlaneMap(plane, address, { type, ...attributes });
  const ids: number[] = [];
  for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) {
    const value = map.lookup(key);
    if (value !== undefined) ids.push(new DataView(value.buffer, value.byteOffset).getUint32(0, true));
  }
  map.close();
  return ids;
}

/** Address of the map with this id, 0 if there is none; without holding it. */
export function mapAddress(plane: PlaneInstance, id: number): number {
  const word = (at: number) => plane.view().getUint32(at, true);
  let map = word(ROOT + ROOT_MAPS);
  while (map !== 0 && word(map + MAP_ID) !== id) map = word(map + MAP_NEXT);
  return map;
}
