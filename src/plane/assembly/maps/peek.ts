// Where a key's value lies, for who looks at the memory itself: no mark of use, no copy.
import { array_lookup } from './array';
import { hash_lookup } from './hash';
import { lru_hash_peek } from './lru-hash';
import { percpu_array_lookup_cpu } from './percpu-array';
import { percpu_hash_values } from './percpu-hash';
import { storage_peek } from './storage';
import { is_storage } from './storage-types';
import { ARRAY, HASH, LRU_HASH, LRU_PERCPU_HASH, PERCPU_ARRAY, PERCPU_HASH } from './types';
import { MAP_TYPE } from '../../layout/map';

/** Address of the value, of per-CPU types of the first CPU's; 0: there is none, or the type has none. */
export function map_value_peek(map: usize, key: usize): usize {
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
      return hash_lookup(map, key);
    case ARRAY:
      return array_lookup(map, key);
    case PERCPU_ARRAY:
      return percpu_array_lookup_cpu(map, key, 0);
    case LRU_HASH:
    case LRU_PERCPU_HASH:
      return lru_hash_peek(map, key);
    case PERCPU_HASH:
      return percpu_hash_values(map, key);
    default:
      return is_storage(load<u32>(map, MAP_TYPE)) ? storage_peek(map, key) : 0;
  }
}
