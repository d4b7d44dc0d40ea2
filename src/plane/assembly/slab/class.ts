// Size classes: see layout/allocator.ts.
import { CACHED_CLASSES } from '../../layout/allocator';
import { WASM_PAGE } from '../../layout/memory';

/** Class of a size in bytes; CLASS_COUNT or more: there is none. */
// @ts-ignore: decorator
@inline
export function class_of(size: u32): u32 {
  // Without a branch: sizes come in any order.
  const s = size - <u32>(size != 0);
  const e = 31 - clz<u32>(s | 32);
  return ((e - 5) << 2) + (s >> (e - 2));
}

/** Bytes of the objects of a class. */
export function class_bytes(number: u32): u32 {
  if (number < 4) return (number + 1) << 3;
  return ((number & 3) + 5) << ((number >> 2) + 2);
}

/**
 * Pages of a slab of the class, 0: a piece of SLAB_BYTES. Above 16 KiB four objects to a slab, or more where the pages have room; from 256 KiB on sizes are
 * whole pages.
 */
export function class_pages(number: u32): u32 {
  if (number < <u32>CACHED_CLASSES) return 0;
  const bytes = class_bytes(number);
  if (bytes <= 16384) return 1;
  const slab = bytes < 262144 ? bytes << 2 : bytes;
  return (slab + WASM_PAGE - 1) >> 16;
}

/**
 * Most objects in one CPU's cache: with the word 0 in front of them a power of two of words. From 16 KiB of small objects to 32 KiB of large ones: a batch of 128 small
 * ones stays inside.
 */
export function class_cached(number: u32): u32 {
  const bytes = class_bytes(number);
  if (bytes <= 64) return 255;
  if (bytes <= 256) return 127;
  return (32768 >> (31 - clz<u32>(bytes - 1))) - 1;
}
