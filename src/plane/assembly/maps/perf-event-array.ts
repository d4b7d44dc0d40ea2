// bpf_perf_event_output: a record into the ring buffer of a CPU, with a part of the packet behind it if asked for. Facts:
// kernel/trace/bpf_trace.c, net/core/filter.c; perf_prepare_sample in kernel/events/core.c and __perf_output_begin in kernel/events/ring_buffer.c for
// what fits. A record is a u32 with its length, and its bytes; together they are padded to a multiple of 8, as in Linux, whose length counts the padding.
import { array_of_maps_lookup } from './array-of-maps';
import { copy_bytes, this_cpu } from './header';
import { bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit } from './ringbuf';
import { WORKER } from '../worker';
import { E2BIG, EFAULT, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from '../errno';
import { FRAME_DATA, FRAME_DATA_END } from '../../layout/frame';
import { MAP_MAX_ENTRIES } from '../../layout/map';
import {
  BPF_RB_AVAIL_DATA,
  BPF_RB_NO_WAKEUP,
  RINGBUF_CPU,
  RINGBUF_LOST,
  RINGBUF_LOST_RECORD,
  RINGBUF_MASK,
  RINGBUF_RECORD_HEADER,
  RINGBUF_UNTOLD,
} from '../../layout/map-ringbuf';
import { SKB_DATA, SKB_LEN } from '../../layout/skb';
import { HOOK_CONTEXT, HOOK_SKB, WORKER_FRAME, WORKER_HOOK, WORKER_SCRATCH } from '../../layout/worker';

const INDEX_MASK: u64 = 0xffff_ffff;
const PACKET_LENGTH_MASK: u64 = <u64>0xf_ffff << 32;

/** 0, -EINVAL (flags), -EFAULT (more of the packet than there is), -E2BIG, -ENOENT (no ring), -EOPNOTSUPP (another CPU's), -ENOSPC (lost). */
export function bpf_perf_event_output(ctx: u64, map: u64, flags: u64, data: u64, size: u64): i64 {
  if ((flags & ~(INDEX_MASK | PACKET_LENGTH_MASK)) != 0) return EINVAL;
  const packet_length = <u32>((flags & PACKET_LENGTH_MASK) >> 32);
  let packet: usize = 0;
  if (packet_length != 0) {
    const frame = <usize>ctx;
    if (<usize>load<u32>(WORKER, WORKER_FRAME) != frame) return EINVAL;
    const hook = load<u32>(WORKER, WORKER_HOOK);
    if (hook >= <u32>HOOK_CONTEXT) return EINVAL;
    const skb = hook == HOOK_SKB;
    packet = skb ? load<u32>(frame, SKB_DATA) : load<u32>(frame, FRAME_DATA);
    const length = skb ? load<u32>(frame, SKB_LEN) : load<u32>(frame, FRAME_DATA_END) - <u32>packet;
    if (packet_length > length) return EFAULT;
  }
  const array = <usize>map;
  const index = <u32>flags == <u32>INDEX_MASK ? this_cpu() : <u32>flags;
  if (index >= load<u32>(array, MAP_MAX_ENTRIES)) return E2BIG;
  const key = WORKER + WORKER_SCRATCH;
  store<u32>(key, index);
  const ring = array_of_maps_lookup(array, key);
  if (ring == 0) return ENOENT;
  if (load<u32>(ring, RINGBUF_CPU) != this_cpu()) return EOPNOTSUPP;
  const length = <u32>size + packet_length;
  const record = <usize>reserve(ring, (<u64>length + sizeof<u32>() + 7) & ~7);
  if (record == 0) {
    atomic.add<u32>(ring, 1, RINGBUF_LOST);
    atomic.add<u32>(ring, 1, RINGBUF_UNTOLD);
    return ENOSPC;
  }
  store<u32>(record, length);
  const bytes = record + sizeof<u32>();
  copy_bytes(bytes, <usize>data, <u32>size);
  copy_bytes(bytes + <usize>size, packet, packet_length);
  bpf_ringbuf_submit(record, 0);
  return 0;
}

/** Room for a record, and before it for what tells of lost ones; 0 if there is none for both. Nobody else writes to this CPU's ring. */
function reserve(ring: usize, length: u64): u64 {
  if (atomic.load<u32>(ring, RINGBUF_UNTOLD) != 0) {
    const whole = length + RINGBUF_RECORD_HEADER + RINGBUF_LOST_RECORD;
    if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) + whole > load<u32>(ring, RINGBUF_MASK)) return 0;
    bpf_ringbuf_discard(bpf_ringbuf_reserve(ring, RINGBUF_LOST_RECORD - RINGBUF_RECORD_HEADER, 0), BPF_RB_NO_WAKEUP);
    atomic.store<u32>(ring, 0, RINGBUF_UNTOLD);
  }
  return bpf_ringbuf_reserve(ring, length, 0);
}

/** Reader: number of records that a ring has lost since the last call. */
export function perf_event_lost(ring: usize): u32 {
  return atomic.xchg<u32>(ring, 0, RINGBUF_LOST);
}
