/** Functions of the plane that rings are driven by (plane/assembly/ring). Addresses and numbers are u32, results of `…_create` and `ring_cancel` i32. */
import { InternalError } from '../../errors.ts';
import type { Runtime } from '../../runtime/runtime.ts';

export interface RingPlane {
  /** Address of the control block, 0 without memory. `staged` is a power of two. */
  ring_create(slots: number, staged: number, programs: number, groups: number, regions: number): number;
  ring_turn(ring: number): number;
  /** Where an enter would submit one request: that has been done without the kernel's ring. */
  ring_answer(ring: number, res: number): number;
  ring_stopped(ring: number, exhausted: number): number;
  ring_queue_create(ring: number, entries: number, how: number): number;
  ring_cancel(ring: number, low: number, high: number): number;
  ring_close(ring: number): void;
  ring_cancel_all(ring: number): number;
  ring_free(ring: number): void;
  /** Address of a shared queue of so many entries (a power of two), 0 without memory. */
  ring_shared_create(entries: number): number;
  ring_shared_free(queue: number): void;
  ring_loop_step(ring: number, entry: number): number;
}

export function ringPlane(runtime: Runtime): RingPlane {
  const { exports } = runtime.plane;
  if (typeof exports.ring_turn !== 'function') throw new InternalError('the plane has no rings');
  return exports as unknown as RingPlane; // what the module exports is fixed by its sources
}
