// plane/assembly/slab/: memory for objects of programs and elements of maps: size classes, slabs with a side table, caches, epochs.
//
// This file: allocators. A slab is a whole page of one (allocator, class); the side table says for an address whose it is, so that objects need no header.
import { ENOMEM } from '../errno';
import { pages_alloc } from '../pages';
import { spin_lock, spin_unlock } from '../maps/link';
import {
  ALLOCATOR_FREE,
  ALLOCATOR_ID,
  ALLOCATOR_LIVE,
  ALLOCATOR_LIVE_BYTES,
  ALLOCATOR_QUOTA,
  ALLOCATOR_REFERENCES,
  SLAB_ALLOCATOR,
  SLAB_ENTRY,
  SLAB_OBJECT_SIZE,
  SLAB_SHIFT,
} from '../../layout/allocator';
import {
  ROOT,
  ROOT_ALLOCATORS_LOCK,
  ROOT_GLOBAL_ALLOCATOR,
  ROOT_NEXT_ALLOCATOR_ID,
  SLAB_TABLE,
  WASM_PAGE,
} from '../../layout/memory';

/** Powers of two from 16 on. */
function class_of(size: u32): u32 {
  return size <= 16 ? 0 : 28 - clz<u32>(size - 1);
}

// @ts-ignore: decorator
@inline
function entry_of(address: usize): usize {
  return (SLAB_TABLE as usize) + (address >> SLAB_SHIFT) * SLAB_ENTRY;
}

/** Address of a new allocator with one reference, -ENOMEM without memory. @param quota bytes, 0: none. */
export function allocator_create(quota_low: u32, quota_high: u32): usize {
  const allocator = pages_alloc(1);
  if (allocator == 0) return <usize>ENOMEM;
  store<u32>(allocator, atomic.add<u32>(ROOT + ROOT_NEXT_ALLOCATOR_ID, 1) + 1, ALLOCATOR_ID);
  store<u32>(allocator, 1, ALLOCATOR_REFERENCES);
  store<u64>(allocator, (<u64>quota_high << 32) | quota_low, ALLOCATOR_QUOTA);
  return allocator;
}

/** The allocator that is always there, made at its first use; 0 without memory. */
export function allocator_global(): usize {
  const there = atomic.load<u32>(ROOT + ROOT_GLOBAL_ALLOCATOR);
  if (there != 0) return there;
  const made = allocator_create(0, 0);
  if (made >= <usize>-4095) return 0;
  const before = atomic.cmpxchg<u32>(ROOT + ROOT_GLOBAL_ALLOCATOR, 0, <u32>made);
  return before == 0 ? made : before;
}

/** Address of `size` bytes, aligned to 8 (their content is what was there), 0: the quota or the memory does not allow it. @param holder who asks, for reservations; 0: nobody. */
export function allocator_alloc(allocator: usize, size: u32, holder: u32): usize {
  const number = class_of(size);
  const bytes: u32 = 16 << number;
  const head = allocator + ALLOCATOR_FREE + (number << 2);
  spin_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  const quota = load<u64>(allocator, ALLOCATOR_QUOTA);
  let object: usize = 0;
  if (quota == 0 || load<u64>(allocator, ALLOCATOR_LIVE_BYTES) + bytes <= quota) {
    object = <usize>load<u32>(head);
    if (object == 0) object = refill(allocator, bytes);
    if (object != 0) {
      store<u32>(head, load<u32>(object));
      store<u64>(allocator, load<u64>(allocator, ALLOCATOR_LIVE) + 1, ALLOCATOR_LIVE);
      store<u64>(allocator, load<u64>(allocator, ALLOCATOR_LIVE_BYTES) + bytes, ALLOCATOR_LIVE_BYTES);
    }
  }
  spin_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  return object;
}

/** Cuts a new page into objects; returns the first, linked with the others. */
function refill(allocator: usize, bytes: u32): usize {
  const page = pages_alloc(1);
  if (page == 0) return 0;
  for (let at = page; at < page + WASM_PAGE; at += 1 << SLAB_SHIFT) {
    const entry = entry_of(at);
    store<u32>(entry, <u32>allocator, SLAB_ALLOCATOR);
    store<u32>(entry, bytes, SLAB_OBJECT_SIZE);
  }
  let next: usize = 0;
  for (let at = page + WASM_PAGE - bytes; at >= page; at -= bytes) {
    store<u32>(at, <u32>next);
    next = at;
  }
  return next;
}

/** The allocator of an object, 0 for what is none. */
export function allocator_of(object: usize): usize {
  return load<u32>(entry_of(object), SLAB_ALLOCATOR);
}

/** Gives an object back, reusable at once. */
export function allocator_free(object: usize): void {
  const entry = entry_of(object);
  const allocator = <usize>load<u32>(entry, SLAB_ALLOCATOR);
  const bytes = load<u32>(entry, SLAB_OBJECT_SIZE);
  const head = allocator + ALLOCATOR_FREE + (class_of(bytes) << 2);
  spin_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  store<u32>(object, load<u32>(head));
  store<u32>(head, <u32>object);
  store<u64>(allocator, load<u64>(allocator, ALLOCATOR_LIVE) - 1, ALLOCATOR_LIVE);
  store<u64>(allocator, load<u64>(allocator, ALLOCATOR_LIVE_BYTES) - bytes, ALLOCATOR_LIVE_BYTES);
  spin_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
}
