// What is known of a scalar: known bits and four ranges, kept in agreement. `r` is the address of a record (../layout.ts).
import { MASK, SMAX, SMAX32, SMIN, SMIN32, UMAX, UMAX32, UMIN, UMIN32, VALUE } from '../layout';
import * as tnum from './tnum';

export const U32: u64 = 0xffffffff;

// prettier-ignore
@inline export function value(r: usize): u64 { return load<u64>(r + VALUE); }
@inline export function mask(r: usize): u64 { return load<u64>(r + MASK); }
@inline export function umin(r: usize): u64 { return load<u64>(r + UMIN); }
@inline export function umax(r: usize): u64 { return load<u64>(r + UMAX); }
@inline export function smin(r: usize): i64 { return load<i64>(r + SMIN); }
@inline export function smax(r: usize): i64 { return load<i64>(r + SMAX); }
@inline export function umin32(r: usize): u32 { return load<u32>(r + UMIN32); }
@inline export function umax32(r: usize): u32 { return load<u32>(r + UMAX32); }
@inline export function smin32(r: usize): i32 { return load<i32>(r + SMIN32); }
@inline export function smax32(r: usize): i32 { return load<i32>(r + SMAX32); }

@inline export function setBits(r: usize, v: u64, m: u64): void {
  store<u64>(r + VALUE, v);
  store<u64>(r + MASK, m);
}
@inline export function takeBits(r: usize): void { setBits(r, tnum.value, tnum.mask); }
@inline export function setU(r: usize, min: u64, max: u64): void {
  store<u64>(r + UMIN, min);
  store<u64>(r + UMAX, max);
}
@inline export function setS(r: usize, min: i64, max: i64): void {
  store<i64>(r + SMIN, min);
  store<i64>(r + SMAX, max);
}
@inline export function setU32(r: usize, min: u32, max: u32): void {
  store<u32>(r + UMIN32, min);
  store<u32>(r + UMAX32, max);
}
@inline export function setS32(r: usize, min: i32, max: i32): void {
  store<i32>(r + SMIN32, min);
  store<i32>(r + SMAX32, max);
}

export function unbound64(r: usize): void {
  setU(r, 0, u64.MAX_VALUE);
  setS(r, i64.MIN_VALUE, i64.MAX_VALUE);
}
export function unbound32(r: usize): void {
  setU32(r, 0, u32.MAX_VALUE);
  setS32(r, i32.MIN_VALUE, i32.MAX_VALUE);
}
export function unknown(r: usize): void {
  setBits(r, 0, u64.MAX_VALUE);
  unbound64(r);
  unbound32(r);
}
export function known(r: usize, v: u64): void {
  setBits(r, v, 0);
  setU(r, v, v);
  setS(r, v, v);
  setU32(r, <u32>v, <u32>v);
  setS32(r, <i32>v, <i32>v);
}

@inline export function narrowU(r: usize, lo: u64, hi: u64): void {
  setU(r, max(umin(r), lo), min(umax(r), hi));
}
@inline export function narrowS(r: usize, lo: i64, hi: i64): void {
  setS(r, max(smin(r), lo), min(smax(r), hi));
}
@inline export function narrowU32(r: usize, lo: u32, hi: u32): void {
  setU32(r, max(umin32(r), lo), min(umax32(r), hi));
}
@inline export function narrowS32(r: usize, lo: i32, hi: i32): void {
  setS32(r, max(smin32(r), lo), min(smax32(r), hi));
}

/** Ranges from known bits. */
export function fromBits32(r: usize): void {
  const v = <u32>value(r);
  const m = <u32>mask(r);
  narrowS32(r, v | (m & 0x80000000), v | (m & 0x7fffffff));
  narrowU32(r, v, v | m);
}
export function fromBits64(r: usize): void {
  const v = value(r);
  const m = mask(r);
  narrowS(r, v | (m & (<u64>i64.MIN_VALUE)), v | (m & <u64>i64.MAX_VALUE));
  narrowU(r, v, v | m);
}
export function fromBits(r: usize): void {
  fromBits32(r);
  fromBits64(r);
}

