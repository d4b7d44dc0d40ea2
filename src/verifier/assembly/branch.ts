// Conditional jumps on scalars: whether the outcome is certain, and what each outcome says. Operations as in the opcode.
import * as b from './bounds';
import { mask, smax, smax32, smin, smin32, umax, umax32, umin, umin32, value, U32 } from './bounds';
import * as tnum from './tnum';

const JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40, JNE = 0x50, JSGT = 0x60, JSGE = 0x70;
const JLT = 0xa0, JLE = 0xb0, JSLT = 0xc0, JSLE = 0xd0;
/** JSET not taken: not an opcode. */
const CLEAR = 0xf0;

/** Exchange of the operands. */
function flipped(op: i32): i32 {
  switch (op) {
    case JGT: return JLT;
    case JGE: return JLE;
    case JLT: return JGT;
    case JLE: return JGE;
    case JSGT: return JSLT;
    case JSGE: return JSLE;
    case JSLT: return JSGT;
    case JSLE: return JSGE;
    default: return op;
  }
}
function inverted(op: i32): i32 {
  switch (op) {
    case JEQ: return JNE;
    case JNE: return JEQ;
    case JGT: return JLE;
    case JGE: return JLT;
    case JLT: return JGE;
    case JLE: return JGT;
    case JSGT: return JSLE;
    case JSGE: return JSLT;
    case JSLT: return JSGE;
    case JSLE: return JSGT;
    case JSET: return CLEAR;
    default: return op;
  }
}

/** 1: a op c always holds, 0: never, -1: not known. */
export function taken(op: i32, narrow: bool, a: usize, c: usize): i32 {
  const keep: u64 = narrow ? U32 : u64.MAX_VALUE;
  const av = value(a) & keep, am = mask(a) & keep, cv = value(c) & keep, cm = mask(c) & keep;
  const aLo = narrow ? <u64>umin32(a) : umin(a), aHi = narrow ? <u64>umax32(a) : umax(a);
  const cLo = narrow ? <u64>umin32(c) : umin(c), cHi = narrow ? <u64>umax32(c) : umax(c);
  const aSLo = narrow ? <i64>smin32(a) : smin(a), aSHi = narrow ? <i64>smax32(a) : smax(a);
  const cSLo = narrow ? <i64>smin32(c) : smin(c), cSHi = narrow ? <i64>smax32(c) : smax(c);
  switch (op) {
    case JEQ:
    case JNE: {
      const yes = op == JEQ ? 1 : 0;
      if (am == 0 && cm == 0) return av == cv ? yes : 1 - yes;
      // A bit that both know and that differs.
      if (((av ^ cv) & ~(am | cm)) != 0) return 1 - yes;
      if (aLo > cHi || aHi < cLo || aSLo > cSHi || aSHi < cSLo) return 1 - yes;
      if (!narrow) {
        if (umin32(a) > umax32(c) || umax32(a) < umin32(c) || smin32(a) > smax32(c) || smax32(a) < smin32(c))
          return 1 - yes;
      }
      return -1;
    }
    case JSET:
      if (cm != 0) {
        if (am != 0) return -1;
        if ((av & cv) != 0) return 1;
        return ((cv | cm) & av) == 0 ? 0 : -1;
      }
      if ((av & cv) != 0) return 1;
      return ((av | am) & cv) == 0 ? 0 : -1;
    case JGT: return aLo > cHi ? 1 : aHi <= cLo ? 0 : -1;
    case JGE: return aLo >= cHi ? 1 : aHi < cLo ? 0 : -1;
    case JLT: return aHi < cLo ? 1 : aLo >= cHi ? 0 : -1;
    case JLE: return aHi <= cLo ? 1 : aLo > cHi ? 0 : -1;
    case JSGT: return aSLo > cSHi ? 1 : aSHi <= cSLo ? 0 : -1;
    case JSGE: return aSLo >= cSHi ? 1 : aSHi < cSLo ? 0 : -1;
    case JSLT: return aSHi < cSLo ? 1 : aSLo >= cSHi ? 0 : -1;
    case JSLE: return aSHi <= cSLo ? 1 : aSLo > cSHi ? 0 : -1;
    default: return -1;
  }
}

