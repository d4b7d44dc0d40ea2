// Depots: what one allocator, or several merged ones, have in common: slabs, caches, quota. Their life, and allocation where the caches have nothing.
import { WORKER } from '../worker';
import { cache_head, cache_open, cache_refill, caches_flush, heads_alloc, heads_free, is_open, own_head, quota_room } from './cache';
import { has_checks, quarantine_empty } from './checks';
import { cpu_resume, cpu_stop } from './epoch';
import { word_lock, word_unlock } from '../locks/word';
import { depot_lock, depot_unlock } from './depot-lock';
import { member_add, member_remove } from './member';
import { meta_alloc, meta_free, meta_trim } from './meta';
import { objects_take, slabs_trim } from './slab';
import {
  ALLOCATOR_DEPOT, ALLOCATOR_ID, ALLOCATOR_MEMBER, ALLOCATOR_NEXT, ALLOCATOR_NEXT_MEMBER, ALLOCATOR_OLD_HEADS, ALLOCATOR_OPEN, ALLOCATOR_REFERENCES, ALLOCATOR_STATE,
  CACHED_CLASSES, CACHE_TOP, DEPOT_CACHED, DEPOT_CLOSED, DEPOT_FLAGS, DEPOT_GROUP, DEPOT_HEADS, DEPOT_MEMBERS, DEPOT_MEMBER_COUNT, DEPOT_MEMBER_TABLE,
  DEPOT_MERGED, DEPOT_NEXT, DEPOT_OBJECT, DEPOT_OPEN, DEPOT_QUOTA, DEPOT_SIZE, DEPOT_SLAB_BYTES,
} from '../../layout/allocator';
import {
  ROOT, ROOT_ALLOCATORS, ROOT_ALLOCATORS_LOCK, ROOT_CLOSINGS, ROOT_CPU_COUNT, ROOT_DEPOTS, ROOT_MEMORY_CHECKS, ROOT_NEXT_ALLOCATOR_ID,
} from '../../layout/memory';
import { WORKER_CPU, WORKER_NO_REFILL } from '../../layout/worker';

/**
 * A new depot; 0: no memory. What lies in caches counts against the quota: on one CPU they are emptied before it says no, with more they stay closed, so that
 * the quota is exact.
 */
export function depot_create(flags: u32, quota: u64, group: u32): usize {
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
  store<u32>(depot, group, DEPOT_GROUP);
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  store<u32>(depot, load<u32>(ROOT, ROOT_DEPOTS), DEPOT_NEXT);
  store<u32>(ROOT, <u32>depot, ROOT_DEPOTS);
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
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
  return object == 0 && gather(depot) ? take_one(depot, number) : object;
}

function take_one(depot: usize, number: u32): usize {
  let object: usize = 0;
  depot_lock(depot);
  if (quota_room(depot, number) != 0) object = object_take(depot, number);
  depot_unlock(depot);
  return object;
}

/** One object from a slab; the caller holds the lock. */
export function object_take(depot: usize, number: u32): usize {
  return objects_take(depot, number, depot + DEPOT_OBJECT, 1) == 0 ? 0 : load<u32>(depot, DEPOT_OBJECT);
}

/** Puts what is free, and lies somewhere else, into the slabs; false: there is nothing. */
export function gather(depot: usize): bool {
  return has_checks() ? quarantine_empty(depot) : has_caches(depot) && flush_own(depot);
}

/** Empties this CPU's caches: what they held may be what quota or memory lacks; false: that cannot help. */
function flush_own(depot: usize): bool {
  const refills = load<u32>(WORKER, WORKER_NO_REFILL) == 0;
  if (!refills && load<u64>(depot, DEPOT_QUOTA) == 0) return false;
  caches_flush(depot, load<u32>(WORKER, WORKER_CPU), false);
  if (!refills) return true;
  depot_lock(depot);
  slabs_trim(depot);
  depot_unlock(depot);
  return true;
}

/** Its caches end, here and on CPUs that are not at work; others do so when they leave. */
export function depot_close(depot: usize): void {
  store<u32>(depot, load<u32>(depot, DEPOT_FLAGS) | DEPOT_CLOSED, DEPOT_FLAGS);
  caches_close(depot);
  if (has_checks()) quarantine_empty(depot);
  depot_lock(depot);
  slabs_trim(depot);
  depot_unlock(depot);
}

function caches_close(depot: usize): void {
  atomic.add<u32>(ROOT + ROOT_CLOSINGS, 1);
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  const own = load<u32>(WORKER, WORKER_CPU);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    if (cpu == own) caches_flush(depot, cpu, true);
    else if (cpu_stop(cpu)) {
      caches_flush(depot, cpu, true);
      cpu_resume(cpu);
    }
  }
}

