// Operations on an area [area, end). Areas grow up, or (`down`) down: then the header moves. Any header is survived: what does not lie before the end is not there.
import { EBUSY, EINVAL, ENOENT, ENOSPC } from '../errno';
import { code_at, code_of, code_set, copy_value, header_size, move_down, move_up, size_of, values_size } from './codes';
import { static_code, static_del, static_get, static_room, static_set_down, static_set_up, static_size } from './static';
import { tlv_code, tlv_del_down, tlv_del_up, tlv_entry, tlv_get, tlv_set_down, tlv_set_up, tlv_size } from './tlv';
import { TRAITS_0_4_8, TRAITS_2_4_8, TRAITS_4_8_16, TRAITS_TLV, TRAITS_WIDE, TRAIT_KEYS } from '../../layout/trait';

/** Bytes of header and values; more than any area has room for if the header is corrupted. */
// @ts-ignore: decorator
@inline
export function area_size(layout: u32, area: usize): u32 {
  if (layout > <u32>TRAITS_WIDE) return layout == TRAITS_TLV ? tlv_size(area) : static_size(area);
  return header_size(layout) + values_size(layout, area, ~(<u64>0));
}

// @ts-ignore: decorator
@inline
function below(key: u32): u64 {
  return ((<u64>1) << key) - 1;
}

/** Address of the key's value. */
// @ts-ignore: decorator
@inline
export function value_at(layout: u32, area: usize, key: u32): usize {
  return area + header_size(layout) + values_size(layout, area, below(key));
}

// @ts-ignore: decorator
@inline
function get(layout: u32, area: usize, end: usize, key: u64, to: usize, size: u32): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  if (area == 0) return ENOENT;
  const code = code_at(layout, area, <u32>key);
  if (code == 0) return ENOENT;
  const length = size_of(layout, code);
  const from = value_at(layout, area, <u32>key);
  if (from + length > end) return ENOENT;
  if (length > size) return ENOSPC;
  if (length > 16) return ENOENT;
  if (length == 0) return 0;
  copy_value(to, from, length);
  return <i64>length;
}

/** Code of the key's value, 0: it is not set. */
export function trait_code(layout: u32, area: usize, end: usize, key: u32): u32 {
  if (area == 0 || is_cut(layout, area, end)) return 0;
  if (layout <= <u32>TRAITS_WIDE) return code_at(layout, area, key);
  return layout == TRAITS_TLV ? tlv_code(area, end, key) : static_code(area, key);
}

/** 1 or 0; -EINVAL. */
export function trait_is_set(layout: u32, area: usize, end: usize, key: u64): i64 {
  return key >= <u64>TRAIT_KEYS ? EINVAL : trait_code(layout, area, end, <u32>key) != 0 ? 1 : 0;
}

/** Bytes that a value which is not there takes besides those that are, if it is set alone; -EBUSY: the key's values have another length. */
export function trait_needs(layout: u32, area: usize, key: u32, size: u32): i64 {
  if (layout <= <u32>TRAITS_WIDE) return <i64>size;
  return layout == TRAITS_TLV ? <i64>tlv_entry(size) : static_room(area, key, size);
}

/** 0 if there is a value of this length, whose bytes are replaced; ENOENT if there is none, so that room must be made; else what to refuse with. */
// @ts-ignore: decorator
@inline
function replace(layout: u32, area: usize, end: usize, key: u32, code: u32, from: usize, size: u32): i64 {
  const there = code_at(layout, area, key);
  if (there == 0) return ENOENT;
  if (there != code) return EBUSY;
  const to = value_at(layout, area, key);
  if (to + size > end) return ENOSPC;
  copy_value(to, from, size);
  return 0;
}

// @ts-ignore: decorator
@inline
function set_up(layout: u32, area: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  const code = code_of(layout, size);
  if (key >= <u64>TRAIT_KEYS || code == 0) return EINVAL;
  const done = replace(layout, area, end, <u32>key, code, from, size);
  if (done != ENOENT) return done;
  const used = area_size(layout, area);
  if (<u64>area + used + size > <u64>end) return ENOSPC;
  const at = value_at(layout, area, <u32>key);
  move_up(at, size, <u32>(area + used - at));
  copy_value(at, from, size);
  code_set(layout, area, <u32>key, code);
  return 0;
}

