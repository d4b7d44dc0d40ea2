// plane/assembly/traits/: values by key that travel with a packet (layout/trait.ts).
//
// This file: headers. How long a value is by its code, and where it lies, by counting bits. Nothing in a header is trusted: offsets may come out beyond
// any area, and callers compare them with its end.
import { TRAITS_0_4_8, TRAITS_2_4_8, TRAITS_4_8_16, TRAITS_STATIC_HEADER, TRAITS_TLV, TRAITS_TLV_HEADER, TRAITS_WIDE } from '../../layout/trait';

// @ts-ignore: decorator
@inline
export function header_size(layout: u32): u32 {
  if (layout <= <u32>TRAITS_WIDE) return layout == TRAITS_WIDE ? 24 : 16;
  return layout == TRAITS_TLV ? TRAITS_TLV_HEADER : TRAITS_STATIC_HEADER;
}

// @ts-ignore: decorator
@inline
function bits(word: u64): u32 {
  return <u32>popcnt<u64>(word);
}

/** Bytes of the values whose keys are in `mask`. */
// @ts-ignore: decorator
@inline
export function values_size(layout: u32, area: usize, mask: u64): u32 {
  const first = load<u64>(area) & mask;
  const second = load<u64>(area, 8) & mask;
  if (layout == TRAITS_0_4_8) return (bits(first) + bits(first & second)) << 2;
  if (layout == TRAITS_WIDE) {
    const third = load<u64>(area, 16) & mask;
    // Codes by their bits: 1 -> 0, 2 -> 1, 3 -> 2, 4 -> 4, 5 -> 8, 6 -> 16.
    return (bits(first) << 2) + bits(second) + (bits(first & third) << 2) + bits(second & third) + bits(first & second) * 11;
  }
  const unit = layout == TRAITS_2_4_8 ? <u32>1 : <u32>2;
  return (bits(second) + (bits(first) << 1) + bits(first & second)) << unit;
}

/** Code of the key's value, 0: it is not set. */
// @ts-ignore: decorator
@inline
export function code_at(layout: u32, area: usize, key: u32): u32 {
  const first = <u32>(load<u64>(area) >> key) & 1;
  const second = <u32>(load<u64>(area, 8) >> key) & 1;
  const code = (first << 1) | second;
  return layout == TRAITS_WIDE ? (code << 1) | (<u32>(load<u64>(area, 16) >> key) & 1) : code;
}

/** Code of a length in bytes, 0: the layout does not have it. */
// @ts-ignore: decorator
@inline
export function code_of(layout: u32, size: u32): u32 {
  if (layout == TRAITS_0_4_8) return size == 4 ? 2 : size == 8 ? 3 : size == 0 ? 1 : 0;
  if (layout == TRAITS_2_4_8) return size == 4 ? 2 : size == 8 ? 3 : size == 2 ? 1 : 0;
  if (layout == TRAITS_4_8_16) return size == 4 ? 1 : size == 8 ? 2 : size == 16 ? 3 : 0;
  if (size <= 2) return size + 1;
  return size == 4 ? 4 : size == 8 ? 5 : size == 16 ? 6 : 0;
}

/** Bytes that a code stands for; of code 7, which no value has, what a corrupted header counts it as. */
// @ts-ignore: decorator
@inline
export function size_of(layout: u32, code: u32): u32 {
  if (layout == TRAITS_0_4_8) return code < 2 ? 0 : (code - 1) << 2;
  if (layout != TRAITS_WIDE) return code == 0 ? 0 : (layout == TRAITS_2_4_8 ? <u32>1 : <u32>2) << code;
  if (code <= 3) return code == 0 ? 0 : code - 1;
  return code == 7 ? 21 : <u32>1 << (code - 2);
}

/** Gives the key this code in the header. */
// @ts-ignore: decorator
@inline
export function code_set(layout: u32, area: usize, key: u32, code: u32): void {
  const bit = <u64>1 << key;
  const wide = layout == TRAITS_WIDE;
  const pair = wide ? code >> 1 : code;
  store<u64>(area, pair & 2 ? load<u64>(area) | bit : load<u64>(area) & ~bit);
  store<u64>(area, pair & 1 ? load<u64>(area, 8) | bit : load<u64>(area, 8) & ~bit, 8);
  if (wide) store<u64>(area, code & 1 ? load<u64>(area, 16) | bit : load<u64>(area, 16) & ~bit, 16);
}

// Values are of these lengths alone: no call of memory.copy, which costs more than they do.
// @ts-ignore: decorator
@inline
export function copy_value(to: usize, from: usize, size: u32): void {
  if (size == 8) store<u64>(to, load<u64>(from));
  else if (size == 4) store<u32>(to, load<u32>(from));
  else if (size == 16) v128.store(to, v128.load(from));
  else if (size == 2) store<u16>(to, load<u16>(from));
  else if (size == 1) store<u8>(to, load<u8>(from));
}

/** Moves `size` bytes up. */
export function move_up(from: usize, by: u32, size: u32): void {
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
export function move_down(from: usize, by: u32, size: u32): void {
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
