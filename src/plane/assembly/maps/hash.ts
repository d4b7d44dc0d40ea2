// Hash map. Facts on behaviour: kernel/bpf/hashtab.c. Elements stand in a row of max_entries, whose memory is first touched when it is first used;
// with BPF_F_NO_PREALLOC they are drawn from an allocator (element.ts), so that a map may have room for more than the memory could hold.
import {
  bucket_insert,
  bucket_lock,
  bucket_of,
  bucket_replace,
  bucket_unlock,
  chain_next_key,
  chain_take,
  element_behind,
  find,
  find_16,
  find_4,
  find_8,
  find_before,
  first_of,
  has_changed,
  hash_of,
  next_of,
} from './chain';
import { carry } from '../locks/held';
import { key_copy } from './key';
import { pages_free } from '../pages';
import {
  draws_elements,
  element_allocator_common,
  element_draw,
  element_given,
  element_pop,
  element_push,
  elements_exhausted,
  elements_release,
} from './element';
import { access_flags_ok, copy_bytes, cpu_count, header_allocate, round_up_8, this_cpu } from './header';
import { has_spin_lock, value_copy_locked, value_init, value_release } from './value';
import { round_up_line } from './percpu-value';
import { WORKER } from '../worker';
import { HASH, PERCPU_HASH } from './types';
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_EXIST,
  BPF_F_LOCK,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  BPF_NOEXIST,
  KMALLOC_MAX_SIZE,
  MAP_CPU_STRIDE,
  MAP_ELEM_ALLOCATOR,
  MAP_HEADER_SIZE,
  MAP_KEY_SIZE,
  MAP_PAGES,
  MAP_PAGE_COUNT,
  MAP_VALUES,
} from '../../layout/map';
import { CARRIES_COUNT } from '../../layout/locks';
import {
  HASH_BUCKETS,
  HASH_CAPACITY,
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_KEY,
  HASH_ELEMENT_SIZE,
  HASH_EXTRAS,
  HASH_EXTRA_STRIDE,
  HASH_FREE,
  HASH_MASK,
  HASH_SEED,
  HASH_UNUSED,
  HASH_VALUE_OFFSET,
} from '../../layout/map-hash';
import { WORKER_STACK_TOP } from '../../layout/worker';

// Size of struct htab_elem, which counts in Linux's bound of key and value.
const KERNEL_ELEMENT_SIZE: u64 = 48;

/** Most memory of a map whose elements keep the values of CPUs in lines of their own: hot counters are few, and tables of flows would grow by their eightfold. */
const MOST_APART: u64 = 0x40_0000;

/** 0, or the negated errno with which Linux refuses such flags of a hash map; `allowed` are those of the type besides the common ones. */
export function hash_check_flags(flags: u32, allowed: u32): i32 {
  const access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  const known = allowed | BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | access;
  return (flags & ~known) != 0 || !access_flags_ok(flags) ? <i32>EINVAL : 0;
}

/** 0, or the negated errno with which Linux refuses such sizes. */
export function hash_check_sizes(key_size: u32, value_size: u32, max_entries: u32): i32 {
  if (max_entries == 0 || key_size == 0 || value_size == 0) return <i32>EINVAL;
  if (<u64>key_size + value_size >= KMALLOC_MAX_SIZE - KERNEL_ELEMENT_SIZE) return <i32>E2BIG;
  // The number of buckets times the size of a kernel bucket (16) must fit 32 bits.
  if (max_entries > 0x800_0000) return <i32>E2BIG;
  return 0;
}

/** Smallest power of two that is not below `count` (at most 2^31). */
export function bucket_count(count: u32): u32 {
  return count <= 1 ? 1 : <u32>1 << (32 - clz<u32>(count - 1));
}

/**
 * Storage of a hash map: buckets, free lists, `extras` bytes of the type's own, then `capacity` elements whose key lies at `key_offset` and that
 * have `copies` values, one or one a CPU. Capacity 0: there is no bound, and all elements are drawn.
 */
export function hash_allocate(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
  key_offset: u32,
  extras: u32,
  capacity: u32,
  copies: u32,
): usize {
  const buckets = bucket_count(max_entries);
  let value_offset = key_offset + round_up_8(key_size);
  let cpu_stride = round_up_8(value_size);
  // Values of CPUs in cache lines of their own, and none beside the key, which all read.
  const apart = round_up_line(value_offset) + <u64>round_up_line(cpu_stride) * copies;
  if (copies != 1 && capacity != 0 && apart * capacity <= MOST_APART) {
    value_offset = round_up_line(value_offset);
    cpu_stride = round_up_line(cpu_stride);
  }
  const element_size = value_offset + cpu_stride * copies;
  const lists = cpu_count() * HASH_EXTRA_STRIDE;
  const before = ((<u64>buckets * 8 + 63) & ~63) + lists + extras;
  const plain = type == HASH || type == PERCPU_HASH;
  const draws = (plain && (flags & BPF_F_NO_PREALLOC) != 0) || capacity == 0;
  const allocator = draws ? element_allocator_common() : 0;
  if (draws && allocator == 0) return 0;
  const elements = draws ? 0 : <u64>element_size * capacity;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, before + elements);
  if (map == 0) return 0;
  const body = map + MAP_HEADER_SIZE;
  store<u32>(map, <u32>body, HASH_BUCKETS);
  store<u32>(map, buckets - 1, HASH_MASK);
  store<u64>(map, flags & BPF_F_ZERO_SEED ? 0 : seed, HASH_SEED);
  store<u32>(map, element_size, HASH_ELEMENT_SIZE);
  store<u32>(map, value_offset, HASH_VALUE_OFFSET);
  store<u32>(map, <u32>(body + before - extras - lists), HASH_FREE);
  store<u32>(map, <u32>(body + before - extras), HASH_EXTRAS);
  store<u32>(map, <u32>(body + before), MAP_VALUES);
  store<u32>(map, capacity, HASH_CAPACITY);
  store<u32>(map, cpu_stride, MAP_CPU_STRIDE);
  store<u32>(map, <u32>allocator, MAP_ELEM_ALLOCATOR);
  return map;
}

