// Arithmetic on scalars: what is known of `d op s`, left in `d`. Results are as precise as the kernel's (scalar_min_max_* in
// kernel/bpf/verifier.c, 6.18), neither less nor more: both would change verdicts.
import * as b from './bounds';
import { U32, mask, smax, smax32, smin, smin32, umax, umax32, umin, umin32, value } from './bounds';
import * as tnum from './tnum';

const ADD = 0x00, SUB = 0x10, MUL = 0x20, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, XOR = 0xa0, ARSH = 0xc0;

@inline function addOverflows(a: i64, c: i64): bool { const s = a + c; return ((a ^ s) & (c ^ s)) < 0; }
@inline function subOverflows(a: i64, c: i64): bool { const s = a - c; return ((a ^ c) & (a ^ s)) < 0; }
@inline function addOverflows32(a: i32, c: i32): bool { const s = a + c; return ((a ^ s) & (c ^ s)) < 0; }
@inline function subOverflows32(a: i32, c: i32): bool { const s = a - c; return ((a ^ c) & (a ^ s)) < 0; }

/** The ranges of a sum; bits are the caller's. Bounds may wrap around as long as both do. */
export function add64(d: usize, s: usize): void {
  if (addOverflows(smin(d), smin(s)) || addOverflows(smax(d), smax(s))) b.setS(d, i64.MIN_VALUE, i64.MAX_VALUE);
  else b.setS(d, smin(d) + smin(s), smax(d) + smax(s));
  const lo = umin(d) + umin(s);
  const hi = umax(d) + umax(s);
  if (lo >= umin(d) && hi < umax(d)) b.setU(d, 0, u64.MAX_VALUE);
  else b.setU(d, lo, hi);
}
function add32(d: usize, s: usize): void {
  if (addOverflows32(smin32(d), smin32(s)) || addOverflows32(smax32(d), smax32(s)))
    b.setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
  else b.setS32(d, smin32(d) + smin32(s), smax32(d) + smax32(s));
  const lo = umin32(d) + umin32(s);
  const hi = umax32(d) + umax32(s);
  if (lo >= umin32(d) && hi < umax32(d)) b.setU32(d, 0, u32.MAX_VALUE);
  else b.setU32(d, lo, hi);
}
export function sub64(d: usize, s: usize): void {
  if (subOverflows(smin(d), smax(s)) || subOverflows(smax(d), smin(s))) b.setS(d, i64.MIN_VALUE, i64.MAX_VALUE);
  else b.setS(d, smin(d) - smax(s), smax(d) - smin(s));
  if (umin(d) < umax(s) && umax(d) >= umin(s)) b.setU(d, 0, u64.MAX_VALUE);
  else b.setU(d, umin(d) - umax(s), umax(d) - umin(s));
}
function sub32(d: usize, s: usize): void {
  if (subOverflows32(smin32(d), smax32(s)) || subOverflows32(smax32(d), smin32(s)))
    b.setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
  else b.setS32(d, smin32(d) - smax32(s), smax32(d) - smin32(s));
  if (umin32(d) < umax32(s) && umax32(d) >= umin32(s)) b.setU32(d, 0, u32.MAX_VALUE);
  else b.setU32(d, umin32(d) - umax32(s), umax32(d) - umin32(s));
}

