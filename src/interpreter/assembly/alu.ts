// Arithmetic: ADD to ARSH on 64 and 32 bits, by a constant (K) or a register (X), of operands that have been looked at.
import { INSN_IMM } from '../layout';
import { divide32, divide64, remainder32, remainder64, sdivide32, sdivide64, smodulo32, smodulo64 } from './arithmetic';
import { imm64, imm32 } from './operand';

@inline export function add64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) + imm64(e));
}

@inline export function add64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) + load<u64>(r));
}

@inline export function add32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) + imm32(e)));
}

@inline export function add32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) + load<u32>(r)));
}

@inline export function sub64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) - imm64(e));
}

@inline export function sub64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) - load<u64>(r));
}

@inline export function sub32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) - imm32(e)));
}

@inline export function sub32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) - load<u32>(r)));
}

@inline export function mul64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) * imm64(e));
}

@inline export function mul64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) * load<u64>(r));
}

@inline export function mul32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) * imm32(e)));
}

@inline export function mul32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) * load<u32>(r)));
}

@inline export function div64K(e: usize, d: usize): void {
  store<u64>(d, divide64(load<u64>(d), imm64(e)));
}

@inline export function div64X(d: usize, r: usize): void {
  store<u64>(d, divide64(load<u64>(d), load<u64>(r)));
}

@inline export function div32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(divide32(load<u32>(d), imm32(e))));
}

@inline export function div32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(divide32(load<u32>(d), load<u32>(r))));
}

@inline export function or64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) | imm64(e));
}

@inline export function or64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) | load<u64>(r));
}

@inline export function or32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) | imm32(e)));
}

@inline export function or32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) | load<u32>(r)));
}

@inline export function and64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) & imm64(e));
}

@inline export function and64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) & load<u64>(r));
}

@inline export function and32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) & imm32(e)));
}

@inline export function and32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) & load<u32>(r)));
}

@inline export function lsh64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) << (imm64(e) & 63));
}

@inline export function lsh64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) << (load<u64>(r) & 63));
}

@inline export function lsh32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) << (imm32(e) & 31)));
}

@inline export function lsh32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) << (load<u32>(r) & 31)));
}

@inline export function rsh64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) >> (imm64(e) & 63));
}

@inline export function rsh64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) >> (load<u64>(r) & 63));
}

@inline export function rsh32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) >> (imm32(e) & 31)));
}

@inline export function rsh32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) >> (load<u32>(r) & 31)));
}

@inline export function neg64(d: usize): void {
  store<u64>(d, 0 - load<u64>(d));
}

@inline export function neg32(d: usize): void {
  store<u64>(d, <u64><u32>(0 - load<u32>(d)));
}

@inline export function mod64K(e: usize, d: usize): void {
  store<u64>(d, remainder64(load<u64>(d), imm64(e)));
}

@inline export function mod64X(d: usize, r: usize): void {
  store<u64>(d, remainder64(load<u64>(d), load<u64>(r)));
}

@inline export function mod32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(remainder32(load<u32>(d), imm32(e))));
}

@inline export function mod32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(remainder32(load<u32>(d), load<u32>(r))));
}

@inline export function xor64K(e: usize, d: usize): void {
  store<u64>(d, load<u64>(d) ^ imm64(e));
}

@inline export function xor64X(d: usize, r: usize): void {
  store<u64>(d, load<u64>(d) ^ load<u64>(r));
}

@inline export function xor32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) ^ imm32(e)));
}

@inline export function xor32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(load<u32>(d) ^ load<u32>(r)));
}

@inline export function arsh64K(e: usize, d: usize): void {
  store<u64>(d, <u64>(load<i64>(d) >> (imm64(e) & 63)));
}

@inline export function arsh64X(d: usize, r: usize): void {
  store<u64>(d, <u64>(load<i64>(d) >> (load<u64>(r) & 63)));
}

@inline export function arsh32K(e: usize, d: usize): void {
  store<u64>(d, <u64><u32>(<u32>(load<i32>(d) >> (imm32(e) & 31))));
}

@inline export function arsh32X(d: usize, r: usize): void {
  store<u64>(d, <u64><u32>(<u32>(load<i32>(d) >> (load<u32>(r) & 31))));
}

@inline export function sdiv64K(e: usize, d: usize): void {
  store<u64>(d, sdivide64(load<i64>(d), load<i64>(e, INSN_IMM)));
}

@inline export function sdiv64X(d: usize, r: usize): void {
  store<u64>(d, sdivide64(load<i64>(d), load<i64>(r)));
}

@inline export function sdiv32K(e: usize, d: usize): void {
  store<u64>(d, <u64>sdivide32(load<i32>(d), load<i32>(e, INSN_IMM)));
}

@inline export function sdiv32X(d: usize, r: usize): void {
  store<u64>(d, <u64>sdivide32(load<i32>(d), load<i32>(r)));
}

@inline export function smod64K(e: usize, d: usize): void {
  store<u64>(d, smodulo64(load<i64>(d), load<i64>(e, INSN_IMM)));
}

@inline export function smod64X(d: usize, r: usize): void {
  store<u64>(d, smodulo64(load<i64>(d), load<i64>(r)));
}

@inline export function smod32K(e: usize, d: usize): void {
  store<u64>(d, <u64>smodulo32(load<i32>(d), load<i32>(e, INSN_IMM)));
}

@inline export function smod32X(d: usize, r: usize): void {
  store<u64>(d, <u64>smodulo32(load<i32>(d), load<i32>(r)));
}
