// bpf_redirect_map: a target by map and key, kept for the hook. Facts: __bpf_xdp_redirect_map, include/linux/filter.h.
import { devmap_hash_at } from './devmap';
import { target_array_at } from './target-array';
import { CPUMAP, DEVMAP, DEVMAP_HASH, XSKMAP } from './types';
import { ENOENT } from '../errno';
import { WORKER } from '../worker';
import { MAP_TYPE, MAP_VALUE_SIZE } from '../../layout/map';
import { BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, REDIRECT_ACTION_MASK } from '../../layout/map-target';
import { WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX, WORKER_REDIRECT_MAP, WORKER_SCRATCH } from '../../layout/worker';

const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;

/**
 * XDP_REDIRECT, and the target in the worker block; the lower two bits of the flags if the map has no such element, and then no
 * earlier target counts any more; XDP_ABORTED for flags that the map type does not know.
 */
export function bpf_redirect_map(map: u64, key: u64, flags: u64): u64 {
  const target_map = <usize>map;
  const type = load<u32>(target_map, MAP_TYPE);
  const devices = type == DEVMAP || type == DEVMAP_HASH;
  if (!devices && type != CPUMAP && type != XSKMAP) return XDP_ABORTED;
  const known = <u64>(devices ? REDIRECT_ACTION_MASK | BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS : REDIRECT_ACTION_MASK);
  if ((flags & ~known) != 0) return XDP_ABORTED;
  const broadcast = (flags & BPF_F_BROADCAST) != 0;
  if (!broadcast && targetOf(target_map, <u32>key) == 0) {
    store<u32>(WORKER, 0, WORKER_REDIRECT_MAP);
    store<u32>(WORKER, 0, WORKER_REDIRECT_INDEX);
    store<u32>(WORKER, 0, WORKER_REDIRECT_FLAGS);
    return flags & REDIRECT_ACTION_MASK;
  }
  store<u32>(WORKER, <u32>target_map, WORKER_REDIRECT_MAP);
  store<u32>(WORKER, <u32>key, WORKER_REDIRECT_INDEX);
  store<u32>(WORKER, broadcast ? <u32>flags : 0, WORKER_REDIRECT_FLAGS);
  return XDP_REDIRECT;
}

/** A target in a devmap, cpumap or xskmap as it is at one moment: its first word, and above it the second; 0: there is none. */
export function targetOf(map: usize, key: u32): u64 {
  if (load<u32>(map, MAP_TYPE) != DEVMAP_HASH) return target_array_at(map, key);
  store<u32>(WORKER, key, WORKER_SCRATCH);
  return devmap_hash_at(map, WORKER + WORKER_SCRATCH);
}

/** User space: copies a target out, not of an xskmap. */
export function target_read(map: usize, key: usize, out: usize): i32 {
  const target = targetOf(map, load<u32>(key));
  if (target == 0) return <i32>ENOENT;
  store<u32>(out, <u32>target);
  if (load<u32>(map, MAP_VALUE_SIZE) == 8) store<u32>(out, programOf(map, target), 4);
  return 0;
}

/** Program of a target, 0: it has none. */
// @ts-ignore: decorator
@inline
export function programOf(map: usize, target: u64): u32 {
  return load<u32>(map, MAP_VALUE_SIZE) == 8 ? <u32>(target >> 32) : 0;
}
