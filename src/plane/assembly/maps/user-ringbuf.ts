// User ring buffer: programs drain what user space has written (layout/map-user-ringbuf.ts). Facts: kernel/bpf/ringbuf.c.
import { ringbuf_create, ringbuf_wake } from './ringbuf';
import { holder } from '../locks/word';
import { WORKER } from '../worker';
import { E2BIG, EAGAIN, EBUSY, EINVAL, ENODATA } from '../errno';
import { DYNPTR_DATA, DYNPTR_LOCAL, DYNPTR_OFFSET, DYNPTR_SIZE, DYNPTR_TYPE_SHIFT } from '../../layout/dynptr';
import { MAP_VALUES } from '../../layout/map';
import {
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  RINGBUF_CONSUMER_AT,
  RINGBUF_LENGTH_MASK,
  RINGBUF_MASK,
  RINGBUF_PRODUCER_AT,
  RINGBUF_RECORD_HEADER,
} from '../../layout/map-ringbuf';
import { USER_RINGBUF_BUSY, USER_RINGBUF_RECORD_MAX, USER_RINGBUF_SAMPLES } from '../../layout/map-user-ringbuf';
import { WORKER_STACK_TOP } from '../../layout/worker';

const BUSY: u32 = 0x8000_0000;
const DISCARD: u32 = 0x4000_0000;

export function user_ringbuf_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  return ringbuf_create(type, key_size, value_size, max_entries, flags);
}

// @ts-ignore: decorator
@inline
function space_of(length: u32): u64 {
  return (<u64>length + RINGBUF_RECORD_HEADER + 7) & ~7;
}

/**
 * The next record: its address; or a negated errno: -ENODATA (nothing, or not ready), -EAGAIN (one that was discarded was passed over),
 * -EINVAL and -E2BIG (the producer wrote nonsense).
 */
function peek(map: usize): i64 {
  const produced = atomic.load<u64>(load<u32>(map, RINGBUF_PRODUCER_AT));
  if ((produced & 7) != 0) return EINVAL;
  const position = <usize>load<u32>(map, RINGBUF_CONSUMER_AT);
  const consumed = atomic.load<u64>(position);
  if (consumed >= produced) return ENODATA;
  const record = <usize>load<u32>(map, MAP_VALUES) + <usize>(consumed & load<u32>(map, RINGBUF_MASK));
  const word = atomic.load<u32>(record);
  const length = word & RINGBUF_LENGTH_MASK;
  const space = space_of(length);
  if (space > produced - consumed) return EINVAL;
  if (space > <u64>load<u32>(map, RINGBUF_MASK) + 1) return E2BIG;
  if (length > <u32>USER_RINGBUF_RECORD_MAX) return E2BIG;
  if (word & DISCARD) {
    atomic.store<u64>(position, consumed + space);
    return EAGAIN;
  }
  return word & BUSY ? ENODATA : <i64>record;
}

/**
 * Calls the function at table index `callback` (i64 dynptr, ctx, 0, 0, 0) -> i64 for each record until it returns non-zero. The number of
 * records; -EINVAL for unknown flags, or a producer that wrote nonsense; -E2BIG; -EBUSY while another drain runs.
 */
export function bpf_user_ringbuf_drain(map: u64, callback: u64, ctx: u64, flags: u64): i64 {
  if (flags & ~(<u64>(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))) return EINVAL;
  const ring = <usize>map;
  if (atomic.cmpxchg<u32>(ring, 0, holder(), USER_RINGBUF_BUSY) != 0) return EBUSY;
  // The dynptr lies on this CPU's BPF stack, above the callback's frame.
  const top = load<u32>(WORKER, WORKER_STACK_TOP);
  const dynptr = <usize>top - 16;
  store<u32>(WORKER, <u32>dynptr, WORKER_STACK_TOP);
  let samples: i64 = 0;
  let refused: i64 = 0;
  for (let i = 0; i < USER_RINGBUF_SAMPLES; i++) {
    const record = peek(ring);
    if (record == EAGAIN) continue;
    if (record == ENODATA) break;
    if (record < 0) {
      refused = record;
      break;
    }
    const length = load<u32>(<usize>record) & RINGBUF_LENGTH_MASK;
    store<u64>(dynptr, <u64>record + RINGBUF_RECORD_HEADER, DYNPTR_DATA);
    store<u32>(dynptr, length | (DYNPTR_LOCAL << DYNPTR_TYPE_SHIFT), DYNPTR_SIZE);
    store<u32>(dynptr, 0, DYNPTR_OFFSET);
    const stop = call_indirect<i64>(<u32>callback, <i64>dynptr, <i64>ctx, <i64>0, <i64>0, <i64>0);
    const position = <usize>load<u32>(ring, RINGBUF_CONSUMER_AT);
    atomic.store<u64>(position, atomic.load<u64>(position) + space_of(length));
    samples++;
    if (stop != 0) break;
  }
  store<u32>(WORKER, top, WORKER_STACK_TOP);
  atomic.store<u32>(ring, 0, USER_RINGBUF_BUSY);
  if ((flags & BPF_RB_FORCE_WAKEUP) != 0 || (!(flags & BPF_RB_NO_WAKEUP) && samples > 0)) ringbuf_wake(ring);
  return refused != 0 ? refused : samples;
}
