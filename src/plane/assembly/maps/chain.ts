// Buckets and chains of hash maps (layout/map-hash.ts), shared by plain and LRU hashes: they differ in where the key lies.
import { hash_bytes, hash_key, hash_word, hash_words, keys_equal } from './key';
import { MAP_KEY_SIZE } from '../../layout/map';
import {
  HASH_BUCKETS,
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_NEXT,
  HASH_LOCKED,
  HASH_MASK,
  HASH_NULLS,
  HASH_SEED,
} from '../../layout/map-hash';

// @ts-ignore: decorator
@inline
export function is_end(word: usize): bool {
  return (word & HASH_NULLS) != 0;
}

// @ts-ignore: decorator
@inline
export function bucket_of(map: usize, hash: u32): usize {
  return load<u32>(map, HASH_BUCKETS) + ((hash & load<u32>(map, HASH_MASK)) << 2);
}

/** The word that ends the chain of a hash's bucket. */
// @ts-ignore: decorator
@inline
export function end_of(map: usize, hash: u32): u32 {
  return ((hash & load<u32>(map, HASH_MASK)) << 2) | HASH_NULLS;
}

/** First element or end of a bucket's chain. */
// @ts-ignore: decorator
@inline
export function first_in(bucket: usize): usize {
  return atomic.load<u32>(bucket) & ~HASH_LOCKED;
}

// @ts-ignore: decorator
@inline
export function next_of(element: usize): usize {
  return atomic.load<u32>(element, HASH_ELEMENT_NEXT);
}

/** Takes the bucket's lock; returns the first word of its chain. */
// @ts-ignore: decorator
@inline
export function bucket_lock(bucket: usize): usize {
  while (true) {
    const word = atomic.load<u32>(bucket);
    if (!(word & HASH_LOCKED) && atomic.cmpxchg<u32>(bucket, word, word | HASH_LOCKED) == word) return word;
  }
}

/** Publishes `first` as the chain's first word and lets the lock go, in one store. */
// @ts-ignore: decorator
@inline
export function bucket_unlock(bucket: usize, first: usize): void {
  atomic.store<u32>(bucket, <u32>first);
}

/** Empties `count` buckets. */
export function buckets_clear(buckets: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) store<u32>(buckets + (i << 2), (i << 2) | HASH_NULLS);
}

// @ts-ignore: decorator
@inline
export function hash_of(map: usize, key: usize): u32 {
  return hash_key(load<u64>(map, HASH_SEED), key, load<u32>(map, MAP_KEY_SIZE));
}

/** Element of a 4-byte key, 0 if there is none. No lock. */
// @ts-ignore: decorator
@inline
export function find_4(map: usize, key: usize, key_offset: usize): usize {
  const wanted = load<u32>(key);
  const hash = hash_word(load<u64>(map, HASH_SEED), wanted);
  const end = end_of(map, hash);
  const bucket = load<u32>(map, HASH_BUCKETS) + (end & ~HASH_NULLS);
  while (true) {
    let element = first_in(bucket);
    while (!is_end(element)) {
      if (load<u32>(element + key_offset) == wanted) return element;
      element = next_of(element);
    }
    if (element == end) return 0;
  }
}

/** Element of an 8-byte key. */
// @ts-ignore: decorator
@inline
export function find_8(map: usize, key: usize, key_offset: usize): usize {
  const wanted = load<u64>(key);
  const hash = hash_word(load<u64>(map, HASH_SEED), wanted);
  const end = end_of(map, hash);
  const bucket = load<u32>(map, HASH_BUCKETS) + (end & ~HASH_NULLS);
  while (true) {
    let element = first_in(bucket);
    while (!is_end(element)) {
      if (load<u64>(element + key_offset) == wanted) return element;
      element = next_of(element);
    }
    if (element == end) return 0;
  }
}

