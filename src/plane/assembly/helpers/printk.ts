// bpf_trace_printk: formats into the trace ring of this CPU. Format rules of bpf_bprintf_prepare (kernel/bpf/helpers.c).
import {
  PRINTK_CONSUMED, PRINTK_DATA, PRINTK_DATA_SIZE, PRINTK_DROPPED, PRINTK_MAX_TEXT, PRINTK_PRODUCED,
} from '../../layout/printk';
import { WORKER_PRINTK, WORKER_SCRATCH } from '../../layout/worker';
import { EINVAL } from '../errno';
import { WORKER } from '../worker';

// Writes bytes of one record into the ring, which may wrap anywhere; counts past the end are counted, not written.
@unmanaged class Writer {
  ring: usize;
  start: u32;
  length: u32;
}

@inline function writer(): Writer {
  return changetype<Writer>(WORKER + WORKER_SCRATCH);
}

@inline function put(w: Writer, byte: u32): void {
  if (w.length < <u32>PRINTK_MAX_TEXT) {
    if (w.ring != 0) store<u8>(w.ring + PRINTK_DATA + ((w.start + 4 + w.length) & (PRINTK_DATA_SIZE - 1)), byte);
    w.length++;
  }
}

const DIGITS = memory.data<u8>([48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102]);

// Digits go to scratch backwards, then out with padding.
function number(w: Writer, value: u64, base: u64, negative: bool, upper: bool, width: i32, zeros: bool, left: bool): void {
  const end = WORKER + WORKER_SCRATCH + 128;
  let at = end;
  do {
    let digit = <u32>load<u8>(DIGITS + <usize>(value % base));
    if (upper && digit >= 97) digit -= 32;
    store<u8>(--at, digit);
    value /= base;
  } while (value != 0);
  const size = <i32>(end - at) + <i32>negative;
  if (!left && !zeros) for (let i = size; i < width; i++) put(w, 32);
  if (negative) put(w, 45);
  if (!left && zeros) for (let i = size; i < width; i++) put(w, 48);
  for (; at < end; at++) put(w, load<u8>(at));
  if (left) for (let i = size; i < width; i++) put(w, 32);
}

function address4(w: Writer, at: usize): void {
  for (let i: usize = 0; i < 4; i++) {
    if (i > 0) put(w, 46);
    number(w, load<u8>(at + i), 10, false, false, 0, false, false);
  }
}

function address6(w: Writer, at: usize, colons: bool): void {
  for (let i: usize = 0; i < 16; i++) {
    if (colons && i > 0 && (i & 1) == 0) put(w, 58);
    const byte = load<u8>(at + i);
    put(w, load<u8>(DIGITS + (byte >> 4)));
    put(w, load<u8>(DIGITS + (byte & 15)));
  }
}

// -1: the format is not one that Linux takes, or wants more than three arguments.
function format(w: Writer, fmt: usize, size: u32, a: u64, b: u64, c: u64): i64 {
  if (size == 0 || load<u8>(fmt + size - 1) != 0) return EINVAL;
  let used = 0;
  for (let i: u32 = 0; i < size - 1; i++) {
    let ch = load<u8>(fmt + i);
    if (ch == 0) break;
    if (ch >= 128 || (ch < 32 && (ch < 9 || ch > 13))) return EINVAL;
    if (ch != 37) { put(w, ch); continue; }
    ch = load<u8>(fmt + ++i);
    if (ch == 37) { put(w, 37); continue; }
    if (used >= 3) return EINVAL;
    let zeros = false;
    let left = false;
    while (ch == 48 || ch == 43 || ch == 45 || ch == 32) {
      if (ch == 48) zeros = true;
      if (ch == 45) left = true;
      ch = load<u8>(fmt + ++i);
    }
    let width = 0;
    while (ch >= 48 && ch <= 57) {
      if (width < 1000) width = width * 10 + (ch - 48);
      ch = load<u8>(fmt + ++i);
    }
    let value = used == 0 ? a : used == 1 ? b : c;
    used++;
    if (ch == 115) { // s: the kernel copies at most 511 bytes
      const from = <usize>value;
      for (let k: usize = 0; k < 511; k++) {
        const byte = load<u8>(from + k);
        if (byte == 0) break;
        put(w, byte);
      }
      continue;
    }
    if (ch == 99) { put(w, <u32>value & 0xff); continue; } // c
    if (ch == 112) { // p and its extensions
      const next = load<u8>(fmt + i + 1);
      const family = load<u8>(fmt + i + 2);
      if ((next == 105 || next == 73) && (family == 52 || family == 54)) {
        i += 2;
        if (family == 52) address4(w, <usize>value);
        else address6(w, <usize>value, next == 73);
        continue;
      }
      if (next == 120 || next == 75 || next == 115 || next == 66 || next == 83) i++;
      number(w, value, 16, false, false, 16, true, false);
      continue;
    }
    let wide = false;
    if (ch == 108) { // l, ll: both 64 bits
      wide = true;
      ch = load<u8>(fmt + ++i);
      if (ch == 108) ch = load<u8>(fmt + ++i);
    }
    if (ch == 100 || ch == 105) {
      const signed: i64 = wide ? <i64>value : <i64><i32>value;
      number(w, signed < 0 ? <u64>(-signed) : <u64>signed, 10, signed < 0, false, width, zeros, left);
    } else if (ch == 117 || ch == 120 || ch == 88) {
      if (!wide) value &= 0xffffffff;
      number(w, value, ch == 117 ? 10 : 16, false, ch == 88, width, zeros, left);
    } else {
      return EINVAL;
    }
  }
  return <i64>w.length;
}

export function bpf_trace_printk(fmt: u64, fmt_size: u64, a: u64, b: u64, c: u64): i64 {
  const ring = <usize>load<u32>(WORKER, WORKER_PRINTK);
  const w = writer();
  w.ring = 0;
  w.length = 0;
  w.start = 0;
  if (ring != 0) {
    const produced = load<u32>(ring, PRINTK_PRODUCED);
    // Room for the longest record, so that a record is written whole or not at all.
    if (PRINTK_DATA_SIZE - (produced - atomic.load<u32>(ring + PRINTK_CONSUMED)) >= PRINTK_MAX_TEXT + 8) {
      w.ring = ring;
      w.start = produced;
    } else {
      store<u32>(ring, load<u32>(ring, PRINTK_DROPPED) + 1, PRINTK_DROPPED);
    }
  }
  const written = format(w, <usize>fmt, <u32>fmt_size, a, b, c);
  if (written >= 0 && w.ring != 0) {
    store<u32>(ring + PRINTK_DATA + (w.start & (PRINTK_DATA_SIZE - 1)), w.length);
    atomic.store<u32>(ring + PRINTK_PRODUCED, w.start + 4 + ((w.length + 3) & ~3));
  }
  return written;
}
