// Traits of two packets that become one, by the policy of each key (layout/trait.ts), and traits of a packet that changes its form.
import { ENOENT } from '../errno';
import { MERGE_EQUAL, MERGE_KEEP_FIRST, MERGE_KEEP_LAST, MERGE_MAX, MERGE_MIN, MERGE_OR, MERGE_SUM, TRAITS_SIDE_SIZE, TRAIT_KEYS } from '../../layout/trait';
import { ROOT, ROOT_TRAIT_POLICIES } from '../../layout/memory';
import { FRAME_TRAITS_EPOCH } from '../../layout/frame';
import { SKB_TRAITS, SKB_TRAITS_EPOCH, SKB_TRAITS_STATE } from '../../layout/skb';
import { TRAITS_PRESENT } from '../../layout/trait';
import { WORKER_SCRATCH } from '../../layout/worker';
import { WORKER } from '../worker';
import {
  frame_trait_set, frame_traits, frame_traits_end, skb_trait_del, skb_trait_get, skb_trait_is_set, skb_trait_room, skb_trait_set, skb_traits, trait_layout,
} from './areas';
import { skb_forget_freed } from './epoch';
import { area_size } from './store';

/** Longest value, and where the two values of a key lie while they are merged. */
const LONGEST: u32 = 16;
const FIRST: usize = 0;
const SECOND: usize = 16;

@inline function policyOf(key: u32): u32 {
  return load<u8>(ROOT + ROOT_TRAIT_POLICIES + key);
}

/** Negative: not there. The value goes to the scratch, with zeros behind it. */
@inline function read(skb: usize, key: u32, to: usize): i64 {
  v128.store(to, i64x2.splat(0));
  return skb_trait_get(skb, <u64>key, to, LONGEST);
}

/** Whether the values of a key, one of which may not be there (negative length), let the packets become one. */
function keyMerges(policy: u32, a: i64, b: i64, first: usize, second: usize): bool {
  if (a < 0 && b < 0) return true;
  if (policy == MERGE_EQUAL) return a == b && load<u64>(first) == load<u64>(second) && load<u64>(first, 8) == load<u64>(second, 8);
  return a < 0 || b < 0 || a == b || policy == MERGE_KEEP_FIRST || policy == MERGE_KEEP_LAST;
}

/** Puts into `first` what becomes of both; they are of one length. */
function combine(policy: u32, first: usize, second: usize): void {
  const low = load<u64>(first);
  const high = load<u64>(first, 8);
  const otherLow = load<u64>(second);
  const otherHigh = load<u64>(second, 8);
  const less = high < otherHigh || (high == otherHigh && low < otherLow);
  if (policy == MERGE_OR) {
    store<u64>(first, low | otherLow);
    store<u64>(first, high | otherHigh, 8);
  } else if (policy == MERGE_SUM) {
    const sum = low + otherLow;
    store<u64>(first, sum);
    store<u64>(first, high + otherHigh + <u64>(sum < low), 8);
  } else if (policy == MERGE_KEEP_LAST || (policy == MERGE_MIN && !less) || (policy == MERGE_MAX && less)) {
    store<u64>(first, otherLow);
    store<u64>(first, otherHigh, 8);
  }
}

/** Merges the traits of `second`, which came later, into those of `first`. False, and nothing has changed: they do not become one packet. */
export function skb_traits_merge(first: usize, second: usize): bool {
  if (skb_traits(first) == 0 && skb_traits(second) == 0) return true;
  skb_forget_freed(first);
  skb_forget_freed(second);
  const mine = WORKER + WORKER_SCRATCH + FIRST;
  const other = WORKER + WORKER_SCRATCH + SECOND;
  let more: u32 = 0;
  for (let key: u32 = 0; key < <u32>TRAIT_KEYS; key++) {
    const a = read(first, key, mine);
    const b = read(second, key, other);
    if (!keyMerges(policyOf(key), a, b, mine, other)) return false;
    if (b > max<i64>(a, 0)) more += <u32>(b - max<i64>(a, 0));
  }
  // Without an area the room is that behind a header that is yet to be made.
  if (more > skb_trait_room(first)) return false;
  for (let key: u32 = 0; key < <u32>TRAIT_KEYS; key++) {
    const b = read(second, key, other);
    if (b < 0) continue;
    const policy = policyOf(key);
    const a = read(first, key, mine);
    if (a < 0) skb_trait_set(first, <u64>key, other, <u32>b);
    else if (a == b) {
      combine(policy, mine, other);
      skb_trait_set(first, <u64>key, mine, <u32>a);
    } else if (policy == MERGE_KEEP_LAST) {
      skb_trait_del(first, <u64>key);
      skb_trait_set(first, <u64>key, other, <u32>b);
    }
  }
  return true;
}

/** The sk_buff made of a frame has the frame's traits, in an area of its own. */
export function traits_to_skb(frame: usize, skb: usize): void {
  const area = frame_traits(frame);
  store<u32>(skb, 0, SKB_TRAITS_STATE);
  if (area == 0) return;
  const layout = trait_layout();
  const there = frame_traits_end(frame) - area;
  const size = min<u32>(min<u32>(area_size(layout, area), <u32>there), TRAITS_SIDE_SIZE);
  // A corrupted header may claim more than there is: it finds zeros.
  memory.fill(skb + SKB_TRAITS + size, 0, TRAITS_SIDE_SIZE - size);
  memory.copy(skb + SKB_TRAITS, area, size);
  store<u32>(skb, TRAITS_PRESENT, SKB_TRAITS_STATE);
  store<u32>(skb, load<u32>(frame, FRAME_TRAITS_EPOCH), SKB_TRAITS_EPOCH);
}

/** The frame made of an sk_buff has as many of its traits as find room, those of low keys first. */
export function traits_to_frame(skb: usize, frame: usize): void {
  if (skb_traits(skb) == 0) return;
  skb_forget_freed(skb);
  const value = WORKER + WORKER_SCRATCH + FIRST;
  for (let key: u32 = 0; key < <u32>TRAIT_KEYS; key++) {
    if (skb_trait_is_set(skb, <u64>key) == 0) continue;
    const length = read(skb, key, value);
    if (length != ENOENT && length >= 0) frame_trait_set(frame, <u64>key, value, <u32>length);
  }
}
