// Values of elements that have one a CPU, side by side in order of CPUs, MAP_STRIDE bytes apart.
import { copy_bytes, cpu_count, round_up_8, this_cpu } from './header';
import { value_copy, value_release, value_release_one, value_zero } from './value';
import { E2BIG, EINVAL } from '../errno';
import { BPF_F_NUMA_NODE, MAP_RECORD, MAP_STRIDE, MAP_VALUE_SIZE, PCPU_MIN_UNIT_SIZE } from '../../layout/map';

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

/** One CPU's value of MAP_STRIDE bytes, padding included, as Linux does. */
function copy_one(map: usize, to: usize, from: usize): void {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  value_copy(map, to, from);
  copy_bytes(to + size, from + size, load<u32>(map, MAP_STRIDE) - size);
}

/** All CPUs' values to user space. */
export function percpu_read(map: usize, out: usize, values: usize): void {
  const size = load<u32>(map, MAP_STRIDE) * cpu_count();
  if (load<u32>(map, MAP_RECORD) == 0) {
    copy_bytes(out, values, size);
    return;
  }
  memory.fill(out, 0, size);
  const stride = load<u32>(map, MAP_STRIDE);
  for (let at: u32 = 0; at < size; at += stride) copy_one(map, out + at, values + at);
}

/** All CPUs' values from user space; `fresh`: the element is taken into use. */
export function percpu_write(map: usize, values: usize, from: usize, fresh: bool): void {
  const size = load<u32>(map, MAP_STRIDE) * cpu_count();
  if (load<u32>(map, MAP_RECORD) == 0) {
    copy_bytes(values, from, size);
    return;
  }
  if (fresh) value_zero(map, values, size);
  const stride = load<u32>(map, MAP_STRIDE);
  for (let at: u32 = 0; at < size; at += stride) copy_one(map, values + at, from + at);
  if (!fresh) value_release(map, values);
}

/** This CPU's value from a program; `fresh`: the element is taken into use, and the other CPUs get zeros. */
export function percpu_store(map: usize, values: usize, value: usize, fresh: bool): void {
  const stride = load<u32>(map, MAP_STRIDE);
  const to = values + this_cpu() * stride;
  if (load<u32>(map, MAP_RECORD) != 0) {
    store_owner(map, values, to, value, fresh);
    return;
  }
  if (fresh) memory.fill(values, 0, stride * cpu_count());
  copy_bytes(to, value, load<u32>(map, MAP_VALUE_SIZE));
}

function store_owner(map: usize, values: usize, to: usize, value: usize, fresh: bool): void {
  if (fresh) value_zero(map, values, load<u32>(map, MAP_STRIDE) * cpu_count());
  value_copy(map, to, value);
  if (!fresh) value_release_one(map, to);
}