export function hash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
): usize {
  let refused = hash_check_flags(flags, 0);
  if (refused == 0) refused = hash_check_sizes(key_size, value_size, max_entries);
  if (refused != 0) return <usize>refused;
  const cpus = cpu_count();
  // One element a CPU more than the capacity: what an update of an existing key writes while the old element is still read.
  const extras = cpus * HASH_EXTRA_STRIDE;
  const map = hash_allocate(
    type,
    key_size,
    value_size,
    max_entries,
    flags,
    seed,
    HASH_ELEMENT_KEY,
    extras,
    max_entries + cpus,
    1,
  );
  if (map == 0) return <usize>ENOMEM;
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const spare = draws_elements(map) ? element_draw(map) : element_at(map, cpu);
    if (spare == 0) {
      elements_release(map, true);
      pages_free(load<u32>(map, MAP_PAGES), load<u32>(map, MAP_PAGE_COUNT));
      return <usize>ENOMEM;
    }
    store<u32>(load<u32>(map, HASH_EXTRAS) + cpu * HASH_EXTRA_STRIDE, <u32>spare);
    store<u32>(map, cpu + 1, HASH_UNUSED);
  }
  return map;
}

// @ts-ignore: decorator
@inline
function element_at(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * load<u32>(map, HASH_ELEMENT_SIZE);
}

/** Why hash_take gave none: -E2BIG, or -ENOMEM where there may be more elements and the allocator has no memory for them. */
export function hash_refusal(map: usize): i64 {
  return atomic.load<u32>(map, HASH_UNUSED) < load<u32>(map, HASH_CAPACITY) ? ENOMEM : E2BIG;
}

/** A free element, which the CPU has in hand then; 0 if all are in use or the allocator has no memory. */
export function hash_take(map: usize): usize {
  const free = element_pop(map);
  if (free != 0) return free;
  while (true) {
    const used = atomic.load<u32>(map, HASH_UNUSED);
    if (used >= load<u32>(map, HASH_CAPACITY)) {
      // Another CPU may have given one back since.
      return elements_exhausted(map) ? 0 : hash_take(map);
    }
    if (atomic.cmpxchg<u32>(map, used, used + 1, HASH_UNUSED) != used) continue;
    if (!draws_elements(map)) {
      carry(map, element_at(map, used));
      return element_at(map, used);
    }
    carry(map, CARRIES_COUNT);
    const element = element_draw(map);
    if (element == 0) atomic.sub<u32>(map, 1, HASH_UNUSED);
    carry(map, element);
    return element;
  }
}

/** Gives an element back; its next word stays, for readers that still stand on it. */
export function hash_give(map: usize, element: usize): void {
  element_push(map, element);
  if (draws_elements(map)) element_given(map);
}

/** Address of the value, 0 if there is none. Lookups by key size, for callers that know it: */
export function hash_lookup_4(map: usize, key: usize): usize {
  const element = find_4(map, key, HASH_ELEMENT_KEY);
  return element == 0 ? 0 : element + HASH_ELEMENT_KEY + 8;
}

export function hash_lookup_8(map: usize, key: usize): usize {
  const element = find_8(map, key, HASH_ELEMENT_KEY);
  return element == 0 ? 0 : element + HASH_ELEMENT_KEY + 8;
}

export function hash_lookup_16(map: usize, key: usize): usize {
  const element = find_16(map, key, HASH_ELEMENT_KEY);
  return element == 0 ? 0 : element + HASH_ELEMENT_KEY + 16;
}

/** Address of the value, 0 if there is none. */
export function hash_lookup(map: usize, key: usize): usize {
  const element = find(map, key, HASH_ELEMENT_KEY);
  return element == 0 ? 0 : element + load<u32>(map, HASH_VALUE_OFFSET);
}

/**
 * 0, -EINVAL (unknown flags, or BPF_F_LOCK without a spin lock), -EEXIST, -ENOENT, -E2BIG or -ENOMEM. An existing element is replaced; with BPF_F_LOCK
 * it is written over.
 */
