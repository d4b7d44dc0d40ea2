// Per-CPU hash: a hash map whose elements have a value for each CPU. Programs see their own CPU's, and updates write it in place.
// Facts: kernel/bpf/hashtab.c.
import {
  bucket_insert,
  bucket_lock,
  bucket_of,
  bucket_unlock,
  element_behind,
  find,
  find_before,
  hash_of,
} from './chain';
import { hash_allocate, hash_check_flags, hash_check_sizes, hash_delete, hash_refusal, hash_take } from './hash';
import { copy_bytes, cpu_count, this_cpu } from './header';
import { percpu_check_flags, percpu_check_size, percpu_store, percpu_value, percpu_write } from './percpu-value';
import { EEXIST, EINVAL, ENOENT, ENOMEM } from '../errno';
import { BPF_EXIST, BPF_NOEXIST, MAP_KEY_SIZE } from '../../layout/map';
import { HASH_ELEMENT_HASH, HASH_ELEMENT_KEY, HASH_VALUE_OFFSET } from '../../layout/map-hash';

export function percpu_hash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
): usize {
  let refused = hash_check_flags(flags, 0);
  if (refused == 0) refused = percpu_check_flags(flags);
  if (refused == 0) refused = hash_check_sizes(key_size, value_size, max_entries);
  if (refused == 0) refused = percpu_check_size(value_size);
  if (refused != 0) return <usize>refused;
  // No spare elements: an update never replaces one.
  const map = hash_allocate(
    type,
    key_size,
    value_size,
    max_entries,
    flags,
    seed,
    HASH_ELEMENT_KEY,
    0,
    max_entries,
    cpu_count(),
  );
  return map == 0 ? <usize>ENOMEM : map;
}

/** Address of the first CPU's value, 0 if there is none. */
export function percpu_hash_values(map: usize, key: usize): usize {
  const element = find(map, key, HASH_ELEMENT_KEY);
  return element == 0 ? 0 : element + load<u32>(map, HASH_VALUE_OFFSET);
}

/** Address of this CPU's value, 0 if there is none. */
export function percpu_hash_lookup(map: usize, key: usize): usize {
  const values = percpu_hash_values(map, key);
  return values == 0 ? 0 : percpu_value(map, values, this_cpu());
}

/** Address of the value of `cpu`, which must be one. */
export function percpu_hash_lookup_cpu(map: usize, key: usize, cpu: u32): usize {
  const values = percpu_hash_values(map, key);
  return values == 0 ? 0 : percpu_value(map, values, cpu);
}

/** Writes this CPU's value; a new element has zeros for the others. */
export function percpu_hash_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  return update(map, key, value, flags, false);
}

/** User space: writes all CPUs' values. */
export function percpu_hash_write(map: usize, key: usize, values: usize, flags: u64): i32 {
  return <i32>update(map, key, values, flags, true);
}

function update(map: usize, key: usize, value: usize, flags: u64, all: bool): i64 {
  if (flags > <u64>BPF_EXIST) return EINVAL;
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const value_offset = load<u32>(map, HASH_VALUE_OFFSET);
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, key_size, HASH_ELEMENT_KEY);
  const old = element_behind(word, before);
  let refused: i64 = 0;
  let element = old;
  if (old == 0) {
    if (flags == BPF_EXIST) {
      refused = ENOENT;
    } else {
      element = hash_take(map);
      if (element == 0) refused = hash_refusal(map);
    }
  } else if (flags == BPF_NOEXIST) {
    refused = EEXIST;
  }
  if (refused == 0) {
    if (all) percpu_write(map, element + value_offset, value, old == 0);
    else percpu_store(map, element + value_offset, value, old == 0);
    if (old == 0) {
      store<u32>(element, hash, HASH_ELEMENT_HASH);
      copy_bytes(element + HASH_ELEMENT_KEY, key, key_size);
      bucket_insert(bucket, word, element);
      return 0;
    }
  }
  bucket_unlock(bucket, word);
  return refused;
}

/** 0 or -ENOENT. */
export function percpu_hash_delete(map: usize, key: usize): i64 {
  return hash_delete(map, key);
}
