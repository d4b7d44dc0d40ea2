// Elements that are drawn from an allocator (hash maps with BPF_F_NO_PREALLOC, storages): one at a time from the map's element allocator. A map keeps
// what it has drawn in a free list of its own, because readers without a lock may stand on an element that was deleted; HASH_UNUSED counts what it has.
import { allocator_alloc, allocator_create, allocator_free } from '../slab/allocator';
import { allocator_free_later } from '../slab/epoch';
import { word_lock, word_unlock } from '../locks/word';
import { carry, carry_nothing } from '../locks/held';
import { cpu_count, this_cpu } from './header';
import { first_of } from './chain';
import { map_by_id, map_destroy } from './registry';
import { has_fields, has_timers, value_release } from './value';
import { HASH } from './types';
import { WORKER } from '../worker';
import { ENOMEM } from '../errno';
import { MAP_ELEM_ALLOCATOR, MAP_ID, MAP_RECORD, MAP_TYPE } from '../../layout/map';
import {
  HASH_BUCKETS,
  HASH_CAPACITY,
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_NEXT,
  HASH_ELEMENT_SIZE,
  HASH_EXTRAS,
  HASH_EXTRA_STRIDE,
  HASH_FREE,
  HASH_GIVEN,
  HASH_TRIMMED,
  HASH_TRIMS,
  HASH_UNUSED,
  HASH_VALUE_OFFSET,
} from '../../layout/map-hash';
import { ROOT, ROOT_ELEMENT_ALLOCATOR } from '../../layout/memory';
import { WORKER_EPOCH_DEPTH, WORKER_RECLAIMED, WORKER_TRIM } from '../../layout/worker';

/** Free elements that a map may keep however few are in use. */
const KEPT_FREE: u32 = 64;
/** What it may keep else, as a part of what is in use, and how much it may give before it is looked at, as a part of what it has: an eighth. Together at most 1.31 of what is in use. */
const KEPT_SHIFT: u32 = 3;

// @ts-ignore: decorator
@inline
export function draws_elements(map: usize): bool {
  return load<u32>(map, MAP_ELEM_ALLOCATOR) != 0;
}

/** The allocator of elements of all maps that name none, made at its first use; 0 without memory. */
export function element_allocator_common(): usize {
  const there = atomic.load<u32>(ROOT + ROOT_ELEMENT_ALLOCATOR);
  if (there != 0) return there;
  const made = allocator_create(0, 0);
  if (made >= <usize>-4095) return 0;
  const before = atomic.cmpxchg<u32>(ROOT + ROOT_ELEMENT_ALLOCATOR, 0, <u32>made);
  return before == 0 ? made : before;
}

/** A new element, which the caller counts in HASH_UNUSED; 0: the quota or the memory does not allow it. */
export function element_draw(map: usize): usize {
  const element = allocator_alloc(load<u32>(map, MAP_ELEM_ALLOCATOR), load<u32>(map, HASH_ELEMENT_SIZE), 0);
  if (element == 0) return 0;
  store<u64>(element, 0, HASH_ELEMENT_NEXT);
  if (has_fields(map)) {
    const offset = load<u32>(map, HASH_VALUE_OFFSET);
    memory.fill(element + offset, 0, load<u32>(map, HASH_ELEMENT_SIZE) - offset);
  }
  return element;
}

/** An element went into the free list: has the map looked at once the run has ended, where many have. */
// @ts-ignore: decorator
@inline
export function element_given(map: usize): void {
  const given = load<u32>(map, HASH_GIVEN) + 1;
  store<u32>(map, given, HASH_GIVEN);
  if (given > KEPT_FREE && given > load<u32>(map, HASH_UNUSED) >> KEPT_SHIFT) store<u32>(WORKER, load<u32>(map, MAP_ID), WORKER_TRIM);
}

/** Free list of a CPU. */
// @ts-ignore: decorator
@inline
function free_list(map: usize, cpu: u32): usize {
  return load<u32>(map, HASH_FREE) + cpu * HASH_EXTRA_STRIDE;
}

/** A free element, which the CPU has in hand then: off its own list, else off another's; 0 if all are empty. */
export function element_pop(map: usize): usize {
  const own = this_cpu();
  const element = list_pop(map, free_list(map, own));
  return element != 0 || cpu_count() == 1 ? element : element_steal(map, own);
}

