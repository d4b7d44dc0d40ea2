// Queue and stack: values without keys, which are pushed, popped and peeked at. Facts: kernel/bpf/queue_stack_maps.c.
import { access_flags_ok, copy_bytes, header_allocate, round_up_8 } from './header';
import { word_lock, word_unlock } from '../locks/word';
import { QUEUE } from './types';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from '../errno';
import {
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  KMALLOC_MAX_SIZE,
  MAP_STRIDE,
  MAP_TYPE,
  MAP_VALUES,
  MAP_VALUE_SIZE,
} from '../../layout/map';
import { QUEUE_HEAD, QUEUE_LOCK, QUEUE_PLACES, QUEUE_TAIL } from '../../layout/map-queue';

/** Both types. */
export function queue_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  const known = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  if (max_entries == 0 || key_size != 0 || value_size == 0) return <usize>EINVAL;
  if ((flags & ~known) != 0 || !access_flags_ok(flags)) return <usize>EINVAL;
  if (value_size > <u32>KMALLOC_MAX_SIZE) return <usize>E2BIG;
  const body = <u64>round_up_8(value_size) * (<u64>max_entries + 1);
  const map = header_allocate(type, key_size, value_size, max_entries, flags, body);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, max_entries + 1, QUEUE_PLACES);
  return map;
}

// @ts-ignore: decorator
@inline
function place(map: usize, index: u32): usize {
  return load<u32>(map, MAP_VALUES) + index * load<u32>(map, MAP_STRIDE);
}

// @ts-ignore: decorator
@inline
function after(map: usize, index: u32): u32 {
  return index + 1 == load<u32>(map, QUEUE_PLACES) ? 0 : index + 1;
}

/** 0, -EINVAL for flags, -E2BIG if it is full. With BPF_EXIST the oldest value makes room. */
export function queue_push(map: usize, value: usize, flags: u64): i64 {
  if (flags != 0 && flags != BPF_EXIST) return EINVAL;
  word_lock(map + QUEUE_LOCK);
  const head = load<u32>(map, QUEUE_HEAD);
  const tail = load<u32>(map, QUEUE_TAIL);
  const next = after(map, head);
  if (next == tail) {
    if (flags != BPF_EXIST) {
      word_unlock(map + QUEUE_LOCK);
      return E2BIG;
    }
    store<u32>(map, after(map, tail), QUEUE_TAIL);
  }
  copy_bytes(place(map, head), value, load<u32>(map, MAP_VALUE_SIZE));
  store<u32>(map, next, QUEUE_HEAD);
  word_unlock(map + QUEUE_LOCK);
  return 0;
}

/** The next value to `out`: the oldest of a queue, the newest of a stack. 0, or -ENOENT and zeros. */
export function queue_pop(map: usize, out: usize): i64 {
  return next_value(map, out, true);
}

/** As queue_pop, and the value stays. */
export function queue_peek(map: usize, out: usize): i64 {
  return next_value(map, out, false);
}

function next_value(map: usize, out: usize, remove: bool): i64 {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  word_lock(map + QUEUE_LOCK);
  const head = load<u32>(map, QUEUE_HEAD);
  const tail = load<u32>(map, QUEUE_TAIL);
  if (head == tail) {
    word_unlock(map + QUEUE_LOCK);
    memory.fill(out, 0, size);
    return ENOENT;
  }
  if (load<u32>(map, MAP_TYPE) == QUEUE) {
    copy_bytes(out, place(map, tail), size);
    if (remove) store<u32>(map, after(map, tail), QUEUE_TAIL);
  } else {
    const newest = (head == 0 ? load<u32>(map, QUEUE_PLACES) : head) - 1;
    copy_bytes(out, place(map, newest), size);
    if (remove) store<u32>(map, newest, QUEUE_HEAD);
  }
  word_unlock(map + QUEUE_LOCK);
  return 0;
}