function equal(narrow: bool, a: usize, c: usize): void {
  if (narrow) {
    b.narrowU32(a, umin32(c), umax32(c));
    b.setU32(c, umin32(a), umax32(a));
    b.narrowS32(a, smin32(c), smax32(c));
    b.setS32(c, smin32(a), smax32(a));
    tnum.intersect(value(a) & U32, mask(a) & U32, value(c) & U32, mask(c) & U32);
    b.setBits(a, (value(a) & ~U32) | tnum.value, (mask(a) & ~U32) | tnum.mask);
    b.setBits(c, (value(c) & ~U32) | tnum.value, (mask(c) & ~U32) | tnum.mask);
  } else {
    b.narrowU(a, umin(c), umax(c));
    b.setU(c, umin(a), umax(a));
    b.narrowS(a, smin(c), smax(c));
    b.setS(c, smin(a), smax(a));
    b.narrowU32(a, umin32(c), umax32(c));
    b.setU32(c, umin32(a), umax32(a));
    b.narrowS32(a, smin32(c), smax32(c));
    b.setS32(c, smin32(a), smax32(a));
    tnum.intersect(value(a), mask(a), value(c), mask(c));
    b.takeBits(a);
    b.takeBits(c);
  }
}

/** A constant at the edge of a range is cut off. */
function different(narrow: bool, a: usize, c: usize): void {
  if (narrow) {
    if (<u32>mask(c) != 0) {
      const other = a;
      a = c;
      c = other;
    }
    if (<u32>mask(c) != 0) return;
    const v = <u32>value(c);
    if (umin32(a) == v) b.setU32(a, umin32(a) + 1, umax32(a));
    if (umax32(a) == v) b.setU32(a, umin32(a), umax32(a) - 1);
    if (smin32(a) == <i32>v) b.setS32(a, smin32(a) + 1, smax32(a));
    if (smax32(a) == <i32>v) b.setS32(a, smin32(a), smax32(a) - 1);
  } else {
    if (mask(c) != 0) {
      const other = a;
      a = c;
      c = other;
    }
    if (mask(c) != 0) return;
    const v = value(c);
    if (umin(a) == v) b.setU(a, umin(a) + 1, umax(a));
    if (umax(a) == v) b.setU(a, umin(a), umax(a) - 1);
    if (smin(a) == <i64>v) b.setS(a, smin(a) + 1, smax(a));
    if (smax(a) == <i64>v) b.setS(a, smin(a), smax(a) - 1);
  }
}

function bitsTested(narrow: bool, a: usize, c: usize, set: bool): void {
  const keep: u64 = narrow ? U32 : u64.MAX_VALUE;
  if ((mask(c) & keep) != 0) {
    const other = a;
    a = c;
    c = other;
  }
  if ((mask(c) & keep) != 0) return;
  const v = value(c) & keep;
  if (set) {
    if (popcnt(v) != 1) return;
    b.setBits(a, value(a) | v, mask(a) & ~v);
  } else {
    b.setBits(a, value(a) & ~v, mask(a) & ~v);
  }
}

function refineHolding(op: i32, narrow: bool, a: usize, c: usize): void {
  switch (op) {
    case JEQ: return equal(narrow, a, c);
    case JNE: return different(narrow, a, c);
    case JSET: return bitsTested(narrow, a, c, true);
    case CLEAR: return bitsTested(narrow, a, c, false);
    case JGT: case JGE: case JSGT: case JSGE: return refineHolding(flipped(op), narrow, c, a);
    case JLE:
      if (narrow) {
        b.setU32(a, umin32(a), min(umax32(a), umax32(c)));
        b.setU32(c, max(umin32(a), umin32(c)), umax32(c));
      } else {
        b.setU(a, umin(a), min(umax(a), umax(c)));
        b.setU(c, max(umin(a), umin(c)), umax(c));
      }
      return;
    case JLT:
      if (narrow) {
        b.setU32(a, umin32(a), min(umax32(a), umax32(c) - 1));
        b.setU32(c, max(umin32(a) + 1, umin32(c)), umax32(c));
      } else {
        b.setU(a, umin(a), min(umax(a), umax(c) - 1));
        b.setU(c, max(umin(a) + 1, umin(c)), umax(c));
      }
      return;
    case JSLE:
      if (narrow) {
        b.setS32(a, smin32(a), min(smax32(a), smax32(c)));
        b.setS32(c, max(smin32(a), smin32(c)), smax32(c));
      } else {
        b.setS(a, smin(a), min(smax(a), smax(c)));
        b.setS(c, max(smin(a), smin(c)), smax(c));
      }
      return;
    case JSLT:
      if (narrow) {
        b.setS32(a, smin32(a), min(smax32(a), smax32(c) - 1));
        b.setS32(c, max(smin32(a) + 1, smin32(c)), smax32(c));
      } else {
        b.setS(a, smin(a), min(smax(a), smax(c) - 1));
        b.setS(c, max(smin(a) + 1, smin(c)), smax(c));
      }
      return;
  }
}

/** Narrows both operands by the outcome of `a op c`. */
export function refine(op: i32, narrow: bool, a: usize, c: usize, holds: bool): void {
  refineHolding(holds ? op : inverted(op), narrow, a, c);
  b.sync(a);
  if (c != a) b.sync(c);
}
