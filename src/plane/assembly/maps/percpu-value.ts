// Values of elements that have one a CPU, in order of CPUs, MAP_CPU_STRIDE bytes apart; user space has them MAP_STRIDE bytes apart.
import { copy_bytes, cpu_count, round_up_8, this_cpu } from './header';
import { value_copy, value_release, value_release_one, value_zero } from './value';
import { E2BIG, EINVAL } from '../errno';
import { BPF_F_NUMA_NODE, CACHE_LINE, MAP_CPU_STRIDE, MAP_RECORD, MAP_STRIDE, MAP_VALUE_SIZE, PCPU_MIN_UNIT_SIZE } from '../../layout/map';

/** 0, or the negated errno with which Linux refuses to a per-CPU hash what a plain one may have; the sizes are judged after the flags. */
export function percpu_check_flags(flags: u32): i32 {
  return flags & BPF_F_NUMA_NODE ? <i32>EINVAL : 0;
}

export function percpu_check_size(value_size: u32): i32 {
  return round_up_8(value_size) > <u32>PCPU_MIN_UNIT_SIZE ? <i32>E2BIG : 0;
}

// @ts-ignore: decorator
@inline
export function round_up_line(size: u32): u32 {
  return (size + (CACHE_LINE - 1)) & ~(CACHE_LINE - 1);
}

// @ts-ignore: decorator
@inline
export function percpu_value(map: usize, values: usize, cpu: u32): usize {
  return values + cpu * load<u32>(map, MAP_CPU_STRIDE);
}

/** Values lie as user space has them. */
// @ts-ignore: decorator
@inline
function is_dense(map: usize): bool {
  return load<u32>(map, MAP_RECORD) == 0 && load<u32>(map, MAP_CPU_STRIDE) == load<u32>(map, MAP_STRIDE);
}

/** One CPU's value of MAP_STRIDE bytes, padding included, as Linux does. */
function copy_one(map: usize, to: usize, from: usize): void {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  value_copy(map, to, from);
  copy_bytes(to + size, from + size, load<u32>(map, MAP_STRIDE) - size);
}

/** All CPUs' values to user space. */
export function percpu_read(map: usize, out: usize, values: usize): void {
  const cpus = cpu_count();
  const stride = load<u32>(map, MAP_STRIDE);
  if (is_dense(map)) {
    copy_bytes(out, values, stride * cpus);
    return;
  }
  memory.fill(out, 0, stride * cpus);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) copy_one(map, out + cpu * stride, percpu_value(map, values, cpu));
}

/** All CPUs' values from user space; `fresh`: the element is taken into use. */
export function percpu_write(map: usize, values: usize, from: usize, fresh: bool): void {
  const cpus = cpu_count();
  const stride = load<u32>(map, MAP_STRIDE);
  if (is_dense(map)) {
    copy_bytes(values, from, stride * cpus);
    return;
  }
  if (fresh) value_zero(map, values, load<u32>(map, MAP_CPU_STRIDE) * cpus);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) copy_one(map, percpu_value(map, values, cpu), from + cpu * stride);
  if (!fresh) value_release(map, values);
}

/** This CPU's value from a program; `fresh`: the element is taken into use, and the other CPUs get zeros. */
export function percpu_store(map: usize, values: usize, value: usize, fresh: bool): void {
  const stride = load<u32>(map, MAP_CPU_STRIDE);
  const to = percpu_value(map, values, this_cpu());
  if (load<u32>(map, MAP_RECORD) != 0) {
    store_owner(map, values, to, value, fresh);
    return;
  }
  if (fresh) memory.fill(values, 0, stride * cpu_count());
  copy_bytes(to, value, load<u32>(map, MAP_VALUE_SIZE));
}

function store_owner(map: usize, values: usize, to: usize, value: usize, fresh: bool): void {
  if (fresh) value_zero(map, values, load<u32>(map, MAP_CPU_STRIDE) * cpu_count());
  value_copy(map, to, value);
  if (!fresh) value_release_one(map, to);
}