function element_steal(map: usize, own: u32): usize {
  const cpus = cpu_count();
  for (let cpu = own + 1; cpu < own + cpus; cpu++) {
    const element = list_pop(map, free_list(map, cpu < cpus ? cpu : cpu - cpus));
    if (element != 0) return element;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function list_pop(map: usize, list: usize): usize {
  while (true) {
    const free = atomic.load<u64>(list);
    const element = <usize>(<u32>free);
    if (element == 0) return 0;
    const rest = (((free >> 32) + 1) << 32) | load<u32>(element, HASH_ELEMENT_HASH);
    if (atomic.cmpxchg<u64>(list, free, rest) == free) {
      carry(map, element);
      return element;
    }
  }
}

/** Puts an element on this CPU's free list; its next word stays, for readers that still stand on it. */
export function element_push(map: usize, element: usize): void {
  const list = free_list(map, this_cpu());
  while (true) {
    const free = atomic.load<u64>(list);
    store<u32>(element, <u32>free, HASH_ELEMENT_HASH);
    if (atomic.cmpxchg<u64>(list, free, (((free >> 32) + 1) << 32) | element) == free) {
      carry_nothing();
      return;
    }
  }
}

/** How often the free lists have changed; ~0 if there is an element in one of them. */
function free_changes(map: usize): u64 {
  const cpus = cpu_count();
  let changes: u64 = 0;
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const free = atomic.load<u64>(free_list(map, cpu));
    if (<u32>free != 0) return u64.MAX_VALUE;
    changes += free >> 32;
  }
  return changes;
}

/**
 * Whether the map has no element left: none in a free list, and as many drawn or begun as it may have. Waits while another CPU has the free list in its hands. Exact: there
 * was a moment at which all of them were in use.
 */
export function elements_exhausted(map: usize): bool {
  while (true) {
    const changes = free_changes(map);
    if (changes == u64.MAX_VALUE || atomic.load<u32>(map, HASH_UNUSED) < load<u32>(map, HASH_CAPACITY)) return false;
    if (atomic.load<u32>(map, HASH_TRIMS) != 0) {
      word_lock(map + HASH_TRIMS);
      word_unlock(map + HASH_TRIMS);
    } else if (free_changes(map) == changes) {
      // Whatever had been taken or given meanwhile would have counted up.
      return true;
    }
  }
}

/**
 * After a call from control code on this worker, once it is in no run: what the map that was noted has in its free list beyond KEPT_FREE and an eighth of what is in use goes
 * back to its allocator, as soon as no other CPU can stand on it.
 */
export function elements_trim(): void {
  const id = load<u32>(WORKER, WORKER_TRIM);
  if (id == 0 || load<u32>(WORKER, WORKER_EPOCH_DEPTH) != 0) return;
  store<u32>(WORKER, 0, WORKER_TRIM);
  const map = map_by_id(id);
  if (map == 0) return;
  store<u32>(map, 0, HASH_GIVEN);
  if (cpu_count() == 1) trim_alone(map);
  // A program of another CPU may still put something into an element of values that own: it stays, to be looked at once more.
  else if (load<u32>(map, MAP_RECORD) == 0 && !has_timers(map)) trim_shared(map);
  map_destroy(map);
}

/** How much of `free` elements a map keeps. */
function kept_of(map: usize, free: u32): u32 {
  return max<u32>(KEPT_FREE, (load<u32>(map, HASH_UNUSED) - free) >> KEPT_SHIFT);
}

/** With one CPU nobody is at the list: what is kept stays in place. */
function trim_alone(map: usize): void {
  const first = <usize>(<u32>load<u64>(free_list(map, 0)));
  let free: u32 = 0;
  for (let element = first; element != 0; element = load<u32>(element, HASH_ELEMENT_HASH)) free++;
  const kept = kept_of(map, free);
  if (free <= kept) return;
  let last = first;
  for (let i: u32 = 1; i < kept; i++) last = load<u32>(last, HASH_ELEMENT_HASH);
  const offset = load<u32>(map, HASH_VALUE_OFFSET);
  let element = <usize>load<u32>(last, HASH_ELEMENT_HASH);
  store<u32>(last, 0, HASH_ELEMENT_HASH);
  store<u32>(map, load<u32>(map, HASH_UNUSED) - (free - kept), HASH_UNUSED);
  while (element != 0) {
    const next = <usize>load<u32>(element, HASH_ELEMENT_HASH);
    value_release(map, element + offset);
    allocator_free(element);
    element = next;
  }
}

/** Others may take and give meanwhile: all go through this CPU's hands, and what is kept goes back. */
function trim_shared(map: usize): void {
  word_lock(map + HASH_TRIMS);
  let free: u32 = 0;
  for (let element = element_pop(map); element != 0; element = element_pop(map)) {
    store<u32>(element, load<u32>(map, HASH_TRIMMED), HASH_ELEMENT_HASH);
    store<u32>(map, <u32>element, HASH_TRIMMED);
    carry_nothing();
    free++;
  }
  trimmed_give(map, kept_of(map, free));
  word_unlock(map + HASH_TRIMS);
}

/** What is in the hands of who holds HASH_TRIMS goes back to the free list, up to `kept` elements, and else to the allocator. */
export function trimmed_give(map: usize, kept: u32): void {
  for (let element = <usize>load<u32>(map, HASH_TRIMMED); element != 0; element = load<u32>(map, HASH_TRIMMED)) {
    carry(map, element);
    store<u32>(map, load<u32>(element, HASH_ELEMENT_HASH), HASH_TRIMMED);
    if (kept != 0) {
      element_push(map, element);
      kept--;
      continue;
    }
    store<u32>(WORKER, <u32>element, WORKER_RECLAIMED);
    carry_nothing();
    atomic.sub<u32>(map, 1, HASH_UNUSED);
    allocator_free_later(element);
    store<u32>(WORKER, 0, WORKER_RECLAIMED);
  }
}

/**
 * Elements are drawn from `allocator` from now on; those that the map has stay what they are. The spare ones of a new map come from it too: -ENOMEM, and nothing has
 * changed, if it has none.
 */
export function elements_draw_from(map: usize, allocator: usize): i32 {
  const before = load<u32>(map, MAP_ELEM_ALLOCATOR);
  store<u32>(map, <u32>allocator, MAP_ELEM_ALLOCATOR);
  if (load<u32>(map, MAP_TYPE) != HASH) return 0;
  const cpus = cpu_count();
  const extras = load<u32>(map, HASH_EXTRAS);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const element = element_draw(map);
    if (element == 0) {
      store<u32>(map, before, MAP_ELEM_ALLOCATOR);
      return <i32>ENOMEM;
    }
    const spare = load<u32>(extras + cpu * HASH_EXTRA_STRIDE);
    store<u32>(extras + cpu * HASH_EXTRA_STRIDE, <u32>element);
    allocator_free(spare);
  }
  return 0;
}

