// Values of elements that have one a CPU, side by side in order of CPUs, MAP_STRIDE bytes apart.
import { copy_bytes, cpu_count, round_up_8, this_cpu } from './header';
import { E2BIG, EINVAL } from '../errno';
import { BPF_F_NUMA_NODE, MAP_STRIDE, MAP_VALUE_SIZE, PCPU_MIN_UNIT_SIZE } from '../../layout/map';

/** 0, or the negated errno with which Linux refuses to a per-CPU hash what a plain one may have; the sizes are judged after the flags. */
export function percpu_check_flags(flags: u32): i32 {
  return flags & BPF_F_NUMA_NODE ? <i32>EINVAL : 0;
}

export function percpu_check_size(value_size: u32): i32 {
  return round_up_8(value_size) > <u32>PCPU_MIN_UNIT_SIZE ? <i32>E2BIG : 0;
}

// @ts-ignore: decorator
@inline
export function percpu_value(map: usize, values: usize, cpu: u32): usize {
  return values + cpu * load<u32>(map, MAP_STRIDE);
}

/** All CPUs' values from or to user space, padding included, as Linux does. */
export function percpu_copy(map: usize, to: usize, from: usize): void {
  copy_bytes(to, from, load<u32>(map, MAP_STRIDE) * cpu_count());
}

/** This CPU's value from a program; `fresh`: the other CPUs have none yet, and get zeros. */
export function percpu_store(map: usize, values: usize, value: usize, fresh: bool): void {
  const stride = load<u32>(map, MAP_STRIDE);
  if (fresh) memory.fill(values, 0, stride * cpu_count());
  copy_bytes(values + this_cpu() * stride, value, load<u32>(map, MAP_VALUE_SIZE));
}
