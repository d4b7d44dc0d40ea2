// Provenance: what a register is known to point into, and how it flows through moves, sums, spills and fills.
import {
  FAULT_UNINITIALISED_REGISTER,
  FRAME_INDEX_MASK,
  FRAME_SPILLED,
  FRAME_SPILLS,
  FRAME_STRIDE,
  KIND_SCALAR,
  KIND_UNINITIALISED,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_OBJECT_SIZE,
  REGISTER_TAG,
  STATE_FRAMES,
} from '../layout';
import { fault, registerNumber } from './fault';

@inline export function tagOf(r: usize): u32 {
  return load<u32>(r, REGISTER_TAG);
}

@inline export function setTag(r: usize, tag: u32): void {
  store<u32>(r, tag, REGISTER_TAG);
}

/** Sets all of a register's provenance. */
@inline export function setObject(r: usize, tag: u32, base: u32, size: u32, aux: u32): void {
  store<u32>(r, tag, REGISTER_TAG);
  store<u32>(r, base, REGISTER_BASE);
  store<u32>(r, size, REGISTER_OBJECT_SIZE);
  store<u32>(r, aux, REGISTER_AUX);
}

@inline export function copyProvenance(to: usize, from: usize): void {
  v128.store(to, v128.load(from, REGISTER_TAG), REGISTER_TAG);
}

@inline export function copyRegister(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  v128.store(to, v128.load(from, REGISTER_TAG), REGISTER_TAG);
}

/** The register may be read, or the run ends ("R1 !read_ok"). */
@inline export function readable(s: usize, r: usize): bool {
  return tagOf(r) != KIND_UNINITIALISED || unread(s, r);
}

function unread(s: usize, r: usize): bool {
  fault(s, FAULT_UNINITIALISED_REGISTER, registerNumber(s, r), 0, 0, 0, 0, 0);
  return false;
}

/** Both are scalars: nothing to think about. */
@inline export function plain2(d: usize, r: usize): bool {
  return (tagOf(d) | tagOf(r)) == KIND_SCALAR;
}

/** An operation that keeps no provenance: its result is a scalar. */
export function blend(s: usize, d: usize, r: usize): bool {
  if (!readable(s, d) || !readable(s, r)) return false;
  setTag(d, KIND_SCALAR);
  return true;
}

/** As blend, of the destination alone. */
export function blend1(s: usize, d: usize): bool {
  if (!readable(s, d)) return false;
  setTag(d, KIND_SCALAR);
  return true;
}

/** Operands that may be read. What comes of them is a scalar, but for sums, differences and what a constant is added to. */
@inline export function movable(s: usize, d: usize): bool {
  return tagOf(d) == KIND_SCALAR || readable(s, d);
}

@inline export function blendable(s: usize, d: usize): bool {
  return tagOf(d) == KIND_SCALAR || blend1(s, d);
}

@inline export function blendable2(s: usize, d: usize, r: usize): bool {
  return plain2(d, r) || blend(s, d, r);
}

@inline export function addable(s: usize, d: usize, r: usize): bool {
  return plain2(d, r) || blendAdd(s, d, r);
}

@inline export function subtractable(s: usize, d: usize, r: usize): bool {
  return plain2(d, r) || blendSub(s, d, r);
}

/** A sum keeps the pointer's provenance where the other side is a scalar. */
export function blendAdd(s: usize, d: usize, r: usize): bool {
  if (!readable(s, d) || !readable(s, r)) return false;
  if (tagOf(r) != KIND_SCALAR) {
    if (tagOf(d) == KIND_SCALAR) copyProvenance(d, r);
    else setTag(d, KIND_SCALAR);
  }
  return true;
}

/** A pointer less a scalar stays a pointer; the distance of two pointers is a scalar. */
export function blendSub(s: usize, d: usize, r: usize): bool {
  if (!readable(s, d) || !readable(s, r)) return false;
  if (tagOf(r) != KIND_SCALAR) setTag(d, KIND_SCALAR);
  return true;
}

@inline export function frameAt(s: usize, index: u32): usize {
  return s + STATE_FRAMES + <usize>index * FRAME_STRIDE;
}

/** Remembers the provenance of register `r`, just stored in 8 bytes at `address` of the stack object that `d` points into. */
export function spill(s: usize, d: usize, address: usize, r: usize): void {
  const relative = address - load<u32>(d, REGISTER_BASE);
  if ((relative & 7) != 0) return;
  const slot = relative >> 3;
  const frame = frameAt(s, load<u32>(d, REGISTER_AUX) & FRAME_INDEX_MASK);
  store<u64>(frame, load<u64>(frame, FRAME_SPILLED) | ((<u64>1) << slot), FRAME_SPILLED);
  v128.store(frame + (slot << 4), v128.load(r, REGISTER_TAG), FRAME_SPILLS);
}

/** Gives register `d` the provenance of what was spilled to 8 bytes at `address` of the stack object that `r` points into. */
export function fill(s: usize, r: usize, address: usize, d: usize): void {
  const relative = address - load<u32>(r, REGISTER_BASE);
  const slot = relative >> 3;
  const frame = frameAt(s, load<u32>(r, REGISTER_AUX) & FRAME_INDEX_MASK);
  if ((relative & 7) == 0 && (load<u64>(frame, FRAME_SPILLED) & ((<u64>1) << slot)) != 0) {
    v128.store(d, v128.load(frame + (slot << 4), FRAME_SPILLS), REGISTER_TAG);
  } else {
    setTag(d, KIND_SCALAR);
  }
}
