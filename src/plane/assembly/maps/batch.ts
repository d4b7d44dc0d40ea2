// Batches: many elements in one call, as BPF_MAP_LOOKUP_BATCH and its like. Keys lie side by side, values map_user_value_size
// apart. Where a lookup goes on: in hashes a bucket, in others the last key. Facts: generic_map_*_batch in kernel/bpf/syscall.c,
// __htab_map_lookup_and_delete_batch in kernel/bpf/hashtab.c.
import { bucket_lock, bucket_take, bucket_unlock, first_of, next_of } from './chain';
import { copy_element } from './element-copy';
import { hash_give } from './hash';
import { copy_bytes } from './header';
import { lru_give } from './lru-list';
import {
  ARRAY,
  ARRAY_OF_MAPS,
  HASH_OF_MAPS,
  LPM_TRIE,
  PERCPU_ARRAY,
} from './types';
import {
  is_lru,
  is_plain_hash,
  map_delete_user,
  map_lookup_user,
  map_next_key,
  map_update_user,
  map_user_value_size,
  may_read,
  may_write,
} from './user';
import { value_release } from './value';
import { ENOENT, ENOSPC, ENOTSUPP, EPERM } from '../errno';
import { MAP_ID, MAP_KEY_SIZE, MAP_TYPE } from '../../layout/map';
import { HASH_BUCKETS, HASH_ELEMENT_KEY, HASH_MASK, HASH_VALUE_OFFSET } from '../../layout/map-hash';
import { LRU_ELEMENT_KEY } from '../../layout/map-lru';

/**
 * Up to `count` elements to `keys` and `values`, from `position` on (`first` 1: from the start), which is moved on; `remove` 1 takes them out.
 * The number of elements is written to `done`. 0; -ENOENT when the end was reached; -ENOSPC if a bucket has more than `count`.
 */
export function map_lookup_batch(
  map: usize,
  position: usize,
  first: u32,
  keys: usize,
  values: usize,
  count: u32,
  remove: u32,
  done: usize,
): i32 {
  store<u32>(done, 0);
  if (!may_read(map) || (remove != 0 && !may_write(map))) return <i32>EPERM;
  const type = load<u32>(map, MAP_TYPE);
  if (is_plain_hash(type) || is_lru(type) || (type == HASH_OF_MAPS && remove == 0)) {
    if (first != 0) store<u32>(position, 0);
    return buckets(map, position, keys, values, count, remove != 0, done);
  }
  if (remove != 0 || (type != ARRAY && type != PERCPU_ARRAY && type != LPM_TRIE && type != ARRAY_OF_MAPS)) {
    return <i32>ENOTSUPP;
  }
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const value_size = map_user_value_size(map);
  let before: usize = first != 0 ? 0 : position;
  let got: u32 = 0;
  let result: i32 = 0;
  while (got < count) {
    const key = keys + got * key_size;
    result = map_next_key(map, before, key);
    if (result != 0) break;
    copy_bytes(position, key, key_size);
    before = position;
    // Gone since, or an empty element: the next one takes its place.
    if (map_lookup_user(map, key, values + got * value_size, 0) == 0) got++;
  }
  store<u32>(done, got);
  return result;
}

function buckets(
  map: usize,
  position: usize,
  keys: usize,
  values: usize,
  count: u32,
  remove: bool,
  done: usize,
): i32 {
  const type = load<u32>(map, MAP_TYPE);
  const key_offset: usize = is_lru(type) ? LRU_ELEMENT_KEY : HASH_ELEMENT_KEY;
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const value_size = map_user_value_size(map);
  const table = <usize>load<u32>(map, HASH_BUCKETS);
  const last = load<u32>(map, HASH_MASK);
  let bucket = load<u32>(position);
  let got: u32 = 0;
  // As in Linux a bucket is shown as it is at one moment, all of it or nothing.
  for (let at = table + (bucket << 3); bucket <= last; bucket++, at += 8) {
    if (first_of(atomic.load<u64>(at)) == 0) continue;
    const word = bucket_lock(at);
    let in_bucket: u32 = 0;
    for (let e = first_of(word); e != 0; e = next_of(e)) in_bucket++;
    if (in_bucket > count - got) {
      bucket_unlock(at, word);
      break;
    }
    // What was taken out is this CPU's alone: it is copied without the lock.
    let element = remove ? bucket_take(at, word) : first_of(word);
    while (element != 0) {
      const next = next_of(element);
      copy_bytes(keys + got * key_size, element + key_offset, key_size);
      if (type == HASH_OF_MAPS) {
        store<u32>(values + got * value_size, load<u32>(load<u32>(element + load<u32>(map, HASH_VALUE_OFFSET)), MAP_ID));
      } else {
        copy_element(map, element, values + got * value_size, 0);
      }
      if (remove) {
        value_release(map, element + load<u32>(map, HASH_VALUE_OFFSET));
        if (is_lru(type)) lru_give(map, element);
        else hash_give(map, element);
      }
      got++;
      element = next;
    }
    if (!remove) bucket_unlock(at, word);
  }
  store<u32>(position, bucket);
  store<u32>(done, got);
  if (bucket > last) return <i32>ENOENT;
  return got == 0 ? <i32>ENOSPC : 0;
}

/** Writes `count` elements in order; how many were written goes to `done`. The first that is refused ends it, with its errno. */
export function map_update_batch(map: usize, keys: usize, values: usize, count: u32, flags: u32, done: usize): i32 {
  store<u32>(done, 0);
  if (!may_write(map)) return <i32>EPERM;
  const type = load<u32>(map, MAP_TYPE);
  const hash = is_plain_hash(type) || is_lru(type) || type == HASH_OF_MAPS;
  if (!hash && type != ARRAY && type != PERCPU_ARRAY && type != LPM_TRIE && type != ARRAY_OF_MAPS) return <i32>ENOTSUPP;
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  const value_size = map_user_value_size(map);
  let result: i32 = 0;
  for (let i: u32 = 0; i < count && result == 0; i++) {
    result = map_update_user(map, keys + i * key_size, values + i * value_size, flags);
    if (result == 0) store<u32>(done, i + 1);
  }
  return result;
}

/** Takes out `count` elements in order, as map_update_batch; one that is not there ends it with -ENOENT. */
export function map_delete_batch(map: usize, keys: usize, count: u32, done: usize): i32 {
  store<u32>(done, 0);
  if (!may_write(map)) return <i32>EPERM;
  const type = load<u32>(map, MAP_TYPE);
  if (!is_plain_hash(type) && !is_lru(type) && type != HASH_OF_MAPS && type != LPM_TRIE) return <i32>ENOTSUPP;
  const key_size = load<u32>(map, MAP_KEY_SIZE);
  let result: i32 = 0;
  for (let i: u32 = 0; i < count && result == 0; i++) {
    result = map_delete_user(map, keys + i * key_size);
    if (result == 0) store<u32>(done, i + 1);
  }
  return result;
}
