// Dynptrs and iterators on the stack: marks in the spill records of their slots say that a helper made them and that the program has not
// written there since; a dynptr's marks also say what it is over.
import {
  FRAME_IDENTITY,
  FRAME_INDEX_MASK,
  FRAME_SPILLED,
  FRAME_SPILLS,
  HELPER_DYNPTR_CLONE,
  HELPER_DYNPTR_OF_MEMORY,
  HELPER_DYNPTR_OF_METADATA,
  HELPER_DYNPTR_OF_PACKET,
  KIND_DYNPTR,
  KIND_MEMORY,
  KIND_METADATA,
  KIND_NULL_MEMORY,
  KIND_OPAQUE,
  KIND_PACKET,
  KIND_RINGBUF,
  KIND_SCALAR,
  KIND_STACK,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_OBJECT_SIZE,
  REGISTER_TAG,
  TAG_IN_PACKET,
  TAG_READ_ONLY,
} from '../layout';
import { DYNPTR_BYTES } from '../../plane/layout/dynptr';
import { register } from './frames';
import { reservation } from './access';
import { frameAt, setObject, tagOf } from './provenance';

/** Fields of a mark, which is laid out as the provenance in a spill record. */
const MARK_BASE: usize = REGISTER_BASE - REGISTER_TAG;
const MARK_SIZE: usize = REGISTER_OBJECT_SIZE - REGISTER_TAG;
const MARK_AUX: usize = REGISTER_AUX - REGISTER_TAG;

/** First of the marks of the object that register `r` points to; 0 where it points to no live, aligned place on the stack. */
function marksAt(s: usize, r: usize): usize {
  if ((tagOf(r) & 0xff) != KIND_STACK) return 0;
  const frame = frameAt(s, load<u32>(r, REGISTER_AUX) & FRAME_INDEX_MASK);
  const relative = <u32>load<u64>(r) - load<u32>(r, REGISTER_BASE);
  if (load<u32>(frame, FRAME_IDENTITY) != load<u32>(r, REGISTER_AUX) || (relative & 7) != 0) return 0;
  return frame + FRAME_SPILLS + (<usize>(relative >> 3) << 4);
}

@inline function frameOf(s: usize, r: usize): usize {
  return frameAt(s, load<u32>(r, REGISTER_AUX) & FRAME_INDEX_MASK);
}

@inline function bitsOf(r: usize, size: u32): u64 {
  const slot = <u64>((<u32>load<u64>(r) - load<u32>(r, REGISTER_BASE)) >> 3);
  return (((<u64>1) << <u64>(size >> 3)) - 1) << slot;
}

/** True if an object of `kind` and `size` bytes lies at register `r`, whole. */
export function isMarked(s: usize, r: usize, kind: u32, size: u32): bool {
  const marks = marksAt(s, r);
  if (marks == 0) return false;
  const bits = bitsOf(r, size);
  if ((load<u64>(frameOf(s, r), FRAME_SPILLED) & bits) != bits) return false;
  // Slot 0 and the slots after it carry different marks, so that two halves of two objects are none.
  for (let i: u32 = 0; i < size; i += 8) if (load<u32>(marks + (<usize>(i >> 3) << 4)) != (kind | (i << 16))) return false;
  return true;
}

/** True where an object may be made: on the stack, aligned. */
export function mayBeMarked(s: usize, r: usize): bool {
  return marksAt(s, r) != 0;
}

export function mark(s: usize, r: usize, kind: u32, size: u32): void {
  const marks = marksAt(s, r);
  if (marks == 0) return;
  const frame = frameOf(s, r);
  store<u64>(frame, load<u64>(frame, FRAME_SPILLED) | bitsOf(r, size), FRAME_SPILLED);
  for (let i: u32 = 0; i < size; i += 8) {
    const at = marks + (<usize>(i >> 3) << 4);
    v128.store(at, i64x2.splat(0));
    store<u32>(at, kind | (i << 16));
  }
}

export function unmark(s: usize, r: usize, size: u32): void {
  if (marksAt(s, r) == 0) return;
  const frame = frameOf(s, r);
  store<u64>(frame, load<u64>(frame, FRAME_SPILLED) & ~bitsOf(r, size), FRAME_SPILLED);
}

