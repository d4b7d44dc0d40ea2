// plane/assembly/slab/: memory for objects of programs and elements of maps: size classes, slabs with a side table, caches, epochs.
//
// This file: allocators, as maps, programs and control code hold them. Objects have no header: the side table says for an address whose it is.
import { EINVAL, ENOMEM } from '../errno';
import { WORKER } from '../worker';
import { cache_open, cache_trim, is_open, own_head } from './cache';
import { class_bytes, class_of } from './class';
import { depot_close, depot_create, depot_settle, depot_take } from './depot';
import { memory_fault } from './fault';
import { lock, unlock } from './lock';
import { meta_alloc, meta_free } from './meta';
import { is_free } from './free-objects';
import { entry_of } from './piece';
import { free_key, object_put } from './slab';
import {
  ALLOCATION_MAX, ALLOCATOR_CACHES, ALLOCATOR_DEPOT, ALLOCATOR_DRAINING, ALLOCATOR_FLAGS, ALLOCATOR_GROUP, ALLOCATOR_ID, ALLOCATOR_MEMBER, ALLOCATOR_NEXT,
  ALLOCATOR_NEXT_MEMBER, ALLOCATOR_OPEN, ALLOCATOR_QUOTA, ALLOCATOR_REFERENCES, ALLOCATOR_SIZE, ALLOCATOR_STATE, CACHED_CLASSES, CACHE_HEAD, CACHE_LIMIT, CACHE_TOP,
  CLASS_COUNT, DEPOT_CACHED, DEPOT_CLOSED, DEPOT_FLAGS, DEPOT_HEADS, DEPOT_LOCK, DEPOT_MEMBERS, DEPOT_MEMBER_COUNT, DEPOT_SLAB_BYTES, MEMORY_FAULT_DOUBLE_FREE, MEMORY_FAULT_NO_OBJECT,
  OBJECT_KEY, SLAB_CACHE, SLAB_CLASS, SLAB_DEPOT, SLAB_OBJECT_SIZE, SLAB_START,
} from '../../layout/allocator';
import {
  ROOT, ROOT_ALLOCATORS, ROOT_ALLOCATORS_LOCK, ROOT_GLOBAL_ALLOCATOR, ROOT_NEXT_ALLOCATOR_ID, WORKERS,
} from '../../layout/memory';
import { WORKER_NO_CACHE } from '../../layout/worker';

/** Address of a new allocator with one reference, -ENOMEM without memory. Its quota is in bytes, 0: none. */
export function allocator_create(quota_low: u32, quota_high: u32): usize {
  const quota = (<u64>quota_high << 32) | quota_low;
  const depot = depot_create(0, quota);
  if (depot == 0) return <usize>ENOMEM;
  const allocator = meta_alloc(ALLOCATOR_SIZE);
  if (allocator == 0) {
    depot_close(depot);
    depot_settle(depot);
    return <usize>ENOMEM;
  }
  if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_CACHED) != 0) store<u32>(allocator, load<u32>(depot, DEPOT_HEADS) - WORKERS, ALLOCATOR_CACHES);
  store<u64>(allocator, quota, ALLOCATOR_QUOTA);
  allocator_enlist(allocator, depot);
  return allocator;
}

function allocator_enlist(allocator: usize, depot: usize): void {
  store<u32>(allocator, 1, ALLOCATOR_REFERENCES);
  store<u32>(allocator, ALLOCATOR_OPEN, ALLOCATOR_STATE);
  store<u32>(allocator, <u32>depot, ALLOCATOR_DEPOT);
  lock(ROOT + ROOT_ALLOCATORS_LOCK);
  const id = load<u32>(ROOT, ROOT_NEXT_ALLOCATOR_ID) + 1;
  store<u32>(ROOT, id, ROOT_NEXT_ALLOCATOR_ID);
  store<u32>(allocator, id, ALLOCATOR_ID);
  store<u32>(allocator, load<u32>(ROOT, ROOT_ALLOCATORS), ALLOCATOR_NEXT);
  store<u32>(ROOT, <u32>allocator, ROOT_ALLOCATORS);
  store<u32>(allocator, load<u32>(depot, DEPOT_MEMBERS), ALLOCATOR_NEXT_MEMBER);
  store<u32>(depot, <u32>allocator, DEPOT_MEMBERS);
  store<u32>(depot, load<u32>(depot, DEPOT_MEMBER_COUNT) + 1, DEPOT_MEMBER_COUNT);
  unlock(ROOT + ROOT_ALLOCATORS_LOCK);
}

/** The caller holds the lock of the allocators. */
function unlink(head: usize, next: usize, allocator: usize): void {
  let link = head;
  while (load<u32>(link) != <u32>allocator) link = <usize>load<u32>(link) + next;
  store<u32>(link, load<u32>(allocator + next));
}

/** The allocator that is always there, made at its first use; 0 without memory. */
export function allocator_global(): usize {
  const there = atomic.load<u32>(ROOT + ROOT_GLOBAL_ALLOCATOR);
  if (there != 0) return there;
  const made = allocator_create(0, 0);
  if (made >= <usize>-4095) return 0;
  const before = atomic.cmpxchg<u32>(ROOT + ROOT_GLOBAL_ALLOCATOR, 0, <u32>made);
  if (before == 0) return made;
  allocator_release(made);
  return before;
}

/** One more of the maps, programs and handles that keep it open. */
export function allocator_hold(allocator: usize): void {
  atomic.add<u32>(allocator, 1, ALLOCATOR_REFERENCES);
}

