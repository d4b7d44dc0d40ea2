// Array: values side by side. Facts: kernel/bpf/arraymap.c.
import { access_flags_ok, header_allocate, round_up_8 } from './header';
import { has_spin_lock, value_copy, value_copy_locked, value_release } from './value';
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_EXIST,
  BPF_F_INNER_MAP,
  BPF_F_LOCK,
  BPF_F_MMAPABLE,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
  MAP_MAX_ENTRIES,
  MAP_STRIDE,
  MAP_VALUES,
} from '../../layout/map';

/** 0, or the negated errno with which Linux refuses such an array; `allowed` are the flags besides the access flags. */
export function array_check(key_size: u32, value_size: u32, max_entries: u32, flags: u32, allowed: u32): i32 {
  const known = allowed | BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  if (max_entries == 0 || key_size != 4 || value_size == 0) return <i32>EINVAL;
  if ((flags & ~known) != 0 || !access_flags_ok(flags)) return <i32>EINVAL;
  if (<i32>value_size < 0) return <i32>E2BIG;
  return 0;
}

export function array_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  const refused = array_check(key_size, value_size, max_entries, flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  if (refused != 0) return <usize>refused;
  const body = <u64>round_up_8(value_size) * max_entries;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, body);
  return map == 0 ? <usize>ENOMEM : map;
}

/** Address of the value, 0 for an index out of range. */
export function array_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return load<u32>(map, MAP_VALUES) + index * load<u32>(map, MAP_STRIDE);
}

/** 0 if an update with these flags may go on. Order of the checks as in array_map_update_elem. */
export function array_update_check(map: usize, key: usize, flags: u64): i64 {
  if ((flags & ~(<u64>BPF_F_LOCK)) > <u64>BPF_EXIST) return EINVAL;
  if (load<u32>(key) >= load<u32>(map, MAP_MAX_ENTRIES)) return E2BIG;
  if (flags & BPF_NOEXIST) return EEXIST;
  if (flags & BPF_F_LOCK && !has_spin_lock(map)) return EINVAL;
  return 0;
}

export function array_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  const refused = array_update_check(map, key, flags);
  if (refused != 0) return refused;
  const to = array_lookup(map, key);
  if (flags & BPF_F_LOCK) value_copy_locked(map, to, value, to);
  else value_copy(map, to, value);
  value_release(map, to);
  return 0;
}

export function array_delete(map: usize, key: usize): i64 {
  return EINVAL;
}

/** Next index after the one at `key` (0: none), or -ENOENT; an index out of range starts again at 0, as in Linux. */
export function array_next_key(map: usize, key: usize, next: usize): i32 {
  const count = load<u32>(map, MAP_MAX_ENTRIES);
  const index = key == 0 ? u32.MAX_VALUE : load<u32>(key);
  if (index >= count) {
    store<u32>(next, 0);
    return 0;
  }
  if (index == count - 1) return <i32>ENOENT;
  store<u32>(next, index + 1);
  return 0;
}