/** The dynptr that a callback is given: not on the stack, and not to be changed. */
export function isLentDynptr(r: usize): bool {
  return (
    (tagOf(r) & 0xff) == KIND_OPAQUE && load<u32>(r, REGISTER_OBJECT_SIZE) == DYNPTR_BYTES && load<u64>(r) == <u64>load<u32>(r, REGISTER_BASE)
  );
}

/** The record that the dynptr at `r` is over (its aux), 0 where it is over none. */
export function recordOf(s: usize, r: usize): u32 {
  const marks = marksAt(s, r);
  if (marks == 0 || (load<u32>(marks, MARK_BASE) & 0xff) != KIND_RINGBUF) return 0;
  return load<u32>(marks, MARK_AUX);
}

/** The dynptr at `r` is over a record that is not the program's any more. */
export function isReleased(s: usize, r: usize): bool {
  const aux = recordOf(s, r);
  return aux != 0 && reservation(s, aux) == 0;
}

/** Marks the dynptr that a call with these flags made at `r`. `aux`: reservation of its record, or 0. */
export function markDynptr(s: usize, r: usize, flags: u32, aux: u32, record: u32, size: u32): void {
  mark(s, r, KIND_DYNPTR, DYNPTR_BYTES);
  const marks = marksAt(s, r);
  const first = register(s, 1);
  let tag: u32 = KIND_SCALAR;
  let base: u32 = 0;
  let extent: u32 = 0;
  let over: u32 = aux;
  if ((flags & HELPER_DYNPTR_OF_MEMORY) != 0) {
    tag = tagOf(first);
    base = load<u32>(first, REGISTER_BASE);
    extent = load<u32>(first, REGISTER_OBJECT_SIZE);
    over = load<u32>(first, REGISTER_AUX);
  } else if ((flags & HELPER_DYNPTR_OF_PACKET) != 0) {
    tag = KIND_PACKET;
  } else if ((flags & HELPER_DYNPTR_OF_METADATA) != 0) {
    tag = KIND_METADATA;
  } else if ((flags & HELPER_DYNPTR_CLONE) != 0) {
    const from = marksAt(s, first);
    if (from == 0) tag = KIND_MEMORY;
    else {
      tag = load<u32>(from, MARK_BASE);
      base = load<u32>(from, MARK_SIZE);
      over = load<u32>(from, MARK_AUX);
      extent = load<u32>(from + 16, MARK_BASE);
    }
  } else if (aux != 0) {
    tag = KIND_RINGBUF;
    base = record;
    extent = size;
  }
  store<u32>(marks, tag, MARK_BASE);
  store<u32>(marks, base, MARK_SIZE);
  store<u32>(marks, over, MARK_AUX);
  store<u32>(marks + 16, extent, MARK_BASE);
}

/** What a dynptr's memory is, read before the call, in a register that is not one of the program's. */
export function overOf(s: usize, r: usize, to: usize): void {
  const marks = marksAt(s, r);
  if (marks == 0) setObject(to, KIND_MEMORY, 0, 0, 0);
  else setObject(to, load<u32>(marks, MARK_BASE), load<u32>(marks, MARK_SIZE), load<u32>(marks + 16, MARK_BASE), load<u32>(marks, MARK_AUX));
}

/** Gives r0 the provenance of `size` bytes at `address` of the memory that `over` tells of. */
export function giveSlice(s: usize, over: usize, address: u64, size: u32, readOnly: bool): void {
  if (address == 0) {
    setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
    return;
  }
  const tag = tagOf(over);
  const kind = tag & 0xff;
  const flags: u32 = readOnly ? TAG_READ_ONLY : 0;
  if (kind == KIND_RINGBUF) setObject(s, KIND_RINGBUF | flags, <u32>address, size, load<u32>(over, REGISTER_AUX));
  else if (kind == KIND_PACKET || kind == KIND_METADATA) setObject(s, KIND_MEMORY | TAG_IN_PACKET | flags, <u32>address, size, 0);
  // The stack has its own bounds and bytes that are known to be written: they stay.
  else if (kind == KIND_STACK) setObject(s, tag | flags, load<u32>(over, REGISTER_BASE), load<u32>(over, REGISTER_OBJECT_SIZE), load<u32>(over, REGISTER_AUX));
  else setObject(s, tag == KIND_SCALAR ? KIND_MEMORY | flags : tag | flags, <u32>address, size, load<u32>(over, REGISTER_AUX));
}
