/** The plane's functions that only this hook calls (plane/assembly/hooks/xdp.ts). */
import type { Runtime } from '../../runtime/runtime.ts';

export interface XdpPlane {
  /** Runs over `count` descriptors in a row; verdicts stay in them. */
  xdp_run_batch(entry: number, frames: number, count: number): void;
  /** Runs `count` times over one frame; returns the last r0 as i64. */
  xdp_repeat(entry: number, frame: number, count: number): bigint;
}

export function xdpPlane(runtime: Runtime): XdpPlane {
  return runtime.plane.exports as unknown as XdpPlane; // fixed by the plane's sources
}
