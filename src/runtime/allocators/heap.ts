/** The heap as it lies in the memory: slabs and which of their objects are live, for reports and pictures. True while no program runs. */
import { InternalError } from '../../errors.ts';
import {
  ALLOCATOR_DEPOT,
  ALLOCATOR_ID,
  DEPOT_MEMBER_TABLE,
  DEPOT_MEMBERS,
  MARK_SHIFT,
  SLAB_BYTES,
  SLAB_DEPOT,
  SLAB_END,
  SLAB_ENTRY,
  SLAB_INDEX_SHIFT,
  SLAB_OBJECT_SIZE,
  SLAB_OWNERS,
  SLAB_PAGES,
  SLAB_RESERVATION,
  SLAB_SHIFT,
  SLAB_START,
} from '../../plane/layout/allocator.ts';
import { HEAP, META_DEPOT, ROOT, ROOT_HEAP_TOP, SLAB_TABLE, WASM_PAGE } from '../../plane/layout/memory.ts';
import type { PlaneInstance } from '../plane.ts';

export interface HeapSlab {
  readonly address: number;
  readonly bytes: number;
  readonly objectSize: number;
  /** Whether its objects are set apart (Allocator.prefill). */
  readonly reserved: boolean;
  /** By object: number of the allocator that it is live for, 0: it is free. */
  readonly live: readonly number[];
}

/** Whether heap_mark has set the bit of the object at `address` among those from `bits` on. */
export function isMarked(view: DataView, bits: number, address: number): boolean {
  return ((view.getUint8(bits + (address >>> (MARK_SHIFT + 3))) >> ((address >>> MARK_SHIFT) & 7)) & 1) !== 0;
}

/** Slabs of one allocator (with merged ones all that they share), or of all, by address. */
export function readHeap(plane: PlaneInstance, allocator?: number): HeapSlab[] {
  const { exports } = plane;
  const pages = exports.heap_mark_pages();
  const bits = exports.pages_alloc(pages) >>> 0;
  if (bits === 0) throw new InternalError('no memory to mark live objects in');
  const depot = allocator === undefined ? 0 : plane.view().getUint32(allocator + ALLOCATOR_DEPOT, true);
  exports.heap_mark(depot, bits, 0);
  const view = plane.view();
  const u32 = (at: number) => view.getUint32(at, true);
  const slabs: HeapSlab[] = [];
  for (let address = HEAP; address < u32(ROOT + ROOT_HEAP_TOP); address += SLAB_BYTES) {
    const entry = SLAB_TABLE + (address >>> SLAB_SHIFT) * SLAB_ENTRY;
    const of = u32(entry + SLAB_DEPOT);
    if (of === 0 || of === META_DEPOT || (depot !== 0 && of !== depot) || u32(entry + SLAB_START) !== address) continue;
    const objectSize = u32(entry + SLAB_OBJECT_SIZE);
    const owners = u32(entry + SLAB_OWNERS);
    const shift = view.getUint8(entry + SLAB_INDEX_SHIFT);
    const alone = owners === 0 ? u32(u32(of + DEPOT_MEMBERS) + ALLOCATOR_ID) : 0;
    const live: number[] = [];
    for (let at = address; at < u32(entry + SLAB_END); at += objectSize) {
      const member = owners === 0 ? 0 : view.getUint16(owners + ((at - address) >> shift) * 2, true);
      live.push(
        !isMarked(view, bits, at)
          ? 0
          : alone !== 0
            ? alone
            : u32(u32(u32(of + DEPOT_MEMBER_TABLE) + member * 4) + ALLOCATOR_ID),
      );
    }
    const whole = u32(entry + SLAB_PAGES);
    slabs.push({
      address,
      bytes: whole === 0 ? SLAB_BYTES : whole * WASM_PAGE,
      objectSize,
      reserved: u32(entry + SLAB_RESERVATION) !== 0,
      live,
    });
  }
  exports.pages_free(bits, pages);
  return slabs;
}
