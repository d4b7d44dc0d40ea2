// Loads and stores of 1 to 8 bytes; K: of a constant; `a` is where, as readAt and writeAt say.
import { ACCESS_READ, ACCESS_WRITE, INSN_OFF, KIND_CONTEXT, KIND_OBJECT, KIND_SCALAR, KIND_STACK, TAG_FIELDS } from '../layout';
import { contextField, resolve } from './access';
import { loadedPointer } from './objects';
import { fill, setTag, spill, tagOf } from './provenance';
import { imm64, imm32 } from './operand';

/** Where an instruction reads or writes `size` bytes; 0 after a fault. */
@inline export function readAt(s: usize, e: usize, pointer: usize, size: u32): usize {
  return resolve(s, pointer, <i64>load<i16>(e, INSN_OFF), size, ACCESS_READ);
}

@inline export function writeAt(s: usize, e: usize, pointer: usize, size: u32): usize {
  return resolve(s, pointer, <i64>load<i16>(e, INSN_OFF), size, ACCESS_WRITE);
}

@inline export function load8(a: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u8>(a));
}

@inline export function load16(a: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u16>(a));
}

@inline export function load32(a: usize, s: usize, d: usize, r: usize): void {
  if ((tagOf(r) & 0xff) == KIND_CONTEXT) contextField(s, r, a, d);
  else setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u32>(a));
}

@inline export function load64(a: usize, s: usize, d: usize, r: usize): void {
  const kind = tagOf(r) & 0xff;
  if (kind == KIND_STACK) fill(s, r, a, d);
  else if (kind == KIND_CONTEXT) contextField(s, r, a, d);
  else if (kind == KIND_OBJECT || (tagOf(r) & TAG_FIELDS) != 0) loadedPointer(s, r, a, d);
  else setTag(d, KIND_SCALAR);
  store<u64>(d, load<u64>(a));
}

@inline export function loadSigned8(a: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64><i64>load<i8>(a));
}

@inline export function loadSigned16(a: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64><i64>load<i16>(a));
}

@inline export function loadSigned32(a: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64><i64>load<i32>(a));
}

@inline export function store8K(a: usize, e: usize): void {
  store<u8>(a, <u8>imm32(e));
}

@inline export function store16K(a: usize, e: usize): void {
  store<u16>(a, <u16>imm32(e));
}

@inline export function store32K(a: usize, e: usize): void {
  store<u32>(a, imm32(e));
}

@inline export function store64K(a: usize, e: usize): void {
  store<u64>(a, imm64(e));
}

@inline export function store8(a: usize, r: usize): void {
  store<u8>(a, load<u8>(r));
}

@inline export function store16(a: usize, r: usize): void {
  store<u16>(a, load<u16>(r));
}

@inline export function store32(a: usize, r: usize): void {
  store<u32>(a, load<u32>(r));
}

@inline export function store64(a: usize, s: usize, d: usize, r: usize): void {
  store<u64>(a, load<u64>(r));
  if (tagOf(r) != KIND_SCALAR && (tagOf(d) & 0xff) == KIND_STACK) spill(s, d, a, r);
}
