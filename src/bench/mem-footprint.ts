/** How much memory slabs take for what lives in them, once fill() of bpf/bench/mem.bpf.c has run. */
import { ROOT, ROOT_ELEMENT_ALLOCATOR } from '../plane/layout/memory.ts';
import { readStats } from '../runtime/allocators/stats.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { ELEMENTS, LIVE_BYTES } from './mem-cases.ts';

export interface Footprint {
  /** Bytes of slabs over bytes that programs asked for. */
  readonly objects: number;
  readonly elements: number;
}

export function footprint(runtime: Runtime): Footprint {
  const { plane } = runtime;
  const objects = readStats(plane, plane.exports.allocator_global() >>> 0);
  const elements = readStats(plane, runtime.view().getUint32(ROOT + ROOT_ELEMENT_ALLOCATOR, true));
  return {
    objects: objects.slabBytes / LIVE_BYTES,
    elements: elements.slabBytes / (ELEMENTS.count * ELEMENTS.bytes),
  };
}
