// Text from a format as bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf make it: the rules of bpf_bprintf_prepare
// (kernel/bpf/helpers.c) and of bstr_printf (lib/vsprintf.c). A pointer (%p) is written as it is: Linux hides it behind a hash.
import { NULL_PAGE_END } from '../../layout/memory';
import { EINVAL, ENOSPC } from '../errno';

/** What the arguments may take after conversion (MAX_BPRINTF_BIN_ARGS), strings with their NULs. */
const MAX_ARGUMENT_BYTES: u32 = 512;
const DIGITS = memory.data<u8>([48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102]);
const LEFT: u32 = 1;
const PLUS: u32 = 2;
const SPACE: u32 = 4;
const ZEROS: u32 = 8;

/** Where text goes: bytes from `to` (0: nowhere), wrapping behind `mask` from `start` on; fewer than `size` of them, all are counted. */
@unmanaged export class Sink {
  to: usize;
  start: u32;
  mask: u32;
  size: u32;
  length: u32;
  /** Digits of one number, backwards from the end. */
  digits: u64;
  digits2: u64;
  digits3: u64;
}

/** Bytes of scratch that a Sink takes. */
export const SINK_SIZE: usize = 64;

function put(sink: Sink, byte: u32): void {
  if (sink.to != 0 && sink.length + 1 < sink.size) store<u8>(sink.to + ((sink.start + sink.length) & sink.mask), byte);
  sink.length++;
}

function pad(sink: Sink, byte: u32, from: i32, to: i32): void {
  for (let i = from; i < to; i++) put(sink, byte);
}

function number(sink: Sink, value: u64, base: u64, sign: u32, upper: bool, width: i32, flags: u32): void {
  const end = changetype<usize>(sink) + SINK_SIZE;
  let at = end;
  do {
    let digit = <u32>load<u8>(DIGITS + <usize>(value % base));
    if (upper && digit >= 97) digit -= 32;
    store<u8>(--at, digit);
    value /= base;
  } while (value != 0);
  const size = <i32>(end - at) + <i32>(sign != 0);
  const left = (flags & LEFT) != 0;
  const zeros = !left && (flags & ZEROS) != 0;
  if (!left && !zeros) pad(sink, 32, size, width);
  if (sign != 0) put(sink, sign);
  if (zeros) pad(sink, 48, size, width);
  for (; at < end; at++) put(sink, load<u8>(at));
  if (left) pad(sink, 32, size, width);
}

/** Whether all bytes lie in the memory, behind the null page: what reads by address alone may touch. */
export function readable(address: u64, size: u64): bool {
  const end = <u64>memory.size() << 16;
  return address >= <u64>NULL_PAGE_END && address <= end && size <= end - address;
}

/** Length of the text at `address`, at most `limit - 1`; -1 if it leaves the memory before. */
function textLength(address: u64, limit: u32): i32 {
  for (let i: u32 = 0; i < limit; i++) {
    if (!readable(address + i, 1)) return -1;
    if (load<u8>(<usize>address + i) == 0) return i;
  }
  return <i32>limit - 1;
}

function text(sink: Sink, from: usize, length: i32, width: i32, flags: u32): void {
  if ((flags & LEFT) == 0) pad(sink, 32, length, width);
  for (let i = 0; i < length; i++) put(sink, load<u8>(from + <usize>i));
  if ((flags & LEFT) != 0) pad(sink, 32, length, width);
}

function ipv4(sink: Sink, at: usize, zeros: bool, known: bool): void {
  for (let i: usize = 0; i < 4; i++) {
    if (i > 0) put(sink, 46);
    number(sink, known ? load<u8>(at + i) : 0, 10, 0, false, zeros ? 3 : 0, ZEROS);
  }
}

function ipv6(sink: Sink, at: usize, colons: bool, known: bool): void {
  for (let i: usize = 0; i < 16; i++) {
    if (colons && i > 0 && (i & 1) == 0) put(sink, 58);
    number(sink, known ? load<u8>(at + i) : 0, 16, 0, false, 2, ZEROS);
  }
}

@inline function isSpace(ch: u32): bool {
  return ch == 32 || (ch >= 9 && ch <= 13);
}

@inline function isDigit(ch: u32): bool {
  return ch >= 48 && ch <= 57;
}

@inline function isAlphanumeric(ch: u32): bool {
  return isDigit(ch) || (ch >= 65 && ch <= 90) || (ch >= 97 && ch <= 122);
}

/** What may follow a plain %p or %s: the end, white space, punctuation. */
@inline function ends(ch: u32): bool {
  return ch == 0 || isSpace(ch) || (ch > 32 && ch < 127 && !isAlphanumeric(ch));
}

/**
 * Writes the text of `fmt`, which has a NUL among its first `size` bytes, with `count` arguments of 8 bytes. Returns its whole length, of
 * which the sink may hold less. -EINVAL: not a format that Linux takes. -ENOSPC: too much text in the arguments.
 */
