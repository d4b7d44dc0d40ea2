// Map operations as bpf(2) gives them to user space: values are copied, per-CPU values come all at once, lookups leave no mark
// of use, and what the map's flags or its frozen state forbid is EPERM. Results are 0 or a negated errno.
import { array_lookup, array_next_key, array_update } from './array';
import { array_of_maps_read, array_of_maps_remove, array_of_maps_write } from './array-of-maps';
import { bloom_filter_peek, bloom_filter_push } from './bloom-filter';
import { cgroup_array_remove, cgroup_array_write } from './cgroup-array';
import { chain_take } from './chain';
import { cpumap_remove, cpumap_write } from './cpumap';
import { devmap_hash_write, devmap_write } from './devmap';
import { copy_element, hash_read } from './element-copy';
import { hash_delete, hash_give, hash_next_key, hash_update } from './hash';
import { hash_of_maps_read, hash_of_maps_remove, hash_of_maps_write } from './hash-of-maps';
import { cpu_count } from './header';
import { insn_array_read, insn_array_write } from './insn-array';
import { lpm_trie_delete, lpm_trie_lookup, lpm_trie_next_key, lpm_trie_update } from './lpm-trie';
import { lru_hash_delete, lru_hash_next_key, lru_hash_update } from './lru-hash';
import { lru_give } from './lru-list';
import { lru_percpu_hash_write } from './lru-percpu-hash';
import { percpu_array_read, percpu_array_write } from './percpu-array';
import { percpu_hash_write } from './percpu-hash';
import { prog_array_read, prog_array_remove, prog_array_write } from './prog-array';
import { queue_peek, queue_pop, queue_push } from './queue';
import { target_read } from './redirect-map';
import { reuseport_sockarray_read, reuseport_sockarray_remove, reuseport_sockarray_write } from './reuseport-sockarray';
import { sockmap_read, sockmap_remove, sockmap_write } from './sockmap';
import { storage_next_key, storage_read, storage_remove, storage_write } from './storage';
import { stack_trace_next_key, stack_trace_read, stack_trace_remove } from './stack-trace';
import { is_storage } from './storage-types';
import { struct_ops_next_key, struct_ops_read, struct_ops_remove, struct_ops_write } from './struct-ops';
import { target_array_remove } from './target-array';
import { has_spin_lock, value_read, value_read_locked } from './value';
import { xskmap_remove, xskmap_write } from './xskmap';
import { EINVAL, ENOENT, ENOTSUPP, EOPNOTSUPP, EPERM } from '../errno';
import {
  BPF_F_LOCK,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  MAP_FLAGS,
  MAP_FROZEN,
  MAP_STRIDE,
  MAP_TYPE,
  MAP_VALUE_SIZE,
} from '../../layout/map';
import { HASH_ELEMENT_KEY } from '../../layout/map-hash';
import { LRU_ELEMENT_KEY } from '../../layout/map-lru';
import {
  ARENA,
  ARRAY,
  ARRAY_OF_MAPS,
  BLOOM_FILTER,
  CGROUP_ARRAY,
  CPUMAP,
  DEVMAP,
  DEVMAP_HASH,
  HASH,
  HASH_OF_MAPS,
  INSN_ARRAY,
  LPM_TRIE,
  LRU_HASH,
  LRU_PERCPU_HASH,
  PERCPU_ARRAY,
  PERCPU_HASH,
  PERF_EVENT_ARRAY,
  PROG_ARRAY,
  QUEUE,
  REUSEPORT_SOCKARRAY,
  SOCKHASH,
  SOCKMAP,
  STACK,
  STACK_TRACE,
  STRUCT_OPS,
  XSKMAP,
  has_cpu_values,
} from './types';

/** Bytes that a lookup copies out and an update takes. */
export function map_user_value_size(map: usize): u32 {
  return has_cpu_values(load<u32>(map, MAP_TYPE)) ? load<u32>(map, MAP_STRIDE) * cpu_count() : load<u32>(map, MAP_VALUE_SIZE);
}

// @ts-ignore: decorator
@inline
export function may_read(map: usize): bool {
  return !(load<u32>(map, MAP_FLAGS) & BPF_F_WRONLY);
}

// @ts-ignore: decorator
@inline
export function may_write(map: usize): bool {
  return !(load<u32>(map, MAP_FLAGS) & BPF_F_RDONLY) && load<u32>(map, MAP_FROZEN) == 0;
}

