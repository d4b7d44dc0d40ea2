// Traits as a list of type, length, value: what a store with a header is compared with. An area is {u16 bytes of entries, u16 0}, then entries {u16 key, u16 length, value
// padded to 4 bytes}, in no order: a key is found by walking. Up: new entries come last; down: first, so that nothing moves. Any list is survived: what does not lie
// before the end is not there.
import { code_of, copy_value, move_down, move_up } from './codes';
import { EBUSY, EINVAL, ENOENT, ENOSPC } from '../errno';
import { TRAITS_TLV, TRAITS_TLV_HEADER, TRAIT_KEYS } from '../../layout/trait';

const ENTRY: u32 = 4;

// @ts-ignore: decorator
@inline
function used(area: usize): u32 {
  return load<u16>(area);
}

// @ts-ignore: decorator
@inline
function set_used(area: usize, bytes: u32): void {
  store<u32>(area, bytes);
}

/** Bytes of an entry with a value of so many. */
// @ts-ignore: decorator
@inline
export function tlv_entry(size: u32): u32 {
  return ENTRY + ((size + 3) & ~3);
}

// @ts-ignore: decorator
@inline
export function tlv_size(area: usize): u32 {
  return TRAITS_TLV_HEADER + used(area);
}

/** First byte behind the entries, at most `end`. */
// @ts-ignore: decorator
@inline
function last_of(area: usize, end: usize): usize {
  const last = area + tlv_size(area);
  return last < end ? last : end;
}

/** The key's entry, 0: there is none. */
// @ts-ignore: decorator
@inline
function find(area: usize, end: usize, key: u32): usize {
  const last = last_of(area, end);
  let at = area + TRAITS_TLV_HEADER;
  while (at + ENTRY <= last) {
    const next = at + tlv_entry(load<u16>(at, 2));
    if (next > last) break;
    if (load<u16>(at) == key) return at;
    at = next;
  }
  return 0;
}

/** Code of the key's value as `code_of` has it, 0: it is not there. */
export function tlv_code(area: usize, end: usize, key: u32): u32 {
  const entry: usize = area == 0 ? 0 : find(area, end, key);
  return entry == 0 ? 0 : code_of(TRAITS_TLV, load<u16>(entry, 2));
}

export function tlv_get(area: usize, end: usize, key: u64, to: usize, size: u32): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  const entry: usize = area == 0 ? 0 : find(area, end, <u32>key);
  if (entry == 0) return ENOENT;
  const length: u32 = load<u16>(entry, 2);
  if (length > 16) return ENOENT;
  if (length > size) return ENOSPC;
  copy_value(to, entry + ENTRY, length);
  return <i64>length;
}

/** 0: written in place; ENOENT: it is not there; else what to refuse with. */
// @ts-ignore: decorator
@inline
function replace(area: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (key >= <u64>TRAIT_KEYS || code_of(TRAITS_TLV, size) == 0) return EINVAL;
  const entry = find(area, end, <u32>key);
  if (entry == 0) return area + tlv_size(area) > end ? ENOSPC : ENOENT;
  if (load<u16>(entry, 2) != size) return EBUSY;
  copy_value(entry + ENTRY, from, size);
  return 0;
}

// @ts-ignore: decorator
@inline
function write(entry: usize, key: u64, from: usize, size: u32): void {
  store<u32>(entry, <u32>key | (size << 16));
  // What pads a value goes out with it.
  if ((size & 3) != 0) store<u32>(entry, 0, 4);
  copy_value(entry + ENTRY, from, size);
}

export function tlv_set_up(area: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  const done = replace(area, end, key, from, size);
  if (done != ENOENT) return done;
  const entry = area + tlv_size(area);
  const length = tlv_entry(size);
  if (entry + length > end) return ENOSPC;
  write(entry, key, from, size);
  set_used(area, used(area) + length);
  return 0;
}

export function tlv_del_up(area: usize, end: usize, key: u64): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  const entry: usize = area == 0 ? 0 : find(area, end, <u32>key);
  if (entry == 0) return ENOENT;
  const last = last_of(area, end);
  const length = tlv_entry(load<u16>(entry, 2));
  move_down(entry + length, length, <u32>(last - entry - length));
  set_used(area, <u32>(last - area) - TRAITS_TLV_HEADER - length);
  return 0;
}

export function tlv_set_down(area: usize, lowest: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  const done = replace(area, end, key, from, size);
  if (done != ENOENT) return done == 0 ? <i64>area : done;
  const length = tlv_entry(size);
  if (area < lowest + length) return ENOSPC;
  const start = area - length;
  const bytes = used(area) + length;
  write(start + TRAITS_TLV_HEADER, key, from, size);
  set_used(start, bytes);
  return <i64>start;
}

export function tlv_del_down(area: usize, end: usize, key: u64): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  const entry: usize = area == 0 ? 0 : find(area, end, <u32>key);
  if (entry == 0) return ENOENT;
  const length = tlv_entry(load<u16>(entry, 2));
  const bytes = <u32>(last_of(area, end) - area) - TRAITS_TLV_HEADER - length;
  move_up(area, length, <u32>(entry - area));
  set_used(area + length, bytes);
  return <i64>(area + length);
}
