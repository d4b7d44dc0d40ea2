// Elements of hash maps with BPF_F_NO_PREALLOC that are too many to be reserved: chunks of them, taken from the page allocator as they are needed
// and kept until the map goes. Linux takes an element at a time; here memory that one map has had is not for another while it lives.
import { spin_lock, spin_unlock } from './link';
import { pages_alloc, pages_free } from '../pages';
import { MAP_VALUES } from '../../layout/map';
import { HASH_CAPACITY, HASH_CHUNK_LOCK, HASH_CHUNK_SHIFT, HASH_ELEMENT_SIZE } from '../../layout/map-hash';
import { WASM_PAGE } from '../../layout/memory';

/** Bytes of a chunk, as far as one element fits. */
const CHUNK_SIZE: u32 = 0x10_0000;

/** Elements of `size` bytes in a chunk, as a power of two. */
export function chunk_shift(size: u32): u32 {
  return size >= CHUNK_SIZE ? 0 : 31 - clz<u32>(CHUNK_SIZE / size);
}

/** True if so many elements are worth chunks. */
export function wants_chunks(size: u32, capacity: u32): bool {
  return <u64>size * capacity > CHUNK_SIZE;
}

/** Number of chunks for `capacity` elements. */
export function chunk_count(shift: u32, capacity: u32): u32 {
  return capacity == 0 ? 0 : ((capacity - 1) >> shift) + 1;
}

function chunk_pages(map: usize): u32 {
  const bytes = <u64>load<u32>(map, HASH_ELEMENT_SIZE) << (load<u32>(map, HASH_CHUNK_SHIFT) - 1);
  return <u32>((bytes + WASM_PAGE - 1) / WASM_PAGE);
}

/** Address of the element with this number, whose chunk is made if it is the first of it; 0 if the memory has no room. */
export function chunk_element(map: usize, index: u32): usize {
  const shift = load<u32>(map, HASH_CHUNK_SHIFT) - 1;
  const entry = load<u32>(map, MAP_VALUES) + ((index >> shift) << 2);
  let chunk = atomic.load<u32>(entry);
  if (chunk == 0) {
    spin_lock(map + HASH_CHUNK_LOCK);
    chunk = atomic.load<u32>(entry);
    if (chunk == 0) {
      chunk = <u32>pages_alloc(chunk_pages(map));
      atomic.store<u32>(entry, chunk);
    }
    spin_unlock(map + HASH_CHUNK_LOCK);
    if (chunk == 0) return 0;
  }
  return chunk + (index & ((1 << shift) - 1)) * load<u32>(map, HASH_ELEMENT_SIZE);
}

/** Memory of a map that goes. */
export function chunks_release(map: usize): void {
  if (load<u32>(map, HASH_CHUNK_SHIFT) == 0) return;
  const count = chunk_count(load<u32>(map, HASH_CHUNK_SHIFT) - 1, load<u32>(map, HASH_CAPACITY));
  const pages = chunk_pages(map);
  for (let i: u32 = 0; i < count; i++) pages_free(load<u32>(load<u32>(map, MAP_VALUES) + (i << 2)), pages);
}
