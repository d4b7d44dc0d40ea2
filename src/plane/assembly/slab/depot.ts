// Depots: what one allocator, or several merged ones, have in common: slabs, caches, quota. Their life, and allocation where the caches have nothing.
import { WORKER } from '../worker';
import { cache_open, cache_refill, caches_flush, heads_alloc, heads_free, is_open, own_head, quota_room } from './cache';
import { lock, unlock } from './lock';
import { meta_alloc, meta_free, meta_trim } from './meta';
import { objects_take, slabs_trim } from './slab';
import {
  CACHED_CLASSES, CACHE_TOP, DEPOT_CACHED, DEPOT_CLOSED, DEPOT_FLAGS, DEPOT_HEADS, DEPOT_LOCK, DEPOT_MEMBER_COUNT, DEPOT_NEXT, DEPOT_OBJECT, DEPOT_QUOTA, DEPOT_SIZE,
  DEPOT_SLAB_BYTES,
} from '../../layout/allocator';
import { ROOT, ROOT_ALLOCATORS_LOCK, ROOT_CPU_COUNT, ROOT_DEPOTS, ROOT_MEMORY_CHECKS } from '../../layout/memory';
import { WORKER_CPU, WORKER_NO_REFILL } from '../../layout/worker';

/**
 * A new depot; 0: no memory. What lies in caches counts against the quota: on one CPU they are emptied before it says no, with more they stay closed, so that
 * the quota is exact.
 */
export function depot_create(flags: u32, quota: u64): usize {
  const depot = meta_alloc(DEPOT_SIZE);
  if (depot == 0) return 0;
  const cached = load<u32>(ROOT, ROOT_MEMORY_CHECKS) == 0 && (quota == 0 || load<u32>(ROOT, ROOT_CPU_COUNT) == 1);
  if (cached) {
    const heads = heads_alloc();
    if (heads == 0) {
      meta_free(depot);
      return 0;
    }
    store<u32>(depot, <u32>heads, DEPOT_HEADS);
  }
  store<u32>(depot, flags | (cached ? DEPOT_CACHED : 0), DEPOT_FLAGS);
  store<u64>(depot, quota, DEPOT_QUOTA);
  lock(ROOT + ROOT_ALLOCATORS_LOCK);
  store<u32>(depot, load<u32>(ROOT, ROOT_DEPOTS), DEPOT_NEXT);
  store<u32>(ROOT, <u32>depot, ROOT_DEPOTS);
  unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  return depot;
}

// @ts-ignore: decorator
@inline
function has_caches(depot: usize): bool {
  return (load<u32>(depot, DEPOT_FLAGS) & (DEPOT_CACHED | DEPOT_CLOSED)) == DEPOT_CACHED;
}

/** An object of a class from the caches or the slabs of a depot; 0: the quota or the memory does not allow it. */
export function depot_take(depot: usize, number: u32): usize {
  if (number < <u32>CACHED_CLASSES && has_caches(depot)) {
    const head = own_head(depot, number);
    if (is_open(head) || cache_open(head, number)) {
      let top = <usize>load<u32>(head, CACHE_TOP);
      let object = <usize>load<u32>(top);
      if (object == 0) {
        if (cache_refill(depot, head, number) == 0 && !(flush_own(depot) && cache_refill(depot, head, number) != 0)) return 0;
        top = load<u32>(head, CACHE_TOP);
        object = load<u32>(top);
      }
      store<u32>(head, <u32>(top - 4), CACHE_TOP);
      return object;
    }
  }
  const object = take_one(depot, number);
  return object == 0 && has_caches(depot) && flush_own(depot) ? take_one(depot, number) : object;
}

function take_one(depot: usize, number: u32): usize {
  let object: usize = 0;
  lock(depot + DEPOT_LOCK);
  if (quota_room(depot, number) != 0) object = object_take(depot, number);
  unlock(depot + DEPOT_LOCK);
  return object;
}

/** One object from a slab; the caller holds the lock. */
export function object_take(depot: usize, number: u32): usize {
  return objects_take(depot, number, depot + DEPOT_OBJECT, 1) == 0 ? 0 : load<u32>(depot, DEPOT_OBJECT);
}

/** Empties this CPU's caches: what they held may be what quota or memory lacks; false: that cannot help. */
function flush_own(depot: usize): bool {
  const refills = load<u32>(WORKER, WORKER_NO_REFILL) == 0;
  if (!refills && load<u64>(depot, DEPOT_QUOTA) == 0) return false;
  caches_flush(depot, load<u32>(WORKER, WORKER_CPU), false);
  if (!refills) return true;
  lock(depot + DEPOT_LOCK);
  slabs_trim(depot);
  unlock(depot + DEPOT_LOCK);
  return true;
}

/** Its caches end. Those of other CPUs do when they next leave an epoch. */
export function depot_close(depot: usize): void {
  store<u32>(depot, load<u32>(depot, DEPOT_FLAGS) | DEPOT_CLOSED, DEPOT_FLAGS);
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  if (cpus == 1) caches_flush(depot, 0, true);
  else caches_flush(depot, load<u32>(WORKER, WORKER_CPU), true);
  lock(depot + DEPOT_LOCK);
  slabs_trim(depot);
  unlock(depot + DEPOT_LOCK);
}

/** Ends a closed depot whose last slab has gone; whether it has. */
export function depot_settle(depot: usize): bool {
  lock(ROOT + ROOT_ALLOCATORS_LOCK);
  let link: usize = ROOT + ROOT_DEPOTS;
  let at = <usize>load<u32>(link);
  while (at != 0 && at != depot) {
    link = at + DEPOT_NEXT;
    at = load<u32>(link);
  }
  const over = at == depot && (load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) != 0 && load<u64>(depot, DEPOT_SLAB_BYTES) == 0
    && load<u32>(depot, DEPOT_MEMBER_COUNT) == 0;
  if (over) store<u32>(link, load<u32>(depot, DEPOT_NEXT));
  unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  if (!over) return false;
  // The lock of who gave the last object back may not be open yet.
  lock(depot + DEPOT_LOCK);
  unlock(depot + DEPOT_LOCK);
  const heads = <usize>load<u32>(depot, DEPOT_HEADS);
  if (heads != 0) heads_free(heads);
  meta_free(depot);
  meta_trim();
  return true;
}
