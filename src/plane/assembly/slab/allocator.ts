// plane/assembly/slab/: memory for objects of programs and elements of maps: size classes, slabs with a side table, caches, epochs.
//
// This file: allocators, as maps, programs and control code hold them. Objects have no header: the side table says for an address whose it is.
import { EINVAL, ENOMEM } from '../errno';
import { WORKER } from '../worker';
import { cache_open, cache_trim, is_open, own_head } from './cache';
import { check_freed, check_taken, has_checks, quarantine_empty } from './checks';
import { class_bytes, class_of } from './class';
import { depot_close, depot_create, depot_end, depot_enlist, depot_take } from './depot';
import { memory_fault } from './fault';
import { is_free } from './free-objects';
import { word_lock, word_unlock } from '../locks/word';
import { depot_lock, depot_unlock } from './depot-lock';
import { member_at, owner_place } from './member';
import { meta_alloc, meta_free } from './meta';
import { entry_of } from './piece';
import { reservation_add, reservation_take, reservations_end } from './reservation';
import { free_key, object_put } from './slab';
import {
  ALLOCATION_MAX, ALLOCATOR_CACHES, ALLOCATOR_DEPOT, ALLOCATOR_DRAINING, ALLOCATOR_FLAGS, ALLOCATOR_GROUP, ALLOCATOR_MEMBER, ALLOCATOR_MERGE, ALLOCATOR_QUOTA,
  ALLOCATOR_REFERENCES, ALLOCATOR_SIZE, ALLOCATOR_STATE, CACHED_CLASSES, CACHE_HEAD, CACHE_LIMIT, CACHE_TOP, CLASS_COUNT, DEPOT_CLOSED, DEPOT_FLAGS, DEPOT_GROUP,
  DEPOT_HEADS, DEPOT_MEMBERS, DEPOT_MERGED, DEPOT_NEXT, DEPOT_OPEN, DEPOT_QUOTA, MEMORY_FAULT_DOUBLE_FREE, MEMORY_FAULT_NO_OBJECT, OBJECT_KEY, SLAB_BYTES,
  SLAB_CACHE, SLAB_CLASS, SLAB_DEPOT, SLAB_OBJECT_SIZE, SLAB_RECIPROCAL, SLAB_START,
} from '../../layout/allocator';
import { ROOT, ROOT_ALLOCATORS_LOCK, ROOT_DEPOTS, ROOT_GLOBAL_ALLOCATOR, WORKERS } from '../../layout/memory';
import { WORKER_NO_CACHE, WORKER_RECLAIMED } from '../../layout/worker';

/** Address of a new allocator with one reference and slabs of its own, -ENOMEM without memory. Its quota is in bytes, 0: none. */
export function allocator_create(quota_low: u32, quota_high: u32): usize {
  return allocator_create_in(quota_low, quota_high, 0, 0);
}

/**
 * With ALLOCATOR_MERGE it shares slabs with the others that have this flag, no quota or the same one, and the same group; a quota is shared by a group, so that an
 * allocator with a quota and group 0 has slabs of its own.
 */
export function allocator_create_in(quota_low: u32, quota_high: u32, flags: u32, group: u32): usize {
  const quota = (<u64>quota_high << 32) | quota_low;
  const merged = (flags & ALLOCATOR_MERGE) != 0 && (quota == 0 || group != 0);
  const allocator = meta_alloc(ALLOCATOR_SIZE);
  if (allocator == 0) return <usize>ENOMEM;
  const there = merged ? depot_of_group(quota, group) : 0;
  const depot = there != 0 ? there : depot_create(merged ? DEPOT_MERGED : 0, quota, group);
  if (depot == 0) {
    meta_free(allocator);
    return <usize>ENOMEM;
  }
  store<u32>(allocator, flags, ALLOCATOR_FLAGS);
  store<u64>(allocator, quota, ALLOCATOR_QUOTA);
  store<u32>(allocator, group, ALLOCATOR_GROUP);
  // Inline code names no owner.
  if (!merged && load<u32>(depot, DEPOT_HEADS) != 0) store<u32>(allocator, load<u32>(depot, DEPOT_HEADS) - WORKERS, ALLOCATOR_CACHES);
  if (depot_enlist(depot, allocator)) return allocator;
  meta_free(allocator);
  if (there == 0) {
    depot_close(depot);
    depot_end(depot);
  }
  return <usize>ENOMEM;
}

