// Xskmap: AF_XDP sockets to redirect to, each known here by the queue that it is bound to. Facts: net/xdp/xskmap.c.
import { access_flags_ok } from './header';
import { target_array_allocate, target_array_at, target_array_find, target_array_remove, target_array_store, target_array_update_check } from './target-array';
import { word_lock, word_unlock } from '../locks/word';
import { EEXIST, EINVAL } from '../errno';
import { BPF_F_NUMA_NODE, BPF_F_RDONLY, BPF_F_WRONLY } from '../../layout/map';
import { XSKMAP_LOCK } from '../../layout/map-target';

export function xskmap_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (max_entries == 0 || key_size != 4 || value_size != 4) return <usize>EINVAL;
  if ((flags & ~(BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY)) != 0 || !access_flags_ok(flags)) return <usize>EINVAL;
  return target_array_allocate(type, value_size, max_entries, flags);
}

/** Address of struct bpf_xdp_sock (u32 queue), 0 if there is no socket. */
export function xskmap_lookup(map: usize, key: usize): usize {
  return target_array_find(map, load<u32>(key));
}

/** User space: `value` is the queue of the socket. */
export function xskmap_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  word_lock(map + XSKMAP_LOCK);
  const refused = target_array_update_check(map, key, flags);
  // The socket that is there already stays there, whatever the flags say.
  const same = refused == <i32>EEXIST && <u32>target_array_at(map, load<u32>(key)) == load<u32>(value);
  if (refused == 0) target_array_store(map, key, load<u32>(value), 1);
  word_unlock(map + XSKMAP_LOCK);
  return same ? 0 : refused;
}

export function xskmap_remove(map: usize, key: usize): i32 {
  word_lock(map + XSKMAP_LOCK);
  const refused = target_array_remove(map, key);
  word_unlock(map + XSKMAP_LOCK);
  return refused;
}
