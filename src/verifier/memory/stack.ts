/** Reads and writes of the stack: spilled registers, zeros, bytes of unknown content; at constant and at variable offsets. */
import { CLASS } from '../../isa/opcodes.ts';
import { DYNPTR_BYTE, INVALID, MISC, NOT_INIT, SCALAR, SPILL, STACK, ZERO } from '../kinds.ts';
import { BYTES, FLAGS, ID, OFFSET, PRECISE, UMAX } from '../layout.ts';
import { destroyDynptrAt } from '../resources/dynptr.ts';
import { markPrecise } from '../states/precision.ts';
import {
  arithmetic,
  auxOf,
  bitsText,
  bytes,
  clearRecord,
  constantOf,
  copyRecord,
  idOf,
  isConstant,
  isZero,
  kindOf,
  MAX_STACK,
  makeConstant,
  makeUnknown,
  offsetOf,
  set,
  slotAt,
  smaxOf,
  sminOf,
  words,
} from '../states/records.ts';
import { markSlotRead, markSlotWritten } from '../states/state.ts';
import { TOUCHED_STACK, type Verification } from '../verification.ts';
import { findObject, isObjectByte } from './stack-object.ts';

const MAX_OFFSET = 1 << 29;

/** Who touches: for the wording. */
export type StackUser = 'read' | 'write';

/** Refuses what may lie outside of the frame's 512 bytes; makes room for the rest. */
export function checkStackBounds(
  v: Verification,
  number: number,
  pointer: number,
  off: number,
  size: number,
  user: StackUser,
): void {
  const text = user === 'read' ? ' read from' : ' write to';
  const constant = isConstant(pointer);
  let least: number;
  let most: number;
  if (constant) {
    least = constantOf(pointer) + off;
    most = least + size;
  } else {
    if (smaxOf(pointer) >= MAX_OFFSET || sminOf(pointer) <= -MAX_OFFSET)
      v.refuse(
        'stack-unbounded',
        'Memory Safety',
        `invalid unbounded variable-offset${text} stack R${number}`,
        'The offset of the stack access has no known limits.',
      );
    least = sminOf(pointer) + off;
    most = smaxOf(pointer) + off + size;
  }
  if (least < -MAX_STACK || least > -1 || most > 0 || size < 0) {
    const problem = constant
      ? `invalid${text} stack R${number} off=${least} size=${size}`
      : `invalid variable-offset${text} stack R${number} var_off=${bitsText(pointer)} off=${off} size=${size}`;
    v.refuse(
      'stack-out-of-bounds',
      'Memory Safety',
      problem,
      `The stack of a function is at offsets -512 to -1; this touches ${least} to ${most - 1}.`,
    );
  }
  const depth = auxOf(pointer);
  const slots = Math.ceil(-least / 8);
  v.state.grow(depth, slots);
  const { fn } = v.state.frames[depth]!;
  if (-least > v.stackDepth[fn]!) v.stackDepth[fn] = -least;
}

function spilled(r: number): boolean {
  return bytes[r + BYTES + 7] === SPILL;
}

/** Bytes of a spilled register become bytes of unknown content. */
function scrub(r: number): void {
  for (let i = 0; i < 8; i++) if (bytes[r + BYTES + i] !== INVALID) bytes[r + BYTES + i] = MISC;
}

function touch(v: Verification, depth: number, slot: number): void {
  v.touched |= TOUCHED_STACK | (depth << 4) | (slot << 7);
}

/** No longer the same number as others, nor at a distance from them. */
function unlink(r: number): void {
  set(r, ID, 0);
  set(r, FLAGS, 0);
  set(r, OFFSET, 0);
}

/** Scalar that fits in so many bits. */
function fits(r: number, bits: number): boolean {
  if (bits === 64) return true;
  if (words[(r + UMAX + 4) >> 2] !== 0) return false;
  return bits === 32 || words[(r + UMAX) >> 2]! >>> 0 < 2 ** bits;
}

