// Keys that were freed while a packet was on its way: before the next program runs over it, and before it is read, their values leave its area. Within one run of a program keys
// stay what they are, so that no access asks.
import { frame_trait_del, skb_trait_del } from './areas';
import { TRAIT_TABLE } from '../../layout/memory';
import { FRAME_TRAITS, FRAME_TRAITS_EPOCH } from '../../layout/frame';
import { SKB_TRAITS_EPOCH, SKB_TRAITS_STATE } from '../../layout/skb';
import { TRAITS_PRESENT, TRAIT_KEYS, TRAIT_TABLE_EPOCH, TRAIT_TABLE_EPOCHS } from '../../layout/trait';

/** The key was freed after `epoch`. */
// @ts-ignore: decorator
@inline
function is_void(key: u32, epoch: u32): bool {
  return load<u32>(TRAIT_TABLE + (key << 2), TRAIT_TABLE_EPOCHS) > epoch;
}

export function frame_forget_freed(frame: usize): void {
  if ((load<u32>(frame, FRAME_TRAITS) & TRAITS_PRESENT) == 0) return;
  const now = load<u32>(TRAIT_TABLE, TRAIT_TABLE_EPOCH);
  const epoch = load<u32>(frame, FRAME_TRAITS_EPOCH);
  if (epoch == now) return;
  for (let key: u32 = 0; key < <u32>TRAIT_KEYS; key++) if (is_void(key, epoch)) frame_trait_del(frame, key);
  store<u32>(frame, now, FRAME_TRAITS_EPOCH);
}

export function skb_forget_freed(skb: usize): void {
  if ((load<u32>(skb, SKB_TRAITS_STATE) & TRAITS_PRESENT) == 0) return;
  const now = load<u32>(TRAIT_TABLE, TRAIT_TABLE_EPOCH);
  const epoch = load<u32>(skb, SKB_TRAITS_EPOCH);
  if (epoch == now) return;
  for (let key: u32 = 0; key < <u32>TRAIT_KEYS; key++) if (is_void(key, epoch)) skb_trait_del(skb, key);
  store<u32>(skb, now, SKB_TRAITS_EPOCH);
}
