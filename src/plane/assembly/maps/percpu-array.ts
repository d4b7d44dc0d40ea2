// Per-CPU array: one array a CPU, in order of CPUs, each in cache lines of its own. Programs see their own CPU's value, user space all of them.
import { array_check, array_update_check } from './array';
import { copy_bytes, cpu_count, header_allocate, round_up_8, this_cpu } from './header';
import { value_copy, value_read, value_release_one } from './value';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_F_NUMA_NODE,
  CACHE_LINE,
  MAP_CPU_STRIDE,
  MAP_MAX_ENTRIES,
  MAP_RECORD,
  MAP_STRIDE,
  MAP_VALUES,
  MAP_VALUE_SIZE,
  PCPU_MIN_UNIT_SIZE,
} from '../../layout/map';

export function percpu_array_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (flags & BPF_F_NUMA_NODE) return <usize>EINVAL;
  const refused = array_check(key_size, value_size, max_entries, flags, 0);
  if (refused != 0) return <usize>refused;
  if (round_up_8(value_size) > <u32>PCPU_MIN_UNIT_SIZE) return <usize>E2BIG;
  const cpus = <u64>cpu_count();
  let row = <u64>round_up_8(value_size) * max_entries;
  if (cpus != 1) row = (row + (CACHE_LINE - 1)) & ~(<u64>(CACHE_LINE - 1));
  const map = header_allocate(type, key_size, value_size, max_entries, flags, row * cpus);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, <u32>row, MAP_CPU_STRIDE);
  return map;
}

// @ts-ignore: decorator
@inline
function value_of(map: usize, index: u32, cpu: u32): usize {
  return load<u32>(map, MAP_VALUES) + cpu * load<u32>(map, MAP_CPU_STRIDE) + index * load<u32>(map, MAP_STRIDE);
}

/** Address of this CPU's value, 0 for an index out of range. */
export function percpu_array_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return value_of(map, index, this_cpu());
}

/** Address of the value of `cpu`, 0 for an index or CPU out of range. */
export function percpu_array_lookup_cpu(map: usize, key: usize, cpu: u32): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES) || cpu >= cpu_count()) return 0;
  return value_of(map, index, cpu);
}

/** Writes this CPU's value. */
export function percpu_array_update(map: usize, key: usize, value: usize, flags: u64): i64 {
  const refused = array_update_check(map, key, flags);
  if (refused != 0) return refused;
  const to = percpu_array_lookup(map, key);
  if (load<u32>(map, MAP_RECORD) == 0) {
    copy_bytes(to, value, load<u32>(map, MAP_VALUE_SIZE));
    return 0;
  }
  value_copy(map, to, value);
  value_release_one(map, to);
  return 0;
}

export function percpu_array_delete(map: usize, key: usize): i64 {
  return EINVAL;
}

function read(map: usize, out: usize, value: usize, stride: u32): void {
  if (load<u32>(map, MAP_RECORD) == 0) copy_bytes(out, value, stride);
  else value_read(map, out, value);
}

function write(map: usize, value: usize, from: usize, stride: u32): void {
  if (load<u32>(map, MAP_RECORD) == 0) {
    copy_bytes(value, from, stride);
    return;
  }
  value_copy(map, value, from);
  value_release_one(map, value);
}

/** User space: the values of all CPUs in order to `out`, MAP_STRIDE bytes each. */
export function percpu_array_read(map: usize, key: usize, out: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>ENOENT;
  const stride = load<u32>(map, MAP_STRIDE);
  const cpus = cpu_count();
  for (let cpu: u32 = 0; cpu < cpus; cpu++) read(map, out + cpu * stride, value_of(map, index, cpu), stride);
  return 0;
}

/** User space: the values of all CPUs from `values`, MAP_STRIDE bytes each, padding included, as Linux does. */
export function percpu_array_write(map: usize, key: usize, values: usize, flags: u64): i32 {
  const refused = array_update_check(map, key, flags);
  if (refused != 0) return <i32>refused;
  const stride = load<u32>(map, MAP_STRIDE);
  const index = load<u32>(key);
  const cpus = cpu_count();
  for (let cpu: u32 = 0; cpu < cpus; cpu++) write(map, value_of(map, index, cpu), values + cpu * stride, stride);
  return 0;
}
