// Buckets and chains of hash maps (layout/map-hash.ts), shared by plain and LRU hashes: they differ in where the key lies.
import { copy_bytes } from './header';
import { hash_bytes, hash_key, hash_word, hash_words, key_word, keys_equal } from './key';
import { value_release } from './value';
import { bit_lock, bit_unlock } from '../locks/bit';
import { carry, carry_nothing } from '../locks/held';
import { MAP_KEY_SIZE } from '../../layout/map';
import {
  HASH_VALUE_OFFSET,
  HASH_BUCKETS,
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_NEXT,
  HASH_LOCKED,
  HASH_MASK,
  HASH_SEED,
} from '../../layout/map-hash';

// @ts-ignore: decorator
@inline
export function bucket_of(map: usize, hash: u32): usize {
  return load<u32>(map, HASH_BUCKETS) + ((hash & load<u32>(map, HASH_MASK)) << 3);
}

/** First element of the chain in a bucket's word, 0 if it is empty. */
// @ts-ignore: decorator
@inline
export function first_of(word: u64): usize {
  return <usize>(<u32>word & ~HASH_LOCKED);
}

/** True if the bucket has changed since its word was `word`. */
// @ts-ignore: decorator
@inline
export function has_changed(bucket: usize, word: u64): bool {
  return atomic.load<u64>(bucket) >> 32 != word >> 32;
}

// @ts-ignore: decorator
@inline
export function next_of(element: usize): usize {
  return atomic.load<u32>(element, HASH_ELEMENT_NEXT);
}

/** Takes the bucket's lock; returns its word without the lock. */
// @ts-ignore: decorator
@inline
export function bucket_lock(bucket: usize): u64 {
  return bit_lock(bucket);
}

/** Lets the lock of an unchanged bucket go. */
// @ts-ignore: decorator
@inline
export function bucket_unlock(bucket: usize, word: u64): void {
  bit_unlock(bucket, word);
}

/** The word that follows `word`: another first element, the next version. */
// @ts-ignore: decorator
@inline
function next_word(word: u64, first: usize): u64 {
  return (((word >> 32) + 1) << 32) | <u64>first;
}

/**
 * Puts an element at the front of a locked bucket, and lets the lock go. The element is published by the store that does so: its own words need no order of their own, and
 * each atomic store is a full fence in V8.
 */
// @ts-ignore: decorator
@inline
export function bucket_insert(bucket: usize, word: u64, element: usize): void {
  store<u32>(element, <u32>first_of(word), HASH_ELEMENT_NEXT);
  bit_unlock(bucket, next_word(word, element));
  carry_nothing();
}

/** Puts an element in place of `old`, which stands behind `before` (0: it is the first) in a locked bucket, and lets the lock go. */
// @ts-ignore: decorator
@inline
export function bucket_replace(bucket: usize, word: u64, before: usize, old: usize, element: usize): void {
  // Readers find one of the two. In the same place, so that who walks the chain meanwhile sees the key once.
  store<u32>(element, load<u32>(old, HASH_ELEMENT_NEXT), HASH_ELEMENT_NEXT);
  if (before != 0) atomic.store<u32>(before, <u32>element, HASH_ELEMENT_NEXT);
  bit_unlock(bucket, next_word(word, before == 0 ? element : first_of(word)));
}

/** Takes `old`, which stands behind `before` (0: it is the first), out of a locked bucket, and lets the lock go: the CPU has it in hand. */
// @ts-ignore: decorator
@inline
function bucket_remove(map: usize, bucket: usize, word: u64, before: usize, old: usize): void {
  carry(map, old);
  const rest = load<u32>(old, HASH_ELEMENT_NEXT);
  if (before != 0) atomic.store<u32>(before, rest, HASH_ELEMENT_NEXT);
  bit_unlock(bucket, next_word(word, before == 0 ? <usize>rest : first_of(word)));
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
  const bucket = bucket_of(map, hash);
  while (true) {
    const word = atomic.load<u64>(bucket);
    let element = first_of(word);
    while (element != 0 && load<u32>(element + key_offset) != wanted) element = next_of(element);
    if (!has_changed(bucket, word)) return element;
  }
}

/** Element of an 8-byte key. */
// @ts-ignore: decorator
@inline
export function find_8(map: usize, key: usize, key_offset: usize): usize {
  const wanted = key_word(key);
  const hash = hash_word(load<u64>(map, HASH_SEED), wanted);
  const bucket = bucket_of(map, hash);
  while (true) {
    const word = atomic.load<u64>(bucket);
    let element = first_of(word);
    while (element != 0 && load<u64>(element + key_offset) != wanted) element = next_of(element);
    if (!has_changed(bucket, word)) return element;
  }
}

/** Element of a 12-byte key. */
// @ts-ignore: decorator
@inline
export function find_12(map: usize, key: usize, key_offset: usize): usize {
  const first = key_word(key);
  const second = load<u32>(key, 8);
  const hash = hash_words(load<u64>(map, HASH_SEED), first, second);
  const bucket = bucket_of(map, hash);
  while (true) {
    const word = atomic.load<u64>(bucket);
    let element = first_of(word);
    while (element != 0 && !(load<u64>(element + key_offset) == first && load<u32>(element + key_offset, 8) == second)) element = next_of(element);
    if (!has_changed(bucket, word)) return element;
  }
}

/** Element of a 16-byte key. */
// @ts-ignore: decorator
@inline
export function find_16(map: usize, key: usize, key_offset: usize): usize {
  const first = key_word(key);
  const second = key_word(key + 8);
  const hash = hash_words(load<u64>(map, HASH_SEED), first, second);
  const bucket = bucket_of(map, hash);
  while (true) {
    const word = atomic.load<u64>(bucket);
    let element = first_of(word);
    while (element != 0 && !(load<u64>(element + key_offset) == first && load<u64>(element + key_offset, 8) == second)) element = next_of(element);
    if (!has_changed(bucket, word)) return element;
  }
}

