// bpf_xdp_trait_*: values by key on an XDP frame. Signatures of the RFC "traits: Per packet metadata KV store" (2025); batches as were asked for there.
import { frame_trait_del, frame_trait_get, frame_trait_is_set, frame_trait_room, frame_trait_set, frame_traits, trait_layout } from '../traits/areas';
import { batch_count, batch_needs, entry_ok } from '../traits/batch';
import { EINVAL, ENOSPC } from '../errno';
import { TRAIT_ENTRY_BYTES, TRAIT_ENTRY_KEY, TRAIT_ENTRY_OFFSET, TRAIT_ENTRY_RESULT, TRAIT_ENTRY_SIZE } from '../../layout/trait';

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
  const frame = <usize>ctx;
  const count = batch_count(<u32>entries_size);
  if (count < 0) return count;
  const needs = batch_needs(trait_layout(), frame_traits(frame), <usize>entries, <u32>count, <u32>values_size);
  if (needs < 0) return needs;
  if (needs > <i64>frame_trait_room(frame)) return ENOSPC;
  for (let i: u32 = 0; i < <u32>count; i++) {
    const entry = <usize>entries + i * TRAIT_ENTRY_BYTES;
    const from = <usize>values + load<u32>(entry, TRAIT_ENTRY_OFFSET);
    // The first may find that there is no place for an area; after it all have room.
    const refused = frame_trait_set(frame, load<u64>(entry, TRAIT_ENTRY_KEY), from, load<u32>(entry, TRAIT_ENTRY_SIZE));
    if (refused != 0) return refused;
  }
  return 0;
}

/** Reads each by itself, with what bpf_xdp_trait_get returns of it in its result; how many were there, or -EINVAL. */
export function bpf_xdp_trait_get_batch(ctx: u64, entries: u64, entries_size: u64, values: u64, values_size: u64): i64 {
  const count = batch_count(<u32>entries_size);
  if (count < 0) return count;
  let there: i64 = 0;
  for (let i: u32 = 0; i < <u32>count; i++) {
    const entry = <usize>entries + i * TRAIT_ENTRY_BYTES;
    const to = <usize>values + load<u32>(entry, TRAIT_ENTRY_OFFSET);
    const result = entry_ok(entry, <u32>values_size)
      ? frame_trait_get(<usize>ctx, load<u64>(entry, TRAIT_ENTRY_KEY), to, load<u32>(entry, TRAIT_ENTRY_SIZE))
      : EINVAL;
    store<i32>(entry, <i32>result, TRAIT_ENTRY_RESULT);
    if (result >= 0) there++;
  }
  return there;
}
