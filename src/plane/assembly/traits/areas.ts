// Where the area of a frame is, by the memory's placement, and how far it may reach. That of an sk_buff lies in its descriptor.
import { area_size, trait_del_down, trait_del_up, trait_get, trait_is_set, trait_set_down, trait_set_up } from './store';
import { code_of, header_size } from './codes';
import { EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from '../errno';
import { ROOT, ROOT_TRAIT_LAYOUT, ROOT_TRAIT_PLACEMENT, TRAIT_TABLE } from '../../layout/memory';
import {
  FRAME_DATA,
  FRAME_DATA_META,
  FRAME_HARD_START,
  FRAME_TRAITS,
  FRAME_TRAITS_EPOCH,
  FRAME_TRAITS_SIDE,
  XDP_FRAME_RESERVED,
} from '../../layout/frame';
import { SKB_TRAITS, SKB_TRAITS_EPOCH, SKB_TRAITS_STATE } from '../../layout/skb';
import {
  TRAITS_FRONT, TRAITS_META, TRAITS_META_TAKEN, TRAITS_PRESENT, TRAITS_SIDE_SIZE, TRAITS_STATIC, TRAITS_TLV, TRAITS_WIDE, TRAIT_KEYS, TRAIT_TABLE_EPOCH,
} from '../../layout/trait';
import { frame_known_del, frame_known_get, frame_known_is_set, frame_known_set, is_known, skb_known_del, skb_known_get, skb_known_is_set, skb_known_set } from './well-known';

// @ts-ignore: decorator
@inline
export function trait_layout(): u32 {
  return load<u32>(ROOT, ROOT_TRAIT_LAYOUT);
}

// @ts-ignore: decorator
@inline
function placement(): u32 {
  return load<u32>(ROOT, ROOT_TRAIT_PLACEMENT);
}

/** The metadata in front of the packet is an area of traits: programs do not move its edge. */
export function frame_owns_metadata(frame: usize): bool {
  return (load<u32>(frame, FRAME_TRAITS) & TRAITS_PRESENT) != 0 && placement() == TRAITS_META;
}

/** First byte of the headroom that packet and metadata may use. */
export function frame_first_usable(frame: usize): usize {
  const first = <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED;
  if ((load<u32>(frame, FRAME_TRAITS) & TRAITS_PRESENT) == 0 || placement() != TRAITS_FRONT) return first;
  return first + area_size(trait_layout(), first);
}

// @ts-ignore: decorator
@inline
function area_of(frame: usize, where: u32): usize {
  if (where == TRAITS_FRONT) return <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED;
  return where == TRAITS_META ? <usize>load<u32>(frame, FRAME_DATA_META) : <usize>load<u32>(frame, FRAME_TRAITS_SIDE);
}

// @ts-ignore: decorator
@inline
function end_of(frame: usize, where: u32, area: usize): usize {
  if (where == TRAITS_FRONT) return <usize>load<u32>(frame, FRAME_DATA_META);
  return where == TRAITS_META ? <usize>load<u32>(frame, FRAME_DATA) : area + TRAITS_SIDE_SIZE;
}

/** Address of the frame's area, 0: it has none. */
export function frame_traits(frame: usize): usize {
  return (load<u32>(frame, FRAME_TRAITS) & TRAITS_PRESENT) == 0 ? 0 : area_of(frame, placement());
}

/** First byte behind what the frame's area may take; only where it has one. */
export function frame_traits_end(frame: usize): usize {
  const where = placement();
  return end_of(frame, where, area_of(frame, where));
}

/** Makes an empty area. 0, -EOPNOTSUPP (its place is taken, or there is none), -ENOSPC. */
function create(layout: u32, frame: usize, where: u32): i64 {
  const state = load<u32>(frame, FRAME_TRAITS);
  const size = header_size(layout);
  let area = area_of(frame, where);
  if (where == TRAITS_META) {
    if ((state & TRAITS_META_TAKEN) != 0 || area != <usize>load<u32>(frame, FRAME_DATA)) return EOPNOTSUPP;
    area -= size;
    if (area < <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED) return ENOSPC;
    store<u32>(frame, <u32>area, FRAME_DATA_META);
  } else if (area == 0) return EOPNOTSUPP;
  else if (area + size > end_of(frame, where, area)) return ENOSPC;
  clear(layout, area);
  store<u32>(frame, state | TRAITS_PRESENT, FRAME_TRAITS);
  store<u32>(frame, load<u32>(TRAIT_TABLE, TRAIT_TABLE_EPOCH), FRAME_TRAITS_EPOCH);
  return 0;
}

/** An empty header. */
function clear(layout: u32, area: usize): void {
  store<u32>(area, 0);
  if (layout == TRAITS_TLV) return;
  store<u64>(area, 0, 4);
  if (layout == TRAITS_STATIC) return;
  store<u32>(area, 0, 12);
  if (layout == TRAITS_WIDE) store<u64>(area, 0, 16);
}

/** Longest metadata that an sk_buff keeps the length of, in bytes: a multiple of 4 below 256. */
const META_MAX: usize = 252;

export function frame_trait_set(frame: usize, key: u64, from: usize, size: u32): i64 {
  if (is_known(key)) return frame_known_set(frame, key, from, size);
  const layout = trait_layout();
  const where = placement();
  if ((load<u32>(frame, FRAME_TRAITS) & TRAITS_PRESENT) == 0) {
    if (key >= <u64>TRAIT_KEYS || code_of(layout, size) == 0) return EINVAL;
    const refused = create(layout, frame, where);
    if (refused != 0) return refused;
  }
  const area = area_of(frame, where);
  const end = end_of(frame, where, area);
  if (where != TRAITS_META) return trait_set_up(layout, area, end, key, from, size);
  const first = <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED;
  const lowest = first > end - META_MAX ? first : end - META_MAX;
  const moved = trait_set_down(layout, area, lowest, end, key, from, size);
  if (moved < 0) return moved;
  store<u32>(frame, <u32>moved, FRAME_DATA_META);
  return 0;
}

export function frame_trait_get(frame: usize, key: u64, to: usize, size: u32): i64 {
  if (is_known(key)) return frame_known_get(frame, key, to, size);
  const where = placement();
  const area = frame_traits(frame);
  return trait_get(trait_layout(), area, end_of(frame, where, area), key, to, size);
}

export function frame_trait_is_set(frame: usize, key: u64): i64 {
  if (is_known(key)) return frame_known_is_set(frame, key);
  const area = frame_traits(frame);
  return trait_is_set(trait_layout(), area, end_of(frame, placement(), area), key);
}

export function frame_trait_del(frame: usize, key: u64): i64 {
  if (is_known(key)) return frame_known_del(frame, key);
  const layout = trait_layout();
  const where = placement();
  const area = frame_traits(frame);
  if (area == 0) return key >= <u64>TRAIT_KEYS ? EINVAL : ENOENT;
  const end = end_of(frame, where, area);
  if (where != TRAITS_META) return trait_del_up(layout, area, end, key);
  const moved = trait_del_down(layout, area, end, key);
  if (moved < 0) return moved;
  store<u32>(frame, <u32>moved, FRAME_DATA_META);
  return 0;
}

/** Bytes that values may take besides those that are there, if the area is made where there is none. */
export function frame_trait_room(frame: usize): u32 {
  const layout = trait_layout();
  const where = placement();
  const present = (load<u32>(frame, FRAME_TRAITS) & TRAITS_PRESENT) != 0;
  const area = area_of(frame, where);
  const end = end_of(frame, where, area);
  const used: usize = present ? area_size(layout, area) : header_size(layout);
  const first = <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED;
  const begin = where == TRAITS_META ? (first > end - META_MAX ? first : end - META_MAX) : area;
  // Metadata is a multiple of 4 bytes long.
  const room = where == TRAITS_META ? (end - begin) & ~3 : end - begin;
  return begin > end || room < used ? 0 : <u32>(room - used);
}

/** Address of the sk_buff's area, 0: it has none. */
export function skb_traits(skb: usize): usize {
  return load<u32>(skb, SKB_TRAITS_STATE) == 0 ? 0 : skb + SKB_TRAITS;
}

export function skb_trait_room(skb: usize): u32 {
  const layout = trait_layout();
  const area = skb_traits(skb);
  const used = area == 0 ? header_size(layout) : area_size(layout, area);
  return used > <u32>TRAITS_SIDE_SIZE ? 0 : <u32>TRAITS_SIDE_SIZE - used;
}

export function skb_trait_set(skb: usize, key: u64, from: usize, size: u32): i64 {
  if (is_known(key)) return skb_known_set(skb, key, from, size);
  const layout = trait_layout();
  const area = skb + SKB_TRAITS;
  if (load<u32>(skb, SKB_TRAITS_STATE) == 0) {
    if (key >= <u64>TRAIT_KEYS || code_of(layout, size) == 0) return EINVAL;
    clear(layout, area);
    store<u32>(skb, TRAITS_PRESENT, SKB_TRAITS_STATE);
    store<u32>(skb, load<u32>(TRAIT_TABLE, TRAIT_TABLE_EPOCH), SKB_TRAITS_EPOCH);
  }
  return trait_set_up(layout, area, area + TRAITS_SIDE_SIZE, key, from, size);
}

export function skb_trait_get(skb: usize, key: u64, to: usize, size: u32): i64 {
  if (is_known(key)) return skb_known_get(skb, key, to, size);
  const area = skb_traits(skb);
  return trait_get(trait_layout(), area, area + TRAITS_SIDE_SIZE, key, to, size);
}

export function skb_trait_is_set(skb: usize, key: u64): i64 {
  if (is_known(key)) return skb_known_is_set(skb, key);
  const area = skb_traits(skb);
  return trait_is_set(trait_layout(), area, area + TRAITS_SIDE_SIZE, key);
}

export function skb_trait_del(skb: usize, key: u64): i64 {
  if (is_known(key)) return skb_known_del(skb, key);
  const area = skb_traits(skb);
  return trait_del_up(trait_layout(), area, area + TRAITS_SIDE_SIZE, key);
}
