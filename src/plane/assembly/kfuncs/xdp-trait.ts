// bpf_xdp_trait_*: values by key on an XDP frame. Signatures of the RFC "traits: Per packet metadata KV store" (2025); batches as were asked for there.
import { frame_trait_del, frame_trait_get, frame_trait_is_set, frame_trait_set } from '../traits/areas';
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
