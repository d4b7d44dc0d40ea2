/** The plane's functions that only steering calls (plane/assembly/steering/). Numbers are u32; results as u32 come signed. */
import type { Runtime } from '../runtime.ts';

export interface SteeringPlane {
  /** Fills the key's table of a configuration. */
  rss_key_table(configuration: number): void;
  /** Hash of `length` bytes, at most what the key serves. */
  rss_toeplitz(configuration: number, from: number, length: number): number;
  /** XOR of the hashes of `count` inputs of 36 bytes, in turn of 64 that lie 64 bytes apart (a benchmark's). */
  rss_toeplitz36(configuration: number, inputs: number, count: number): number;
  /** u32 hash, u16 report, u16 queue of the packet in [at, end) to `to`. */
  rss_compute(configuration: number, at: number, end: number, to: number): void;
  /** Keeps the flows of so many frames, whose records lie in a row, as sent on the queue. */
  flows_learn(flows: number, frames: number, count: number, queue: number): void;
  /** Steers so many frames, whose records lie in a row. */
  steer_batch(device: number, frames: number, count: number): void;
  /** For engines that do not run programs through the function table: the sk_buff of one frame, and what the program left in it. */
  steer_begin(device: number, frame: number): number;
  steer_end(device: number, frame: number, r0: number): void;
  /** Ends what steer_begin or a faulted batch began. */
  steer_abort(device: number): void;
}

export function steeringPlane(runtime: Runtime): SteeringPlane {
  return runtime.plane.exports as unknown as SteeringPlane; // fixed by the plane's sources
}
