// Elements of hash maps as user space is given them: copies of what a key has at one moment, though other CPUs replace elements and use them again meanwhile.
// What programs write into a value by its address is theirs to order, in Linux too.
import { bucket_lock, bucket_of, bucket_unlock, element_behind, find, find_before, has_changed, hash_of } from './chain';
import { percpu_read } from './percpu-value';
import { has_cpu_values } from './types';
import { value_read, value_read_locked } from './value';
import { ENOENT } from '../errno';
import { BPF_F_LOCK, MAP_KEY_SIZE, MAP_TYPE } from '../../layout/map';
import { HASH_VALUE_OFFSET } from '../../layout/map-hash';

/** What a lookup gives of an element that nobody uses again meanwhile. `flags`: 0 or BPF_F_LOCK. */
export function copy_element(map: usize, element: usize, out: usize, flags: u32): void {
  const value = element + load<u32>(map, HASH_VALUE_OFFSET);
  if (has_cpu_values(load<u32>(map, MAP_TYPE))) percpu_read(map, out, value);
  else if (flags & BPF_F_LOCK) value_read_locked(map, out, value);
  else value_read(map, out, value);
}

/** Copies the value of `key` to `out`; 0 or -ENOENT. */
export function hash_read(map: usize, key: usize, key_offset: usize, out: usize, flags: u32): i32 {
  const hash = hash_of(map, key);
  const bucket = bucket_of(map, hash);
  const before = atomic.load<u64>(bucket);
  const element = find(map, key, key_offset);
  if (element == 0) return <i32>ENOENT;
  copy_element(map, element, out, flags);
  // An element of an unchanged bucket was in it all the time.
  return has_changed(bucket, before) ? read_locked(map, bucket, hash, key, key_offset, out, flags) : 0;
}

function read_locked(map: usize, bucket: usize, hash: u32, key: usize, key_offset: usize, out: usize, flags: u32): i32 {
  const word = bucket_lock(bucket);
  const element = element_behind(word, find_before(word, hash, key, load<u32>(map, MAP_KEY_SIZE), key_offset));
  if (element != 0) copy_element(map, element, out, flags);
  bucket_unlock(bucket, word);
  return element == 0 ? <i32>ENOENT : 0;
}
