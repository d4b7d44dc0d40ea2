// Arithmetic: ADD to ARSH on 64 and 32 bits, by a constant (K) or a register (X). False after a fault.
import { INSN_IMM, KIND_SCALAR } from '../layout';
import { divide32, divide64, remainder32, remainder64, sdivide32, sdivide64, smodulo32, smodulo64 } from './arithmetic';
import { blend, blend1, blendAdd, blendSub, plain2, readable, tagOf } from './provenance';
import { imm64, imm32 } from './operand';

@inline export function add64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !readable(s, d)) return false;
  store<u64>(d, load<u64>(d) + imm64(e));
  return true;
}

@inline export function add64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blendAdd(s, d, r)) return false;
  store<u64>(d, load<u64>(d) + load<u64>(r));
  return true;
}

@inline export function add32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) + imm32(e)));
  return true;
}

@inline export function add32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) + load<u32>(r)));
  return true;
}

@inline export function sub64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !readable(s, d)) return false;
  store<u64>(d, load<u64>(d) - imm64(e));
  return true;
}

@inline export function sub64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blendSub(s, d, r)) return false;
  store<u64>(d, load<u64>(d) - load<u64>(r));
  return true;
}

@inline export function sub32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) - imm32(e)));
  return true;
}

@inline export function sub32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) - load<u32>(r)));
  return true;
}

@inline export function mul64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, load<u64>(d) * imm64(e));
  return true;
}

@inline export function mul64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, load<u64>(d) * load<u64>(r));
  return true;
}

@inline export function mul32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) * imm32(e)));
  return true;
}

@inline export function mul32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) * load<u32>(r)));
  return true;
}

@inline export function div64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, divide64(load<u64>(d), imm64(e)));
  return true;
}

@inline export function div64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, divide64(load<u64>(d), load<u64>(r)));
  return true;
}

@inline export function div32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(divide32(load<u32>(d), imm32(e))));
  return true;
}

@inline export function div32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(divide32(load<u32>(d), load<u32>(r))));
  return true;
}

@inline export function or64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, load<u64>(d) | imm64(e));
  return true;
}

@inline export function or64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, load<u64>(d) | load<u64>(r));
  return true;
}

@inline export function or32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) | imm32(e)));
  return true;
}

@inline export function or32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) | load<u32>(r)));
  return true;
}

@inline export function and64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, load<u64>(d) & imm64(e));
  return true;
}

@inline export function and64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, load<u64>(d) & load<u64>(r));
  return true;
}

@inline export function and32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) & imm32(e)));
  return true;
}

@inline export function and32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) & load<u32>(r)));
  return true;
}

@inline export function lsh64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, load<u64>(d) << (imm64(e) & 63));
  return true;
}

@inline export function lsh64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, load<u64>(d) << (load<u64>(r) & 63));
  return true;
}

@inline export function lsh32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) << (imm32(e) & 31)));
  return true;
}

@inline export function lsh32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) << (load<u32>(r) & 31)));
  return true;
}

@inline export function rsh64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, load<u64>(d) >> (imm64(e) & 63));
  return true;
}

@inline export function rsh64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, load<u64>(d) >> (load<u64>(r) & 63));
  return true;
}

@inline export function rsh32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) >> (imm32(e) & 31)));
  return true;
}

@inline export function rsh32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) >> (load<u32>(r) & 31)));
  return true;
}

@inline export function neg64(s: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, 0 - load<u64>(d));
  return true;
}

@inline export function neg32(s: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(0 - load<u32>(d)));
  return true;
}

@inline export function mod64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, remainder64(load<u64>(d), imm64(e)));
  return true;
}

@inline export function mod64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, remainder64(load<u64>(d), load<u64>(r)));
  return true;
}

@inline export function mod32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(remainder32(load<u32>(d), imm32(e))));
  return true;
}

@inline export function mod32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(remainder32(load<u32>(d), load<u32>(r))));
  return true;
}

@inline export function xor64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, load<u64>(d) ^ imm64(e));
  return true;
}

@inline export function xor64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, load<u64>(d) ^ load<u64>(r));
  return true;
}

@inline export function xor32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) ^ imm32(e)));
  return true;
}

@inline export function xor32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(load<u32>(d) ^ load<u32>(r)));
  return true;
}

@inline export function arsh64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64>(load<i64>(d) >> (imm64(e) & 63)));
  return true;
}

@inline export function arsh64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64>(load<i64>(d) >> (load<u64>(r) & 63)));
  return true;
}

@inline export function arsh32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64><u32>(<u32>(load<i32>(d) >> (imm32(e) & 31))));
  return true;
}

@inline export function arsh32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64><u32>(<u32>(load<i32>(d) >> (load<u32>(r) & 31))));
  return true;
}

@inline export function sdiv64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, sdivide64(load<i64>(d), load<i64>(e, INSN_IMM)));
  return true;
}

@inline export function sdiv64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, sdivide64(load<i64>(d), load<i64>(r)));
  return true;
}

@inline export function sdiv32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64>sdivide32(load<i32>(d), load<i32>(e, INSN_IMM)));
  return true;
}

@inline export function sdiv32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64>sdivide32(load<i32>(d), load<i32>(r)));
  return true;
}

@inline export function smod64K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, smodulo64(load<i64>(d), load<i64>(e, INSN_IMM)));
  return true;
}

@inline export function smod64X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, smodulo64(load<i64>(d), load<i64>(r)));
  return true;
}

@inline export function smod32K(s: usize, e: usize, d: usize): bool {
  if (tagOf(d) != KIND_SCALAR && !blend1(s, d)) return false;
  store<u64>(d, <u64>smodulo32(load<i32>(d), load<i32>(e, INSN_IMM)));
  return true;
}

@inline export function smod32X(s: usize, d: usize, r: usize): bool {
  if (!plain2(d, r) && !blend(s, d, r)) return false;
  store<u64>(d, <u64>smodulo32(load<i32>(d), load<i32>(r)));
  return true;
}
