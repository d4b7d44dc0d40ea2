/** Who keeps an allocator alive: maps, pins of maps, programs, fields that are bound to it, live objects. */
import { pinsOf } from '../maps/pins.ts';
import type { KnownAllocator } from './known-allocator.ts';
import type { AllocatorStore } from './store.ts';

export interface Keepers {
  /** Programs with calls that allocate from it, as `program (object)`. */
  readonly programs: readonly string[];
  /** Maps that hold it, with what for: `ma`, `hash.elem_allocator`. */
  readonly maps: readonly string[];
  /** Where such maps are pinned: paths, or names of pins without a file. */
  readonly pins: readonly string[];
  /** Fields that hold its objects by what programs and maps say; the policies global and dynamic say nothing. */
  readonly fields: readonly string[];
  /** Live objects. */
  readonly objects: number;
}

export function keepersOf(store: AllocatorStore, allocator: KnownAllocator): Keepers {
  const programs = store.programs
    .filter(({ makes }) => [...makes.values()].some(({ id }) => id === allocator.id))
    .map(({ facts }) => `${facts.program} (${facts.object})`);
  const holding = [...store.maps()].filter(({ elem, kptr }) => elem?.id === allocator.id || kptr?.id === allocator.id);
  const maps = holding.flatMap(({ name, isAllocator, elem, kptr }) => [
    ...(kptr?.id === allocator.id ? [isAllocator ? name : `${name}.kptr_allocator`] : []),
    ...(elem?.id === allocator.id ? [`${name}.elem_allocator`] : []),
  ]);
  const pins = pinsOf(store.plane);
  const fields = [...(store.binding?.fields.values() ?? [])]
    .filter(({ allocators }) => allocators.some(({ id }) => id === allocator.id))
    .map(({ field }) => field.text);
  return {
    programs,
    maps: maps.sort(),
    pins: holding.flatMap(({ address }) => pins.of(address)).sort(),
    fields: fields.sort(),
    objects: allocator.stats()?.live ?? 0,
  };
}