function copy_out(map: usize, value: usize, out: usize, flags: u32): i32 {
  if (value == 0) return <i32>ENOENT;
  if (flags & BPF_F_LOCK) {
    value_read_locked(map, out, value);
  } else {
    value_read(map, out, value);
  }
  return 0;
}

/** `flags`: 0 or BPF_F_LOCK. A bloom filter is asked for the value at `out`. */
export function map_lookup_user(map: usize, key: usize, out: usize, flags: u32): i32 {
  if (!may_read(map)) return <i32>EPERM;
  if (flags != 0 && (flags != BPF_F_LOCK || !has_spin_lock(map))) return <i32>EINVAL;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
    case PERCPU_HASH:
      return hash_read(map, key, HASH_ELEMENT_KEY, out, flags);
    case LRU_HASH:
    case LRU_PERCPU_HASH:
      return hash_read(map, key, LRU_ELEMENT_KEY, out, flags);
    case ARRAY:
      return copy_out(map, array_lookup(map, key), out, flags);
    case LPM_TRIE:
      return copy_out(map, lpm_trie_lookup(map, key), out, 0);
    case PERCPU_ARRAY:
      return percpu_array_read(map, key, out);
    case QUEUE:
    case STACK:
      return <i32>queue_peek(map, out);
    case BLOOM_FILTER:
      return <i32>bloom_filter_peek(map, out);
    case PROG_ARRAY:
      return prog_array_read(map, key, out);
    case ARRAY_OF_MAPS:
      return array_of_maps_read(map, key, out);
    case HASH_OF_MAPS:
      return hash_of_maps_read(map, key, out);
    case DEVMAP:
    case DEVMAP_HASH:
    case CPUMAP:
      return target_read(map, key, out);
    case XSKMAP:
      return <i32>EOPNOTSUPP;
    case ARENA:
      return <i32>EINVAL;
    case INSN_ARRAY:
      return insn_array_read(map, key, out);
    case STRUCT_OPS:
      return struct_ops_read(map, key, out);
    case SOCKMAP:
    case SOCKHASH:
      return sockmap_read(map, key, out);
    case REUSEPORT_SOCKARRAY:
      return reuseport_sockarray_read(map, key, out);
    case STACK_TRACE:
      return stack_trace_read(map, key, out, false);
    default:
      return is_storage(load<u32>(map, MAP_TYPE)) ? storage_read(map, key, out, flags) : <i32>ENOTSUPP;
  }
}

export function map_update_user(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (!may_write(map)) return <i32>EPERM;
  if (flags & BPF_F_LOCK && !has_spin_lock(map)) return <i32>EINVAL;
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
    case PERCPU_HASH:
      return percpu_hash_write(map, key, value, flags);
    case LRU_PERCPU_HASH:
      return lru_percpu_hash_write(map, key, value, flags);
    case QUEUE:
    case STACK:
      return <i32>queue_push(map, value, flags);
    case BLOOM_FILTER:
      return <i32>bloom_filter_push(map, value, flags);
    case PROG_ARRAY:
      return prog_array_write(map, key, value, flags);
    case ARRAY_OF_MAPS:
    case PERF_EVENT_ARRAY:
      return array_of_maps_write(map, key, value, flags);
    case HASH_OF_MAPS:
      return hash_of_maps_write(map, key, value, flags);
    case DEVMAP:
      return devmap_write(map, key, value, flags);
    case DEVMAP_HASH:
      return devmap_hash_write(map, key, value, flags);
    case CPUMAP:
      return cpumap_write(map, key, value, flags);
    case XSKMAP:
      return xskmap_write(map, key, value, flags);
    case ARENA:
      return <i32>EOPNOTSUPP;
    case INSN_ARRAY:
      return insn_array_write(map, key, value, flags);
    case STRUCT_OPS:
      return struct_ops_write(map, key, value, flags);
    case SOCKMAP:
    case SOCKHASH:
      return sockmap_write(map, key, value, flags);
    case REUSEPORT_SOCKARRAY:
      return reuseport_sockarray_write(map, key, value, flags);
    case STACK_TRACE:
      return <i32>EINVAL;
    case CGROUP_ARRAY:
      return cgroup_array_write(map, key, value, flags);
    default:
      return is_storage(load<u32>(map, MAP_TYPE)) ? storage_write(map, key, value, flags) : <i32>ENOTSUPP;
  }
}

