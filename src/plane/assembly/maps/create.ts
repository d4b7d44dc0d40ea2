// Creation and the end of maps. Only control code calls these.
import { pages_free } from '../pages';
import { array_create } from './array';
import { hash_create } from './hash';
import { lpm_trie_create } from './lpm-trie';
import { lru_hash_create } from './lru-hash';
import { percpu_array_create } from './percpu-array';
import { prog_array_create } from './prog-array';
import { ringbuf_create } from './ringbuf';
import { EBUSY, EINVAL } from '../errno';
import { MAP_FROZEN, MAP_PAGES, MAP_PAGE_COUNT, MAP_REFERENCES } from '../../layout/map';
import { ARRAY, HASH, LPM_TRIE, LRU_HASH, PERCPU_ARRAY, PROG_ARRAY, RINGBUF } from './types';

/**
 * Address of a new map, or a negated errno as the map type's alloc_check in Linux would return it: results at or above
 * ERROR_FLOOR (as u32) are errors. `seed` spreads the keys of hashes. The caller holds one reference.
 */
export function map_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  extra_low: u32,
  extra_high: u32,
  seed_low: u32,
  seed_high: u32,
): usize {
  // Only bloom filters and arenas take a map_extra.
  if ((extra_low | extra_high) != 0) return <usize>EINVAL;
  const seed = (<u64>seed_high << 32) | seed_low;
  switch (type) {
    case HASH:
      return hash_create(type, key_size, value_size, max_entries, flags, seed);
    case ARRAY:
      return array_create(type, key_size, value_size, max_entries, flags);
    case PROG_ARRAY:
      return prog_array_create(type, key_size, value_size, max_entries, flags);
    case PERCPU_ARRAY:
      return percpu_array_create(type, key_size, value_size, max_entries, flags);
    case LPM_TRIE:
      return lpm_trie_create(type, key_size, value_size, max_entries, flags);
    case LRU_HASH:
      return lru_hash_create(type, key_size, value_size, max_entries, flags, seed);
    case RINGBUF:
      return ringbuf_create(type, key_size, value_size, max_entries, flags);
    default:
      return <usize>EINVAL;
  }
}

/** One more holder of the map. */
export function map_hold(map: usize): void {
  atomic.add<u32>(map, 1, MAP_REFERENCES);
}

/** Drops a reference; the last one gives the memory back. */
export function map_destroy(map: usize): void {
  if (atomic.sub<u32>(map, 1, MAP_REFERENCES) == 1) pages_free(load<u32>(map, MAP_PAGES), load<u32>(map, MAP_PAGE_COUNT));
}

/** BPF_MAP_FREEZE: user space may no longer write. 0, or -EBUSY if it already is. */
export function map_freeze(map: usize): i32 {
  return atomic.xchg<u32>(map, 1, MAP_FROZEN) == 0 ? 0 : <i32>EBUSY;
}
