// Operations on an area [area, end). Areas grow up, or (`down`) down: then the header moves. Any header is survived: what does not lie before the end is not there.
import { EBUSY, EINVAL, ENOENT, ENOSPC } from '../errno';
import { code_at, code_of, code_set, header_size, size_of, values_size } from './codes';
import { TRAITS_0_4_8, TRAITS_2_4_8, TRAITS_4_8_16, TRAITS_WIDE, TRAIT_KEYS } from '../../layout/trait';

/** Bytes of header and values; more than any area has room for if the header is corrupted. */
// @ts-ignore: decorator
@inline
export function area_size(layout: u32, area: usize): u32 {
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

// Values are of these lengths alone: no call of memory.copy, which costs more than they do.
// @ts-ignore: decorator
@inline
function copy_value(to: usize, from: usize, size: u32): void {
  if (size == 8) store<u64>(to, load<u64>(from));
  else if (size == 4) store<u32>(to, load<u32>(from));
  else if (size == 16) v128.store(to, v128.load(from));
  else if (size == 2) store<u16>(to, load<u16>(from));
  else if (size == 1) store<u8>(to, load<u8>(from));
}

/** Moves `size` bytes up. */
function move_up(from: usize, by: u32, size: u32): void {
  let at = from + size;
  while (at >= from + 8) {
    at -= 8;
    store<u64>(at + by, load<u64>(at));
  }
  while (at > from) {
    at--;
    store<u8>(at + by, load<u8>(at));
  }
}

/** Moves `size` bytes down. */
function move_down(from: usize, by: u32, size: u32): void {
  const end = from + size;
  let at = from;
  while (at + 8 <= end) {
    store<u64>(at - by, load<u64>(at));
    at += 8;
  }
  while (at < end) {
    store<u8>(at - by, load<u8>(at));
    at++;
  }
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

/** 1 or 0; -EINVAL. */
export function trait_is_set(layout: u32, area: usize, key: u64): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  return area == 0 ? 0 : code_at(layout, area, <u32>key) != 0 ? 1 : 0;
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

// One function a layout, so that what it decides is decided when this is compiled.

/** Length of the value, which is copied to `to`; -EINVAL, -ENOENT, -ENOSPC (it is longer than `size`). */
export function trait_get(layout: u32, area: usize, end: usize, key: u64, to: usize, size: u32): i64 {
  if (layout == TRAITS_0_4_8) return get(TRAITS_0_4_8, area, end, key, to, size);
  if (layout == TRAITS_2_4_8) return get(TRAITS_2_4_8, area, end, key, to, size);
  if (layout == TRAITS_4_8_16) return get(TRAITS_4_8_16, area, end, key, to, size);
  return get(TRAITS_WIDE, area, end, key, to, size);
}

/** In an area that grows up to `end`. 0; -EINVAL (key, or a length that the layout does not have), -EBUSY (set with another length), -ENOSPC. */
export function trait_set_up(layout: u32, area: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (layout == TRAITS_0_4_8) return set_up(TRAITS_0_4_8, area, end, key, from, size);
  if (layout == TRAITS_2_4_8) return set_up(TRAITS_2_4_8, area, end, key, from, size);
  if (layout == TRAITS_4_8_16) return set_up(TRAITS_4_8_16, area, end, key, from, size);
  return set_up(TRAITS_WIDE, area, end, key, from, size);
}

/** 0; -EINVAL, -ENOENT. */
export function trait_del_up(layout: u32, area: usize, end: usize, key: u64): i64 {
  if (layout == TRAITS_0_4_8) return del_up(TRAITS_0_4_8, area, end, key);
  if (layout == TRAITS_2_4_8) return del_up(TRAITS_2_4_8, area, end, key);
  if (layout == TRAITS_4_8_16) return del_up(TRAITS_4_8_16, area, end, key);
  return del_up(TRAITS_WIDE, area, end, key);
}

/**
 * In an area that ends at `end` and grows down to `lowest`, its length a multiple of 4. Returns the area's new address, or what trait_set_up returns in place of it
 * as a negative number.
 */
export function trait_set_down(layout: u32, area: usize, lowest: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (layout == TRAITS_0_4_8) return set_down(TRAITS_0_4_8, area, lowest, end, key, from, size);
  if (layout == TRAITS_2_4_8) return set_down(TRAITS_2_4_8, area, lowest, end, key, from, size);
  if (layout == TRAITS_4_8_16) return set_down(TRAITS_4_8_16, area, lowest, end, key, from, size);
  return set_down(TRAITS_WIDE, area, lowest, end, key, from, size);
}

/** Returns the area's new address; -EINVAL, -ENOENT. */
export function trait_del_down(layout: u32, area: usize, end: usize, key: u64): i64 {
  if (layout == TRAITS_0_4_8) return del_down(TRAITS_0_4_8, area, end, key);
  if (layout == TRAITS_2_4_8) return del_down(TRAITS_2_4_8, area, end, key);
  if (layout == TRAITS_4_8_16) return del_down(TRAITS_4_8_16, area, end, key);
  return del_down(TRAITS_WIDE, area, end, key);
}
