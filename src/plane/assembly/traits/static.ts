// Traits as a struct: every key has a place of its own, the same in all packets (TRAIT_FIELDS), and a bit that says whether it is set; what a store with a header is compared
// with. An area is {u16 bytes of the struct, u16 0, u64 fields that are set}, then the struct. A packet's struct is as long as all fields were when it was made, and grows
// when one is set that came later; nothing moves, and nothing shrinks. Fields come with the first value of a key, with the length that the registry says, if it knows the key.
import { code_of, copy_value, move_down } from './codes';
import { EBUSY, EINVAL, ENOENT, ENOSPC } from '../errno';
import { TRAIT_FIELDS, TRAIT_TABLE } from '../../layout/memory';
import {
  TRAITS_STATIC, TRAITS_STATIC_FIELDS, TRAITS_STATIC_HEADER, TRAIT_FIELDS_TOTAL, TRAIT_KEYS, TRAIT_TABLE_REGISTERED, TRAIT_TABLE_SIZES,
} from '../../layout/trait';

// @ts-ignore: decorator
@inline
function struct_size(area: usize): u32 {
  return load<u16>(area);
}

// @ts-ignore: decorator
@inline
export function static_size(area: usize): u32 {
  return TRAITS_STATIC_HEADER + struct_size(area);
}

/** Word of the key's field, 0: it has none. */
// @ts-ignore: decorator
@inline
function field_at(key: u32): u32 {
  return atomic.load<u32>(TRAIT_FIELDS + (key << 2));
}

// @ts-ignore: decorator
@inline
function offset_of(field: u32): u32 {
  return field >> 8;
}

// @ts-ignore: decorator
@inline
function size_of_field(field: u32): u32 {
  return (field & 0xff) - 1;
}

// @ts-ignore: decorator
@inline
function is_registered(key: u32): bool {
  return ((load<u64>(TRAIT_TABLE, TRAIT_TABLE_REGISTERED) >> key) & 1) != 0;
}

/** Bits of an offset that are 0 for a value of this length. */
// @ts-ignore: decorator
@inline
function aligned(size: u32): u32 {
  return size > 8 ? 7 : size == 0 ? 0 : size - 1;
}

/** The key's field, which is made if it has none; 0: values of the key have another length. */
function field_for(key: u32, size: u32): u32 {
  const known = is_registered(key);
  if (known && <u32>load<u8>(TRAIT_TABLE + key, TRAIT_TABLE_SIZES) != size) return 0;
  const at = TRAIT_FIELDS + (key << 2);
  let there = field_at(key);
  while (there == 0 || size_of_field(there) != size) {
    // A key that was freed and registered again may have another length: a field of its own.
    if (there != 0 && !known) return 0;
    const total = atomic.load<u32>(TRAIT_FIELDS, TRAIT_FIELDS_TOTAL);
    const offset = (total + aligned(size)) & ~aligned(size);
    if (atomic.cmpxchg<u32>(TRAIT_FIELDS, total, offset + size, TRAIT_FIELDS_TOTAL) != total) continue;
    const field = (offset << 8) | (size + 1);
    const before = atomic.cmpxchg<u32>(at, there, field);
    there = before == there ? field : before;
  }
  return there;
}

/** Bytes that the struct is to have for a field: all fields, or, where that is more than `most`, up to this one. */
// @ts-ignore: decorator
@inline
function wanted(field: u32, most: u32): u32 {
  const all = (atomic.load<u32>(TRAIT_FIELDS, TRAIT_FIELDS_TOTAL) + 3) & ~3;
  return all <= most ? all : (offset_of(field) + size_of_field(field) + 3) & ~3;
}

