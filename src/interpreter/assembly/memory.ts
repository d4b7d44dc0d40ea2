// Loads and stores of 1 to 8 bytes; K: of a constant. False after a fault.
import { ACCESS_READ, ACCESS_WRITE, INSN_OFF, KIND_CONTEXT, KIND_SCALAR, KIND_STACK } from '../layout';
import { contextField, resolve } from './access';
import { fill, readable, setTag, spill, tagOf } from './provenance';
import { imm64, imm32 } from './operand';

@inline export function load8(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_READ);
  if (a == 0) return false;
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u8>(a));
  return true;
}

@inline export function load16(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_READ);
  if (a == 0) return false;
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u16>(a));
  return true;
}

@inline export function load32(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_READ);
  if (a == 0) return false;
  if ((tagOf(r) & 0xff) == KIND_CONTEXT) contextField(s, r, a, d);
  else setTag(d, KIND_SCALAR);
  store<u64>(d, <u64>load<u32>(a));
  return true;
}

@inline export function load64(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 8, ACCESS_READ);
  if (a == 0) return false;
  const kind = tagOf(r) & 0xff;
  if (kind == KIND_STACK) fill(s, r, a, d);
  else if (kind == KIND_CONTEXT) contextField(s, r, a, d);
  else setTag(d, KIND_SCALAR);
  store<u64>(d, load<u64>(a));
  return true;
}

@inline export function loadSigned8(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_READ);
  if (a == 0) return false;
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64><i64>load<i8>(a));
  return true;
}

@inline export function loadSigned16(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_READ);
  if (a == 0) return false;
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64><i64>load<i16>(a));
  return true;
}

@inline export function loadSigned32(s: usize, e: usize, d: usize, r: usize): bool {
  const a = resolve(s, r, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_READ);
  if (a == 0) return false;
  setTag(d, KIND_SCALAR);
  store<u64>(d, <u64><i64>load<i32>(a));
  return true;
}

@inline export function store8K(s: usize, e: usize, d: usize): bool {
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_WRITE);
  if (a == 0) return false;
  store<u8>(a, <u8>imm32(e));
  return true;
}

@inline export function store16K(s: usize, e: usize, d: usize): bool {
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_WRITE);
  if (a == 0) return false;
  store<u16>(a, <u16>imm32(e));
  return true;
}

@inline export function store32K(s: usize, e: usize, d: usize): bool {
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_WRITE);
  if (a == 0) return false;
  store<u32>(a, imm32(e));
  return true;
}

@inline export function store64K(s: usize, e: usize, d: usize): bool {
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 8, ACCESS_WRITE);
  if (a == 0) return false;
  store<u64>(a, imm64(e));
  return true;
}

@inline export function store8(s: usize, e: usize, d: usize, r: usize): bool {
  if (!readable(s, r)) return false;
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 1, ACCESS_WRITE);
  if (a == 0) return false;
  store<u8>(a, load<u8>(r));
  return true;
}

@inline export function store16(s: usize, e: usize, d: usize, r: usize): bool {
  if (!readable(s, r)) return false;
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 2, ACCESS_WRITE);
  if (a == 0) return false;
  store<u16>(a, load<u16>(r));
  return true;
}

@inline export function store32(s: usize, e: usize, d: usize, r: usize): bool {
  if (!readable(s, r)) return false;
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 4, ACCESS_WRITE);
  if (a == 0) return false;
  store<u32>(a, load<u32>(r));
  return true;
}

@inline export function store64(s: usize, e: usize, d: usize, r: usize): bool {
  if (!readable(s, r)) return false;
  const a = resolve(s, d, <i64>load<i16>(e, INSN_OFF), 8, ACCESS_WRITE);
  if (a == 0) return false;
  store<u64>(a, load<u64>(r));
  if (tagOf(r) != KIND_SCALAR && (tagOf(d) & 0xff) == KIND_STACK) spill(s, d, a, r);
  return true;
}
