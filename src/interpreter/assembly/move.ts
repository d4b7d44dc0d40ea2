// Moves, sign extensions, byte order, wide constants and casts between address spaces, of operands that have been looked at.
import { IMAGE_ARENA, INSN_SIZE, KIND_ARENA, KIND_SCALAR, STATE_IMAGE, WIDE_AUX, WIDE_BASE, WIDE_OBJECT_SIZE, WIDE_TAG } from '../layout';
import { MAP_MAX_ENTRIES, MAP_VALUES } from '../../plane/layout/map';
import { ARENA_PAGE } from '../../plane/layout/map-arena';
import { swap } from './arithmetic';
import { copyProvenance, copyRegister, setObject, setTag } from './provenance';
import { imm64, imm32 } from './operand';

@inline export function mov64K(e: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, imm64(e));
}

@inline export function mov64X(d: usize, r: usize): void {
  copyRegister(d, r);
}

@inline export function mov32K(e: usize, d: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>imm32(e));
}

@inline export function mov32X(d: usize, r: usize): void {
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u32>(r));
}

@inline export function extend32From8(d: usize, r: usize): void {
  const value = <u64><u32><i32>load<i8>(r);
  setTag(d, KIND_SCALAR);
  store<u64>(d, value);
}

@inline export function extend32From16(d: usize, r: usize): void {
  const value = <u64><u32><i32>load<i16>(r);
  setTag(d, KIND_SCALAR);
  store<u64>(d, value);
}

@inline export function extend64From8(d: usize, r: usize): void {
  const value = <u64><i64>load<i8>(r);
  setTag(d, KIND_SCALAR);
  store<u64>(d, value);
}

@inline export function extend64From16(d: usize, r: usize): void {
  const value = <u64><i64>load<i16>(r);
  setTag(d, KIND_SCALAR);
  store<u64>(d, value);
}

@inline export function extend64From32(d: usize, r: usize): void {
  const value = <u64><i64>load<i32>(r);
  setTag(d, KIND_SCALAR);
  store<u64>(d, value);
}

@inline export function castAddress(s: usize, e: usize, d: usize, r: usize): void {
  // The address is the lower half, in both address spaces.
  const value = <u64>load<u32>(r);
  const arena = load<u32>(<usize>load<u32>(s, STATE_IMAGE), IMAGE_ARENA);
  copyProvenance(d, r);
  if (arena != 0 && imm32(e) == 1) setObject(d, KIND_ARENA, load<u32>(arena, MAP_VALUES), load<u32>(arena, MAP_MAX_ENTRIES) * ARENA_PAGE, arena);
  else if (arena != 0) setTag(d, KIND_SCALAR);
  store<u64>(d, value);
}

@inline export function toLittleEndian(e: usize, d: usize): void {
  const bits = imm32(e);
  if (bits == 16) store<u64>(d, <u64>load<u16>(d));
  else if (bits == 32) store<u64>(d, <u64>load<u32>(d));
}

@inline export function swapBytes(e: usize, d: usize): void {
  store<u64>(d, swap(load<u64>(d), imm32(e)));
}

@inline export function loadWide(e: usize, d: usize): void {
  const wide = e + INSN_SIZE;
  store<u64>(d, imm64(e));
  setObject(d, <u32>load<u16>(wide, WIDE_TAG), load<u32>(wide, WIDE_BASE), load<u32>(wide, WIDE_OBJECT_SIZE), load<u32>(wide, WIDE_AUX));
}
