// Stack trace map: call stacks by the hash of their addresses, which is not Linux's: ids differ, as they do from boot to boot with the addresses.
// Facts: kernel/bpf/stackmap.c.
import { access_flags_ok, copy_bytes, header_allocate } from './header';
import { bucket_count } from './hash';
import { hash_bytes } from './key';
import { word_lock, word_unlock } from '../locks/word';
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_F_NUMA_NODE, BPF_F_RDONLY, BPF_F_WRONLY, MAP_COUNT, MAP_MAX_ENTRIES, MAP_STRIDE, MAP_VALUES, MAP_VALUE_SIZE,
} from '../../layout/map';
import {
  BPF_F_STACK_BUILD_ID, BPF_STACK_BUILD_ID_IP, BUILD_ID_ADDRESS, BUILD_ID_SIZE, MAX_STACK, TRACE_COUNT, TRACE_ENTRY, TRACE_HASH, TRACE_LOCK,
  TRACE_MASK, TRACE_VALUE,
} from '../../layout/stack-trace';

export function stack_trace_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  const known = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_STACK_BUILD_ID;
  if ((flags & ~known) != 0 || !access_flags_ok(flags)) return <usize>EINVAL;
  if (max_entries == 0 || key_size != 4 || value_size < 8 || value_size % 8 != 0) return <usize>EINVAL;
  const entry: u32 = (flags & BPF_F_STACK_BUILD_ID) != 0 ? BUILD_ID_SIZE : 8;
  if (value_size % entry != 0 || value_size / entry > <u32>MAX_STACK) return <usize>EINVAL;
  if (max_entries > 0x8000_0000) return <usize>E2BIG;
  const buckets = bucket_count(max_entries);
  const stride = TRACE_VALUE + value_size;
  const map = header_allocate(type, key_size, value_size, max_entries, flags, <u64>buckets * stride);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, stride, MAP_STRIDE);
  store<u32>(map, buckets - 1, TRACE_MASK);
  store<u32>(map, entry, TRACE_ENTRY);
  return map;
}

// @ts-ignore: decorator
@inline
function bucket_at(map: usize, id: u32): usize {
  return load<u32>(map, MAP_VALUES) + id * load<u32>(map, MAP_STRIDE);
}

/** Addresses that a value has room for. */
export function stack_trace_depth(map: usize): u32 {
  return load<u32>(map, MAP_VALUE_SIZE) / load<u32>(map, TRACE_ENTRY);
}

/** Writes addresses as entries of 8 or 32 bytes. */
export function stack_write(to: usize, addresses: usize, count: u32, entry: u32): void {
  if (entry == 8) {
    copy_bytes(to, addresses, count * 8);
    return;
  }
  memory.fill(to, 0, count * BUILD_ID_SIZE);
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(to + i * BUILD_ID_SIZE, BPF_STACK_BUILD_ID_IP);
    store<u64>(to + i * BUILD_ID_SIZE, load<u64>(addresses + i * 8), BUILD_ID_ADDRESS);
  }
}

function same(bucket: usize, addresses: usize, count: u32, entry: u32): bool {
  if (load<u32>(bucket, TRACE_COUNT) != count) return false;
  const at = bucket + TRACE_VALUE + (entry == 8 ? 0 : BUILD_ID_ADDRESS);
  for (let i: u32 = 0; i < count; i++)
    if (load<u64>(at + i * entry) != load<u64>(addresses + i * 8)) return false;
  return true;
}

/** Id of the bucket of these addresses, which are put there; -EEXIST where it has others and may not be `reused`, -ENOMEM. */
export function stack_trace_put(map: usize, addresses: usize, count: u32, fast: bool, reused: bool): i64 {
  const hash = hash_bytes(0, addresses, count * 8);
  const id = hash & load<u32>(map, TRACE_MASK);
  const bucket = bucket_at(map, id);
  const entry = load<u32>(map, TRACE_ENTRY);
  word_lock(map + TRACE_LOCK);
  const there = load<u32>(bucket, TRACE_COUNT) != 0;
  const matches = there && load<u32>(bucket, TRACE_HASH) == hash;
  let result: i64 = id;
  if (!(matches && (fast || same(bucket, addresses, count, entry)))) {
    if (there && !reused) result = EEXIST;
    // Linux takes a new element before it gives the old one back.
    else if (load<u32>(map, MAP_COUNT) >= load<u32>(map, MAP_MAX_ENTRIES)) result = ENOMEM;
    else {
      if (!there) store<u32>(map, load<u32>(map, MAP_COUNT) + 1, MAP_COUNT);
      store<u32>(bucket, hash, TRACE_HASH);
      store<u32>(bucket, count, TRACE_COUNT);
      memory.fill(bucket + TRACE_VALUE, 0, load<u32>(map, MAP_VALUE_SIZE));
      stack_write(bucket + TRACE_VALUE, addresses, count, entry);
    }
  }
  word_unlock(map + TRACE_LOCK);
  return result;
}

/** User space. `remove`: it is taken out, and nobody else gets it. */
export function stack_trace_read(map: usize, key: usize, out: usize, remove: bool): i32 {
  const id = load<u32>(key);
  if (id > load<u32>(map, TRACE_MASK)) return <i32>ENOENT;
  const bucket = bucket_at(map, id);
  // Under the lock: a trace is read whole, while a program puts another one into its place.
  word_lock(map + TRACE_LOCK);
  const there = load<u32>(bucket, TRACE_COUNT) != 0;
  if (there) copy_bytes(out, bucket + TRACE_VALUE, load<u32>(map, MAP_VALUE_SIZE));
  if (there && remove) empty(map, bucket);
  word_unlock(map + TRACE_LOCK);
  return there ? 0 : <i32>ENOENT;
}

function empty(map: usize, bucket: usize): void {
  store<u32>(bucket, 0, TRACE_COUNT);
  store<u32>(map, load<u32>(map, MAP_COUNT) - 1, MAP_COUNT);
}

/** User space. */
export function stack_trace_remove(map: usize, key: usize): i32 {
  const id = load<u32>(key);
  if (id > load<u32>(map, TRACE_MASK)) return <i32>E2BIG;
  const bucket = bucket_at(map, id);
  word_lock(map + TRACE_LOCK);
  const there = load<u32>(bucket, TRACE_COUNT) != 0;
  if (there) empty(map, bucket);
  word_unlock(map + TRACE_LOCK);
  return there ? 0 : <i32>ENOENT;
}

export function stack_trace_next_key(map: usize, key: usize, out: usize): i32 {
  const last = load<u32>(map, TRACE_MASK);
  let id: u32 = 0;
  if (key != 0) {
    const before = load<u32>(key);
    if (before <= last && load<u32>(bucket_at(map, before), TRACE_COUNT) != 0) id = before + 1;
  }
  while (id <= last && load<u32>(bucket_at(map, id), TRACE_COUNT) == 0) id++;
  if (id > last) return <i32>ENOENT;
  store<u32>(out, id);
  return 0;
}
