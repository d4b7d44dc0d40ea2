// Creation of maps. Only control code calls these.
import { allocator_map_create } from './allocator';
import { arena_create } from './arena';
import { array_create } from './array';
import { array_of_maps_create } from './array-of-maps';
import { bloom_filter_create } from './bloom-filter';
import { cgroup_array_create } from './cgroup-array';
import { cpumap_create } from './cpumap';
import { devmap_create, devmap_hash_create } from './devmap';
import { hash_create } from './hash';
import { hash_of_maps_create } from './hash-of-maps';
import { insn_array_create } from './insn-array';
import { lpm_trie_create } from './lpm-trie';
import { lru_hash_create } from './lru-hash';
import { lru_percpu_hash_create } from './lru-percpu-hash';
import { percpu_array_create } from './percpu-array';
import { percpu_hash_create } from './percpu-hash';
import { prog_array_create } from './prog-array';
import { queue_create } from './queue';
import { registry_add } from './registry';
import { reuseport_sockarray_create } from './reuseport-sockarray';
import { ringbuf_create } from './ringbuf';
import { sockhash_create, sockmap_create } from './sockmap';
import { stack_trace_create } from './stack-trace';
import { cgroup_storage_create, storage_create } from './storage';
import { struct_ops_create } from './struct-ops';
import { user_ringbuf_create } from './user-ringbuf';
import { has_fields } from './value';
import { EBUSY, EINVAL, ENOTSUPP } from '../errno';
import { xskmap_create } from './xskmap';
import { BPF_F_RDONLY, BPF_F_WRONLY, MAP_EXTRA, MAP_FROZEN, MAP_SPIN_LOCK } from '../../layout/map';
import {
  ALLOCATOR,
  ARENA,
  ARRAY,
  ARRAY_OF_MAPS,
  BLOOM_FILTER,
  CGROUP_ARRAY,
  CGROUP_STORAGE,
  CGRP_STORAGE,
  CPUMAP,
  DEVMAP,
  DEVMAP_HASH,
  HASH,
  HASH_OF_MAPS,
  INODE_STORAGE,
  INSN_ARRAY,
  LPM_TRIE,
  LRU_HASH,
  LRU_PERCPU_HASH,
  PERCPU_ARRAY,
  PERCPU_CGROUP_STORAGE,
  PERCPU_HASH,
  PERF_EVENT_ARRAY,
  PROG_ARRAY,
  QUEUE,
  REUSEPORT_SOCKARRAY,
  RINGBUF,
  SK_STORAGE,
  SOCKHASH,
  SOCKMAP,
  STACK,
  STACK_TRACE,
  STRUCT_OPS,
  TASK_STORAGE,
  USER_RINGBUF,
  XSKMAP,
} from './types';

/**
 * Address of a new map, or a negated errno as the map type's alloc_check in Linux would return it: results at or above
 * ERROR_FLOOR (as u32) are errors. `seed` spreads the keys of hashes. `inner`: address of a map like those that a map of maps is to hold.
 * `spin_lock`: MAP_SPIN_LOCK. The caller holds one reference.
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
  inner: usize,
  spin_lock: u32,
): usize {
  const extra = (<u64>extra_high << 32) | extra_low;
  const seed = (<u64>seed_high << 32) | seed_low;
  const map = allocate(type, key_size, value_size, max_entries, flags, extra, seed, inner);
  if (map >= <usize>-4095) return map;
  store<u32>(map, spin_lock, MAP_SPIN_LOCK);
  store<u64>(map, extra, MAP_EXTRA);
  registry_add(map);
  return map;
}

function allocate(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  extra: u64,
  seed: u64,
  inner: usize,
): usize {
  // bpf_get_file_flag, before any type looks at its attributes.
  if ((flags & (BPF_F_RDONLY | BPF_F_WRONLY)) == (BPF_F_RDONLY | BPF_F_WRONLY)) return <usize>EINVAL;
  // Only bloom filters and arenas take a map_extra, and allocators, whose quota it is.
  if (extra != 0 && type != BLOOM_FILTER && type != ARENA && type != ALLOCATOR) return <usize>EINVAL;
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
      return lru_hash_create(type, key_size, value_size, max_entries, flags, seed, 1);
    case PERCPU_HASH:
      return percpu_hash_create(type, key_size, value_size, max_entries, flags, seed);
    case LRU_PERCPU_HASH:
      return lru_percpu_hash_create(type, key_size, value_size, max_entries, flags, seed);
    case QUEUE:
    case STACK:
      return queue_create(type, key_size, value_size, max_entries, flags);
    case BLOOM_FILTER:
      return bloom_filter_create(type, key_size, value_size, max_entries, flags, extra, seed);
    case ARRAY_OF_MAPS:
    case PERF_EVENT_ARRAY:
      return array_of_maps_create(type, key_size, value_size, max_entries, flags, inner);
    case HASH_OF_MAPS:
      return hash_of_maps_create(type, key_size, value_size, max_entries, flags, seed, inner);
    case DEVMAP:
      return devmap_create(type, key_size, value_size, max_entries, flags);
    case DEVMAP_HASH:
      return devmap_hash_create(type, key_size, value_size, max_entries, flags, seed);
    case CPUMAP:
      return cpumap_create(type, key_size, value_size, max_entries, flags);
    case XSKMAP:
      return xskmap_create(type, key_size, value_size, max_entries, flags);
    case RINGBUF:
      return ringbuf_create(type, key_size, value_size, max_entries, flags);
    case USER_RINGBUF:
      return user_ringbuf_create(type, key_size, value_size, max_entries, flags);
    case ARENA:
      return arena_create(type, key_size, value_size, max_entries, flags, extra);
    case INSN_ARRAY:
      return insn_array_create(type, key_size, value_size, max_entries, flags);
    case STRUCT_OPS:
      return struct_ops_create(type, key_size, value_size, max_entries, flags);
    case STACK_TRACE:
      return stack_trace_create(type, key_size, value_size, max_entries, flags);
    case CGROUP_ARRAY:
      return cgroup_array_create(type, key_size, value_size, max_entries, flags);
    case SOCKMAP:
      return sockmap_create(type, key_size, value_size, max_entries, flags);
    case SOCKHASH:
      return sockhash_create(type, key_size, value_size, max_entries, flags, seed);
    case REUSEPORT_SOCKARRAY:
      return reuseport_sockarray_create(type, key_size, value_size, max_entries, flags);
    case SK_STORAGE:
    case TASK_STORAGE:
    case INODE_STORAGE:
    case CGRP_STORAGE:
      return storage_create(type, key_size, value_size, max_entries, flags, seed);
    case CGROUP_STORAGE:
    case PERCPU_CGROUP_STORAGE:
      return cgroup_storage_create(type, key_size, value_size, max_entries, flags, seed);
    case ALLOCATOR:
      return allocator_map_create(type, key_size, value_size, max_entries, flags);
    default:
      return <usize>EINVAL;
  }
}

/** BPF_MAP_FREEZE: user space may no longer write. 0, -EBUSY if it already is, -ENOTSUPP if values have fields. */
export function map_freeze(map: usize): i32 {
  if (has_fields(map)) return <i32>ENOTSUPP;
  return atomic.xchg<u32>(map, 1, MAP_FROZEN) == 0 ? 0 : <i32>EBUSY;
}
