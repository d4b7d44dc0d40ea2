// Array of maps, and perf event arrays, which are one of ring buffers. Programs only look up; user space writes, one at a time.
// Facts: fd_array_map_* in kernel/bpf/arraymap.c.
import { array_check } from './array';
import { header_allocate } from './header';
import { inner_check, inner_keep, inner_take } from './inner';
import { map_destroy } from './registry';
import { PERF_EVENT_ARRAY, RINGBUF } from './types';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY_PROG,
  MAP_ID,
  MAP_MAX_ENTRIES,
  MAP_STRIDE,
  MAP_VALUES,
} from '../../layout/map';
import { INNER_TYPE, MAP_SLOT_SIZE } from '../../layout/map-inner';

export function array_of_maps_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  inner: usize,
): usize {
  const events = type == PERF_EVENT_ARRAY;
  if (value_size != 4 || (flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) != 0) return <usize>EINVAL;
  let refused = array_check(key_size, value_size, max_entries, flags, events ? BPF_F_PRESERVE_ELEMS : 0);
  if (refused == 0 && !events) refused = inner_check(inner);
  if (refused != 0) return <usize>refused;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, <u64>max_entries * MAP_SLOT_SIZE);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, MAP_SLOT_SIZE, MAP_STRIDE);
  if (events) store<u32>(map, RINGBUF, INNER_TYPE);
  else inner_keep(map, inner);
  return map;
}

// @ts-ignore: decorator
@inline
export function map_slot(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * MAP_SLOT_SIZE;
}

/** The map at `key`, 0 if there is none. */
export function array_of_maps_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return atomic.load<u32>(map_slot(map, index));
}

/** User space: the id of the map at `key` to `out`, or -ENOENT. */
export function array_of_maps_read(map: usize, key: usize, out: usize): i32 {
  const inner = array_of_maps_lookup(map, key);
  if (inner == 0) return <i32>ENOENT;
  store<u32>(out, load<u32>(inner, MAP_ID));
  return 0;
}

/** User space: puts the map whose id is at `value` there, with a reference, and drops the one on what was there. */
export function array_of_maps_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (flags != 0) return <i32>EINVAL;
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  const inner = inner_take(map, load<u32>(value));
  if (inner >= <usize>-4095) return <i32>inner;
  const old = atomic.xchg<u32>(map_slot(map, index), <u32>inner);
  if (old != 0) map_destroy(old);
  return 0;
}

export function array_of_maps_remove(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  const old = atomic.xchg<u32>(map_slot(map, index), 0);
  if (old == 0) return <i32>ENOENT;
  map_destroy(old);
  return 0;
}