/** Number that all copies of an unknown scalar share. */
export function shareId(v: Verification, r: number): void {
  if (kindOf(r) !== SCALAR || isConstant(r)) return;
  if ((words[(r + 4) >> 2]! & 8) !== 0) {
    words[(r + 4) >> 2]! &= ~8;
    words[(r + 16) >> 2] = 0;
    set(r, ID, 0);
  }
  if (idOf(r) === 0) set(r, ID, v.newId());
}

/** Spills `value` (a record) in the lowest `size` bytes of the slot. */
function spill(r: number, value: number, size: number): void {
  const types = [];
  for (let i = 0; i < 8; i++) types.push(bytes[r + BYTES + i]!);
  copyRecord(r, value);
  set(r, PRECISE, 0);
  for (let i = 8; i > 8 - size; i--) bytes[r + BYTES + i - 1] = SPILL;
  for (let i = 8 - size; i > 0; i--) {
    const type = types[i - 1]!;
    bytes[r + BYTES + i - 1] = type === ZERO || type === INVALID ? type : MISC;
  }
}

/** @param number register stored, -1 for a constant of the instruction or bytes written by a helper. */
export function writeStack(
  v: Verification,
  pointerNumber: number,
  pointer: number,
  off: number,
  size: number,
  number: number,
): void {
  checkStackBounds(v, pointerNumber, pointer, off, size, 'write');
  if (isConstant(pointer)) writeFixed(v, auxOf(pointer), constantOf(pointer) + off, size, number);
  else writeVariable(v, pointer, off, size, number);
}

/** Dynptrs are void when a byte of them is overwritten; what else is kept here loses the slot. */
function overwriteObject(v: Verification, depth: number, slot: number): void {
  destroyDynptrAt(v, depth, slot);
  scrub(slotAt(depth, slot));
}

const scratchImmediate = 0x400 + 6 * 128;

function writeFixed(v: Verification, depth: number, off: number, size: number, number: number): void {
  const { code, state, slot: at } = v;
  const byte = -off - 1;
  const slot = byte >> 3;
  const r = slotAt(depth, slot);
  const value = number >= 0 ? v.register(number) : 0;
  const immediate = number < 0 && (code.op[at]! & 7) === CLASS.ST;
  if (bytes[r + BYTES + 7]! > ZERO) overwriteObject(v, depth, slot);
  if (off % 8 === 0 && value !== 0 && kindOf(value) === SCALAR) {
    const whole = fits(value, size * 8);
    if (whole) shareId(v, value);
    spill(r, value, size);
    if (!whole) unlink(r);
    touch(v, depth, slot);
    if (size === 8) markSlotWritten(state, depth, slot);
    return;
  }
  if (off % 8 === 0 && immediate) {
    makeConstant(scratchImmediate, code.imm[at]!, code.imm[at]! >> 31);
    spill(r, scratchImmediate, size);
    touch(v, depth, slot);
    if (size === 8) markSlotWritten(state, depth, slot);
    return;
  }
  if (value !== 0 && kindOf(value) !== SCALAR && kindOf(value) !== NOT_INIT) {
    if (size !== 8)
      v.refuse(
        'spill-size',
        'Memory Safety',
        'invalid size of register spill',
        'A pointer can only be saved whole, in 8 aligned bytes.',
      );
    if (depth !== state.depth && kindOf(value) === STACK)
      v.refuse(
        'spill-to-caller',
        'Memory Safety',
        'cannot spill pointers to stack into stack frame of the caller',
        'The pointer would outlive the frame that it points into.',
      );
    spill(r, value, 8);
    touch(v, depth, slot);
    markSlotWritten(state, depth, slot);
    return;
  }
  if (spilled(r)) scrub(r);
  clearRecord(r);
  let type = MISC;
  if ((value !== 0 && kindOf(value) === SCALAR && isZero(value)) || (immediate && code.imm[at] === 0)) {
    type = ZERO;
    if (value !== 0) markPrecise(v, number);
  }
  for (let i = 0; i < size; i++) bytes[r + BYTES + ((byte - i) & 7)] = type;
  if (size === 8) markSlotWritten(state, depth, slot);
}

