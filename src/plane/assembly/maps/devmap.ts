// Devmap and devmap_hash: interfaces to redirect to, with a program to run there. Any interface number is taken: none exists here.
// Facts: kernel/bpf/devmap.c.
import { bucket_of, find_4, has_changed, hash_of } from './chain';
import { hash_create, hash_update } from './hash';
import { WORKER } from '../worker';
import { access_flags_ok } from './header';
import { second_word, target_array_allocate, target_array_find, target_array_store, target_array_update_check } from './target-array';
import { EINVAL } from '../errno';
import {
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_NOEXIST,
  MAP_FLAGS,
} from '../../layout/map';
import { HASH_ELEMENT_KEY } from '../../layout/map-hash';
import { WORKER_SCRATCH } from '../../layout/worker';

function check(key_size: u32, value_size: u32, max_entries: u32, flags: u32): i32 {
  if (max_entries == 0 || key_size != 4 || (value_size != 4 && value_size != 8)) return <i32>EINVAL;
  if ((flags & ~(BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY)) != 0 || !access_flags_ok(flags)) return <i32>EINVAL;
  return 0;
}

export function devmap_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  const refused = check(key_size, value_size, max_entries, flags);
  if (refused != 0) return <usize>refused;
  // As in Linux programs may read elements, not write them.
  return target_array_allocate(type, value_size, max_entries, flags | BPF_F_RDONLY_PROG);
}

export function devmap_lookup(map: usize, key: usize): usize {
  return target_array_find(map, load<u32>(key));
}

/** User space. Interface 0 empties the element. */
export function devmap_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  const refused = target_array_update_check(map, key, flags);
  if (refused != 0) return refused;
  const program = second_word(map, value);
  if (load<u32>(value) == 0 && <i32>program > 0) return <i32>EINVAL;
  target_array_store(map, key, load<u32>(value), <i32>program > 0 ? program : 0);
  return 0;
}

export function devmap_hash_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
): usize {
  const refused = check(key_size, value_size, max_entries, flags);
  if (refused != 0) return <usize>refused;
  if (max_entries > 0x8000_0000) return <usize>EINVAL;
  const map = hash_create(type, 4, value_size, max_entries, flags & ~BPF_F_NUMA_NODE, seed);
  if (map < <usize>-4095) store<u32>(map, flags | BPF_F_RDONLY_PROG, MAP_FLAGS);
  return map;
}

/** The element of a key as it is at one moment: interface, and above it the program; 0: there is none. */
export function devmap_hash_at(map: usize, key: usize): u64 {
  const bucket = bucket_of(map, hash_of(map, key));
  while (true) {
    const word = atomic.load<u64>(bucket);
    const element = find_4(map, key, HASH_ELEMENT_KEY);
    const target = element == 0 ? 0 : atomic.load<u64>(element, HASH_ELEMENT_KEY + 8);
    // An element of an unchanged bucket was in it all the time.
    if (!has_changed(bucket, word)) return target;
  }
}

/** User space. BPF_EXIST does not ask for the key to be there, in Linux neither. */
export function devmap_hash_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (flags > <u32>BPF_EXIST || load<u32>(value) == 0) return <i32>EINVAL;
  const program = second_word(map, value);
  const target = WORKER + WORKER_SCRATCH;
  store<u32>(target, load<u32>(value));
  store<u32>(target, <i32>program > 0 ? program : 0, 4);
  return <i32>hash_update(map, key, target, flags & BPF_NOEXIST);
}
