/** Maps of type `allocator`: handles of an allocator. */
import type { Btf } from '../../btf/types.ts';
import { InputError, InternalError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { MAP_KPTR_ALLOCATOR } from '../../plane/layout/map.ts';
import type { KnownAllocator } from '../allocators/known-allocator.ts';
import type { AllocatorStats } from '../allocators/stats.ts';
import { allocatorsOf } from '../allocators/store.ts';
import type { AllocatorHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';

export class AllocatorMap extends TypedMap implements AllocatorHandle {
  readonly #map: PlaneMap;

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    this.#map = map;
  }

  get allocator(): KnownAllocator {
    const allocator = allocatorOfMap(this.#map);
    if (allocator === undefined) throw new InternalError(`map ${this.name} has no allocator`);
    return allocator;
  }

  stats(): AllocatorStats {
    return this.allocator.stats()!;
  }

  merge(other: AllocatorHandle): void {
    if (!(other instanceof AllocatorMap) || other.#map.plane.memory !== this.#map.plane.memory)
      throw new InputError('SLUICE_MAP_SHARE', `map ${other.name} is no allocator of this runtime`);
    this.allocator.mergeWith(other.allocator);
  }
}

/** Of a map of type `allocator`, the allocator that it is a handle of; of others their kptr_allocator. Throws InputError `SLUICE_MAP_CLOSED`. */
export function allocatorOfMap(map: PlaneMap): KnownAllocator | undefined {
  if (!map.isOpen) throw new InputError('SLUICE_MAP_CLOSED', `map ${map.name} is closed`);
  return allocatorsOf(map.plane).at(map.plane.view().getUint32(map.address + MAP_KPTR_ALLOCATOR, true));
}