function deduce32(r: usize): void {
  if (umin(r) >> 32 == umax(r) >> 32) {
    const lo = <u32>umin(r);
    const hi = <u32>umax(r);
    narrowU32(r, lo, hi);
    if (<i32>lo <= <i32>hi) narrowS32(r, lo, hi);
  }
  if (smin(r) >> 32 == smax(r) >> 32) {
    const lo = <u32>smin(r);
    const hi = <u32>smax(r);
    if (lo <= hi) narrowU32(r, lo, hi);
    if (<i32>lo <= <i32>hi) narrowS32(r, lo, hi);
  }
  // Lower half going from negative to non-negative while the upper half steps by one: it wraps past -1 to 0 once.
  if (<u32>(umin(r) >> 32) + 1 == <u32>(umax(r) >> 32) && <i32>umin(r) < 0 && <i32>umax(r) >= 0)
    narrowS32(r, <i32>umin(r), <i32>umax(r));
  if (<u32>(smin(r) >> 32) + 1 == <u32>(smax(r) >> 32) && <i32>smin(r) < 0 && <i32>smax(r) >= 0)
    narrowS32(r, <i32>smin(r), <i32>smax(r));
  if (<i32>umin32(r) <= <i32>umax32(r)) narrowS32(r, umin32(r), umax32(r));
  if (<u32>smin32(r) <= <u32>smax32(r)) {
    narrowU32(r, smin32(r), smax32(r));
  } else if (umax32(r) < <u32>smin32(r)) {
    setS32(r, umin32(r), smax32(r));
    setU32(r, umin32(r), min(umax32(r), <u32>smax32(r)));
  } else if (<u32>smax32(r) < umin32(r)) {
    setS32(r, smin32(r), umax32(r));
    setU32(r, max(umin32(r), <u32>smin32(r)), umax32(r));
  }
}

function deduce64(r: usize): void {
  if (<i64>umin(r) <= <i64>umax(r)) narrowS(r, umin(r), umax(r));
  if (<u64>smin(r) <= <u64>smax(r)) {
    narrowU(r, smin(r), smax(r));
  } else if (umax(r) < <u64>smin(r)) {
    // Only the non-negative part of the signed range meets the unsigned one, or only the negative part.
    setS(r, umin(r), smax(r));
    setU(r, umin(r), min(umax(r), <u64>smax(r)));
  } else if (<u64>smax(r) < umin(r)) {
    setS(r, smin(r), umax(r));
    setU(r, max(umin(r), <u64>smin(r)), umax(r));
  }
}

function deduceMixed(r: usize): void {
  narrowU(r, (umin(r) & ~U32) | umin32(r), (umax(r) & ~U32) | umax32(r));
  narrowS(r, (smin(r) & ~(<i64>U32)) | umin32(r), (smax(r) & ~(<i64>U32)) | umax32(r));
  if (smin32(r) >= 0 && smin(r) >= i32.MIN_VALUE && smax(r) <= i32.MAX_VALUE) {
    const lo = <u64>smin32(r);
    const hi = <u64>smax32(r);
    setS(r, lo, hi);
    setU(r, lo, hi);
    tnum.range(lo, hi);
    tnum.intersect(value(r), mask(r), tnum.value, tnum.mask);
    takeBits(r);
  }
}

/** Known bits from ranges. */
function bitsFromRanges(r: usize): void {
  tnum.range(umin(r), umax(r));
  tnum.intersect(value(r), mask(r), tnum.value, tnum.mask);
  const v = tnum.value;
  const m = tnum.mask;
  tnum.range(umin32(r), umax32(r));
  tnum.intersect(v & U32, m & U32, tnum.value, tnum.mask);
  setBits(r, (v & ~U32) | tnum.value, (m & ~U32) | tnum.mask);
}

/** Makes all that is known of the scalar agree; order and number of the steps as in the kernel, so that precision is the same. */
export function sync(r: usize): void {
  fromBits(r);
  for (let i = 0; i < 3; i++) {
    deduce32(r);
    deduce64(r);
    deduceMixed(r);
  }
  bitsFromRanges(r);
  fromBits(r);
}