export function format(sink: Sink, fmt: usize, size: u32, args: usize, count: u32): i64 {
  let end: u32 = 0;
  while (end < size && load<u8>(fmt + end) != 0) end++;
  if (end == size) return EINVAL;
  let next: u32 = 0;
  let used: u32 = 0;
  for (let i: u32 = 0; i < end; i++) {
    let ch = <u32>load<u8>(fmt + i);
    // Bytes from 0x80 on pass, so that UTF-8 does.
    if (ch == 127 || (ch < 32 && !isSpace(ch))) return EINVAL;
    if (ch != 37) {
      put(sink, ch);
      continue;
    }
    ch = load<u8>(fmt + ++i);
    if (ch == 37) {
      put(sink, 37);
      continue;
    }
    if (next >= count) return EINVAL;
    const value = load<u64>(args + (<usize>next << 3));
    next++;
    let flags: u32 = 0;
    for (; ch == 48 || ch == 43 || ch == 45 || ch == 32; ch = load<u8>(fmt + ++i))
      flags |= ch == 48 ? ZEROS : ch == 43 ? PLUS : ch == 45 ? LEFT : SPACE;
    let width = 0;
    for (; isDigit(ch); ch = load<u8>(fmt + ++i)) if (width < 0x10000) width = width * 10 + <i32>(ch - 48);

    let string = ch == 115;
    if (ch == 112) {
      const kind = <u32>load<u8>(fmt + i + 1);
      const after = kind == 0 ? 0 : <u32>load<u8>(fmt + i + 2);
      if ((kind == 107 || kind == 117) && after == 115) {
        i += 2;
        string = true;
        width = 0;
        flags = 0;
      } else if ((kind == 105 || kind == 73) && (after == 52 || after == 54)) {
        const bytes: u32 = after == 52 ? 4 : 16;
        if (MAX_ARGUMENT_BYTES - used < bytes) return ENOSPC;
        const known = readable(value, bytes);
        const before = sink.length;
        // Linux counts these, which it keeps as text, only where there is room left.
        if (before >= sink.size) used = min<u32>(MAX_ARGUMENT_BYTES, used + bytes);
        else if (after == 52) ipv4(sink, <usize>value, kind == 105, known);
        else ipv6(sink, <usize>value, kind == 73, known);
        used = min<u32>(MAX_ARGUMENT_BYTES, used + (sink.length - before) + 1);
        i += 2;
        while (isAlphanumeric(load<u8>(fmt + i + 1))) i++;
        continue;
      } else if (ends(kind) || kind == 75 || kind == 120 || kind == 115 || kind == 83 || kind == 66) {
        if (kind == 115 || kind == 83 || kind == 66) {
          // No symbol is known: its address.
          const before = sink.length;
          put(sink, 48);
          put(sink, 120);
          number(sink, value, 16, 0, false, 0, 0);
          if (kind != 66 && (flags & LEFT) != 0) pad(sink, 32, <i32>(sink.length - before), width);
        } else {
          number(sink, value, 16, 0, false, width == 0 ? 16 : width, width == 0 ? flags | ZEROS : flags);
        }
        used = ((used + 3) & ~3) + 8;
        if (used > MAX_ARGUMENT_BYTES) return ENOSPC;
        while (isAlphanumeric(load<u8>(fmt + i + 1))) i++;
        continue;
      } else {
        return EINVAL;
      }
    }
    if (string) {
      if (!ends(load<u8>(fmt + i + 1))) return EINVAL;
      if (used == MAX_ARGUMENT_BYTES) return ENOSPC;
      const length = textLength(value, MAX_ARGUMENT_BYTES - used);
      if (ch == 115 || sink.length < sink.size) text(sink, <usize>value, max<i32>(length, 0), width, flags);
      used += <u32>(max<i32>(length, 0) + 1);
      continue;
    }
    if (ch == 99) {
      if (used == MAX_ARGUMENT_BYTES) return ENOSPC;
      used++;
      if ((flags & LEFT) == 0) pad(sink, 32, 1, width);
      put(sink, <u32>value & 0xff);
      if ((flags & LEFT) != 0) pad(sink, 32, 1, width);
      continue;
    }
    let wide = false;
    for (let l = 0; l < 2 && ch == 108; l++) {
      wide = true;
      ch = load<u8>(fmt + ++i);
    }
    if (ch == 100 || ch == 105) {
      const signed: i64 = wide ? <i64>value : <i64><i32>value;
      const sign: u32 = signed < 0 ? 45 : (flags & PLUS) != 0 ? 43 : (flags & SPACE) != 0 ? 32 : 0;
      number(sink, signed < 0 ? <u64>(-signed) : <u64>signed, 10, sign, false, width, flags);
    } else if (ch == 117 || ch == 120 || ch == 88) {
      number(sink, wide ? value : value & 0xffffffff, ch == 117 ? 10 : 16, 0, ch == 88, width, flags);
    } else {
      return EINVAL;
    }
    used = ((used + 3) & ~3) + (wide ? 8 : 4);
    if (used > MAX_ARGUMENT_BYTES) return ENOSPC;
  }
  return <i64>sink.length;
}
