// Keys of hash maps: hash and comparison, by key size. The function is stated in layout/map-hash.ts.
import { copy_bytes } from './header';

const MIX_1: u64 = 0x9e3779b97f4a7c15;
const MIX_2: u64 = 0xd6e8feb86659fd93;

// @ts-ignore: decorator
@inline
function fold(h: u64, word: u64): u64 {
  const product = (h ^ word) * MIX_1;
  return product ^ (product >> 32);
}

// @ts-ignore: decorator
@inline
function finish(h: u64): u32 {
  return <u32>((h * MIX_2) >> 32);
}

// @ts-ignore: decorator
@inline
export function hash_word(seed: u64, word: u64): u32 {
  return finish(fold(seed, word));
}

// @ts-ignore: decorator
@inline
export function hash_words(seed: u64, first: u64, second: u64): u32 {
  return finish(fold(fold(seed, first), second));
}

/**
 * 8 bytes of a key by two loads. Programs write keys field by field, and a load that spans two stores which are still under way waits for
 * both: two loads of 4 bytes do not.
 */
// @ts-ignore: decorator
@inline
export function key_word(key: usize): u64 {
  return <u64>load<u32>(key) | (<u64>load<u32>(key, 4) << 32);
}

export function hash_bytes(seed: u64, key: usize, size: u32): u32 {
  let h = seed;
  const words = key + (size & ~7);
  while (key < words) {
    h = fold(h, key_word(key));
    key += 8;
  }
  if (size & 7) {
    let word: u64 = 0;
    let shift: u64 = 0;
    if (size & 4) {
      word = load<u32>(key);
      shift = 32;
      key += 4;
    }
    if (size & 2) {
      word |= <u64>load<u16>(key) << shift;
      shift += 16;
      key += 2;
    }
    if (size & 1) word |= <u64>load<u8>(key) << shift;
    h = fold(h, word);
  }
  return finish(h);
}

/** Hash of any key, by the cheapest way for its size. */
// @ts-ignore: decorator
@inline
export function hash_key(seed: u64, key: usize, size: u32): u32 {
  if (size == 4) return hash_word(seed, load<u32>(key));
  if (size == 8) return hash_word(seed, key_word(key));
  if (size == 12) return hash_words(seed, key_word(key), load<u32>(key, 8));
  if (size == 16) return hash_words(seed, key_word(key), key_word(key + 8));
  return hash_bytes(seed, key, size);
}

/** Copies a key that a program may have just written into an element. */
// @ts-ignore: decorator
@inline
export function key_copy(to: usize, from: usize, size: u32): void {
  if (size == 4) store<u32>(to, load<u32>(from));
  else if (size == 8) store<u64>(to, key_word(from));
  else copy_bytes(to, from, size);
}

/** `b` is the one that a program may have just written. */
export function keys_equal(a: usize, b: usize, size: u32): bool {
  const words = a + (size & ~7);
  while (a < words) {
    if (load<u64>(a) != key_word(b)) return false;
    a += 8;
    b += 8;
  }
  if (size & 4) {
    if (load<u32>(a) != load<u32>(b)) return false;
    a += 4;
    b += 4;
  }
  if (size & 2) {
    if (load<u16>(a) != load<u16>(b)) return false;
    a += 2;
    b += 2;
  }
  return !(size & 1) || load<u8>(a) == load<u8>(b);
}