export function map_delete_user(map: usize, key: usize): i32 {
  if (!may_write(map)) return <i32>EPERM;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
    case PERCPU_HASH:
    case DEVMAP_HASH:
      return <i32>hash_delete(map, key);
    case LPM_TRIE:
      return <i32>lpm_trie_delete(map, key);
    case LRU_HASH:
    case LRU_PERCPU_HASH:
      return <i32>lru_hash_delete(map, key);
    case ARRAY:
    case PERCPU_ARRAY:
    case QUEUE:
    case STACK:
      return <i32>EINVAL;
    case BLOOM_FILTER:
      return <i32>EOPNOTSUPP;
    case PROG_ARRAY:
      return prog_array_remove(map, key);
    case ARRAY_OF_MAPS:
    case PERF_EVENT_ARRAY:
      return array_of_maps_remove(map, key);
    case HASH_OF_MAPS:
      return hash_of_maps_remove(map, key);
    case CPUMAP:
      return cpumap_remove(map, key);
    case DEVMAP:
      return target_array_remove(map, key);
    case XSKMAP:
      return xskmap_remove(map, key);
    case ARENA:
      return <i32>EOPNOTSUPP;
    case INSN_ARRAY:
      return <i32>EINVAL;
    case STRUCT_OPS:
      return struct_ops_remove(map, key);
    case SOCKMAP:
    case SOCKHASH:
      return <i32>sockmap_remove(map, key);
    case REUSEPORT_SOCKARRAY:
      return reuseport_sockarray_remove(map, key);
    case STACK_TRACE:
      return stack_trace_remove(map, key);
    case CGROUP_ARRAY:
      return cgroup_array_remove(map, key);
    default:
      return is_storage(load<u32>(map, MAP_TYPE)) ? storage_remove(map, key) : <i32>ENOTSUPP;
  }
}

/** BPF_MAP_LOOKUP_AND_DELETE_ELEM: takes an element out and copies its value; queues and stacks pop. */
export function map_take_user(map: usize, key: usize, out: usize): i32 {
  if (!may_read(map) || !may_write(map)) return <i32>EPERM;
  const type = load<u32>(map, MAP_TYPE);
  if (type == QUEUE || type == STACK) return <i32>queue_pop(map, out);
  if (type == STACK_TRACE) return stack_trace_read(map, key, out, true);
  if (!is_plain_hash(type) && !is_lru(type)) return <i32>ENOTSUPP;
  const element = chain_take(map, key, is_lru(type) ? LRU_ELEMENT_KEY : HASH_ELEMENT_KEY);
  if (element == 0) return <i32>ENOENT;
  take_value(map, element, out);
  return 0;
}

export function is_plain_hash(type: u32): bool {
  return type == HASH || type == PERCPU_HASH;
}

export function is_lru(type: u32): bool {
  return type == LRU_HASH || type == LRU_PERCPU_HASH;
}

function take_value(map: usize, element: usize, out: usize): void {
  copy_element(map, element, out, 0);
  if (is_lru(load<u32>(map, MAP_TYPE))) lru_give(map, element);
  else hash_give(map, element);
}

/** Key after the one at `key` (address 0: the first) to `out`; -ENOENT at the end. */
export function map_next_key(map: usize, key: usize, out: usize): i32 {
  if (!may_read(map)) return <i32>EPERM;
  switch (load<u32>(map, MAP_TYPE)) {
    case HASH:
    case PERCPU_HASH:
    case HASH_OF_MAPS:
    case DEVMAP_HASH:
    case SOCKHASH:
      return hash_next_key(map, key, out);
    case LPM_TRIE:
      return lpm_trie_next_key(map, key, out);
    case LRU_HASH:
    case LRU_PERCPU_HASH:
      return lru_hash_next_key(map, key, out);
    case ARRAY:
    case PERCPU_ARRAY:
    case PROG_ARRAY:
    case ARRAY_OF_MAPS:
    case PERF_EVENT_ARRAY:
    case DEVMAP:
    case CPUMAP:
    case XSKMAP:
    case SOCKMAP:
    case REUSEPORT_SOCKARRAY:
    case CGROUP_ARRAY:
    case INSN_ARRAY:
      return array_next_key(map, key, out);
    case QUEUE:
    case STACK:
      return <i32>EINVAL;
    case BLOOM_FILTER:
    case ARENA:
      return <i32>EOPNOTSUPP;
    case STACK_TRACE:
      return stack_trace_next_key(map, key, out);
    case STRUCT_OPS:
      return struct_ops_next_key(key, out);
    default:
      return is_storage(load<u32>(map, MAP_TYPE)) ? storage_next_key(map, key, out) : <i32>ENOTSUPP;
  }
}
