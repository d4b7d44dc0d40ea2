/**
 * runtime/virtio/: a guest's memory and virtqueues in the linear memory, as its device sees them.
 *
 * This file: where the guest's memory lies.
 */
import { InputError } from '../../errors.ts';
import {
  GUEST_MAX_REGIONS,
  GUEST_REGION_BYTES,
  GUEST_REGION_LOCAL,
  GUEST_REGION_PHYSICAL,
  GUEST_REGION_SIZE,
  GUEST_REGION_USER,
  GUEST_REGIONS,
  GUEST_SIZE,
} from '../../plane/layout/virtio.ts';
import type { Runtime } from '../runtime.ts';
import { type VirtioPlane, virtioPlane } from './plane.ts';

export interface GuestRegion {
  /** Address in the guest, in the process of whoever shares it, and size in bytes. */
  readonly physical: bigint;
  readonly user: bigint;
  readonly size: bigint;
  /** Address in the linear memory, where all of it lies. */
  readonly local: number;
}

export class GuestMemory {
  readonly runtime: Runtime;
  /** Of the table of regions, for the plane. */
  readonly address: number;
  readonly #plane: VirtioPlane;
  #regions: readonly GuestRegion[] = [];

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    this.#plane = virtioPlane(runtime);
    this.address = runtime.allocatePages(GUEST_SIZE);
  }

  get regions(): readonly GuestRegion[] {
    return this.#regions;
  }

  /** Not while queues run. Throws InputError for more regions than 32. */
  set regions(regions: readonly GuestRegion[]) {
    if (regions.length > GUEST_MAX_REGIONS)
      throw new InputError(
        'SLUICE_GUEST_MEMORY',
        `${regions.length} memory regions: there may be ${GUEST_MAX_REGIONS}`,
      );
    const view = this.runtime.view();
    for (const [i, { physical, user, size, local }] of regions.entries()) {
      const at = this.address + GUEST_REGIONS + i * GUEST_REGION_SIZE;
      view.setBigUint64(at + GUEST_REGION_PHYSICAL, physical, true);
      view.setBigUint64(at + GUEST_REGION_USER, user, true);
      view.setBigUint64(at + GUEST_REGION_BYTES, size, true);
      view.setUint32(at + GUEST_REGION_LOCAL, local, true);
    }
    view.setUint32(this.address, regions.length, true);
    this.#regions = regions;
  }

  /** Address here of bytes at an address of the process that shares the memory; undefined: they are not in one region. */
  fromUser(address: bigint, length: number): number | undefined {
    const local = this.#plane.guest_user(this.address, address, BigInt(length)) >>> 0;
    return local === 0 ? undefined : local;
  }

  free(): void {
    this.runtime.freePages(this.address, GUEST_SIZE);
  }
}
