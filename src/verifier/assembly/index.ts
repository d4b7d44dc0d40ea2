// The arithmetic of the verifier on records of ../layout.ts, for TypeScript: addresses as numbers, 64-bit constants as two halves.
import { MASK, VALUE } from '../layout';
import * as bounds from './bounds';
import * as alus from './alu';
import * as branches from './branch';

@inline function wide(low: u32, high: u32): u64 { return ((<u64>high) << 32) | low; }

export function unknown(r: usize): void { bounds.unknown(r); }
export function constant(r: usize, low: u32, high: u32): void { bounds.known(r, wide(low, high)); }
export function sync(r: usize): void { bounds.sync(r); }
export function coerce(r: usize, size: i32): void { bounds.coerce(r, size); }
export function signExtend(r: usize, bits: i32): void { bounds.signExtend(r, bits); }
export function signExtend32(r: usize, bits: i32): void { bounds.signExtend32(r, bits); }
export function within(a: usize, c: usize): bool { return bounds.within(a, c); }
export function alu(op: i32, wide: bool, d: usize, s: usize): void { alus.alu(op, wide, d, s); }
export function byteOrder(d: usize, bits: i32, swap: bool): void { alus.byteOrder(d, bits, swap); }
export function taken(op: i32, narrow: bool, a: usize, c: usize): i32 { return branches.taken(op, narrow, a, c); }
export function refine(op: i32, narrow: bool, a: usize, c: usize, holds: bool): void { branches.refine(op, narrow, a, c, holds); }

/** The lower half alone. */
export function zeroExtend32(r: usize): void {
  bounds.zeroExtend32(r);
  bounds.sync(r);
}

/** 0 - r, precisely. `scratch` is a record that is overwritten. */
export function negate(r: usize, scratch: usize, isWide: bool): void {
  memory.copy(scratch, r, 128);
  bounds.known(r, 0);
  alus.alu(0x10, isWide, r, scratch);
}

/** Ranges of a pointer's variable offset after adding or subtracting a scalar. */
export function pointerOffset(d: usize, p: usize, s: usize, subtract: bool): void {
  memory.copy(d + VALUE, p + VALUE, 64);
  if (subtract) alus.sub64(d, s);
  else alus.add64(d, s);
  bounds.unbound32(d);
  bounds.addBits(d, p, s, subtract);
  bounds.sync(d);
}

/** Cuts the ranges of a helper's result: i64 bounds of a 32-bit return. */
export function between(r: usize, least: i32, most: i32): void {
  bounds.setS(r, <i64>least, <i64>most);
  bounds.setS32(r, least, most);
  bounds.sync(r);
}

/** Unsigned upper limit. */
export function atMost(r: usize, low: u32, high: u32): void {
  bounds.setU(r, bounds.umin(r), min(bounds.umax(r), wide(low, high)));
  bounds.sync(r);
}
