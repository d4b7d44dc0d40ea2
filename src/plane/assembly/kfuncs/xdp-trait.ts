// bpf_xdp_trait_*: values by key on an XDP frame. Signatures of the RFC "traits: Per packet metadata KV store" (2025); batches as were asked for there.
import { frame_trait_del, frame_trait_get, frame_trait_is_set, frame_trait_set } from '../traits/areas';
import { batch_get, batch_set } from '../traits/batch';
import { EINVAL } from '../errno';

/** 0, -EINVAL (key, length, flags), -EBUSY (set with another length), -ENOSPC, -EOPNOTSUPP (the area's place is taken). */
export function bpf_xdp_trait_set(ctx: u64, key: u64, value: u64, size: u64, flags: u64): i64 {
  if (flags != 0) return EINVAL;
  return frame_trait_set(<usize>ctx, key, <usize>value, <u32>size);
}

/** Length of the value; -EINVAL, -ENOENT, -ENOSPC (longer than `size`). */
export function bpf_xdp_trait_get(ctx: u64, key: u64, value: u64, size: u64): i64 {
  return frame_trait_get(<usize>ctx, key, <usize>value, <u32>size);
}

export function bpf_xdp_trait_is_set(ctx: u64, key: u64): i64 {
  return frame_trait_is_set(<usize>ctx, key);
}

export function bpf_xdp_trait_del(ctx: u64, key: u64): i64 {
  return frame_trait_del(<usize>ctx, key);
}

/** Sets all, or none: 0, or what bpf_xdp_trait_set returns of the first that is refused; -EINVAL too for a key that comes twice. */
export function bpf_xdp_trait_set_batch(ctx: u64, entries: u64, entries_size: u64, values: u64, values_size: u64): i64 {
  return batch_set(false, <usize>ctx, <usize>entries, <u32>entries_size, <usize>values, <u32>values_size);
}

/** Reads each by itself, with what bpf_xdp_trait_get returns of it in its result; how many were there, or -EINVAL. */
export function bpf_xdp_trait_get_batch(ctx: u64, entries: u64, entries_size: u64, values: u64, values_size: u64): i64 {
  return batch_get(false, <usize>ctx, <usize>entries, <u32>entries_size, <usize>values, <u32>values_size);
}
