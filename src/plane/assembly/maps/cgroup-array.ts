// Array of control groups: which of them a packet's socket or the current task is in. User space writes ids of modelled groups, where Linux takes
// descriptors. Facts: fd_array_map_* and cgroup_fd_array_* in kernel/bpf/arraymap.c.
import { array_check } from './array';
import { header_allocate } from './header';
import { object_by_id, object_release, object_try_hold } from '../objects';
import { E2BIG, EBADF, EINVAL, ENOENT, ENOMEM } from '../errno';
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, MAP_MAX_ENTRIES, MAP_STRIDE, MAP_VALUES } from '../../layout/map';
import { OBJECT_CGROUP } from '../../layout/object';

/** An element: address of the group's body, 0 if there is none. */
const SLOT_SIZE: u32 = 8;

export function cgroup_array_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (value_size != 4 || (flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) != 0) return <usize>EINVAL;
  const refused = array_check(key_size, value_size, max_entries, flags, 0);
  if (refused != 0) return <usize>refused;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, <u64>max_entries * SLOT_SIZE);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, SLOT_SIZE, MAP_STRIDE);
  return map;
}

// @ts-ignore: decorator
@inline
function slot(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * SLOT_SIZE;
}

/** Body of the group at an index below max_entries, 0 if there is none. */
export function cgroup_array_at(map: usize, index: u32): usize {
  return atomic.load<u32>(slot(map, index));
}

/** User space: `value` is the id of a modelled group. */
export function cgroup_array_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (flags != 0) return <i32>EINVAL;
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  const group = object_by_id(load<u32>(value), OBJECT_CGROUP);
  if (group == 0 || !object_try_hold(group)) return <i32>EBADF;
  const old = atomic.xchg<u32>(slot(map, index), <u32>group);
  if (old != 0) object_release(old);
  return 0;
}

/** User space. */
export function cgroup_array_remove(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  const old = atomic.xchg<u32>(slot(map, index), 0);
  if (old == 0) return <i32>ENOENT;
  object_release(old);
  return 0;
}

/** References of a map that goes. */
export function cgroup_array_release(map: usize): void {
  const count = load<u32>(map, MAP_MAX_ENTRIES);
  for (let i: u32 = 0; i < count; i++) {
    const group = cgroup_array_at(map, i);
    if (group != 0) object_release(group);
  }
}
