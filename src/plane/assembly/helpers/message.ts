// Messages of sk_msg programs (net/core/filter.c). A message is one piece of memory here: what the kernel must pull together is so already.
import { CONTEXT_APPLY, CONTEXT_CORK, CONTEXT_MESSAGE, CONTEXT_MESSAGE_END, CONTEXT_DATA, CONTEXT_DATA_MAX } from '../../layout/context';
import { EINVAL, ENOMEM } from '../errno';

/** struct sk_msg_md. */
const DATA: usize = 0;
const DATA_END: usize = 8;
const SIZE: usize = 68;

export function bpf_msg_apply_bytes(ctx: u64, bytes: u64): i64 {
  store<u32>(<usize>ctx, <u32>bytes, CONTEXT_APPLY);
  return 0;
}

export function bpf_msg_cork_bytes(ctx: u64, bytes: u64): i64 {
  store<u32>(<usize>ctx, <u32>bytes, CONTEXT_CORK);
  return 0;
}

/** What the program sees of the message from now on. */
function window(msg: usize, from: u32, to: u32): void {
  store<u64>(msg, <u64>from, DATA);
  store<u64>(msg, <u64>to, DATA_END);
}

export function bpf_msg_pull_data(ctx: u64, start: u64, end: u64, flags: u64): i64 {
  const msg = <usize>ctx;
  const from = <u32>start;
  const to = <u32>end;
  const first = load<u32>(msg, CONTEXT_MESSAGE);
  const length = load<u32>(msg, CONTEXT_MESSAGE_END) - first;
  if (flags != 0 || to <= from || to > length) return EINVAL;
  window(msg, first + from, first + to);
  return 0;
}

/** Ends a change of the length: all of the message is seen. */
function resized(msg: usize, first: u32, end: u32): void {
  store<u32>(msg, first, CONTEXT_MESSAGE);
  store<u32>(msg, end, CONTEXT_MESSAGE_END);
  store<u32>(msg, end - first, SIZE);
  window(msg, first, end);
}

/** Room of `size` bytes at `start`. The kernel leaves there what its page held; these are zeros. */
export function bpf_msg_push_data(ctx: u64, start: u64, size: u64, flags: u64): i64 {
  const msg = <usize>ctx;
  const at = <u32>start;
  const bytes = <u32>size;
  const first = load<u32>(msg, CONTEXT_MESSAGE);
  const end = load<u32>(msg, CONTEXT_MESSAGE_END);
  if (flags != 0) return EINVAL;
  if (bytes == 0) return 0;
  if (at > end - first) return EINVAL;
  if (bytes > <u32>msg + CONTEXT_DATA + CONTEXT_DATA_MAX - end) return ENOMEM;
  memory.copy(<usize>(first + at + bytes), <usize>(first + at), <usize>(end - first - at));
  memory.fill(<usize>(first + at), 0, <usize>bytes);
  resized(msg, first, end + bytes);
  return 0;
}

export function bpf_msg_pop_data(ctx: u64, start: u64, size: u64, flags: u64): i64 {
  const msg = <usize>ctx;
  const at = <u32>start;
  const bytes = <u32>size;
  const first = load<u32>(msg, CONTEXT_MESSAGE);
  const end = load<u32>(msg, CONTEXT_MESSAGE_END);
  if (flags != 0) return EINVAL;
  if (bytes == 0) return 0;
  const last = <u64>at + <u64>bytes;
  if (at >= end - first || last > <u64>(end - first)) return EINVAL;
  memory.copy(<usize>(first + at), <usize>(first + at + bytes), <usize>(end - first - at - bytes));
  resized(msg, first, end - bytes);
  return 0;
}
