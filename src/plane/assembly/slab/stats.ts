// Numbers of an allocator (layout/allocator.ts, STATS_), exact when no CPU is at work: what is live is what is out of the slabs and neither cached nor waiting, so that
// no allocation counts anything. Where slabs are shared, live objects are counted by their owner.
import { ENOMEM } from '../errno';
import { pages_alloc, pages_free } from '../pages';
import { cache_count, cache_head } from './cache';
import { quarantine_at, quarantine_count } from './checks';
import { class_bytes } from './class';
import { first_entry, heap_mark, heap_mark_pages, is_marked, is_slab, last_entry } from './heap';
import { depot_lock, depot_unlock } from './depot-lock';
import { owner_place } from './member';
import { entry_of } from './piece';
import { class_at } from './slab';
import {
  ALLOCATOR_DEPOT, ALLOCATOR_MEMBER, ALLOCATOR_REFERENCES, ALLOCATOR_STATE, CACHED_CLASSES, CLASS_COUNT, CLASS_OBJECTS, CLASS_OUT, CLASS_SLABS, DEPOT_CHARGED,
  DEPOT_HEADS, DEPOT_MEMBER_COUNT, DEPOT_QUOTA, DEPOT_RESERVATIONS, DEPOT_SLAB_BYTES, LIMBO_COUNT, LIMBO_NEXT, LIMBO_OBJECTS, RESERVATION_ALLOCATOR,
  RESERVATION_CLASS, RESERVATION_COUNT, RESERVATION_NEXT, RESERVATION_OUT, SLAB_CLASS, SLAB_DEPOT, SLAB_ENTRY, SLAB_FRESH, SLAB_OBJECT_SIZE, SLAB_START, STATS_CHARGED,
  STATS_CLASS, STATS_CLASSES, STATS_CLASS_CACHED, STATS_CLASS_FREE, STATS_CLASS_LIVE, STATS_CLASS_SLABS, STATS_LIVE, STATS_LIVE_BYTES, STATS_MEMBERS, STATS_QUOTA,
  STATS_REFERENCES, STATS_RESERVED, STATS_RESERVED_BYTES, STATS_SIZE, STATS_SLAB_BYTES, STATS_STATE, STATS_WAITING, STATS_WAITING_BYTES, WAITS_MASK, WAITS_OBJECT,
} from '../../layout/allocator';
import { ROOT, ROOT_CPU_COUNT, WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_LIMBO_OLDEST } from '../../layout/worker';

// @ts-ignore: decorator
@inline
function add(out: usize, count: u64): void {
  store<u64>(out, load<u64>(out) + count);
}

// @ts-ignore: decorator
@inline
function add32(at: usize, count: i32): void {
  store<i32>(at, load<i32>(at) + count);
}

/** Writes the STATS_SIZE bytes at `out`; 0, or -ENOMEM where memory to count in is missing. */
export function allocator_stats(allocator: usize, out: usize): i32 {
  for (let at = out; at < out + STATS_SIZE; at += 8) store<u64>(at, 0);
  const depot = <usize>load<u32>(allocator, ALLOCATOR_DEPOT);
  store<u32>(out, load<u32>(allocator, ALLOCATOR_STATE), STATS_STATE);
  store<u32>(out, load<u32>(allocator, ALLOCATOR_REFERENCES), STATS_REFERENCES);
  store<u32>(out, load<u32>(depot, DEPOT_MEMBER_COUNT), STATS_MEMBERS);
  depot_lock(depot);
  store<u64>(out, load<u64>(depot, DEPOT_SLAB_BYTES), STATS_SLAB_BYTES);
  store<u64>(out, load<u64>(depot, DEPOT_QUOTA), STATS_QUOTA);
  store<u64>(out, load<u64>(depot, DEPOT_CHARGED), STATS_CHARGED);
  classes(depot, out + STATS_CLASSES);
  reservations(depot, allocator, out);
  depot_unlock(depot);
  kept(depot, out);
  waiting(depot, load<u32>(allocator, ALLOCATOR_MEMBER), out);
  if (load<u32>(allocator, ALLOCATOR_MEMBER) != 0 && !owned(depot, load<u32>(allocator, ALLOCATOR_MEMBER), out)) return <i32>ENOMEM;
  for (let number: u32 = 0; number < <u32>CLASS_COUNT; number++) {
    const live = load<u32>(out + STATS_CLASSES + number * STATS_CLASS, STATS_CLASS_LIVE);
    add(out + STATS_LIVE, live);
    add(out + STATS_LIVE_BYTES, <u64>live * class_bytes(number));
  }
  return 0;
}

