/**
 * Maps that were there before an object which says other allocators for them (pinned maps, maps that are given to a load): what is asked of them, by rule.
 * What fields own is the policies' to judge (`claimsOf`), unless the rule says what to do about it.
 */
import { InputError } from '../../errors.ts';
import type { AllocatorPart, MapAllocator, MapSpec } from '../../object/spec.ts';
import { MAP_ELEM_ALLOCATOR, MAP_KPTR_ALLOCATOR } from '../../plane/layout/map.ts';
import { ROOT, ROOT_ELEMENT_ALLOCATOR } from '../../plane/layout/memory.ts';
import { mapError } from '../maps/errno.ts';
import type { PlaneMap } from '../maps/plane-map.ts';
import type { PlaneInstance } from '../plane.ts';
import type { KnownAllocator } from './known-allocator.ts';
import { quotaOf } from './object-allocators.ts';
import { readStats } from './stats.ts';
import { allocatorsOf } from './store.ts';

/**
 * `equal` (default): the object is refused. `merge`: the two are merged where their quotas and groups are the same, else the object is refused. `migrate`: the map goes
 * over to the object's; what it has of its own stays with that until it is freed. `keep`: the map keeps its own.
 */
export type AllocatorRule = 'equal' | 'merge' | 'migrate' | 'keep';

/** What was done to maps that were there before, for a load that may be refused yet. */
export class Settlement {
  /** Allocators that are one once the programs are admitted. */
  readonly alike: (readonly [KnownAllocator, KnownAllocator])[] = [];
  readonly #undo: (() => void)[] = [];
  readonly #held: KnownAllocator[] = [];

