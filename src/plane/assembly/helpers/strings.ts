// Strings: comparison, formatted text, numbers read from text. kernel/bpf/helpers.c.
import { WORKER_SCRATCH } from '../../layout/worker';
import { EINVAL, ERANGE } from '../errno';
import { format, Sink } from '../text/format';
import { WORKER } from '../worker';

/** MAX_BPRINTF_VARARGS, in bytes. */
const MAX_ARGUMENTS: u32 = 96;
const BASE_MASK: u64 = 0x1f;
/** What __bpf_strtoull copies of the number. */
const MAX_NUMBER: u32 = 63;

// s2 is NUL-terminated; at most `size` bytes are compared.
export function bpf_strncmp(s1: u64, size: u64, s2: u64): i64 {
  const a = <usize>s1;
  const b = <usize>s2;
  for (let i: usize = 0; i < <usize>size; i++) {
    const x = <i32>load<u8>(a + i);
    const y = <i32>load<u8>(b + i);
    if (x != y) return x < y ? -1 : 1;
    if (x == 0) return 0;
  }
  return 0;
}

/** Length of the text with its NUL, of which `size` bytes are written. A faulty format leaves the memory as it was. */
export function bpf_snprintf(to: u64, size: u64, fmt: u64, args: u64, length: u64): i64 {
  const bytes = <u32>length;
  if ((bytes & 7) != 0 || bytes > MAX_ARGUMENTS || (bytes != 0 && args == 0)) return EINVAL;
  const sink = changetype<Sink>(WORKER + WORKER_SCRATCH);
  const room = <u32>size;
  sink.to = 0;
  sink.length = 0;
  sink.size = room;
  const whole = format(sink, <usize>fmt, 0xffffffff, <usize>args, bytes >> 3);
  if (whole < 0) return whole;
  if (room != 0) {
    sink.to = <usize>to;
    sink.start = 0;
    sink.mask = 0xffffffff;
    sink.length = 0;
    format(sink, <usize>fmt, 0xffffffff, <usize>args, bytes >> 3);
    store<u8>(<usize>to + min<u32>(<u32>whole, room - 1), 0);
  }
  return whole + 1;
}

@inline function digitOf(ch: u32): u32 {
  if (ch >= 48 && ch <= 57) return ch - 48;
  const lower = ch | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : 16;
}

/**
 * Reads a number as __bpf_strtoull does; its value to `result`. Returns the bytes read, whose sign bit 62 says that a '-' stood before, or an
 * errno.
 */
function parse(text: usize, length: u32, flags: u64, result: usize): i64 {
  let base = <u32>(flags & BASE_MASK);
  if (length == 0 || (base != 0 && base != 8 && base != 10 && base != 16) || (flags & ~BASE_MASK) != 0) return EINVAL;
  let at: u32 = 0;
  for (; at < length; at++) {
    const ch = <u32>load<u8>(text + at);
    // 0xa0: the kernel's isspace takes Latin-1.
    if (ch != 32 && (ch < 9 || ch > 13) && ch != 0xa0) break;
  }
  const negative = at < length && load<u8>(text + at) == 45;
  if (negative) at++;
  if (at == length) return EINVAL;
  const end = at + min<u32>(length - at, MAX_NUMBER);
  const first = <u32>load<u8>(text + at);
  const second = at + 1 < end ? <u32>load<u8>(text + at + 1) | 32 : 0;
  const third = at + 2 < end ? digitOf(load<u8>(text + at + 2)) : 16;
  if (base == 0) base = first != 48 ? 10 : second == 120 && third < 16 ? 16 : 8;
  if (base == 16 && first == 48 && second == 120) at += 2;
  const digits = at;
  let value: u64 = 0;
  let overflow = false;
  for (; at < end; at++) {
    const digit = digitOf(load<u8>(text + at));
    if (digit >= base) break;
    if (value > (<u64>-1 - digit) / base) overflow = true;
    value = value * base + digit;
  }
  if (overflow) return ERANGE;
  if (at == digits) return EINVAL;
  store<u64>(result, value);
  return <i64>at | (<i64>negative << 62);
}

export function bpf_strtol(text: u64, length: u64, flags: u64, result: u64): i64 {
  const out = <usize>result;
  const scratch = WORKER + WORKER_SCRATCH;
  store<u64>(out, 0);
  const read = parse(<usize>text, <u32>length, flags, scratch);
  if (read < 0) return read;
  const value = load<i64>(scratch);
  const negative = read >> 62 != 0;
  if (negative ? -value > 0 : value < 0) return ERANGE;
  store<i64>(out, negative ? -value : value);
  return read & 0xffffffff;
}

export function bpf_strtoul(text: u64, length: u64, flags: u64, result: u64): i64 {
  const out = <usize>result;
  const scratch = WORKER + WORKER_SCRATCH;
  store<u64>(out, 0);
  const read = parse(<usize>text, <u32>length, flags, scratch);
  if (read < 0) return read;
  if (read >> 62 != 0) return EINVAL;
  store<u64>(out, load<u64>(scratch));
  return read & 0xffffffff;
}