/** Number of elements that went. */
function return_list(map: usize, element: usize, link: usize): u32 {
  let count: u32 = 0;
  while (element != 0) {
    const next = <usize>load<u32>(element + link);
    allocator_free(element);
    element = next;
    count++;
  }
  return count;
}

/** All elements of a map that goes; `spares`: it has one a CPU at HASH_EXTRAS. */
export function elements_release(map: usize, spares: bool): void {
  let left = load<u32>(map, HASH_UNUSED);
  if (spares) {
    const cpus = cpu_count();
    for (let cpu: u32 = 0; cpu < cpus; cpu++) {
      const spare = load<u32>(load<u32>(map, HASH_EXTRAS) + cpu * HASH_EXTRA_STRIDE);
      if (spare == 0) continue;
      allocator_free(spare);
      left--;
    }
  }
  const lists = cpu_count();
  for (let cpu: u32 = 0; cpu < lists; cpu++) left -= return_list(map, <usize>(<u32>load<u64>(free_list(map, cpu))), HASH_ELEMENT_HASH);
  const buckets = <usize>load<u32>(map, HASH_BUCKETS);
  // No bucket is looked at in vain: their memory may never have been touched.
  for (let i: u32 = 0; left != 0; i++) left -= return_list(map, first_of(load<u64>(buckets + (i << 3))), HASH_ELEMENT_NEXT);
}
