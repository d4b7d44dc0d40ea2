/** The plane's functions on a TAP's block (plane/assembly/steering/tap.ts, tap-messages.ts), by its address. */
import type { Runtime } from '../../runtime/runtime.ts';

export interface TapPlane {
  tap_provide(tap: number): void;
  tap_arm(tap: number): void;
  tap_cancel(tap: number): number;
  tap_live(tap: number): number;
  tap_await(tap: number, queue: number, fd: number): number;
  tap_take(tap: number): number;
  tap_sort(tap: number, packets: number): void;
  tap_work(tap: number, packets: number): void;
  tap_hand(tap: number): void;
  tap_collect(tap: number): number;
  tap_release(tap: number, queue: number, packets: number, dropped: number): void;
  tap_write(tap: number, queue: number, fd: number): number;
  tap_messages(tap: number, queue: number, at: number, limit: number): number;
  /** Bytes in the lower half, packets in the upper one. */
  tap_blocks(tap: number, queue: number, at: number, room: number, high: number, low: number): bigint;
  tap_frames(tap: number, queue: number, at: number, limit: number): number;
  tap_transmit(tap: number, queue: number, xsk: number): number;
  /** Of a block whose ring writes frame records and nothing else. */
  tap_stage(tap: number, fd: number, frames: number, count: number): number;
  /** Completions in the lower half, failures in the upper one. */
  tap_staged_done(tap: number): bigint;
}

export function tapPlane(runtime: Runtime): TapPlane {
  return runtime.plane.exports as unknown as TapPlane; // fixed by the plane's sources
}
