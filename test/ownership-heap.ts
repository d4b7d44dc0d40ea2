/** What lives in the memory of a runtime, found in two ways: from what maps own, and from what the allocator has given out. */
import {
  ALLOCATOR_DEPOT,
  SLAB_DEPOT,
  SLAB_ENTRY_SHIFT,
  SLAB_OBJECT_SIZE,
  SLAB_SHIFT,
  SLAB_START,
} from '../src/plane/layout/allocator.ts';

import { HEAP, ROOT, ROOT_HEAP_TOP, SLAB_TABLE, WASM_PAGE } from '../src/plane/layout/memory.ts';
import { isMarked } from '../src/runtime/allocators/heap.ts';
import { type OwnedObject, reachableObjects } from '../src/runtime/maps/owned.ts';
import type { PlaneInstance } from '../src/runtime/plane.ts';

export interface HeapView {
  /** `id` or `id:references` of all that maps reach, in order. */
  readonly names: readonly string[];
  /** By id, where the object lies. */
  readonly addresses: ReadonlyMap<number, number>;
}

/** Throws where what is reachable is not what is live, or lies in another allocator's slabs. */
export function inspectHeap(plane: PlaneInstance, allocator: number): HeapView {
  const reachable = reachableObjects(plane);
  const live = liveObjects(plane, plane.view().getUint32(allocator + ALLOCATOR_DEPOT, true));
  const lost = [...live].filter((address) => !reachable.has(address));
  if (lost.length > 0)
    throw new Error(`live, but nobody owns it: ${lost.map((each) => describe(plane, each)).join(', ')}`);
  const names: string[] = [];
  const addresses = new Map<number, number>();
  for (const [address, object] of reachable) {
    if (!live.has(address)) throw new Error(`owned, but not live: ${describe(plane, address)}`);
    if (plane.exports.allocator_of(address) >>> 0 !== allocator)
      throw new Error(`in slabs of another allocator: ${describe(plane, address)}`);
    names.push(name(plane, object));
    addresses.set(idOf(plane, address), address);
  }
  if (addresses.size !== reachable.size) throw new Error(`an id twice among ${names.join(', ')}`);
  return { names: names.sort(), addresses };
}

function name(plane: PlaneInstance, { address, references }: OwnedObject): string {
  return `${idOf(plane, address)}${references === undefined ? '' : `:${references}`}`;
}

/** All types of the programs begin with it. */
function idOf(plane: PlaneInstance, address: number): number {
  return Number(plane.view().getBigUint64(address, true));
}

function describe(plane: PlaneInstance, address: number): string {
  return `0x${address.toString(16)} (id ${idOf(plane, address)})`;
}

/** Addresses of the objects of a depot that are neither in its slabs nor in caches nor waiting. */
function liveObjects(plane: PlaneInstance, depot: number): Set<number> {
  const pages = plane.exports.heap_mark_pages();
  const bits = plane.exports.pages_alloc(pages) >>> 0;
  if (bits === 0) throw new Error('no memory for the marks');
  new Uint8Array(plane.memory.buffer, bits, pages * WASM_PAGE).fill(0);
  plane.exports.heap_mark(depot, bits, 0);
  const view = plane.view();
  const found = new Set<number>();
  const top = view.getUint32(ROOT + ROOT_HEAP_TOP, true);
  for (let at = HEAP; at < top; at += 1 << SLAB_SHIFT) {
    const entry = SLAB_TABLE + ((at >>> SLAB_SHIFT) << SLAB_ENTRY_SHIFT);
    if (view.getUint32(entry + SLAB_DEPOT, true) !== depot || view.getUint32(entry + SLAB_START, true) !== at) continue;
    const size = view.getUint32(entry + SLAB_OBJECT_SIZE, true);
    for (let object = at; object + size <= at + (1 << SLAB_SHIFT); object += size)
      if (isMarked(view, bits, object)) found.add(object);
  }
  plane.exports.pages_free(bits, pages);
  return found;
}
