// Map helpers in the BPF calling convention, for calls whose map the compiler does not know: 64-bit arguments, the type read
// from the header. A type without the operation answers as Linux does.
import { WORKER } from '../worker';
import { array_of_maps_lookup } from './array-of-maps';
import { array_delete, array_lookup, array_update } from './array';
import { hash_delete, hash_each, hash_lookup, hash_update } from './hash';
import { bloom_filter_peek, bloom_filter_push } from './bloom-filter';
import { cpumap_lookup } from './cpumap';
import { devmap_lookup } from './devmap';
import { hash_of_maps_lookup } from './hash-of-maps';
import { cpu_count, this_cpu } from './header';
import { lpm_trie_delete, lpm_trie_lookup, lpm_trie_update } from './lpm-trie';
import { lru_hash_delete, lru_hash_lookup, lru_hash_update } from './lru-hash';
import {
  lru_percpu_hash_delete,
  lru_percpu_hash_lookup,
  lru_percpu_hash_lookup_cpu,
  lru_percpu_hash_update,
} from './lru-percpu-hash';
import { percpu_array_lookup, percpu_array_lookup_cpu, percpu_array_update } from './percpu-array';
import { percpu_hash_delete, percpu_hash_lookup, percpu_hash_lookup_cpu, percpu_hash_update } from './percpu-hash';
import { queue_peek, queue_pop, queue_push } from './queue';
import { sockhash_lookup, sockmap_lookup, sockmap_put, sockmap_remove } from './sockmap';
import { xskmap_lookup } from './xskmap';
import { EINVAL, EOPNOTSUPP } from '../errno';
import { MAP_CPU_STRIDE, MAP_MAX_ENTRIES, MAP_STRIDE, MAP_TYPE, MAP_VALUES } from '../../layout/map';
import { HASH_ELEMENT_KEY } from '../../layout/map-hash';
import { LRU_ELEMENT_KEY } from '../../layout/map-lru';
import { WORKER_STACK_TOP } from '../../layout/worker';
import {
  ARRAY,
  ARRAY_OF_MAPS,
  BLOOM_FILTER,
  CPUMAP,
  DEVMAP,
  DEVMAP_HASH,
  HASH,
  HASH_OF_MAPS,
  LPM_TRIE,
  LRU_HASH,
  LRU_PERCPU_HASH,
  PERCPU_ARRAY,
  PERCPU_HASH,
  QUEUE,
  SOCKHASH,
  SOCKMAP,
  STACK,
  XSKMAP,
} from './types';

/** Address of the value, in maps of maps of the inner map; 0 if there is none. */
export function bpf_map_lookup_elem(map: u64, key: u64): u64 {
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case HASH:
      return hash_lookup(<usize>map, <usize>key);
    case ARRAY:
      return array_lookup(<usize>map, <usize>key);
    case PERCPU_ARRAY:
      return percpu_array_lookup(<usize>map, <usize>key);
    case LPM_TRIE:
      return lpm_trie_lookup(<usize>map, <usize>key);
    case LRU_HASH:
      return lru_hash_lookup(<usize>map, <usize>key);
    case PERCPU_HASH:
      return percpu_hash_lookup(<usize>map, <usize>key);
    case LRU_PERCPU_HASH:
      return lru_percpu_hash_lookup(<usize>map, <usize>key);
    case ARRAY_OF_MAPS:
      return array_of_maps_lookup(<usize>map, <usize>key);
    case HASH_OF_MAPS:
      return hash_of_maps_lookup(<usize>map, <usize>key);
    case DEVMAP_HASH:
      return hash_lookup(<usize>map, <usize>key);
    case DEVMAP:
      return devmap_lookup(<usize>map, <usize>key);
    case CPUMAP:
      return cpumap_lookup(<usize>map, <usize>key);
    case XSKMAP:
      return xskmap_lookup(<usize>map, <usize>key);
    case SOCKMAP:
      return sockmap_lookup(<usize>map, <usize>key);
    case SOCKHASH:
      return sockhash_lookup(<usize>map, <usize>key);
    default:
      return 0;
  }
}

export function bpf_map_update_elem(map: u64, key: u64, value: u64, flags: u64): i64 {
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case HASH:
      return hash_update(<usize>map, <usize>key, <usize>value, flags);
    case ARRAY:
      return array_update(<usize>map, <usize>key, <usize>value, flags);
    case PERCPU_ARRAY:
      return percpu_array_update(<usize>map, <usize>key, <usize>value, flags);
    case LPM_TRIE:
      return lpm_trie_update(<usize>map, <usize>key, <usize>value, flags);
    case LRU_HASH:
      return lru_hash_update(<usize>map, <usize>key, <usize>value, flags);
    case PERCPU_HASH:
      return percpu_hash_update(<usize>map, <usize>key, <usize>value, flags);
    case LRU_PERCPU_HASH:
      return lru_percpu_hash_update(<usize>map, <usize>key, <usize>value, flags);
    case SOCKMAP:
    case SOCKHASH:
      return sockmap_put(<usize>map, <usize>key, <usize>value, flags);
    default:
      return EOPNOTSUPP;
  }
}

