/** The reader of a CPU's trace ring (plane/layout/printk.ts). */
import { InternalError } from '../errors.ts';
import {
  PRINTK_CONSUMED,
  PRINTK_DATA,
  PRINTK_DATA_SIZE,
  PRINTK_DROPPED,
  PRINTK_PRODUCED,
} from '../plane/layout/printk.ts';
import { WORKER_PRINTK } from '../plane/layout/worker.ts';
import type { PlaneInstance } from './plane.ts';

/** Makes the ring of a CPU and tells its worker block; returns its address. */
export function createPrintkRing(plane: PlaneInstance, worker = plane.worker): number {
  const ring = plane.exports.pages_alloc(1) >>> 0;
  if (ring === 0) throw new InternalError('the linear memory has no room for a trace ring');
  plane.view().setUint32(worker + WORKER_PRINTK, ring, true);
  return ring;
}

/** Takes what is there; one trailing newline of each text is removed, as trace_pipe ends lines itself. */
export function collectPrintk(plane: PlaneInstance, ring: number): { lines: string[]; dropped: number } {
  const view = plane.view();
  const bytes = plane.bytes();
  const decoder = new TextDecoder('utf-8');
  const lines: string[] = [];
  const produced = view.getUint32(ring + PRINTK_PRODUCED, true);
  let at = view.getUint32(ring + PRINTK_CONSUMED, true);
  const data = (position: number) => ring + PRINTK_DATA + (position & (PRINTK_DATA_SIZE - 1));
  while (at !== produced) {
    const length = view.getUint32(data(at), true);
    const text = Uint8Array.from({ length }, (_, i) => bytes[data(at + 4 + i)]!);
    lines.push(decoder.decode(text).replace(/\n$/, ''));
    at = (at + 4 + ((length + 3) & ~3)) >>> 0;
  }
  view.setUint32(ring + PRINTK_CONSUMED, at, true);
  const dropped = view.getUint32(ring + PRINTK_DROPPED, true);
  view.setUint32(ring + PRINTK_DROPPED, 0, true);
  return { lines, dropped };
}
