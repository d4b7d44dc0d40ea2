// bpf_perf_event_output: a record into the ring buffer of a CPU, with a part of the packet behind it if asked for. Facts:
// kernel/trace/bpf_trace.c, net/core/filter.c. A record has exactly the bytes that were given: Linux's are padded.
import { map_slot } from './array-of-maps';
import { copy_bytes, this_cpu } from './header';
import { bpf_ringbuf_reserve, bpf_ringbuf_submit } from './ringbuf';
import { WORKER } from '../worker';
import { E2BIG, EFAULT, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from '../errno';
import { FRAME_DATA, FRAME_DATA_END } from '../../layout/frame';
import { MAP_MAX_ENTRIES } from '../../layout/map';
import { MAP_SLOT_LOST } from '../../layout/map-inner';
import { SKB_DATA, SKB_LEN } from '../../layout/skb';
import { HOOK_CONTEXT, HOOK_SKB, WORKER_FRAME, WORKER_HOOK } from '../../layout/worker';

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
  const slot = map_slot(array, index);
  const ring = atomic.load<u32>(slot);
  if (ring == 0) return ENOENT;
  if (index != this_cpu()) return EOPNOTSUPP;
  const record = <usize>bpf_ringbuf_reserve(ring, <u64><u32>size + packet_length, 0);
  if (record == 0) {
    atomic.add<u32>(slot, 1, MAP_SLOT_LOST);
    return ENOSPC;
  }
  copy_bytes(record, <usize>data, <u32>size);
  copy_bytes(record + <usize>size, packet, packet_length);
  bpf_ringbuf_submit(record, 0);
  return 0;
}

/** Reader: number of records that CPU `index` has lost since the last call. */
export function perf_event_lost(map: usize, index: u32): u32 {
  return atomic.xchg<u32>(map_slot(map, index), 0, MAP_SLOT_LOST);
}