/** Element of a key of any size. */
export function find_any(map: usize, key: usize, key_offset: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hash_bytes(load<u64>(map, HASH_SEED), key, size);
  const bucket = bucket_of(map, hash);
  while (true) {
    const word = atomic.load<u64>(bucket);
    let element = first_of(word);
    while (element != 0 && !(load<u32>(element, HASH_ELEMENT_HASH) == hash && keys_equal(element + key_offset, key, size))) element = next_of(element);
    if (!has_changed(bucket, word)) return element;
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

/**
 * Element before the one with this key in a locked bucket; the last one if the key is not there. 0: before the first.
 */
// @ts-ignore: decorator
@inline
export function find_before(word: u64, hash: u32, key: usize, size: u32, key_offset: usize): usize {
  if (size == 4) return find_before_4(word, load<u32>(key), key_offset);
  if (size == 8) return find_before_8(word, key_word(key), key_offset);
  return find_before_any(word, hash, key, size, key_offset);
}

function find_before_4(word: u64, key: u32, key_offset: usize): usize {
  let before: usize = 0;
  let element = first_of(word);
  while (element != 0) {
    if (load<u32>(element + key_offset) == key) return before;
    before = element;
    element = load<u32>(element, HASH_ELEMENT_NEXT);
  }
  return before;
}

function find_before_8(word: u64, key: u64, key_offset: usize): usize {
  let before: usize = 0;
  let element = first_of(word);
  while (element != 0) {
    if (load<u64>(element + key_offset) == key) return before;
    before = element;
    element = load<u32>(element, HASH_ELEMENT_NEXT);
  }
  return before;
}

function find_before_any(word: u64, hash: u32, key: usize, size: u32, key_offset: usize): usize {
  let before: usize = 0;
  let element = first_of(word);
  while (element != 0) {
    if (load<u32>(element, HASH_ELEMENT_HASH) == hash && keys_equal(element + key_offset, key, size)) return before;
    before = element;
    element = load<u32>(element, HASH_ELEMENT_NEXT);
  }
  return before;
}

/** What stands behind `before` (0: the first element) in a locked bucket, 0 if nothing does. */
// @ts-ignore: decorator
@inline
export function element_behind(word: u64, before: usize): usize {
  return before == 0 ? first_of(word) : <usize>load<u32>(before, HASH_ELEMENT_NEXT);
}

/** Takes the element with `key` out of the map and returns it, 0 if there is none. The caller gives it back, as after chain_remove. */
export function chain_take(map: usize, key: usize, key_offset: usize): usize {
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const word = bucket_lock(bucket);
  const before = find_before(word, hash, key, load<u32>(map, MAP_KEY_SIZE), key_offset);
  const element = element_behind(word, before);
  if (element == 0) {
    bucket_unlock(bucket, word);
    return 0;
  }
  bucket_remove(map, bucket, word, before, element);
  value_release(map, element + load<u32>(map, HASH_VALUE_OFFSET));
  return element;
}

/** Takes all elements out of a locked bucket, and lets the lock go; the first, whose next words lead to the others. */
export function bucket_take(bucket: usize, word: u64): usize {
  bit_unlock(bucket, next_word(word, 0));
  return first_of(word);
}

/** Takes an element out of its bucket; false if it is not in it. */
export function chain_remove(map: usize, element: usize): bool {
  const bucket = bucket_of(map, load<u32>(element, HASH_ELEMENT_HASH));
  const word = bucket_lock(bucket);
  let before: usize = 0;
  let at = first_of(word);
  while (at != 0 && at != element) {
    before = at;
    at = load<u32>(at, HASH_ELEMENT_NEXT);
  }
  if (at == 0) {
    bucket_unlock(bucket, word);
    return false;
  }
  bucket_remove(map, bucket, word, before, at);
  value_release(map, at + load<u32>(map, HASH_VALUE_OFFSET));
  return true;
}

/**
 * Key of the element that follows the one with `key` in bucket order to `out`, of the first of all for key 0 or a key that is not there; false at the end. Who goes on from
 * key to key sees all that is there throughout.
 */
export function chain_next_key(map: usize, key: usize, key_offset: usize, out: usize): bool {
  let bucket: u32 = 0;
  if (key != 0) {
    const hash = hash_of(map, key);
    const at = bucket_of(map, hash);
    const word = bucket_lock(at);
    const element = element_behind(word, find_before(word, hash, key, load<u32>(map, MAP_KEY_SIZE), key_offset));
    const next = element == 0 ? 0 : <usize>load<u32>(element, HASH_ELEMENT_NEXT);
    if (next != 0) copy_bytes(out, next + key_offset, load<u32>(map, MAP_KEY_SIZE));
    bucket_unlock(at, word);
    if (next != 0) return true;
    if (element != 0) bucket = (hash & load<u32>(map, HASH_MASK)) + 1;
  }
  const last = load<u32>(map, HASH_MASK);
  for (let at: usize = load<u32>(map, HASH_BUCKETS) + (bucket << 3); bucket <= last; bucket++, at += 8) {
    if (first_of(atomic.load<u64>(at)) == 0) continue;
    const word = bucket_lock(at);
    const element = first_of(word);
    if (element != 0) copy_bytes(out, element + key_offset, load<u32>(map, MAP_KEY_SIZE));
    bucket_unlock(at, word);
    if (element != 0) return true;
  }
  return false;
}