  /** The map goes over to another allocator; `before` stays while that can be undone, undefined: it had none of its own. */
  migrated(map: PlaneMap, part: AllocatorPart, before: KnownAllocator | undefined, after: KnownAllocator): void {
    const { plane, address } = map;
    if (before !== undefined) {
      plane.exports.allocator_hold(before.address);
      this.#held.push(before);
    }
    const none = part === 'elem' ? plane.view().getUint32(ROOT + ROOT_ELEMENT_ALLOCATOR, true) : 0;
    const [elem, kptr] = part === 'elem' ? [after.address, 0] : [0, after.address];
    const result = plane.exports.map_set_allocators(address, elem, kptr);
    if (result !== 0) throw mapError(result, `${map.name}: ${part}_allocator`);
    this.#undo.push(() => {
      const back = before?.address ?? none;
      if (back !== 0) {
        plane.exports.map_set_allocators(address, part === 'elem' ? back : 0, part === 'elem' ? 0 : back);
        // The common allocator of elements is held by nobody.
        if (before === undefined) plane.exports.allocator_release(back);
      } else {
        plane.view().setUint32(address + words[part], 0, true);
        plane.exports.allocator_release(after.address);
      }
    });
  }

  /** The object was loaded. */
  keep(): void {
    for (const { plane, address } of this.#held.splice(0)) plane.exports.allocator_release(address);
    this.#undo.splice(0);
  }

  /** It was refused: the maps are as they were. */
  undo(): void {
    for (const each of this.#undo.splice(0).reverse()) each();
    this.keep();
  }
}

const words: Readonly<Record<AllocatorPart, number>> = { elem: MAP_ELEM_ALLOCATOR, kptr: MAP_KPTR_ALLOCATOR };

/** The map's own allocator; undefined if it has none, and its elements come from the one that all such maps share. */
export function ownAllocator(plane: PlaneInstance, map: number, part: AllocatorPart): KnownAllocator | undefined {
  const view = plane.view();
  const address = view.getUint32(map + words[part], true);
  const common = view.getUint32(ROOT + ROOT_ELEMENT_ALLOCATOR, true);
  return part === 'elem' && address === common ? undefined : allocatorsOf(plane).at(address);
}

/**
 * Applies the rule to a map that was there before; what that changes is in the settlement, to be kept or undone. An object that names no allocator takes the map's; one that names an implicit one takes the map's own if that has the
 * same quota. Throws InputError `SLUICE_MAP_ALLOCATOR` with the difference and what can be done.
 * @param named allocator of the object's map of type `allocator` with this name.
 */
export function settleAllocators(
  map: PlaneMap,
  spec: MapSpec,
  rule: AllocatorRule,
  named: (name: string) => KnownAllocator | undefined,
  settlement: Settlement,
): void {
  const { plane } = map;
  for (const part of ['elem', 'kptr'] as const) {
    const wanted = spec.allocators?.[part];
    if (wanted === undefined || rule === 'keep') continue;
    const have = ownAllocator(plane, map.address, part);
    if (isMet(plane, wanted, have, named)) continue;
    const want = wanted.kind === 'map' ? named(wanted.map) : undefined;
    if (rule === 'migrate') {
      migrate(map, part, have, want, wanted, spec, settlement);
      continue;
    }
    // The policies say whether objects of both may meet in a field; of elements nobody else does.
    if (rule === 'equal' && part === 'kptr' && want !== undefined) continue;
    const against = have === undefined || want === undefined ? 'one of the two is of no map' : have.differsFrom(want);
    if (rule === 'merge' && against === undefined) {
      settlement.alike.push([have!, want!]);
      continue;
    }
    throw conflict(map, part, have, nameOf(plane, wanted, want, spec, part), against);
  }
}

function isMet(
  plane: PlaneInstance,
  wanted: MapAllocator,
  have: KnownAllocator | undefined,
  named: (name: string) => KnownAllocator | undefined,
): boolean {
  if (have === undefined) return false;
  return wanted.kind === 'map' ? named(wanted.map)?.id === have.id : have.quota === quotaOf(plane, wanted.definition);
}

function migrate(
  map: PlaneMap,
  part: AllocatorPart,
  have: KnownAllocator | undefined,
  want: KnownAllocator | undefined,
  wanted: MapAllocator,
  spec: MapSpec,
  settlement: Settlement,
): void {
  const store = allocatorsOf(map.plane);
  const made =
    want === undefined && wanted.kind === 'implicit'
      ? store.create(`${spec.name}.${part}_allocator`, quotaOf(map.plane, wanted.definition))
      : undefined;
  try {
    settlement.migrated(map, part, have, (want ?? made)!);
  } finally {
    // The map holds it.
    if (made !== undefined) store.release(made);
  }
}

function nameOf(
  plane: PlaneInstance,
  wanted: MapAllocator,
  want: KnownAllocator | undefined,
  spec: MapSpec,
  part: AllocatorPart,
): string {
  if (want !== undefined) return described(want.name, want.quota);
  return wanted.kind === 'implicit'
    ? described(`one of its own (${spec.name}.${part}_allocator)`, quotaOf(plane, wanted.definition))
    : wanted.map;
}

function described(name: string, quota: bigint): string {
  return `${name} (${quota === 0n ? 'no quota' : `quota ${quota} bytes`})`;
}

function conflict(
  map: PlaneMap,
  part: AllocatorPart,
  have: KnownAllocator | undefined,
  want: string,
  against: string | undefined,
): InputError {
  const has = have === undefined ? 'none of its own' : described(have.name, have.quota);
  const merge = against === undefined ? `allocators: 'merge' (they are mergeable), ` : '';
  const differ = against === undefined ? '' : `; they cannot be merged: ${against}`;
  return new InputError(
    'SLUICE_MAP_ALLOCATOR',
    `map ${map.name}, which was there before, has ${part}_allocator ${has}, and the object says ${want}${differ}. Load with ${merge}allocators: 'migrate' (what it has stays with its own), or 'keep'`,
  );
}

/** Why a map's allocator of elements has none to give: its quota, or the memory's end. */
export function shortage(plane: PlaneInstance, map: number): string {
  const size = plane.memory.buffer.byteLength / 2 ** 20;
  const memory = `the linear memory has no room (${size} of at most 4096 MiB are in use)`;
  const allocator = allocatorsOf(plane).at(plane.view().getUint32(map + MAP_ELEM_ALLOCATOR, true));
  if (allocator === undefined) return memory;
  const { quota, live, liveBytes, chargedBytes } = readStats(plane, allocator.address);
  if (quota === undefined || chargedBytes + plane.exports.map_element_bytes(map) <= quota) return memory;
  return `quota of allocator ${allocator.name}: ${live} elements of ${liveBytes} bytes are live, ${chargedBytes} of ${quota} bytes are charged`;
}
