// Cpumap: CPUs to redirect to, each with the length of its queue and a program to run there. Facts: kernel/bpf/cpumap.c.
import { cpu_count } from './header';
import { second_word, target_array_allocate, target_array_find, target_array_store, target_array_update_check } from './target-array';
import { E2BIG, EINVAL, ENODEV, EOVERFLOW } from '../errno';
import { BPF_F_NUMA_NODE } from '../../layout/map';
import { CPUMAP_ENTRIES_MAX, CPUMAP_QUEUE_MAX } from '../../layout/map-target';

export function cpumap_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (max_entries == 0 || key_size != 4 || (value_size != 4 && value_size != 8)) return <usize>EINVAL;
  if ((flags & ~BPF_F_NUMA_NODE) != 0) return <usize>EINVAL;
  if (max_entries > <u32>CPUMAP_ENTRIES_MAX) return <usize>E2BIG;
  return target_array_allocate(type, value_size, max_entries, flags);
}

export function cpumap_lookup(map: usize, key: usize): usize {
  return target_array_find(map, load<u32>(key));
}

/** User space. A queue of length 0 empties the element. */
export function cpumap_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  const refused = target_array_update_check(map, key, flags);
  if (refused != 0) return refused;
  const queue = load<u32>(value);
  if (queue > <u32>CPUMAP_QUEUE_MAX) return <i32>EOVERFLOW;
  if (load<u32>(key) >= cpu_count()) return <i32>ENODEV;
  const program = second_word(map, value);
  target_array_store(map, key, queue, queue != 0 && <i32>program > 0 ? program : 0);
  return 0;
}
