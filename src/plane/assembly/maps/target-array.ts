// What devmap, cpumap and xskmap share: an array of targets (layout/map-target.ts). Programs look up and redirect; user space writes.
import { header_allocate } from './header';
import { XSKMAP } from './types';
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM } from '../errno';
import { BPF_EXIST, BPF_NOEXIST, MAP_MAX_ENTRIES, MAP_STRIDE, MAP_TYPE, MAP_VALUES, MAP_VALUE_SIZE } from '../../layout/map';
import { TARGET_SIZE, XSKMAP_PRESENT } from '../../layout/map-target';

/** `extra`: bytes of the map's own for each element, behind all of them. */
export function target_array_allocate(type: u32, value_size: u32, max_entries: u32, flags: u32, extra: u32 = 0): usize {
  const map = header_allocate(type, 4, value_size, max_entries, flags, <u64>max_entries * (TARGET_SIZE + extra));
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, TARGET_SIZE, MAP_STRIDE);
  return map;
}

// @ts-ignore: decorator
@inline
function target(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * TARGET_SIZE;
}

// @ts-ignore: decorator
@inline
function is_there(map: usize, element: u64): bool {
  return (load<u32>(map, MAP_TYPE) == XSKMAP ? <u32>(element >> 32) : <u32>element) != 0;
}

/** The target at an index as it is at one moment: its first word, and above it the second; 0 if it is empty or out of range. */
export function target_array_at(map: usize, index: u32): u64 {
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  const element = atomic.load<u64>(target(map, index));
  return is_there(map, element) ? element : 0;
}

/** Address of the target at an index, 0 if it is empty or out of range. What is there is what the element has now, when user space changes it. */
export function target_array_find(map: usize, index: u32): usize {
  return target_array_at(map, index) == 0 ? 0 : target(map, index);
}

/** 0 if an update with these flags may go on, in Linux's order; xskmaps judge the flags by what is there. */
export function target_array_update_check(map: usize, key: usize, flags: u32): i32 {
  if (flags > <u32>BPF_EXIST) return <i32>EINVAL;
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  if (load<u32>(map, MAP_TYPE) != XSKMAP) return flags == BPF_NOEXIST ? <i32>EEXIST : 0;
  const there = target_array_at(map, index) != 0;
  if (there && flags == BPF_NOEXIST) return <i32>EEXIST;
  return !there && flags == BPF_EXIST ? <i32>ENOENT : 0;
}

export function target_array_store(map: usize, key: usize, first: u32, second: u32): void {
  atomic.store<u64>(target(map, load<u32>(key)), (<u64>second << 32) | first);
}

/** A value of 4 or 8 bytes has a second word, or has none. */
// @ts-ignore: decorator
@inline
export function second_word(map: usize, value: usize): u32 {
  return load<u32>(map, MAP_VALUE_SIZE) == 8 ? load<u32>(value, 4) : 0;
}

/** User space: empties the element; nothing there is no error. */
export function target_array_remove(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>EINVAL;
  // A program that has found a socket goes on reading its queue.
  if (load<u32>(map, MAP_TYPE) == XSKMAP) atomic.store<u32>(target(map, index), 0, XSKMAP_PRESENT);
  else target_array_store(map, key, 0, 0);
  return 0;
}