function classes(depot: usize, to: usize): void {
  const heads = <usize>load<u32>(depot, DEPOT_HEADS);
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let number: u32 = 0; number < <u32>CLASS_COUNT; number++) {
    const at = class_at(depot, number);
    const row = to + number * STATS_CLASS;
    let cached: u32 = 0;
    if (heads != 0 && number < <u32>CACHED_CLASSES) {
      for (let cpu: u32 = 0; cpu < cpus; cpu++) cached += cache_count(cache_head(heads, cpu, number), number);
    }
    store<u32>(row, load<u32>(at, CLASS_OUT) - cached, STATS_CLASS_LIVE);
    store<u32>(row, cached, STATS_CLASS_CACHED);
    store<u32>(row, load<u32>(at, CLASS_OBJECTS) - load<u32>(at, CLASS_OUT), STATS_CLASS_FREE);
    store<u32>(row, load<u32>(at, CLASS_SLABS), STATS_CLASS_SLABS);
  }
}

function reservations(depot: usize, allocator: usize, out: usize): void {
  for (let at = <usize>load<u32>(depot, DEPOT_RESERVATIONS); at != 0; at = load<u32>(at, RESERVATION_NEXT)) {
    const number = load<u32>(at, RESERVATION_CLASS);
    const row = out + STATS_CLASSES + number * STATS_CLASS;
    add32(row + STATS_CLASS_LIVE, load<i32>(at, RESERVATION_OUT));
    add32(row + STATS_CLASS_FREE, -load<i32>(at, RESERVATION_OUT));
    if (load<u32>(at, RESERVATION_ALLOCATOR) != <u32>allocator) continue;
    add(out + STATS_RESERVED, load<u32>(at, RESERVATION_COUNT));
    add(out + STATS_RESERVED_BYTES, <u64>load<u32>(at, RESERVATION_COUNT) * class_bytes(number));
  }
}

/** What checks keep from use is free. */
function kept(depot: usize, out: usize): void {
  for (let i: u32 = 0; i < quarantine_count(); i++) {
    const first = entry_of(quarantine_at(i));
    if (<usize>load<u32>(first, SLAB_DEPOT) != depot) continue;
    const row = out + STATS_CLASSES + <u32>load<u8>(entry_of(load<u32>(first, SLAB_START)), SLAB_CLASS) * STATS_CLASS;
    add32(row + STATS_CLASS_LIVE, -1);
    add32(row + STATS_CLASS_CACHED, 1);
  }
}

/** What was freed and waits for the epoch is not live. */
function waiting(depot: usize, member: u32, out: usize): void {
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    let chunk = <usize>load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE, WORKER_LIMBO_OLDEST);
    for (; chunk != 0; chunk = load<u32>(chunk, LIMBO_NEXT)) {
      for (let i: u32 = 0; i < load<u32>(chunk, LIMBO_COUNT); i++) {
        const object = <usize>load<u32>(chunk + (<usize>i << 2), LIMBO_OBJECTS);
        if ((object & WAITS_MASK) != WAITS_OBJECT) continue;
        const first = entry_of(object);
        if (<usize>load<u32>(first, SLAB_DEPOT) != depot) continue;
        const number = load<u8>(entry_of(load<u32>(first, SLAB_START)), SLAB_CLASS);
        add32(out + STATS_CLASSES + number * STATS_CLASS + STATS_CLASS_LIVE, -1);
        const owner = owner_place(object);
        if (owner != 0 && load<u16>(owner) != member) continue;
        add(out + STATS_WAITING, 1);
        add(out + STATS_WAITING_BYTES, load<u32>(first, SLAB_OBJECT_SIZE));
      }
    }
  }
}

/** Live objects of one of the allocators that share a depot, in place of those of all. */
function owned(depot: usize, member: u32, out: usize): bool {
  for (let number: usize = 0; number < <usize>CLASS_COUNT; number++) store<u32>(out + STATS_CLASSES + number * STATS_CLASS, 0, STATS_CLASS_LIVE);
  const pages = heap_mark_pages();
  const bits = pages_alloc(pages);
  if (bits == 0) return false;
  heap_mark(depot, bits, false);
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, depot)) continue;
    const size = load<u32>(entry, SLAB_OBJECT_SIZE);
    const row = out + STATS_CLASSES + <u32>load<u8>(entry, SLAB_CLASS) * STATS_CLASS;
    for (let at = <usize>load<u32>(entry, SLAB_START); at < <usize>load<u32>(entry, SLAB_FRESH); at += size) {
      if (is_marked(bits, at) && load<u16>(owner_place(at)) == member) add32(row + STATS_CLASS_LIVE, 1);
    }
  }
  pages_free(bits, pages);
  return true;
}