function writeVariable(v: Verification, pointer: number, off: number, size: number, number: number): void {
  const depth = auxOf(pointer);
  const least = sminOf(pointer) + off;
  const most = smaxOf(pointer) + off + size;
  const value = number >= 0 ? v.register(number) : 0;
  const zero =
    (value !== 0 && kindOf(value) === SCALAR && isZero(value)) ||
    (number < 0 && (v.code.op[v.slot]! & 7) === CLASS.ST && v.code.imm[v.slot] === 0);
  let zeroUsed = false;
  for (let slot = (-least - 1) >> 3, last = -most >> 3; slot >= last; slot--)
    if (isObjectByte(bytes[slotAt(depth, slot) + BYTES]!)) overwriteObject(v, depth, slot);
  for (let at = least; at < most; at++) {
    const byte = -at - 1;
    const slot = byte >> 3;
    const r = slotAt(depth, slot);
    const index = r + BYTES + (byte & 7);
    if (bytes[index] === SPILL) {
      if (zero && kindOf(r) === SCALAR && isZero(r)) {
        zeroUsed = true;
        continue;
      }
      scrub(r);
      clearRecord(r);
    } else if (spilled(r)) {
      scrub(r);
      clearRecord(r);
    }
    if (zero && bytes[index] === ZERO) {
      zeroUsed = true;
      continue;
    }
    bytes[index] = MISC;
  }
  if (zeroUsed && value !== 0) markPrecise(v, number);
}

/** @param number register to fill, -1 for none. */
export function readStack(
  v: Verification,
  pointerNumber: number,
  pointer: number,
  off: number,
  size: number,
  number: number,
): void {
  checkStackBounds(v, pointerNumber, pointer, off, size, 'read');
  if (isConstant(pointer)) {
    readFixed(v, auxOf(pointer), constantOf(pointer) + off, size, number);
    return;
  }
  const least = sminOf(pointer) + off;
  const most = smaxOf(pointer) + off;
  const depth = auxOf(pointer);
  refuseObject(v, pointerNumber, pointer, depth, least, most + size, size);
  readBytes(v, depth, least, most + size);
  const into = number >= 0 ? v.register(number) : 0;
  if (into !== 0) fillFromBytes(depth, least, most + size, into);
}

const OBJECT_REASON = 'A dynptr, an iterator or interrupt flags lie there, which only calls may read.';

/** Bytes `from` to `to` of the frame are read: none may belong to an object. */
function refuseObject(
  v: Verification,
  number: number,
  pointer: number,
  depth: number,
  from: number,
  to: number,
  size: number,
): void {
  const at = findObject(v, depth, from, to);
  if (at === undefined) return;
  const where = isConstant(pointer)
    ? `R${number} off ${from}+${at - from}`
    : `R${number} var_off ${bitsText(pointer)}+${at - from}`;
  v.refuse('stack-object-read', 'Memory Safety', `invalid read from stack ${where} size ${size}`, OBJECT_REASON);
}

/** All bytes zero gives zero, all else is unknown. */
function fillFromBytes(depth: number, from: number, to: number, into: number): void {
  let zeros = true;
  for (let at = from; at < to && zeros; at++) {
    const byte = -at - 1;
    zeros = bytes[slotAt(depth, byte >> 3) + BYTES + (byte & 7)] === ZERO;
  }
  if (zeros) makeConstant(into, 0, 0);
  else makeUnknown(into);
}

function readBytes(v: Verification, depth: number, from: number, to: number): void {
  for (let slot = (-from - 1) >> 3, last = -to >> 3; slot >= last; slot--) markSlotRead(v.state, depth, slot);
}

