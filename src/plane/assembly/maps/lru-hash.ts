// LRU hash: a hash map that never refuses for lack of room; another element goes instead. Facts: kernel/bpf/hashtab.c.
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
  find_before,
  hash_of,
} from './chain';
import { hash_allocate, hash_check_flags, hash_check_sizes } from './hash';
import { copy_bytes, cpu_count } from './header';
import { carry } from '../locks/held';
import { lru_give, lru_init, lru_lists_bytes, lru_take } from './lru-list';
import { value_init, value_release } from './value';
import { EEXIST, EINVAL, ENOENT, ENOMEM, ENOTSUPP } from '../errno';
import {
  BPF_EXIST,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_NOEXIST,
  MAP_KEY_SIZE,
  MAP_VALUE_SIZE,
} from '../../layout/map';
import { HASH_VALUE_OFFSET } from '../../layout/map-hash';
import { LRU_ELEMENT_KEY, LRU_NODE_REFERENCED } from '../../layout/map-lru';

/** `copies`: values in an element, 1 or one a CPU. */
export function lru_hash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
  copies: u32,
): usize {
  const own = BPF_F_NO_COMMON_LRU;
  let refused = hash_check_flags(flags, own);
  if (refused != 0) return <usize>refused;
  if (flags & BPF_F_NO_PREALLOC) return <usize>ENOTSUPP;
  if (flags & own && flags & BPF_F_NUMA_NODE) return <usize>EINVAL;
  refused = hash_check_sizes(key_size, value_size, max_entries);
  if (refused != 0) return <usize>refused;
  if (flags & own) {
    // Every CPU has the same number of elements, at least one.
    const cpus = cpu_count();
    max_entries = ((max_entries + cpus - 1) / cpus) * cpus;
  }
  const map = hash_allocate(
    type,
    key_size,
    value_size,
    max_entries,
    flags,
    seed,
    LRU_ELEMENT_KEY,
    lru_lists_bytes(flags),
    max_entries,
    copies,
  );
  if (map == 0) return <usize>ENOMEM;
  lru_init(map);
  return map;
}

/** Address of the value, 0 if there is none. No mark of use: for user space and iteration. */
export function lru_hash_peek(map: usize, key: usize): usize {
  const element = find(map, key, LRU_ELEMENT_KEY);
  return element == 0 ? 0 : element + load<u32>(map, HASH_VALUE_OFFSET);
}

/** Address of the value, 0 if there is none. The element counts as used. */
export function lru_hash_lookup(map: usize, key: usize): usize {
  const element = find(map, key, LRU_ELEMENT_KEY);
  if (element == 0) return 0;
  // Only where it changes something: the line stays shared among CPUs.
  if (load<u8>(element, LRU_NODE_REFERENCED) == 0) store<u8>(element, 1, LRU_NODE_REFERENCED);
  return element + load<u32>(map, HASH_VALUE_OFFSET);
}

/**
 * 0, -EINVAL, -EEXIST, -ENOENT or -ENOMEM. As in Linux an element is taken before the key is looked for, so that even an update that
 * replaces or is refused may push another element out of a full map.
 */
export function lru_hash_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  if (flags > <u64>BPF_EXIST) return EINVAL;
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hash_of(map, key);
  const element = lru_take(map, hash);
  if (element == 0) return ENOMEM;
  copy_bytes(element + LRU_ELEMENT_KEY, key, key_size);
  const value_offset = load<u32>(map, HASH_VALUE_OFFSET);
  value_init(map, element + value_offset, value);
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, key_size, LRU_ELEMENT_KEY);
  const old = element_behind(word, before);
  if (old == 0 ? flags == BPF_EXIST : flags == BPF_NOEXIST) {
    bucket_unlock(bucket, word);
    lru_give(map, element);
    return old == 0 ? ENOENT : EEXIST;
  }
  if (old == 0) {
    bucket_insert(bucket, word, element);
    return 0;
  }
  store<u8>(element, 1, LRU_NODE_REFERENCED);
  bucket_replace(bucket, word, before, old, element);
  carry(map, old);
  value_release(map, old + value_offset);
  lru_give(map, old);
  return 0;
}

/** 0 or -ENOENT. */
export function lru_hash_delete(map: usize, key: usize): i64 {
  const element = chain_take(map, key, LRU_ELEMENT_KEY);
  if (element == 0) return ENOENT;
  lru_give(map, element);
  return 0;
}

/** As hash_next_key. */
export function lru_hash_next_key(map: usize, key: usize, out: usize): i32 {
  return chain_next_key(map, key, LRU_ELEMENT_KEY, out) ? 0 : <i32>ENOENT;
}