/** Upper half zero, lower half as known. */
export function zeroExtend32(r: usize): void {
  setBits(r, value(r) & U32, mask(r) & U32);
  setU(r, umin32(r), umax32(r));
  if (smin32(r) >= 0 && smax32(r) >= 0) setS(r, smin32(r), smax32(r));
  else setS(r, 0, U32);
}

/** A load of `size` bytes (1, 2, 4) leaves the rest zero. */
export function coerce(r: usize, size: i32): void {
  const bits: u64 = ((1 as u64) << (size * 8)) - 1;
  setBits(r, value(r) & bits, mask(r) & bits);
  if ((umin(r) & ~bits) == (umax(r) & ~bits)) setU(r, umin(r) & bits, umax(r) & bits);
  else setU(r, 0, bits);
  setS(r, umin(r), umax(r));
  if (size < 4) unbound32(r);
  sync(r);
}

/** Sign extension of the lower `bits` (8, 16, 32) to 64. */
export function signExtend(r: usize, bits: i32): void {
  const shift = <i64>(64 - bits);
  if (mask(r) == 0) {
    known(r, ((<i64>value(r)) << shift) >> shift);
    return;
  }
  if (smin(r) >> bits == smax(r) >> bits) {
    const a = (smin(r) << shift) >> shift;
    const b = (smax(r) << shift) >> shift;
    const lo = min(a, b);
    const hi = max(a, b);
    if (lo >= 0 == hi >= 0) {
      setS(r, lo, hi);
      setU(r, lo, hi);
      setS32(r, <i32>lo, <i32>hi);
      setU32(r, <u32>lo, <u32>hi);
      tnum.range(lo, hi);
      takeBits(r);
      return;
    }
  }
  const least = (<i64>-1) << (bits - 1);
  setS(r, least, ~least);
  setU(r, 0, u64.MAX_VALUE);
  setS32(r, <i32>least, <i32>~least);
  setU32(r, 0, u32.MAX_VALUE);
  setBits(r, 0, u64.MAX_VALUE);
}

/** Sign extension of the lower `bits` (8, 16) to 32; the upper half becomes zero. */
export function signExtend32(r: usize, bits: i32): void {
  const shift = 32 - bits;
  const v = <u32>value(r);
  if (<u32>mask(r) == 0) {
    known(r, <u32>(((<i32>v) << shift) >> shift));
    return;
  }
  setBits(r, 0, u64.MAX_VALUE);
  if (smin32(r) >> bits == smax32(r) >> bits) {
    const a = (smin32(r) << shift) >> shift;
    const b = (smax32(r) << shift) >> shift;
    const lo = min(a, b);
    const hi = max(a, b);
    if (lo >= 0 == hi >= 0) {
      setS32(r, lo, hi);
      setU32(r, lo, hi);
      tnum.range(<u32>lo, <u32>hi);
      takeBits(r);
      zeroExtend32(r);
      sync(r);
      return;
    }
  }
  const least = -1 << (bits - 1);
  setS32(r, least, ~least);
  setU32(r, 0, u32.MAX_VALUE);
  zeroExtend32(r);
  sync(r);
}

/** All that `b` may be, `a` may be. */
export function within(a: usize, b: usize): bool {
  return (
    umin(a) <= umin(b) && umax(a) >= umax(b) && smin(a) <= smin(b) && smax(a) >= smax(b) &&
    umin32(a) <= umin32(b) && umax32(a) >= umax32(b) && smin32(a) <= smin32(b) && smax32(a) >= smax32(b) &&
    tnum.contains(value(a), mask(a), value(b), mask(b))
  );
}

/** Known bits of p + s or p - s. */
export function addBits(d: usize, p: usize, s: usize, subtract: bool): void {
  if (subtract) tnum.sub(value(p), mask(p), value(s), mask(s));
  else tnum.add(value(p), mask(p), value(s), mask(s));
  takeBits(d);
}