function umulOverflows(a: u64, c: u64): bool {
  return a != 0 && (a * c) / a != c;
}
function smulOverflows(a: i64, c: i64): bool {
  if (a == 0 || c == 0) return false;
  if (a == -1) return c == i64.MIN_VALUE;
  if (c == -1) return a == i64.MIN_VALUE;
  return (a * c) / c != a;
}
function mul64(d: usize, s: usize): void {
  const u = umulOverflows(umax(d), umax(s)) || umulOverflows(umin(d), umin(s));
  if (u) b.setU(d, 0, u64.MAX_VALUE);
  else b.setU(d, umin(d) * umin(s), umax(d) * umax(s));
  const a0 = smin(d), a1 = smax(d), c0 = smin(s), c1 = smax(s);
  if (smulOverflows(a0, c0) || smulOverflows(a0, c1) || smulOverflows(a1, c0) || smulOverflows(a1, c1))
    b.setS(d, i64.MIN_VALUE, i64.MAX_VALUE);
  else
    b.setS(d, min(min(a0 * c0, a0 * c1), min(a1 * c0, a1 * c1)), max(max(a0 * c0, a0 * c1), max(a1 * c0, a1 * c1)));
}
function mul32(d: usize, s: usize): void {
  const hi = (<u64>umax32(d)) * umax32(s);
  const lo = (<u64>umin32(d)) * umin32(s);
  if (hi > U32 || lo > U32) b.setU32(d, 0, u32.MAX_VALUE);
  else b.setU32(d, <u32>lo, <u32>hi);
  const p = <i64>smin32(d) * smin32(s), q = <i64>smin32(d) * smax32(s);
  const t = <i64>smax32(d) * smin32(s), w = <i64>smax32(d) * smax32(s);
  const least = min(min(p, q), min(t, w));
  const most = max(max(p, q), max(t, w));
  if (least < i32.MIN_VALUE || most > i32.MAX_VALUE) b.setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
  else b.setS32(d, <i32>least, <i32>most);
}

/** Signed ranges may be taken from unsigned ones that do not cross the sign boundary. */
function signsFromU32(d: usize): void {
  if (<i32>umin32(d) <= <i32>umax32(d)) b.setS32(d, umin32(d), umax32(d));
  else b.setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
}
function signsFromU64(d: usize): void {
  if (<i64>umin(d) <= <i64>umax(d)) b.setS(d, umin(d), umax(d));
  else b.setS(d, i64.MIN_VALUE, i64.MAX_VALUE);
}
function known32(d: usize): void {
  const v = <u32>value(d);
  b.setU32(d, v, v);
  b.setS32(d, v, v);
}

/** AND, OR, XOR; the bits of the result are in `d` already. `isKnown`: both operands were constants. */
function bitwise32(op: i32, d: usize, s: usize, isKnown: bool): void {
  if (isKnown) {
    known32(d);
    return;
  }
  const v = <u32>value(d);
  const m = <u32>mask(d);
  if (op == AND) b.setU32(d, v, min(umax32(d), umax32(s)));
  else if (op == OR) b.setU32(d, max(umin32(d), umin32(s)), v | m);
  else b.setU32(d, v, v | m);
  signsFromU32(d);
}
function bitwise64(op: i32, d: usize, s: usize, isKnown: bool): void {
  if (isKnown) {
    b.known(d, value(d));
    return;
  }
  const v = value(d);
  const m = mask(d);
  if (op == AND) b.setU(d, v, min(umax(d), umax(s)));
  else if (op == OR) b.setU(d, max(umin(d), umin(s)), v | m);
  else b.setU(d, v, v | m);
  signsFromU64(d);
  b.fromBits(d);
}

function lsh32Ranges(d: usize, by: u32): void {
  b.setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
  if (by > 31 || <u64>umax32(d) > (1 as u64) << (31 - by)) b.setU32(d, 0, u32.MAX_VALUE);
  else b.setU32(d, umin32(d) << by, umax32(d) << by);
}

