/** The plane's functions that only this hook calls (plane/assembly/hooks/xdp.ts). */
import type { Runtime } from '../../runtime/runtime.ts';

export interface XdpPlane {
  /** Before and after a run that the plane does not make itself: names the frame; keeps verdict and redirect target in it. */
  xdp_begin(frame: number): void;
  xdp_finish(frame: number, r0: number): void;
  /** Runs over `count` descriptors in a row; verdicts stay in them. */
  xdp_run_batch(entry: number, frames: number, count: number): void;
  /** Runs `count` times over one frame; returns the last r0 as i64. */
  xdp_repeat(entry: number, frame: number, count: number): bigint;
}

export function xdpPlane(runtime: Runtime): XdpPlane {
  return runtime.plane.exports as unknown as XdpPlane; // fixed by the plane's sources
}
