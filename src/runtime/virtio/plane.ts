/** The plane's functions that only virtqueues call (plane/assembly/virtio/). Numbers are u32; results as u32 come signed; booleans are 0 or 1. */
import type { Runtime } from '../runtime.ts';

export interface VirtioPlane {
  guest_user(memory: number, address: bigint, length: bigint): number;
  guest_physical(memory: number, address: bigint, length: bigint): number;
  /** Delivers steered frames to the receive queues of their numbers; how many found buffers. */
  vnet_deliver(device: number, frames: number, count: number): number;
  /** Takes frames out of a transmit queue; how many. */
  vnet_collect(queue: number, frames: number, count: number, room: number): number;
  /** One chain of both directions; and back with so many bytes written. */
  virtq_take(queue: number): number;
  virtq_give(queue: number, written: number): void;
  virtq_signal(queue: number): number;
  virtq_await(queue: number): number;
}

export function virtioPlane(runtime: Runtime): VirtioPlane {
  return runtime.plane.exports as unknown as VirtioPlane; // fixed by the plane's sources
}
