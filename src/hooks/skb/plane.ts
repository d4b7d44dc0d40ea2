/** The plane's functions that only these hooks call (plane/assembly/hooks/skb.ts). */
import type { Runtime } from '../../runtime/runtime.ts';

export interface SkbPlane {
  /** Says which frame runs; for engines that do not run programs through the function table. */
  skb_begin(frame: number): void;
  /** Ends what skb_begin or a faulted run began. */
  skb_finish(frame: number, r0: number): void;
  /** Runs `count` times over one frame; returns the last r0 as i64. */
  skb_repeat(entry: number, frame: number, count: number): bigint;
  /** 1 if Linux has room for the link header that a test run puts back, 0 for ENOMEM. */
  skb_room_for_link_header(frame: number): number;
  /** Runs over `count` descriptors in a row; verdicts stay in them. */
  skb_run_batch(entry: number, frames: number, count: number): void;
}

export function skbPlane(runtime: Runtime): SkbPlane {
  return runtime.plane.exports as unknown as SkbPlane; // fixed by the plane's sources
}
