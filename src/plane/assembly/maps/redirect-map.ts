// bpf_redirect_map: a target by map and key, kept for the hook. Facts: __bpf_xdp_redirect_map, include/linux/filter.h.
import { hash_lookup } from './hash';
import { target_array_find } from './target-array';
import { CPUMAP, DEVMAP, DEVMAP_HASH, XSKMAP } from './types';
import { WORKER } from '../worker';
import { MAP_TYPE } from '../../layout/map';
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
  if (!broadcast && !has_target(target_map, type, <u32>key)) {
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

// @ts-ignore: decorator
@inline
function has_target(map: usize, type: u32, key: u32): bool {
  if (type != DEVMAP_HASH) return target_array_find(map, key) != 0;
  store<u32>(WORKER, key, WORKER_SCRATCH);
  return hash_lookup(map, WORKER + WORKER_SCRATCH) != 0;
}
