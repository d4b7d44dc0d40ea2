/** An allocator of a memory as policies and reports know it: its name, its numbers, what it could be merged with. Holds nothing: maps and programs do. */

import { ALLOCATOR_DEPOT, ALLOCATOR_GROUP, ALLOCATOR_ID, ALLOCATOR_QUOTA } from '../../plane/layout/allocator.ts';
import { mapError } from '../maps/errno.ts';
import type { PlaneInstance } from '../plane.ts';
import { allocatorAddresses } from './allocator.ts';
import type { AllocatorRef } from './facts.ts';
import { type AllocatorState, type AllocatorStats, readStats } from './stats.ts';

export class KnownAllocator implements AllocatorRef {
  readonly plane: PlaneInstance;
  readonly address: number;
  readonly id: number;
  readonly name: string;
  readonly global: boolean;

  constructor(plane: PlaneInstance, address: number, name: string, global = false) {
    this.plane = plane;
    this.address = address;
    this.name = name;
    this.global = global;
    this.id = plane.view().getUint32(address + ALLOCATOR_ID, true);
  }

  /** `dead`: nobody holds it, its last object is gone, and its memory was given back. */
  get state(): AllocatorState {
    return this.#isThere ? this.stats()!.state : 'dead';
  }

  /** Exact while no program runs; undefined for one that is dead. */
  stats(): AllocatorStats | undefined {
    return this.#isThere ? readStats(this.plane, this.address) : undefined;
  }

  /** Bytes that may be out, 0n: no quota. */
  get quota(): bigint {
    return this.#isThere ? this.plane.view().getBigUint64(this.address + ALLOCATOR_QUOTA, true) : 0n;
  }

  /** Whether the two share slabs: merged, or the same. */
  isOneWith(other: KnownAllocator): boolean {
    const view = this.plane.view();
    const depot = (of: KnownAllocator) => view.getUint32(of.address + ALLOCATOR_DEPOT, true);
    return this.address === other.address || (this.#isThere && other.#isThere && depot(this) === depot(other));
  }

  /** How they differ, where they cannot be made one; undefined: they can, or are. */
  differsFrom(other: KnownAllocator): string | undefined {
    if (this.isOneWith(other)) return undefined;
    // Its caches would be closed, and everybody's allocations be slower.
    if (this.global || other.global) return 'the global one is everybody’s';
    for (const each of [this, other]) if (each.state !== 'open') return `${each.name} is ${each.state}`;
    if (this.quota !== other.quota) return `quota of ${bytes(this.quota)} and ${bytes(other.quota)}`;
    const group = (of: KnownAllocator) => of.plane.view().getUint32(of.address + ALLOCATOR_GROUP, true);
    if (group(this) !== group(other) || (this.quota !== 0n && group(this) === 0)) return 'a quota each';
    return undefined;
  }

  /** Lets the two share slabs. InputError `SLUICE_MAP_<errno>`: EINVAL if they differ, EBUSY while programs run on other CPUs. */
  mergeWith(other: KnownAllocator): void {
    const result = this.plane.exports.allocator_merge(this.address, other.address);
    if (result !== 0) throw mapError(result, `merging ${other.name} into ${this.name}`);
  }

  get #isThere(): boolean {
    const { plane, address, id } = this;
    return allocatorAddresses(plane).includes(address) && plane.view().getUint32(address + ALLOCATOR_ID, true) === id;
  }
}

function bytes(quota: bigint): string {
  return quota === 0n ? 'none' : `${quota} bytes`;
}
