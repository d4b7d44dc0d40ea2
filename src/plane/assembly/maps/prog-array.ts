// Prog array: u32 function-table indices, 0 if empty. Tail calls read the elements inline; only user space writes them.
import { array_check } from './array';
import { header_allocate } from './header';
import { E2BIG, EBADF, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY_PROG,
  MAP_MAX_ENTRIES,
  MAP_STRIDE,
  MAP_VALUES,
  PROG_ARRAY_STRIDE,
} from '../../layout/map';

export function prog_array_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (value_size != 4 || (flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) != 0) return <usize>EINVAL;
  const refused = array_check(key_size, value_size, max_entries, flags, 0);
  if (refused != 0) return <usize>refused;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, <u64>max_entries * PROG_ARRAY_STRIDE);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, PROG_ARRAY_STRIDE, MAP_STRIDE);
  return map;
}

// @ts-ignore: decorator
@inline
function slot(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * PROG_ARRAY_STRIDE;
}

/** User space: the table index at `key` to `out`; -ENOENT if the element is empty or out of range. */
export function prog_array_read(map: usize, key: usize, out: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>ENOENT;
  const entry = atomic.load<u32>(slot(map, index));
  if (entry == 0) return <i32>ENOENT;
  store<u32>(out, entry);
  return 0;
}

/** User space: puts the table index at `value` into the element, 0 being none; flags must be BPF_ANY, as in Linux. Whether a program of the right kind is there the runtime knows. */
export function prog_array_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (flags != 0) return <i32>EINVAL;
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  const entry = load<u32>(value);
  if (entry == 0) return <i32>EBADF;
  atomic.store<u32>(slot(map, index), entry);
  return 0;
}

/** User space: empties the element. */
export function prog_array_remove(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return <i32>E2BIG;
  return atomic.xchg<u32>(slot(map, index), 0) == 0 ? <i32>ENOENT : 0;
}