// @ts-ignore: decorator
@inline
function del_up(layout: u32, area: usize, end: usize, key: u64): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  if (area == 0) return ENOENT;
  const code = code_at(layout, area, <u32>key);
  if (code == 0) return ENOENT;
  const at = value_at(layout, area, <u32>key);
  const next = at + size_of(layout, code);
  const last = area + area_size(layout, area);
  code_set(layout, area, <u32>key, 0);
  // A corrupted header that reaches beyond the end has nothing to move: the key is gone all the same.
  if (last <= end && next <= last) move_down(next, <u32>(next - at), <u32>(last - next));
  return 0;
}

// @ts-ignore: decorator
@inline
function set_down(layout: u32, area: usize, lowest: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  const code = code_of(layout, size);
  if (key >= <u64>TRAIT_KEYS || code == 0) return EINVAL;
  const done = replace(layout, area, end, <u32>key, code, from, size);
  if (done != ENOENT) return done == 0 ? <i64>area : done;
  const used = area_size(layout, area);
  if (<u64>area + used > <u64>end) return ENOSPC;
  const slack = <u32>(end - area) - used;
  const grow = size <= slack ? 0 : (size - slack + 3) & ~3;
  if (area < lowest + grow) return ENOSPC;
  const at = value_at(layout, area, <u32>key);
  const start = area - grow;
  if (grow == size) {
    // What lies below the new value goes down, what lies above it stays.
    move_down(area, grow, <u32>(at - area));
    copy_value(at - grow, from, size);
  } else {
    if (grow != 0) move_down(area, grow, used);
    move_up(at - grow, size, <u32>(area + used - at));
    copy_value(at - grow, from, size);
  }
  code_set(layout, start, <u32>key, code);
  return <i64>start;
}

// @ts-ignore: decorator
@inline
function del_down(layout: u32, area: usize, end: usize, key: u64): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  const code = code_at(layout, area, <u32>key);
  if (code == 0) return ENOENT;
  const length = size_of(layout, code);
  const used = area_size(layout, area);
  if ((length & 3) == 0 && <u64>area + used <= <u64>end) {
    // What lies below the value goes up.
    code_set(layout, area, <u32>key, 0);
    if (length != 0) move_up(area, length, <u32>(value_at(layout, area, <u32>key) - area));
    return <i64>(area + length);
  }
  del_up(layout, area, end, key);
  const left = area_size(layout, area);
  if (<u64>area + left > <u64>end) return <i64>area;
  const shrink = (<u32>(end - area) - left) & ~3;
  if (shrink != 0) move_up(area, shrink, left);
  return <i64>(area + shrink);
}

/** An area that is shorter than its header has nothing, and no room. */
// @ts-ignore: decorator
@inline
function is_cut(layout: u32, area: usize, end: usize): bool {
  return area + header_size(layout) > end;
}

// One function a layout, so that what it decides is decided when this is compiled.

/** Length of the value, which is copied to `to`; -EINVAL, -ENOENT, -ENOSPC (it is longer than `size`). */
export function trait_get(layout: u32, area: usize, end: usize, key: u64, to: usize, size: u32): i64 {
  if (is_cut(layout, area, end)) return key >= <u64>TRAIT_KEYS ? EINVAL : ENOENT;
  if (layout == TRAITS_0_4_8) return get(TRAITS_0_4_8, area, end, key, to, size);
  if (layout == TRAITS_2_4_8) return get(TRAITS_2_4_8, area, end, key, to, size);
  if (layout == TRAITS_4_8_16) return get(TRAITS_4_8_16, area, end, key, to, size);
  if (layout == TRAITS_WIDE) return get(TRAITS_WIDE, area, end, key, to, size);
  return layout == TRAITS_TLV ? tlv_get(area, end, key, to, size) : static_get(area, end, key, to, size);
}

