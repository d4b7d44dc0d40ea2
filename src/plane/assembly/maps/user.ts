// Map operations as bpf(2) gives them to user space: values are copied, per-CPU values come all at once, lookups leave no mark
// of use, and what the map's flags or its frozen state forbid is EPERM. Results are 0 or a negated errno.
import { array_lookup, array_next_key, array_update } from './array';
import { hash_delete, hash_lookup, hash_next_key, hash_update } from './hash';
import { copy_bytes, cpu_count } from './header';
import { lpm_trie_delete, lpm_trie_lookup, lpm_trie_next_key, lpm_trie_update } from './lpm-trie';
import { lru_hash_delete, lru_hash_next_key, lru_hash_peek, lru_hash_update } from './lru-hash';
import { percpu_array_read, percpu_array_write } from './percpu-array';
import { prog_array_read, prog_array_remove, prog_array_write } from './prog-array';
import { EINVAL, ENOENT, ENOTSUPP, EPERM } from '../errno';
import { BPF_F_RDONLY, BPF_F_WRONLY, MAP_FLAGS, MAP_FROZEN, MAP_STRIDE, MAP_TYPE, MAP_VALUE_SIZE } from '../../layout/map';
import { ARRAY, HASH, LPM_TRIE, LRU_HASH, PERCPU_ARRAY, PROG_ARRAY } from './types';

/** Bytes that a lookup copies out and an update takes. */
export function map_user_value_size(map: usize): u32 {
  return load<u32>(map, MAP_TYPE) == PERCPU_ARRAY
    ? load<u32>(map, MAP_STRIDE) * cpu_count()
    : load<u32>(map, MAP_VALUE_SIZE);
}

// @ts-ignore: decorator
@inline
function may_read(map: usize): bool {
  return !(load<u32>(map, MAP_FLAGS) & BPF_F_WRONLY);
}

// @ts-ignore: decorator
@inline
function may_write(map: usize): bool {
  return !(load<u32>(map, MAP_FLAGS) & BPF_F_RDONLY) && load<u32>(map, MAP_FROZEN) == 0;
}

function copy_out(map: usize, value: usize, out: usize): i32 {
  if (value == 0) return <i32>ENOENT;
  copy_bytes(out, value, load<u32>(map, MAP_VALUE_SIZE));
  return 0;
}

export function map_lookup_user(map: usize, key: usize, out: usize): i32 {
  if (!may_read(map)) return <i32>EPERM;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
      return copy_out(map, hash_lookup(map, key), out);
    case ARRAY:
      return copy_out(map, array_lookup(map, key), out);
    case LPM_TRIE:
      return copy_out(map, lpm_trie_lookup(map, key), out);
    case LRU_HASH:
      return copy_out(map, lru_hash_peek(map, key), out);
    case PERCPU_ARRAY:
      return percpu_array_read(map, key, out);
    case PROG_ARRAY:
      return prog_array_read(map, key, out);
    default:
      return <i32>ENOTSUPP;
  }
}

export function map_update_user(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (!may_write(map)) return <i32>EPERM;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
      return <i32>hash_update(map, key, value, flags);
    case ARRAY:
      return <i32>array_update(map, key, value, flags);
    case LPM_TRIE:
      return <i32>lpm_trie_update(map, key, value, flags);
    case LRU_HASH:
      return <i32>lru_hash_update(map, key, value, flags);
    case PERCPU_ARRAY:
      return percpu_array_write(map, key, value, flags);
    case PROG_ARRAY:
      return prog_array_write(map, key, value, flags);
    default:
      return <i32>ENOTSUPP;
  }
}

export function map_delete_user(map: usize, key: usize): i32 {
  if (!may_write(map)) return <i32>EPERM;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
      return <i32>hash_delete(map, key);
    case LPM_TRIE:
      return <i32>lpm_trie_delete(map, key);
    case LRU_HASH:
      return <i32>lru_hash_delete(map, key);
    case ARRAY:
    case PERCPU_ARRAY:
      return <i32>EINVAL;
    case PROG_ARRAY:
      return prog_array_remove(map, key);
    default:
      return <i32>ENOTSUPP;
  }
}

/** Key after the one at `key` (address 0: the first) to `out`; -ENOENT at the end. */
export function map_next_key(map: usize, key: usize, out: usize): i32 {
  if (!may_read(map)) return <i32>EPERM;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
      return hash_next_key(map, key, out);
    case LPM_TRIE:
      return lpm_trie_next_key(map, key, out);
    case LRU_HASH:
      return lru_hash_next_key(map, key, out);
    case ARRAY:
    case PERCPU_ARRAY:
    case PROG_ARRAY:
      return array_next_key(map, key, out);
    default:
      return <i32>ENOTSUPP;
  }
}