// @ts-ignore: decorator
@inline
function has_bit(area: usize, key: u32): bool {
  return ((load<u64>(area, TRAITS_STATIC_FIELDS) >> key) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function set_bit(area: usize, key: u32): void {
  store<u64>(area, load<u64>(area, TRAITS_STATIC_FIELDS) | ((<u64>1) << key), TRAITS_STATIC_FIELDS);
}

/** Address of the field's value in this packet, 0: its struct does not reach so far, or says that it reaches beyond the end. */
// @ts-ignore: decorator
@inline
function value_at(area: usize, end: usize, field: u32): usize {
  const behind = offset_of(field) + size_of_field(field);
  return behind > struct_size(area) || area + static_size(area) > end ? 0 : area + TRAITS_STATIC_HEADER + offset_of(field);
}

/** Code of the key's value as `code_of` has it, 0: it is not there. */
export function static_code(area: usize, key: u32): u32 {
  const field = field_at(key);
  return area == 0 || field == 0 || !has_bit(area, key) ? 0 : code_of(TRAITS_STATIC, size_of_field(field));
}

/** Bytes of all fields, with those that a batch is to make. */
let planned: u32 = 0;

/** Begins a batch: what static_room asks for is counted from here on. */
export function static_plan(): void {
  planned = atomic.load<u32>(TRAIT_FIELDS, TRAIT_FIELDS_TOTAL);
}

/** Bytes by which the area has to grow for the key, whose field is made later if there is none; -EBUSY: its values have another length. */
export function static_room(area: usize, key: u32, size: u32): i64 {
  const field = field_at(key);
  const known = is_registered(key);
  if (known ? <u32>load<u8>(TRAIT_TABLE + key, TRAIT_TABLE_SIZES) != size : field != 0 && size_of_field(field) != size) return EBUSY;
  let behind = offset_of(field) + size;
  if (field == 0 || size_of_field(field) != size) {
    behind = ((planned + aligned(size)) & ~aligned(size)) + size;
    planned = behind;
  }
  const bytes = <i64>((behind + 3) & ~3);
  const there: i64 = area == 0 ? 0 : <i64>struct_size(area);
  return bytes > there ? bytes - there : 0;
}

export function static_get(area: usize, end: usize, key: u64, to: usize, size: u32): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  if (area == 0 || !has_bit(area, <u32>key)) return ENOENT;
  const field = field_at(<u32>key);
  const from: usize = field == 0 ? 0 : value_at(area, end, field);
  if (from == 0) return ENOENT;
  const length = size_of_field(field);
  if (length > size) return ENOSPC;
  copy_value(to, from, length);
  return <i64>length;
}

export function static_del(area: usize, key: u64): i64 {
  if (key >= <u64>TRAIT_KEYS) return EINVAL;
  if (area == 0 || !has_bit(area, <u32>key)) return ENOENT;
  store<u64>(area, load<u64>(area, TRAITS_STATIC_FIELDS) & ~((<u64>1) << key), TRAITS_STATIC_FIELDS);
  return 0;
}

export function static_set_up(area: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (key >= <u64>TRAIT_KEYS || code_of(TRAITS_STATIC, size) == 0) return EINVAL;
  const field = field_for(<u32>key, size);
  if (field == 0) return EBUSY;
  if (area + static_size(area) > end) return ENOSPC;
  let to = value_at(area, end, field);
  if (to == 0) {
    const most = <u32>(end - area) - TRAITS_STATIC_HEADER;
    const grown = wanted(field, most);
    if (grown > most) return ENOSPC;
    store<u16>(area, <u16>grown);
    to = area + TRAITS_STATIC_HEADER + offset_of(field);
  }
  copy_value(to, from, size);
  set_bit(area, <u32>key);
  return 0;
}

export function static_set_down(area: usize, lowest: usize, end: usize, key: u64, from: usize, size: u32): i64 {
  if (key >= <u64>TRAIT_KEYS || code_of(TRAITS_STATIC, size) == 0) return EINVAL;
  const field = field_for(<u32>key, size);
  if (field == 0) return EBUSY;
  const bytes = static_size(area);
  if (area + bytes > end) return ENOSPC;
  let start = area;
  if (value_at(area, end, field) == 0) {
    const most = <u32>(end - lowest) - TRAITS_STATIC_HEADER;
    const grown = wanted(field, most);
    if (grown > most || grown < struct_size(area)) return ENOSPC;
    // From the end of the struct, which a corrupted header may have put elsewhere, to that of the area.
    const by = <u32>(TRAITS_STATIC_HEADER + grown) - bytes;
    if (area < lowest + by) return ENOSPC;
    start = area - by;
    move_down(area, by, bytes);
    store<u16>(start, <u16>grown);
  }
  copy_value(start + TRAITS_STATIC_HEADER + offset_of(field), from, size);
  set_bit(start, <u32>key);
  return <i64>start;
}
