// Per-CPU LRU hash: an LRU hash whose elements have a value for each CPU. Facts: kernel/bpf/hashtab.c.
import {
  bucket_insert,
  bucket_lock,
  bucket_of,
  bucket_unlock,
  element_behind,
  find_before,
  hash_of,
} from './chain';
import { hash_check_flags, hash_check_sizes } from './hash';
import { copy_bytes, cpu_count, this_cpu } from './header';
import { lru_give, lru_take } from './lru-list';
import { lru_hash_create, lru_hash_delete, lru_hash_lookup } from './lru-hash';
import { percpu_check_flags, percpu_check_size, percpu_store, percpu_value, percpu_write } from './percpu-value';
import { EEXIST, EINVAL, ENOENT, ENOMEM, ENOTSUPP } from '../errno';
import { BPF_EXIST, BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC, BPF_NOEXIST, MAP_KEY_SIZE } from '../../layout/map';
import { HASH_VALUE_OFFSET } from '../../layout/map-hash';
import { LRU_ELEMENT_KEY, LRU_NODE_REFERENCED } from '../../layout/map-lru';

export function lru_percpu_hash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
): usize {
  // The order of Linux's checks decides which errno is seen.
  let refused = hash_check_flags(flags, BPF_F_NO_COMMON_LRU);
  if (refused == 0 && flags & BPF_F_NO_PREALLOC) refused = <i32>ENOTSUPP;
  if (refused == 0) refused = percpu_check_flags(flags);
  if (refused == 0) refused = hash_check_sizes(key_size, value_size, max_entries);
  if (refused == 0) refused = percpu_check_size(value_size);
  if (refused != 0) return <usize>refused;
  return lru_hash_create(type, key_size, value_size, max_entries, flags, seed, cpu_count());
}

/** Address of this CPU's value, 0 if there is none. The element counts as used. */
export function lru_percpu_hash_lookup(map: usize, key: usize): usize {
  return lru_percpu_hash_lookup_cpu(map, key, this_cpu());
}

/** Address of the value of `cpu`, which must be one. The element counts as used. */
export function lru_percpu_hash_lookup_cpu(map: usize, key: usize, cpu: u32): usize {
  const values = lru_hash_lookup(map, key);
  return values == 0 ? 0 : percpu_value(map, values, cpu);
}

/** Writes this CPU's value; a new element has zeros for the others. Errnos as lru_hash_update. */
export function lru_percpu_hash_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  return update(map, key, value, flags, false);
}

/** User space: writes all CPUs' values. */
export function lru_percpu_hash_write(map: usize, key: usize, values: usize, flags: u64): i32 {
  return <i32>update(map, key, values, flags, true);
}

function update(map: usize, key: usize, value: usize, flags: u64, all: bool): i64 {
  if (flags > <u64>BPF_EXIST) return EINVAL;
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const value_offset = load<u32>(map, HASH_VALUE_OFFSET);
  const hash = hash_of(map, key);
  // As in Linux an element is taken before the key is looked for, unless it must be there already.
  let element: usize = 0;
  if (flags != BPF_EXIST) {
    element = lru_take(map, hash);
    if (element == 0) return ENOMEM;
  }
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, key_size, LRU_ELEMENT_KEY);
  const old = element_behind(word, before);
  let refused: i64 = 0;
  if (old == 0 ? flags == BPF_EXIST : flags == BPF_NOEXIST) {
    refused = old == 0 ? ENOENT : EEXIST;
  } else if (old == 0) {
    if (all) percpu_write(map, element + value_offset, value, true);
    else percpu_store(map, element + value_offset, value, true);
    copy_bytes(element + LRU_ELEMENT_KEY, key, key_size);
    bucket_insert(bucket, word, element);
    return 0;
  } else {
    store<u8>(old, 1, LRU_NODE_REFERENCED);
    if (all) percpu_write(map, old + value_offset, value, false);
    else percpu_store(map, old + value_offset, value, false);
  }
  bucket_unlock(bucket, word);
  if (element != 0) lru_give(map, element);
  return refused;
}

/** 0 or -ENOENT. */
export function lru_percpu_hash_delete(map: usize, key: usize): i64 {
  return lru_hash_delete(map, key);
}
