// Programs over sk_buffs: one run, repeated runs, batches.
import { epoch_is_urgent, epoch_pass } from '../slab/epoch';
import { SKB_DESCRIPTOR_SIZE, SKB_REDIRECT_FLAGS, SKB_REDIRECT_INDEX, SKB_TRAITS_STATE, SKB_VERDICT } from '../../layout/skb';
import { HOOK_SKB, HOOK_XDP, WORKER_FRAME, WORKER_HOOK, WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX } from '../../layout/worker';
import { storage_end_run } from '../maps/storage';
import { skb_forget_freed } from '../traits/epoch';
import { WORKER } from '../worker';
import { roomForLinkHeader } from './skb-buffer';

const TC_ACT_REDIRECT: u32 = 7;

/** Says which frame runs, for helpers without a context argument. */
@inline export function skb_begin(frame: usize): void {
  store<u32>(WORKER, <u32>frame, WORKER_FRAME);
  store<u32>(WORKER, HOOK_SKB, WORKER_HOOK);
  if (load<u32>(frame, SKB_TRAITS_STATE) != 0) skb_forget_freed(frame);
}

/** Ends what skb_begin began, after a fault as well: keeps the verdict and where a redirect goes. */
@inline export function skb_finish(frame: usize, r0: u32): void {
  store<u32>(WORKER, HOOK_XDP, WORKER_HOOK);
  store<u32>(WORKER, 0, WORKER_FRAME);
  storage_end_run();
  store<u32>(frame, r0, SKB_VERDICT);
  const redirected = r0 == TC_ACT_REDIRECT;
  store<u32>(frame, redirected ? load<u32>(WORKER, WORKER_REDIRECT_INDEX) : 0, SKB_REDIRECT_INDEX);
  store<u32>(frame, redirected ? load<u32>(WORKER, WORKER_REDIRECT_FLAGS) : 0, SKB_REDIRECT_FLAGS);
}

/** Runs a program (function-table index) `count` times over one frame; changes add up. Returns the last r0, whole. */
export function skb_repeat(entry: u32, frame: usize, count: u32): u64 {
  skb_begin(frame);
  let r0: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    r0 = call_indirect<u64>(entry, <u64>frame);
    if (epoch_is_urgent()) epoch_pass();
  }
  skb_finish(frame, <u32>r0);
  return r0;
}

/** Runs a program over `count` descriptors in a row; verdicts stay in them. */
export function skb_run_batch(entry: u32, frames: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    skb_repeat(entry, frames, 1);
    frames += SKB_DESCRIPTOR_SIZE;
  }
}

/** 1 if the link header that a test run puts back before its packet has room in Linux, 0 if Linux gives up (ENOMEM). */
export function skb_room_for_link_header(frame: usize): u32 {
  return <u32>roomForLinkHeader(frame);
}