/** A shift by a constant below the width. */
function shift32(op: i32, d: usize, by: u32): void {
  const v = <u32>value(d);
  const m = <u32>mask(d);
  if (op == LSH) {
    lsh32Ranges(d, by);
    b.setBits(d, v << by, m << by);
  } else if (op == RSH) {
    b.setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
    b.setBits(d, v >> by, m >> by);
    b.setU32(d, umin32(d) >> by, umax32(d) >> by);
  } else {
    b.setS32(d, smin32(d) >> by, smax32(d) >> by);
    b.setBits(d, <u32>((<i32>v) >> by), <u32>((<i32>m) >> by));
    b.setU32(d, 0, u32.MAX_VALUE);
  }
  b.unbound64(d);
  b.fromBits32(d);
}
function shift64(op: i32, d: usize, by: u64): void {
  const v = value(d);
  const m = mask(d);
  if (op == LSH) {
    // The compiler's way to extend a sign: << 32, s>> 32.
    if (by == 32) b.setS(d, (<i64>smin32(d)) << 32, (<i64>smax32(d)) << 32);
    else b.setS(d, i64.MIN_VALUE, i64.MAX_VALUE);
    if (umax(d) > (1 as u64) << (63 - by)) b.setU(d, 0, u64.MAX_VALUE);
    else b.setU(d, umin(d) << by, umax(d) << by);
    if (by > 31) b.unbound32(d);
    else lsh32Ranges(d, <u32>by);
    b.setBits(d, v << by, m << by);
  } else if (op == RSH) {
    b.setS(d, i64.MIN_VALUE, i64.MAX_VALUE);
    b.setBits(d, v >> by, m >> by);
    b.setU(d, umin(d) >> by, umax(d) >> by);
    b.unbound32(d);
  } else {
    b.setS(d, smin(d) >> by, smax(d) >> by);
    b.setBits(d, (<i64>v) >> by, (<i64>m) >> by);
    b.setU(d, 0, u64.MAX_VALUE);
    b.unbound32(d);
  }
  b.fromBits(d);
}

/** d = d op s on scalars; `op` as in the opcode. What the kernel does not follow (division, shift by a variable) gives an unknown. */
export function alu(op: i32, wide: bool, d: usize, s: usize): void {
  const sKnown = wide ? mask(s) == 0 : <u32>mask(s) == 0;
  const dKnown = wide ? mask(d) == 0 : <u32>mask(d) == 0;
  const by = wide ? umin(s) : <u64>umin32(s);
  const av = value(d), am = mask(d), cv = value(s), cm = mask(s);
  switch (op) {
    case ADD:
      add32(d, s);
      add64(d, s);
      tnum.add(av, am, cv, cm);
      b.takeBits(d);
      break;
    case SUB:
      sub32(d, s);
      sub64(d, s);
      tnum.sub(av, am, cv, cm);
      b.takeBits(d);
      break;
    case MUL:
      tnum.mul(av, am, cv, cm);
      b.takeBits(d);
      mul32(d, s);
      mul64(d, s);
      break;
    case AND:
    case OR:
    case XOR:
      if (op == AND) tnum.and(av, am, cv, cm);
      else if (op == OR) tnum.or(av, am, cv, cm);
      else tnum.xor(av, am, cv, cm);
      b.takeBits(d);
      bitwise32(op, d, s, <u32>am == 0 && <u32>cm == 0);
      bitwise64(op, d, s, am == 0 && cm == 0);
      break;
    case LSH:
    case RSH:
    case ARSH:
      if (!sKnown || by >= <u64>(wide ? 64 : 32)) {
        b.unknown(d);
        return;
      }
      if (wide) shift64(op, d, by);
      else shift32(op, d, <u32>by);
      break;
    default:
      b.unknown(d);
      return;
  }
  if (!wide) b.zeroExtend32(d);
  b.sync(d);
  if (dKnown && sKnown && wide && mask(d) == 0) b.known(d, value(d));
}

function swapped(v: u64, bits: i32): u64 {
  return bits == 16 ? <u64>bswap<u16>(<u16>v) : bits == 32 ? <u64>bswap<u32>(<u32>v) : bswap<u64>(v);
}

/** The lower `bits` (16, 32, 64) in the other byte order (`swap`) or cut off. Known bits are followed, ranges come from them alone. */
export function byteOrder(d: usize, bits: i32, swap: bool): void {
  let v = value(d);
  let m = mask(d);
  if (swap) {
    v = swapped(v, bits);
    m = swapped(m, bits);
  } else if (bits < 64) {
    v &= ((1 as u64) << bits) - 1;
    m &= ((1 as u64) << bits) - 1;
  }
  b.unbound64(d);
  b.unbound32(d);
  b.setBits(d, v, m);
  b.sync(d);
}