export function hash_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  const locked = (flags & BPF_F_LOCK) != 0;
  const mode = flags & ~(<u64>BPF_F_LOCK);
  if (mode > <u64>BPF_EXIST || (locked && !has_spin_lock(map))) return EINVAL;
  const value_offset = load<u32>(map, HASH_VALUE_OFFSET);
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, key_size, HASH_ELEMENT_KEY);
  const old = element_behind(word, before);
  let refused: i64 = 0;
  let element: usize = 0;
  if (old == 0) {
    if (mode == BPF_EXIST) {
      refused = ENOENT;
    } else {
      element = hash_take(map);
      if (element == 0) refused = hash_refusal(map);
    }
  } else if (mode == BPF_NOEXIST) {
    refused = EEXIST;
  } else if (locked) {
    value_copy_locked(map, old + value_offset, value, old + value_offset);
    value_release(map, old + value_offset);
    bucket_unlock(bucket, word);
    return 0;
  } else {
    const extra = load<u32>(map, HASH_EXTRAS) + this_cpu() * HASH_EXTRA_STRIDE;
    element = load<u32>(extra);
  }
  if (refused != 0) {
    bucket_unlock(bucket, word);
    return refused;
  }
  store<u32>(element, hash, HASH_ELEMENT_HASH);
  key_copy(element + HASH_ELEMENT_KEY, key, key_size);
  value_init(map, element + value_offset, value);
  if (old == 0) bucket_insert(bucket, word, element);
  else {
    bucket_replace(bucket, word, before, old, element);
    // In one step with what takes it out: the spare element is one that no chain has.
    store<u32>(load<u32>(map, HASH_EXTRAS) + this_cpu() * HASH_EXTRA_STRIDE, <u32>old);
    value_release(map, old + value_offset);
  }
  return 0;
}

/** 0 or -ENOENT. */
export function hash_delete(map: usize, key: usize): i64 {
  const element = chain_take(map, key, HASH_ELEMENT_KEY);
  if (element == 0) return ENOENT;
  hash_give(map, element);
  return 0;
}

/** Key after the one at `key` (0: the first) to `out`, or -ENOENT at the end; a key that is not there starts again at the first. */
export function hash_next_key(map: usize, key: usize, out: usize): i32 {
  return chain_next_key(map, key, HASH_ELEMENT_KEY, out) ? 0 : <i32>ENOENT;
}

/** Hashes of keys of one bucket that hash_each remembers, and how often it begins a bucket again that others keep changing. */
const REMEMBERED: u32 = 16;
const MOST_RESTARTS: u32 = 4096;

/**
 * Calls back for every element, with its value `shift` bytes behind the first; the callback may delete it. Returns the number of calls. What is there throughout is seen, and
 * what was deleted a moment ago may still be.
 */
export function hash_each(map: usize, key_offset: usize, shift: u32, callback: u32, ctx: u64): i64 {
  const buckets = load<u32>(map, HASH_BUCKETS);
  const last = load<u32>(map, HASH_MASK);
  const value_offset = load<u32>(map, HASH_VALUE_OFFSET) + shift;
  const shared = cpu_count() != 1;
  // On this CPU's BPF stack, above the callback's frame.
  const top = load<u32>(WORKER, WORKER_STACK_TOP);
  const seen = <usize>(shared ? top - REMEMBERED * 4 : top);
  store<u32>(WORKER, <u32>seen, WORKER_STACK_TOP);
  let calls: i64 = 0;
  let stop: i64 = 0;
  for (let bucket: u32 = 0; bucket <= last && stop == 0; bucket++) {
    const at = buckets + (bucket << 3);
    const first = calls;
    let restarts: u32 = 0;
    let word = atomic.load<u64>(at);
    let element = first_of(word);
    while (element != 0 && stop == 0) {
      const next = next_of(element);
      if (shared) {
        const hash = atomic.load<u32>(element, HASH_ELEMENT_HASH);
        // It may have been taken out since, and stand elsewhere, in this bucket too: the bucket begins again, without what was seen.
        if (has_changed(at, word) && calls - first <= <i64>REMEMBERED && restarts < MOST_RESTARTS) {
          restarts++;
          word = atomic.load<u64>(at);
          element = first_of(word);
          continue;
        }
        if ((restarts != 0 && was_seen(seen, <u32>(calls - first), hash)) || (hash & last) != bucket) {
          element = next;
          continue;
        }
        if (calls - first < <i64>REMEMBERED) store<u32>(seen + (<usize>(calls - first) << 2), hash);
      }
      calls++;
      stop = call_indirect<i64>(
        callback,
        <i64>map,
        <i64>(element + key_offset),
        <i64>(element + value_offset),
        <i64>ctx,
        <i64>0,
      );
      element = next;
    }
  }
  store<u32>(WORKER, top, WORKER_STACK_TOP);
  return calls;
}

/** By the hash: an element that was replaced is another. */
function was_seen(seen: usize, count: u32, hash: u32): bool {
  const known = min<u32>(count, REMEMBERED);
  for (let i: u32 = 0; i < known; i++) if (load<u32>(seen + (i << 2)) == hash) return true;
  return false;
}