/** The caller holds the lock of the allocators. */
function unlink(head: usize, next: usize, one: usize): bool {
  let link = head;
  while (load<u32>(link) != <u32>one) {
    if (load<u32>(link) == 0) return false;
    link = <usize>load<u32>(link) + next;
  }
  store<u32>(link, load<u32>(one + next));
  return true;
}

/** Enters an allocator; false: no memory. */
export function depot_enlist(depot: usize, allocator: usize): bool {
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  const fits = (load<u32>(depot, DEPOT_FLAGS) & DEPOT_MERGED) == 0 || member_add(depot, allocator);
  if (fits) {
    const id = load<u32>(ROOT, ROOT_NEXT_ALLOCATOR_ID) + 1;
    store<u32>(ROOT, id, ROOT_NEXT_ALLOCATOR_ID);
    store<u32>(allocator, id, ALLOCATOR_ID);
    store<u32>(allocator, 1, ALLOCATOR_REFERENCES);
    store<u32>(allocator, ALLOCATOR_OPEN, ALLOCATOR_STATE);
    store<u32>(allocator, load<u32>(ROOT, ROOT_ALLOCATORS), ALLOCATOR_NEXT);
    store<u32>(ROOT, <u32>allocator, ROOT_ALLOCATORS);
    depot_adopt(depot, allocator);
    store<u32>(depot, load<u32>(depot, DEPOT_OPEN) + 1, DEPOT_OPEN);
  }
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  return fits;
}

/** Makes an allocator one of the depot's; the caller holds the lock of the allocators. */
export function depot_adopt(depot: usize, allocator: usize): void {
  store<u32>(allocator, <u32>depot, ALLOCATOR_DEPOT);
  store<u32>(allocator, load<u32>(depot, DEPOT_MEMBERS), ALLOCATOR_NEXT_MEMBER);
  store<u32>(depot, <u32>allocator, DEPOT_MEMBERS);
  store<u32>(depot, load<u32>(depot, DEPOT_MEMBER_COUNT) + 1, DEPOT_MEMBER_COUNT);
}

/** Ends an allocator of which nothing is live any more; the caller holds the lock of the allocators, and frees the block. */
export function depot_dismiss(depot: usize, allocator: usize): void {
  unlink(ROOT + ROOT_ALLOCATORS, ALLOCATOR_NEXT, allocator);
  unlink(depot + DEPOT_MEMBERS, ALLOCATOR_NEXT_MEMBER, allocator);
  store<u32>(depot, load<u32>(depot, DEPOT_MEMBER_COUNT) - 1, DEPOT_MEMBER_COUNT);
  if (load<u32>(allocator, ALLOCATOR_MEMBER) != 0) member_remove(depot, allocator);
}

/** If the last object of a closed depot has gone, so does all that stands for it, its allocators as well. */
export function depot_end(depot: usize): void {
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  // Another CPU may have been quicker.
  let at = <usize>load<u32>(ROOT, ROOT_DEPOTS);
  while (at != 0 && at != depot) at = load<u32>(at, DEPOT_NEXT);
  let over = at != 0 && (load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) != 0 && !has_open_caches(depot);
  if (over) {
    // And the lock of who gave the last object back may be held still.
    depot_lock(depot);
    over = load<u64>(depot, DEPOT_SLAB_BYTES) == 0;
    depot_unlock(depot);
  }
  if (!over) {
    word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
    return;
  }
  unlink(ROOT + ROOT_DEPOTS, DEPOT_NEXT, depot);
  for (let member = <usize>load<u32>(depot, DEPOT_MEMBERS); member != 0; member = load<u32>(depot, DEPOT_MEMBERS)) {
    depot_dismiss(depot, member);
    allocator_discard(member);
  }
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  depot_discard(depot);
}

/** Memory of an allocator that is in no list. */
export function allocator_discard(allocator: usize): void {
  const heads = <usize>load<u32>(allocator, ALLOCATOR_OLD_HEADS);
  if (heads != 0) heads_free(heads);
  meta_free(allocator);
}

/** Memory of a depot that is in no list and has no caches. */
export function depot_discard(depot: usize): void {
  const heads = <usize>load<u32>(depot, DEPOT_HEADS);
  const table = <usize>load<u32>(depot, DEPOT_MEMBER_TABLE);
  if (heads != 0) heads_free(heads);
  if (table != 0) meta_free(table);
  meta_free(depot);
  meta_trim();
}

function has_open_caches(depot: usize): bool {
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    if (has_caches_on(depot, cpu)) return true;
  }
  return false;
}

export function has_caches_on(depot: usize, cpu: u32): bool {
  const heads = <usize>load<u32>(depot, DEPOT_HEADS);
  if (heads == 0) return false;
  for (let number: u32 = 0; number < <u32>CACHED_CLASSES; number++) {
    if (is_open(cache_head(heads, cpu, number))) return true;
  }
  return false;
}
