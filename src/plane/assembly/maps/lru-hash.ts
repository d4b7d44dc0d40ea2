// LRU hash: a hash map that never refuses for lack of room; another element goes instead. Facts: kernel/bpf/hashtab.c.
import {
  bucket_lock,
  bucket_of,
  bucket_unlock,
  element_after,
  find,
  find_before,
  hash_of,
  is_end,
} from './chain';
import { hash_allocate, hash_check_flags, hash_check_sizes } from './hash';
import { copy_bytes, cpu_count } from './header';
import { lru_give, lru_init, lru_lists_bytes, lru_take } from './lru-list';
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
import { HASH_ELEMENT_NEXT, HASH_LOCKED, HASH_VALUE_OFFSET } from '../../layout/map-hash';
import { LRU_ELEMENT_KEY, LRU_NODE_REFERENCED } from '../../layout/map-lru';

export function lru_hash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
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
  copy_bytes(element + load<u32>(map, HASH_VALUE_OFFSET), value, load<u32>(map, MAP_VALUE_SIZE));
  const bucket = bucket_of(map, hash);
  const first = bucket_lock(bucket);
  const before = find_before(first, hash, key, key_size, LRU_ELEMENT_KEY);
  const old = before == 0 ? first : <usize>load<u32>(before, HASH_ELEMENT_NEXT);
  const exists = !is_end(old);
  if (exists ? flags == BPF_NOEXIST : flags == BPF_EXIST) {
    bucket_unlock(bucket, first);
    lru_give(map, element);
    return exists ? EEXIST : ENOENT;
  }
  if (!exists) {
    atomic.store<u32>(element, <u32>first, HASH_ELEMENT_NEXT);
    bucket_unlock(bucket, element);
    return 0;
  }
  // The new element goes to the front before the old one leaves (see hash.ts).
  store<u8>(element, 1, LRU_NODE_REFERENCED);
  const rest = load<u32>(old, HASH_ELEMENT_NEXT);
  if (before == 0) {
    atomic.store<u32>(element, rest, HASH_ELEMENT_NEXT);
  } else {
    atomic.store<u32>(element, <u32>first, HASH_ELEMENT_NEXT);
    atomic.store<u32>(bucket, <u32>element | HASH_LOCKED);
    atomic.store<u32>(before, rest, HASH_ELEMENT_NEXT);
  }
  bucket_unlock(bucket, element);
  lru_give(map, old);
  return 0;
}

/** 0 or -ENOENT. */
export function lru_hash_delete(map: usize, key: usize): i64 {
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const first = bucket_lock(bucket);
  const before = find_before(first, hash, key, load<u32>(map, MAP_KEY_SIZE), LRU_ELEMENT_KEY);
  const old = before == 0 ? first : <usize>load<u32>(before, HASH_ELEMENT_NEXT);
  if (is_end(old)) {
    bucket_unlock(bucket, first);
    return ENOENT;
  }
  const next = load<u32>(old, HASH_ELEMENT_NEXT);
  if (before == 0) {
    bucket_unlock(bucket, next);
  } else {
    atomic.store<u32>(before, next, HASH_ELEMENT_NEXT);
    bucket_unlock(bucket, first);
  }
  lru_give(map, old);
  return 0;
}

/** As hash_next_key. */
export function lru_hash_next_key(map: usize, key: usize, out: usize): i32 {
  const element = element_after(map, key, LRU_ELEMENT_KEY);
  if (element == 0) return <i32>ENOENT;
  copy_bytes(out, element + LRU_ELEMENT_KEY, load<u32>(map, MAP_KEY_SIZE));
  return 0;
}