/** Drops a reference. After the last one nothing is allocated, what is live stays, and with the last object the allocator goes: at once if there is none. */
export function allocator_release(allocator: usize): void {
  if (atomic.sub<u32>(allocator, 1, ALLOCATOR_REFERENCES) != 1) return;
  store<u32>(allocator, ALLOCATOR_DRAINING, ALLOCATOR_STATE);
  const depot = <usize>load<u32>(allocator, ALLOCATOR_DEPOT);
  depot_close(depot);
  depot_end(depot);
}

/** If the last object of a closed depot has gone, so does all that stands for it. */
function depot_end(depot: usize): void {
  lock(ROOT + ROOT_ALLOCATORS_LOCK);
  lock(depot + DEPOT_LOCK);
  const over = load<u64>(depot, DEPOT_SLAB_BYTES) == 0;
  unlock(depot + DEPOT_LOCK);
  let member = over ? <usize>load<u32>(depot, DEPOT_MEMBERS) : 0;
  while (member != 0) {
    const next = <usize>load<u32>(member, ALLOCATOR_NEXT_MEMBER);
    unlink(ROOT + ROOT_ALLOCATORS, ALLOCATOR_NEXT, member);
    meta_free(member);
    member = next;
  }
  if (over) {
    store<u32>(depot, 0, DEPOT_MEMBERS);
    store<u32>(depot, 0, DEPOT_MEMBER_COUNT);
  }
  unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  if (over) depot_settle(depot);
}

/** Number of the class for a size in bytes, -EINVAL if there is none. */
export function allocator_class(size: u32): i32 {
  return size > <u32>ALLOCATION_MAX ? <i32>EINVAL : <i32>class_of(size);
}

/** Bytes that an allocation of a size takes and counts against a quota, 0 if there is no such class. */
export function allocator_rounded(size: u32): u32 {
  return size > <u32>ALLOCATION_MAX ? 0 : class_bytes(class_of(size));
}

/**
 * Address of at least `size` bytes, aligned to 16 (their content is what was there, the first 8 bytes apart), 0: the quota or the memory does not allow it, or it is more
 * than ALLOCATION_MAX. @param holder who asks, for reservations; 0: nobody.
 */
export function allocator_alloc(allocator: usize, size: u32, holder: u32): usize {
  const number = class_of(size);
  const caches = <usize>load<u32>(allocator, ALLOCATOR_CACHES);
  if (number < <u32>CACHED_CLASSES && caches != 0) {
    const head = WORKER + caches + number * CACHE_HEAD;
    const top = <usize>load<u32>(head, CACHE_TOP);
    const object = <usize>load<u32>(top);
    if (object != 0) {
      store<u32>(head, <u32>(top - 4), CACHE_TOP);
      store<u32>(object, 0, OBJECT_KEY);
      return object;
    }
  }
  return alloc_slow(allocator, number, holder);
}

function alloc_slow(allocator: usize, number: u32, holder: u32): usize {
  if (number >= <u32>CLASS_COUNT) return 0;
  const object = depot_take(load<u32>(allocator, ALLOCATOR_DEPOT), number);
  if (object == 0) return 0;
  store<u32>(object, 0, OBJECT_KEY);
  return object;
}

/** The allocator of an object, 0 for what is none. */
export function allocator_of(object: usize): usize {
  const depot = <usize>load<u32>(entry_of(object), SLAB_DEPOT);
  return depot == 0 ? 0 : load<u32>(depot, DEPOT_MEMBERS);
}

/** Gives an object back, reusable at once. What is no object, or free already, ends the run. */
export function allocator_free(object: usize): void {
  const head = WORKER + <usize>load<u32>(entry_of(object), SLAB_CACHE);
  const top = <usize>load<u32>(head, WORKER_NO_CACHE + CACHE_TOP);
  const key = free_key();
  if (top == <usize>load<u32>(head, WORKER_NO_CACHE + CACHE_LIMIT) || load<u32>(object, OBJECT_KEY) == key) {
    free_slow(object);
    return;
  }
  store<u32>(top, <u32>object, 4);
  store<u32>(object, key, OBJECT_KEY);
  store<u32>(head, <u32>(top + 4), WORKER_NO_CACHE + CACHE_TOP);
}

function free_slow(object: usize): void {
  const entry = entry_of(object);
  const depot = <usize>load<u32>(entry, SLAB_DEPOT);
  if (depot == 0 || (<u32>object - load<u32>(entry, SLAB_START)) % load<u32>(entry, SLAB_OBJECT_SIZE) != 0) memory_fault(MEMORY_FAULT_NO_OBJECT, object);
  const key = free_key();
  if (load<u32>(object, OBJECT_KEY) == key && is_free(object)) memory_fault(MEMORY_FAULT_DOUBLE_FREE, object);
  store<u32>(object, key, OBJECT_KEY);
  if (load<u32>(entry, SLAB_CACHE) != 0) {
    const number = <u32>load<u8>(entry_of(load<u32>(entry, SLAB_START)), SLAB_CLASS);
    const head = own_head(depot, number);
    if (is_open(head) ? load<u32>(head, CACHE_TOP) == load<u32>(head, CACHE_LIMIT) : false) cache_trim(head, number);
    if (is_open(head) || ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) == 0 && cache_open(head, number))) {
      const top = load<u32>(head, CACHE_TOP) + 4;
      store<u32>(top, <u32>object);
      store<u32>(head, top, CACHE_TOP);
      return;
    }
  }
  lock(depot + DEPOT_LOCK);
  object_put(depot, object);
  unlock(depot + DEPOT_LOCK);
  if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) != 0) depot_end(depot);
}