/** Element of a 12-byte key. */
// @ts-ignore: decorator
@inline
export function find_12(map: usize, key: usize, key_offset: usize): usize {
  const first = load<u64>(key);
  const second = load<u32>(key, 8);
  const hash = hash_words(load<u64>(map, HASH_SEED), first, second);
  const end = end_of(map, hash);
  const bucket = load<u32>(map, HASH_BUCKETS) + (end & ~HASH_NULLS);
  while (true) {
    let element = first_in(bucket);
    while (!is_end(element)) {
      if (load<u64>(element + key_offset) == first && load<u32>(element + key_offset, 8) == second) return element;
      element = next_of(element);
    }
    if (element == end) return 0;
  }
}

/** Element of a 16-byte key. */
// @ts-ignore: decorator
@inline
export function find_16(map: usize, key: usize, key_offset: usize): usize {
  const first = load<u64>(key);
  const second = load<u64>(key, 8);
  const hash = hash_words(load<u64>(map, HASH_SEED), first, second);
  const end = end_of(map, hash);
  const bucket = load<u32>(map, HASH_BUCKETS) + (end & ~HASH_NULLS);
  while (true) {
    let element = first_in(bucket);
    while (!is_end(element)) {
      if (load<u64>(element + key_offset) == first && load<u64>(element + key_offset, 8) == second) return element;
      element = next_of(element);
    }
    if (element == end) return 0;
  }
}

/** Element of a key of any size. */
export function find_any(map: usize, key: usize, key_offset: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hash_bytes(load<u64>(map, HASH_SEED), key, size);
  const end = end_of(map, hash);
  const bucket = load<u32>(map, HASH_BUCKETS) + (end & ~HASH_NULLS);
  while (true) {
    let element = first_in(bucket);
    while (!is_end(element)) {
      if (load<u32>(element, HASH_ELEMENT_HASH) == hash && keys_equal(element + key_offset, key, size)) return element;
      element = next_of(element);
    }
    if (element == end) return 0;
  }
}

// @ts-ignore: decorator
@inline
export function find(map: usize, key: usize, key_offset: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  if (size == 4) return find_4(map, key, key_offset);
  if (size == 8) return find_8(map, key, key_offset);
  if (size == 12) return find_12(map, key, key_offset);
  if (size == 16) return find_16(map, key, key_offset);
  return find_any(map, key, key_offset);
}

/** Element before the one with this key: 0 if that is the first or there is none. Only under the bucket's lock; `first` is its first word. */
export function find_before(first: usize, hash: u32, key: usize, size: u32, key_offset: usize): usize {
  let before: usize = 0;
  let element = first;
  while (!is_end(element)) {
    if (load<u32>(element, HASH_ELEMENT_HASH) == hash && keys_equal(element + key_offset, key, size)) return before;
    before = element;
    element = load<u32>(element, HASH_ELEMENT_NEXT);
  }
  return before;
}

/** Element that follows the one with `key` in bucket order, the first of all for key 0 or a key that is not there; 0 at the end. */
export function element_after(map: usize, key: usize, key_offset: usize): usize {
  let bucket: u32 = 0;
  if (key != 0) {
    const element = find(map, key, key_offset);
    if (element != 0) {
      const next = next_of(element);
      if (!is_end(next)) return next;
      bucket = (hash_of(map, key) & load<u32>(map, HASH_MASK)) + 1;
    }
  }
  const buckets = load<u32>(map, HASH_BUCKETS);
  const last = load<u32>(map, HASH_MASK);
  for (; bucket <= last; bucket++) {
    const element = first_in(buckets + (bucket << 2));
    if (!is_end(element)) return element;
  }
  return 0;
}

/** Takes an element out of its bucket; false if it is not in it. */
export function chain_remove(map: usize, element: usize): bool {
  const bucket = bucket_of(map, load<u32>(element, HASH_ELEMENT_HASH));
  const first = bucket_lock(bucket);
  let before: usize = 0;
  let at = first;
  while (!is_end(at) && at != element) {
    before = at;
    at = load<u32>(at, HASH_ELEMENT_NEXT);
  }
  if (is_end(at)) {
    bucket_unlock(bucket, first);
    return false;
  }
  const next = load<u32>(at, HASH_ELEMENT_NEXT);
  if (before == 0) {
    bucket_unlock(bucket, next);
  } else {
    atomic.store<u32>(before, next, HASH_ELEMENT_NEXT);
    bucket_unlock(bucket, first);
  }
  return true;
}