function readFixed(v: Verification, depth: number, off: number, size: number, number: number): void {
  const byte = -off - 1;
  const slot = byte >> 3;
  const r = slotAt(depth, slot);
  const into = number >= 0 ? v.register(number) : 0;
  markSlotRead(v.state, depth, slot);
  if (!spilled(r)) {
    if (isObjectByte(bytes[r + BYTES + 7]!))
      v.refuse(
        'stack-object-read',
        'Memory Safety',
        `invalid read from stack off ${off}+0 size ${size}`,
        OBJECT_REASON,
      );
    if (into !== 0) fillFromBytes(depth, off, off + size, into);
    return;
  }
  let spillSize = 1;
  for (let i = 7; i > 0 && bytes[r + BYTES + i - 1] === SPILL; i--) spillSize++;
  if (size === 8 && spillSize === 8) {
    if (into !== 0) {
      copyRecord(into, r);
      set(into, PRECISE, 0);
      touch(v, depth, slot);
    }
    return;
  }
  if (kindOf(r) !== SCALAR)
    v.refuse(
      'fill-size',
      'Memory Safety',
      'invalid size of register fill',
      'A saved pointer can only be read back whole.',
    );
  if (into === 0) return;
  if (size <= spillSize && off % 8 === 0) {
    const narrow = !fits(r, size * 8);
    copyRecord(into, r);
    set(into, PRECISE, 0);
    if (narrow) unlink(into);
    touch(v, depth, slot);
    return;
  }
  let zeros = 0;
  let spills = 0;
  for (let i = 0; i < size; i++) {
    const type = bytes[r + BYTES + ((byte - i) & 7)];
    if (type === SPILL) spills++;
    else if (type === ZERO) zeros++;
  }
  if (spills === size && isConstant(r) && isZero(r)) {
    makeConstant(into, 0, 0);
    touch(v, depth, slot);
  } else if (zeros === size) makeConstant(into, 0, 0);
  else makeUnknown(into);
}

/** Memory that a helper fills: dynptrs may not be overwritten like that. */
function refuseOverwrite(v: Verification, depth: number, from: number, to: number): void {
  for (let at = from; at < to; at++) {
    const byte = -at - 1;
    if (bytes[slotAt(depth, byte >> 3) + BYTES + (byte & 7)] !== DYNPTR_BYTE) continue;
    v.refuse(
      'dynptr-overwritten',
      'Memory Safety',
      `potential write to dynptr at off=${at} disallowed`,
      'The memory that the call fills overlaps a dynptr.',
    );
  }
}

/** Memory of a helper: read by it, or written (`writes`: content unknown after). */
export function helperStack(
  v: Verification,
  number: number,
  pointer: number,
  size: number,
  writes: boolean,
  raw: boolean,
): void {
  const off = offsetOf(pointer);
  checkStackBounds(v, number, pointer, off, size, writes || raw ? 'write' : 'read');
  if (size === 0) return;
  const depth = auxOf(pointer);
  const least = (isConstant(pointer) ? constantOf(pointer) : sminOf(pointer)) + off;
  const most = (isConstant(pointer) ? constantOf(pointer) : smaxOf(pointer)) + off + size;
  if (!raw) {
    refuseObject(v, number, pointer, depth, least, most, size);
    readBytes(v, depth, least, most);
  } else refuseOverwrite(v, depth, least, most);
  if (!writes) return;
  for (let at = least; at < most; at++) {
    const byte = -at - 1;
    const r = slotAt(depth, byte >> 3);
    if (spilled(r) || isObjectByte(bytes[r + BYTES + 7]!)) {
      scrub(r);
      clearRecord(r);
    }
    bytes[r + BYTES + (byte & 7)] = MISC;
  }
  if (!isConstant(pointer)) return;
  // Slots that are overwritten whole no longer need what was in them.
  if (raw)
    for (let at = Math.ceil(least / 8) * 8; at + 8 <= most; at += 8) markSlotWritten(v.state, depth, (-at - 1) >> 3);
}

export function coerceLoaded(r: number, size: number, signed: boolean): void {
  if (size === 8 || kindOf(r) !== SCALAR) return;
  if (!signed) {
    arithmetic.coerce(r, size);
    return;
  }
  // A saved number that is sign-extended is no longer the one that it was saved from: Linux 6.18 keeps them linked, which is unsound.
  if (!fits(r, size * 8 - 1)) unlink(r);
  arithmetic.signExtend(r, size * 8);
}
