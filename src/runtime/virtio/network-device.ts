/** A virtio network device over queues of a guest: frames in and out, and what its features mean. */
import { VNET_MAX_QUEUES, VNET_NO_QUEUE, VNET_QUEUE, VNET_QUEUES, VNET_SIZE } from '../../plane/layout/virtio.ts';
import type { Runtime } from '../runtime.ts';
import { type VirtioPlane, virtioPlane } from './plane.ts';
import type { Virtqueue, VirtqueueSetup } from './virtqueue.ts';

/** Bits of virtio 1.3, 5.1.3 and 6, those that a back end here may offer. */
export const virtioFeature = {
  csum: 1n << 0n,
  guestCsum: 1n << 1n,
  guestTso4: 1n << 7n,
  guestTso6: 1n << 8n,
  hostTso4: 1n << 11n,
  hostTso6: 1n << 12n,
  mergeableBuffers: 1n << 15n,
  controlQueue: 1n << 17n,
  multiqueue: 1n << 22n,
  indirectDescriptors: 1n << 28n,
  eventIndex: 1n << 29n,
  version1: 1n << 32n,
  hashTunnel: 1n << 51n,
  hashReport: 1n << 57n,
  rss: 1n << 60n,
} as const;

/** How the queues of a driver that agreed to these features are set up. */
export function queueSetup(features: bigint): Pick<VirtqueueSetup, 'header' | 'mergeable' | 'eventIndex'> {
  const has = (bit: bigint) => (features & bit) !== 0n;
  return {
    header: has(virtioFeature.hashReport) ? 20 : 12,
    mergeable: has(virtioFeature.mergeableBuffers),
    eventIndex: has(virtioFeature.eventIndex),
  };
}

export class NetworkDevice {
  /** Of the block, for the plane. */
  readonly address: number;
  readonly #runtime: Runtime;
  readonly #plane: VirtioPlane;

  /** `receive`: by number of the queue; those that do not run get nothing. */
  constructor(runtime: Runtime, receive: readonly Virtqueue[]) {
    if (receive.length > VNET_MAX_QUEUES) throw new RangeError(`${receive.length} receive queues`);
    this.#runtime = runtime;
    this.#plane = virtioPlane(runtime);
    this.address = runtime.allocatePages(VNET_SIZE);
    const view = runtime.view();
    view.setUint32(this.address + VNET_QUEUES, receive.length, true);
    for (const [i, queue] of receive.entries()) view.setUint32(this.address + VNET_QUEUE + i * 4, queue.address, true);
  }

  /** Frame records (plane/layout/steering.ts) that were steered, each to the receive queue of its number. How many found buffers; the others are counted and gone. */
  deliver(frames: number, count: number): number {
    return this.#plane.vnet_deliver(this.address, frames, count);
  }

  /** Takes at most `count` frames out of a transmit queue, into records whose buffers have `room` bytes behind the header of 20. */
  collect(queue: Virtqueue, frames: number, count: number, room: number): number {
    return this.#plane.vnet_collect(queue.address, frames, count, room);
  }

  /** Frames for queues that do not run. */
  get unqueued(): bigint {
    return this.#runtime.view().getBigUint64(this.address + VNET_NO_QUEUE, true);
  }

  free(): void {
    this.#runtime.freePages(this.address, VNET_SIZE);
  }
}
