// Several traits at once (TRAIT_ENTRY_* in layout/trait.ts): all are set, or none.
import {
  frame_trait_room, frame_trait_set, frame_traits, frame_traits_end, skb_trait_room, skb_trait_set, skb_traits, trait_layout,
} from './areas';
import { code_of } from './codes';
import { static_plan } from './static';
import { trait_code, trait_get, trait_needs, trait_replace } from './store';
import { EBUSY, EINVAL, ENOSPC } from '../errno';
import { frame_known_get, frame_known_refuses, is_known, known_index, skb_known_get, skb_known_refuses } from './well-known';
import {
  TRAITS_SIDE_SIZE, TRAITS_STATIC, TRAITS_WIDE, TRAIT_ENTRY_BYTES, TRAIT_ENTRY_KEY, TRAIT_ENTRY_OFFSET, TRAIT_ENTRY_RESULT, TRAIT_ENTRY_SIZE, TRAIT_KEYS,
} from '../../layout/trait';

/** Number of entries in so many bytes, -EINVAL for a part of one. */
function batch_count(size: u32): i64 {
  return size % <u32>TRAIT_ENTRY_BYTES != 0 ? EINVAL : <i64>(size / <u32>TRAIT_ENTRY_BYTES);
}

/** The entry's value lies in a buffer of this size. */
function entry_ok(entry: usize, values_size: u32): bool {
  return <u64>load<u32>(entry, TRAIT_ENTRY_OFFSET) + load<u32>(entry, TRAIT_ENTRY_SIZE) <= <u64>values_size;
}

/** What the entries of the last batch_needs were: some key of the store is not set yet, or is one of the system's. */
let in_place: bool = false;

/** Bytes that the values which are not there yet will take; -EINVAL (key, length, place in the buffer, a key twice), -EBUSY (set with another length). */
function batch_needs(skb: bool, packet: usize, layout: u32, area: usize, end: usize, entries: usize, count: u32, values_size: u32): i64 {
  let seen: u64 = 0;
  let known: u32 = 0;
  let needs: i64 = 0;
  in_place = layout <= <u32>TRAITS_WIDE;
  if (layout == TRAITS_STATIC) static_plan();
  for (let i: u32 = 0; i < count; i++) {
    const entry = entries + i * TRAIT_ENTRY_BYTES;
    const key = load<u64>(entry, TRAIT_ENTRY_KEY);
    const size = load<u32>(entry, TRAIT_ENTRY_SIZE);
    if (is_known(key)) {
      in_place = false;
      const refused = skb ? skb_known_refuses(key, size) : frame_known_refuses(packet, key, size);
      if (refused != 0) return refused;
      const bit = <u32>1 << known_index(key);
      if (!entry_ok(entry, values_size) || (known & bit) != 0) return EINVAL;
      known |= bit;
      continue;
    }
    const code = code_of(layout, size);
    if (key >= <u64>TRAIT_KEYS || code == 0 || !entry_ok(entry, values_size)) return EINVAL;
    const bit = (<u64>1) << key;
    if ((seen & bit) != 0) return EINVAL;
    seen |= bit;
    const there = trait_code(layout, area, end, <u32>key);
    if (there != 0 && there != code) return EBUSY;
    if (there != 0) continue;
    in_place = false;
    const room = trait_needs(layout, area, <u32>key, size);
    if (room < 0) return room;
    // Fields of a struct have places; other values add up.
    if (layout != TRAITS_STATIC) needs += room;
    else if (room > needs) needs = room;
  }
  return needs;
}

/** On an sk_buff, or else a frame. 0: all are set; else none is. */
// @ts-ignore: decorator
@inline
export function batch_set(skb: bool, packet: usize, entries: usize, entries_size: u32, values: usize, values_size: u32): i64 {
  const count = batch_count(entries_size);
  if (count < 0) return count;
  const layout = trait_layout();
  const area = skb ? skb_traits(packet) : frame_traits(packet);
  const end = skb ? area + TRAITS_SIDE_SIZE : frame_traits_end(packet);
  const needs = batch_needs(skb, packet, layout, area, end, entries, <u32>count, values_size);
  if (needs < 0) return needs;
  if (in_place) {
    for (let i: u32 = 0; i < <u32>count; i++) {
      const entry = entries + i * TRAIT_ENTRY_BYTES;
      const key = load<u32>(entry, TRAIT_ENTRY_KEY);
      const from = values + load<u32>(entry, TRAIT_ENTRY_OFFSET);
      const refused = trait_replace(layout, area, end, key, from, load<u32>(entry, TRAIT_ENTRY_SIZE));
      if (refused != 0) return refused;
    }
    return 0;
  }
  if (needs > <i64>(skb ? skb_trait_room(packet) : frame_trait_room(packet))) return ENOSPC;
  for (let i: u32 = 0; i < <u32>count; i++) {
    const entry = entries + i * TRAIT_ENTRY_BYTES;
    const key = load<u64>(entry, TRAIT_ENTRY_KEY);
    const from = values + load<u32>(entry, TRAIT_ENTRY_OFFSET);
    const size = load<u32>(entry, TRAIT_ENTRY_SIZE);
    // The first may find that there is no place for an area; after it all have room.
    const refused = skb ? skb_trait_set(packet, key, from, size) : frame_trait_set(packet, key, from, size);
    if (refused != 0) return refused;
  }
  return 0;
}

/** How many were there; each entry has a result of its own. */
// @ts-ignore: decorator
@inline
export function batch_get(skb: bool, packet: usize, entries: usize, entries_size: u32, values: usize, values_size: u32): i64 {
  const count = batch_count(entries_size);
  if (count < 0) return count;
  const layout = trait_layout();
  const area = skb ? skb_traits(packet) : frame_traits(packet);
  const end = skb ? area + TRAITS_SIDE_SIZE : frame_traits_end(packet);
  let there: i64 = 0;
  for (let i: u32 = 0; i < <u32>count; i++) {
    const entry = entries + i * TRAIT_ENTRY_BYTES;
    const key = load<u64>(entry, TRAIT_ENTRY_KEY);
    const to = values + load<u32>(entry, TRAIT_ENTRY_OFFSET);
    const size = load<u32>(entry, TRAIT_ENTRY_SIZE);
    let result = EINVAL;
    if (entry_ok(entry, values_size)) {
      if (!is_known(key)) result = trait_get(layout, area, end, key, to, size);
      else result = skb ? skb_known_get(packet, key, to, size) : frame_known_get(packet, key, to, size);
    }
    store<i32>(entry, <i32>result, TRAIT_ENTRY_RESULT);
    if (result >= 0) there++;
  }
  return there;
}
