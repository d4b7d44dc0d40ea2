// Cpumap: CPUs to redirect to, each with the length of its queue and a program to run there. Facts: kernel/bpf/cpumap.c.
import { cpu_count } from './header';
import { second_word, target_array_allocate, target_array_find, target_array_remove, target_array_store, target_array_update_check } from './target-array';
import { queue_replace } from '../cpus/map-queue';
import { E2BIG, EINVAL, ENODEV, EOVERFLOW } from '../errno';
import { BPF_F_NUMA_NODE, MAP_MAX_ENTRIES, MAP_VALUES } from '../../layout/map';
import { CPUMAP_ENTRIES_MAX, CPUMAP_QUEUE_MAX, CPUMAP_QUEUES, TARGET_SIZE } from '../../layout/map-target';

export function cpumap_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (max_entries == 0 || key_size != 4 || (value_size != 4 && value_size != 8)) return <usize>EINVAL;
  if ((flags & ~BPF_F_NUMA_NODE) != 0) return <usize>EINVAL;
  if (max_entries > <u32>CPUMAP_ENTRIES_MAX) return <usize>E2BIG;
  const map = target_array_allocate(type, value_size, max_entries, flags, 4);
  if (map < <usize>-4095) store<u32>(map, load<u32>(map, MAP_VALUES) + max_entries * TARGET_SIZE, CPUMAP_QUEUES);
  return map;
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
  queue_replace(map, load<u32>(key));
  return 0;
}

export function cpumap_remove(map: usize, key: usize): i32 {
  const refused = target_array_remove(map, key);
  if (refused == 0) queue_replace(map, load<u32>(key));
  return refused;
}

/** Nobody holds the map any more. */
export function cpumap_release(map: usize): void {
  const count = load<u32>(map, MAP_MAX_ENTRIES);
  for (let key: u32 = 0; key < count; key++) queue_replace(map, key);
}