export function bpf_map_delete_elem(map: u64, key: u64): i64 {
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case HASH:
      return hash_delete(<usize>map, <usize>key);
    case ARRAY:
    case PERCPU_ARRAY:
      return array_delete(<usize>map, <usize>key);
    case LPM_TRIE:
      return lpm_trie_delete(<usize>map, <usize>key);
    case LRU_HASH:
      return lru_hash_delete(<usize>map, <usize>key);
    case PERCPU_HASH:
      return percpu_hash_delete(<usize>map, <usize>key);
    case LRU_PERCPU_HASH:
      return lru_percpu_hash_delete(<usize>map, <usize>key);
    case SOCKMAP:
    case SOCKHASH:
      return sockmap_remove(<usize>map, <usize>key);
    default:
      return EOPNOTSUPP;
  }
}

/** Address of the value of `cpu`, 0 for a key or CPU that is not there. */
export function bpf_map_lookup_percpu_elem(map: u64, key: u64, cpu: u64): u64 {
  if (<u32>cpu >= cpu_count()) return 0;
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case PERCPU_ARRAY:
      return percpu_array_lookup_cpu(<usize>map, <usize>key, <u32>cpu);
    case PERCPU_HASH:
      return percpu_hash_lookup_cpu(<usize>map, <usize>key, <u32>cpu);
    case LRU_PERCPU_HASH:
      return lru_percpu_hash_lookup_cpu(<usize>map, <usize>key, <u32>cpu);
    default:
      return 0;
  }
}

export function bpf_map_push_elem(map: u64, value: u64, flags: u64): i64 {
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case QUEUE:
    case STACK:
      return queue_push(<usize>map, <usize>value, flags);
    case BLOOM_FILTER:
      return bloom_filter_push(<usize>map, <usize>value, flags);
    default:
      return EOPNOTSUPP;
  }
}

export function bpf_map_pop_elem(map: u64, out: u64): i64 {
  const type = load<u32>(<usize>map, MAP_TYPE);
  return type == QUEUE || type == STACK ? queue_pop(<usize>map, <usize>out) : EOPNOTSUPP;
}

/** The next value of a queue or stack to `value`; in a bloom filter, whether it holds `value`. */
export function bpf_map_peek_elem(map: u64, value: u64): i64 {
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case QUEUE:
    case STACK:
      return queue_peek(<usize>map, <usize>value);
    case BLOOM_FILTER:
      return bloom_filter_peek(<usize>map, <usize>value);
    default:
      return EOPNOTSUPP;
  }
}

/**
 * Calls the function at table index `callback` (i64 map, key, value, ctx, 0) -> i64 for every element until it returns non-zero;
 * returns the number of calls, or -EINVAL for flags or a type without iteration. Per-CPU types show this CPU's values.
 */
export function bpf_for_each_map_elem(map: u64, callback: u64, ctx: u64, flags: u64): i64 {
  if (flags != 0) return EINVAL;
  switch (load<u32>(<usize>map, MAP_TYPE)) {
    case HASH:
      return hash_each(<usize>map, HASH_ELEMENT_KEY, 0, <u32>callback, ctx);
    case LRU_HASH:
      return hash_each(<usize>map, LRU_ELEMENT_KEY, 0, <u32>callback, ctx);
    case PERCPU_HASH:
      return hash_each(<usize>map, HASH_ELEMENT_KEY, this_cpu() * load<u32>(<usize>map, MAP_CPU_STRIDE), <u32>callback, ctx);
    case LRU_PERCPU_HASH:
      return hash_each(<usize>map, LRU_ELEMENT_KEY, this_cpu() * load<u32>(<usize>map, MAP_CPU_STRIDE), <u32>callback, ctx);
    case ARRAY:
      return array_each(<usize>map, load<u32>(<usize>map, MAP_VALUES), <u32>callback, ctx);
    case PERCPU_ARRAY:
      return array_each(
        <usize>map,
        load<u32>(<usize>map, MAP_VALUES) + this_cpu() * load<u32>(<usize>map, MAP_CPU_STRIDE),
        <u32>callback,
        ctx,
      );
    default:
      return EINVAL;
  }
}

function array_each(map: usize, values: usize, callback: u32, ctx: u64): i64 {
  // The key that the callback is shown lies on this CPU's BPF stack, above the callback's frame.
  const top = load<u32>(WORKER, WORKER_STACK_TOP);
  const key = top - 16;
  store<u32>(WORKER, key, WORKER_STACK_TOP);
  const count = load<u32>(map, MAP_MAX_ENTRIES);
  const stride = load<u32>(map, MAP_STRIDE);
  let calls: i64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(key, i);
    calls++;
    const stop = call_indirect<i64>(callback, <i64>map, <i64>key, <i64>(values + i * stride), <i64>ctx, <i64>0);
    if (stop != 0) break;
  }
  store<u32>(WORKER, top, WORKER_STACK_TOP);
  return calls;
}