/** In an area that grows up to `end`. 0; -EINVAL (key, or a length that the layout does not have), -EBUSY (set with another length), -ENOSPC. */
export function trait_set_up(layout: u32, area: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (is_cut(layout, area, end)) return ENOSPC;
  if (layout == TRAITS_0_4_8) return set_up(TRAITS_0_4_8, area, end, key, from, size);
  if (layout == TRAITS_2_4_8) return set_up(TRAITS_2_4_8, area, end, key, from, size);
  if (layout == TRAITS_4_8_16) return set_up(TRAITS_4_8_16, area, end, key, from, size);
  if (layout == TRAITS_WIDE) return set_up(TRAITS_WIDE, area, end, key, from, size);
  return layout == TRAITS_TLV ? tlv_set_up(area, end, key, from, size) : static_set_up(area, end, key, from, size);
}

/** In place, of a layout with a header: as trait_set_up, but ENOENT where the key is not set. */
export function trait_replace(layout: u32, area: usize, end: usize, key: u32, from: usize, size: u32): i64 {
  const code = code_of(layout, size);
  if (layout == TRAITS_0_4_8) return replace(TRAITS_0_4_8, area, end, key, code, from, size);
  if (layout == TRAITS_2_4_8) return replace(TRAITS_2_4_8, area, end, key, code, from, size);
  if (layout == TRAITS_4_8_16) return replace(TRAITS_4_8_16, area, end, key, code, from, size);
  return replace(TRAITS_WIDE, area, end, key, code, from, size);
}

/** 0; -EINVAL, -ENOENT. */
export function trait_del_up(layout: u32, area: usize, end: usize, key: u64): i64 {
  if (is_cut(layout, area, end)) return key >= <u64>TRAIT_KEYS ? EINVAL : ENOENT;
  if (layout == TRAITS_0_4_8) return del_up(TRAITS_0_4_8, area, end, key);
  if (layout == TRAITS_2_4_8) return del_up(TRAITS_2_4_8, area, end, key);
  if (layout == TRAITS_4_8_16) return del_up(TRAITS_4_8_16, area, end, key);
  if (layout == TRAITS_WIDE) return del_up(TRAITS_WIDE, area, end, key);
  return layout == TRAITS_TLV ? tlv_del_up(area, end, key) : static_del(area, key);
}

/**
 * In an area that ends at `end` and grows down to `lowest`, its length a multiple of 4. Returns the area's new address, or what trait_set_up returns in place of it
 * as a negative number.
 */
export function trait_set_down(layout: u32, area: usize, lowest: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (is_cut(layout, area, end)) return ENOSPC;
  if (layout == TRAITS_0_4_8) return set_down(TRAITS_0_4_8, area, lowest, end, key, from, size);
  if (layout == TRAITS_2_4_8) return set_down(TRAITS_2_4_8, area, lowest, end, key, from, size);
  if (layout == TRAITS_4_8_16) return set_down(TRAITS_4_8_16, area, lowest, end, key, from, size);
  if (layout == TRAITS_WIDE) return set_down(TRAITS_WIDE, area, lowest, end, key, from, size);
  return layout == TRAITS_TLV ? tlv_set_down(area, lowest, end, key, from, size) : static_set_down(area, lowest, end, key, from, size);
}

/** Returns the area's new address; -EINVAL, -ENOENT. */
export function trait_del_down(layout: u32, area: usize, end: usize, key: u64): i64 {
  if (is_cut(layout, area, end)) return key >= <u64>TRAIT_KEYS ? EINVAL : ENOENT;
  if (layout == TRAITS_0_4_8) return del_down(TRAITS_0_4_8, area, end, key);
  if (layout == TRAITS_2_4_8) return del_down(TRAITS_2_4_8, area, end, key);
  if (layout == TRAITS_4_8_16) return del_down(TRAITS_4_8_16, area, end, key);
  if (layout == TRAITS_WIDE) return del_down(TRAITS_WIDE, area, end, key);
  if (layout == TRAITS_TLV) return tlv_del_down(area, end, key);
  const refused = static_del(area, key);
  return refused != 0 ? refused : <i64>area;
}
