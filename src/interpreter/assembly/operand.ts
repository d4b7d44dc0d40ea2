// Operands of an instruction.
import { INSN_IMM, INSN_TARGET } from '../layout';
import { plain2, readable } from './provenance';

@inline export function imm64(e: usize): u64 {
  return load<u64>(e, INSN_IMM);
}

@inline export function imm32(e: usize): u32 {
  return load<u32>(e, INSN_IMM);
}

/** Constant of a conditional jump, whose upper half is the target. */
@inline export function jumpImm(e: usize): i64 {
  return <i64>load<i32>(e, INSN_IMM);
}

@inline export function jumpTarget(e: usize): u32 {
  return load<u32>(e, INSN_TARGET);
}

/** Both operands of a comparison may be read. */
@inline export function comparable(s: usize, d: usize, r: usize): bool {
  return plain2(d, r) || (readable(s, d) && readable(s, r));
}
