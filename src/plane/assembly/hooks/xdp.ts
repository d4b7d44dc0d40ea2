// XDP: the batch loop, and the helpers that move a frame's edges. Facts from net/core/filter.c and include/net/xdp.h.
import { epoch_is_urgent, epoch_pass } from '../slab/epoch';
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_DATA_META, FRAME_DESCRIPTOR_SIZE, FRAME_HARD_START, FRAME_REDIRECT_FLAGS,
  FRAME_REDIRECT_INDEX, FRAME_REDIRECT_MAP, FRAME_SIZE_TOTAL, FRAME_TRAITS, FRAME_VERDICT, XDP_FRAME_RESERVED, XDP_TAILROOM,
} from '../../layout/frame';
import {
  WORKER_FRAME, WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX, WORKER_REDIRECT_MAP,
} from '../../layout/worker';
import { TRAITS_META_TAKEN } from '../../layout/trait';
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from '../errno';
import { frame_first_usable, frame_owns_metadata } from '../traits/areas';
import { frame_forget_freed } from '../traits/epoch';
import { WORKER } from '../worker';

const XDP_REDIRECT: u32 = 4;
const ETH_HLEN: usize = 14;

/** Says which frame runs, for helpers that must know their packet. */
export function xdp_begin(frame: usize): void {
  store<u32>(WORKER, <u32>frame, WORKER_FRAME);
  if (load<u32>(frame, FRAME_TRAITS) != 0) frame_forget_freed(frame);
}

/** Keeps the verdict in the frame, and where a redirect goes. */
export function xdp_finish(frame: usize, r0: u32): void {
  store<u32>(frame, r0, FRAME_VERDICT);
  if (r0 == XDP_REDIRECT) {
    store<u32>(frame, load<u32>(WORKER, WORKER_REDIRECT_MAP), FRAME_REDIRECT_MAP);
    store<u32>(frame, load<u32>(WORKER, WORKER_REDIRECT_INDEX), FRAME_REDIRECT_INDEX);
    store<u32>(frame, load<u32>(WORKER, WORKER_REDIRECT_FLAGS), FRAME_REDIRECT_FLAGS);
  }
}

/** Runs a program (function-table index) over one frame; returns r0 whole. */
export function xdp_run(entry: u32, frame: usize): u64 {
  xdp_begin(frame);
  const r0 = call_indirect<u64>(entry, <u64>frame);
  xdp_finish(frame, <u32>r0);
  return r0;
}

/** Runs a program over `count` frame descriptors in a row; verdicts stay in the descriptors. */
export function xdp_run_batch(entry: u32, frames: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    xdp_run(entry, frames);
    frames += FRAME_DESCRIPTOR_SIZE;
  }
}

/** Runs a program `count` times over the same frame; changes add up. Returns the last r0. */
export function xdp_repeat(entry: u32, frame: usize, count: u32): u64 {
  xdp_begin(frame);
  let r0: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    r0 = call_indirect<u64>(entry, <u64>frame);
    if (epoch_is_urgent()) epoch_pass();
  }
  xdp_finish(frame, <u32>r0);
  return r0;
}

@inline function first_usable(frame: usize): usize {
  return load<u32>(frame, FRAME_TRAITS) == 0 ? <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED : frame_first_usable(frame);
}

export function bpf_xdp_adjust_head(ctx: u64, offset: u64): i64 {
  const frame = <usize>ctx;
  const data = <usize>load<u32>(frame, FRAME_DATA);
  const meta = <usize>load<u32>(frame, FRAME_DATA_META);
  const size = data - meta;
  const moved = <i64>data + <i64><i32>offset;
  if (moved < <i64>(first_usable(frame) + size) || moved > <i64>load<u32>(frame, FRAME_DATA_END) - <i64>ETH_HLEN) return EINVAL;
  const to = <usize>moved;
  if (size != 0) memory.copy(to - size, meta, size);
  store<u32>(frame, <u32>(to - size), FRAME_DATA_META);
  store<u32>(frame, <u32>to, FRAME_DATA);
  return 0;
}

export function bpf_xdp_adjust_meta(ctx: u64, offset: u64): i64 {
  const frame = <usize>ctx;
  if (frame_owns_metadata(frame)) return ENOTSUPP;
  const data = <i64>load<u32>(frame, FRAME_DATA);
  const meta = <i64>load<u32>(frame, FRAME_DATA_META) + <i64><i32>offset;
  if (meta < <i64>first_usable(frame) || meta > data) return EINVAL;
  const size = data - meta;
  // skb_shared_info keeps the length in a byte, in words.
  if ((size & 3) != 0 || size > 255) return EACCES;
  store<u32>(frame, <u32>meta, FRAME_DATA_META);
  store<u32>(frame, load<u32>(frame, FRAME_TRAITS) | TRAITS_META_TAKEN, FRAME_TRAITS);
  return 0;
}

export function bpf_xdp_adjust_tail(ctx: u64, offset: u64): i64 {
  const frame = <usize>ctx;
  const end = <i64>load<u32>(frame, FRAME_DATA_END);
  const moved = end + <i64><i32>offset;
  const last = <i64>load<u32>(frame, FRAME_HARD_START) + <i64>load<u32>(frame, FRAME_SIZE_TOTAL) - XDP_TAILROOM;
  if (moved > last || moved < <i64>load<u32>(frame, FRAME_DATA) + <i64>ETH_HLEN) return EINVAL;
  if (moved > end) memory.fill(<usize>end, 0, <usize>(moved - end));
  store<u32>(frame, <u32>moved, FRAME_DATA_END);
  return 0;
}

export function bpf_xdp_get_buff_len(ctx: u64): u64 {
  const frame = <usize>ctx;
  return <u64>(load<u32>(frame, FRAME_DATA_END) - load<u32>(frame, FRAME_DATA));
}

/** Packets are linear: what there is lies in front already. Facts: net/core/filter.c. */
export function bpf_xdp_pull_data(ctx: u64, length: u64): i64 {
  return <u64><u32>length <= bpf_xdp_get_buff_len(ctx) ? 0 : EINVAL;
}

// Address of [offset, offset + size) in the packet, or a negative errno.
function range(frame: usize, offset: u32, size: u32): i64 {
  if (offset > 0xffff || size > 0xffff) return EFAULT;
  const data = load<u32>(frame, FRAME_DATA);
  if (offset + size > load<u32>(frame, FRAME_DATA_END) - data) return EINVAL;
  return <i64>(data + offset);
}

export function bpf_xdp_load_bytes(ctx: u64, offset: u64, to: u64, size: u64): i64 {
  const from = range(<usize>ctx, <u32>offset, <u32>size);
  if (from < 0) return from;
  memory.copy(<usize>to, <usize>from, <usize><u32>size);
  return 0;
}

export function bpf_xdp_store_bytes(ctx: u64, offset: u64, from: u64, size: u64): i64 {
  const to = range(<usize>ctx, <u32>offset, <u32>size);
  if (to < 0) return to;
  memory.copy(<usize>to, <usize>from, <usize><u32>size);
  return 0;
}