/** The open depot of merged allocators with this quota and group, 0: there is none. */
function depot_of_group(quota: u64, group: u32): usize {
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  let depot = <usize>load<u32>(ROOT, ROOT_DEPOTS);
  while (depot != 0) {
    const flags = load<u32>(depot, DEPOT_FLAGS);
    if ((flags & (DEPOT_MERGED | DEPOT_CLOSED)) == DEPOT_MERGED && load<u64>(depot, DEPOT_QUOTA) == quota && load<u32>(depot, DEPOT_GROUP) == group) break;
    depot = load<u32>(depot, DEPOT_NEXT);
  }
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  return depot;
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

/**
 * Drops a reference. After the last one what is live stays, and with the last object the allocator goes: at once if there is none. Of merged ones the slabs stay for the
 * others, and allocators_settle finds those of which nothing is live.
 */
export function allocator_release(allocator: usize): void {
  if (atomic.sub<u32>(allocator, 1, ALLOCATOR_REFERENCES) != 1) return;
  reservations_end(allocator, 0, true);
  store<u32>(allocator, ALLOCATOR_DRAINING, ALLOCATOR_STATE);
  const depot = <usize>load<u32>(allocator, ALLOCATOR_DEPOT);
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  const open = load<u32>(depot, DEPOT_OPEN) - 1;
  store<u32>(depot, open, DEPOT_OPEN);
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  if (open != 0) return;
  depot_close(depot);
  depot_end(depot);
}

/** Sets `count` objects of at least `size` bytes apart for `holder` (a program's number; 0: for all who ask this allocator); 0, or -ENOMEM, -EINVAL and nothing has changed. */
export function allocator_prefill(allocator: usize, size: u32, count: u32, holder: u32): i32 {
  const number = class_of(size);
  if (size == 0 || number >= <u32>CLASS_COUNT) return <i32>EINVAL;
  return reservation_add(allocator, number, count, holder);
}

/** Ends what is set apart for a holder; its live objects stay. */
export function allocator_unreserve(allocator: usize, holder: u32): void {
  reservations_end(allocator, holder, false);
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
 * Address of at least `size` bytes, aligned to 8 (their content is what was there, the first 8 bytes apart), 0: the quota or the memory does not allow it, or it is more
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
  let object = depot_take(load<u32>(allocator, ALLOCATOR_DEPOT), number);
  if (object == 0) object = reservation_take(allocator, number, holder);
  if (object == 0) return 0;
  store<u32>(object, 0, OBJECT_KEY);
  const member = load<u32>(allocator, ALLOCATOR_MEMBER);
  if (member != 0) store<u16>(owner_place(object), <u16>member);
  if (has_checks()) check_taken(object);
  return object;
}

/** The allocator of an object, 0 for what is none. */
export function allocator_of(object: usize): usize {
  const depot = <usize>load<u32>(entry_of(object), SLAB_DEPOT);
  if (depot == 0) return 0;
  const owner = owner_place(object);
  return owner == 0 ? <usize>load<u32>(depot, DEPOT_MEMBERS) : member_at(depot, load<u16>(owner));
}

/** Gives an object back, reusable at once. What is no object, or free already, ends the run. */
export function allocator_free(object: usize): void {
  const entry = entry_of(object);
  const head = WORKER + <usize>load<u32>(entry, SLAB_CACHE);
  const top = <usize>load<u32>(head, WORKER_NO_CACHE + CACHE_TOP);
  const key = free_key();
  const reciprocal = load<u32>(entry, SLAB_RECIPROCAL);
  if (
    top == <usize>load<u32>(head, WORKER_NO_CACHE + CACHE_LIMIT)
    || load<u32>(object, OBJECT_KEY) == key
    || (<u32>object & (SLAB_BYTES - 1)) * reciprocal >= reciprocal
  ) {
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
  if (has_checks()) {
    check_freed(object);
    if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) != 0) {
      quarantine_empty(depot);
      depot_end(depot);
    }
    return;
  }
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
  depot_lock(depot);
  object_put(depot, object);
  // Another CPU may have it once the lock is free: who comes after this one is not to give it back again.
  if (load<u32>(WORKER, WORKER_RECLAIMED) == <u32>object) store<u32>(WORKER, 0, WORKER_RECLAIMED);
  depot_unlock(depot);
  if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) != 0) depot_end(depot);
}
