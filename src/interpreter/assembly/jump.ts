// Conditions of jumps, by a constant (K) or a register (X): whether the jump is taken.
import { INSN_IMM } from '../layout';
import { imm32, jumpImm } from './operand';

@inline export function equal64K(e: usize, d: usize): bool {
  return load<u64>(d) == <u64>jumpImm(e);
}

@inline export function equal64X(d: usize, r: usize): bool {
  return load<u64>(d) == load<u64>(r);
}

@inline export function equal32K(e: usize, d: usize): bool {
  return load<u32>(d) == imm32(e);
}

@inline export function equal32X(d: usize, r: usize): bool {
  return load<u32>(d) == load<u32>(r);
}

@inline export function above64K(e: usize, d: usize): bool {
  return load<u64>(d) > <u64>jumpImm(e);
}

@inline export function above64X(d: usize, r: usize): bool {
  return load<u64>(d) > load<u64>(r);
}

@inline export function above32K(e: usize, d: usize): bool {
  return load<u32>(d) > imm32(e);
}

@inline export function above32X(d: usize, r: usize): bool {
  return load<u32>(d) > load<u32>(r);
}

@inline export function aboveOrEqual64K(e: usize, d: usize): bool {
  return load<u64>(d) >= <u64>jumpImm(e);
}

@inline export function aboveOrEqual64X(d: usize, r: usize): bool {
  return load<u64>(d) >= load<u64>(r);
}

@inline export function aboveOrEqual32K(e: usize, d: usize): bool {
  return load<u32>(d) >= imm32(e);
}

@inline export function aboveOrEqual32X(d: usize, r: usize): bool {
  return load<u32>(d) >= load<u32>(r);
}

@inline export function anyBit64K(e: usize, d: usize): bool {
  return (load<u64>(d) & <u64>jumpImm(e)) != 0;
}

@inline export function anyBit64X(d: usize, r: usize): bool {
  return (load<u64>(d) & load<u64>(r)) != 0;
}

@inline export function anyBit32K(e: usize, d: usize): bool {
  return (load<u32>(d) & imm32(e)) != 0;
}

@inline export function anyBit32X(d: usize, r: usize): bool {
  return (load<u32>(d) & load<u32>(r)) != 0;
}

@inline export function unequal64K(e: usize, d: usize): bool {
  return load<u64>(d) != <u64>jumpImm(e);
}

@inline export function unequal64X(d: usize, r: usize): bool {
  return load<u64>(d) != load<u64>(r);
}

@inline export function unequal32K(e: usize, d: usize): bool {
  return load<u32>(d) != imm32(e);
}

@inline export function unequal32X(d: usize, r: usize): bool {
  return load<u32>(d) != load<u32>(r);
}

@inline export function greater64K(e: usize, d: usize): bool {
  return load<i64>(d) > jumpImm(e);
}

@inline export function greater64X(d: usize, r: usize): bool {
  return load<i64>(d) > load<i64>(r);
}

@inline export function greater32K(e: usize, d: usize): bool {
  return load<i32>(d) > load<i32>(e, INSN_IMM);
}

@inline export function greater32X(d: usize, r: usize): bool {
  return load<i32>(d) > load<i32>(r);
}

@inline export function greaterOrEqual64K(e: usize, d: usize): bool {
  return load<i64>(d) >= jumpImm(e);
}

@inline export function greaterOrEqual64X(d: usize, r: usize): bool {
  return load<i64>(d) >= load<i64>(r);
}

@inline export function greaterOrEqual32K(e: usize, d: usize): bool {
  return load<i32>(d) >= load<i32>(e, INSN_IMM);
}

@inline export function greaterOrEqual32X(d: usize, r: usize): bool {
  return load<i32>(d) >= load<i32>(r);
}

@inline export function below64K(e: usize, d: usize): bool {
  return load<u64>(d) < <u64>jumpImm(e);
}

@inline export function below64X(d: usize, r: usize): bool {
  return load<u64>(d) < load<u64>(r);
}

@inline export function below32K(e: usize, d: usize): bool {
  return load<u32>(d) < imm32(e);
}

@inline export function below32X(d: usize, r: usize): bool {
  return load<u32>(d) < load<u32>(r);
}

@inline export function belowOrEqual64K(e: usize, d: usize): bool {
  return load<u64>(d) <= <u64>jumpImm(e);
}

@inline export function belowOrEqual64X(d: usize, r: usize): bool {
  return load<u64>(d) <= load<u64>(r);
}

@inline export function belowOrEqual32K(e: usize, d: usize): bool {
  return load<u32>(d) <= imm32(e);
}

@inline export function belowOrEqual32X(d: usize, r: usize): bool {
  return load<u32>(d) <= load<u32>(r);
}

@inline export function less64K(e: usize, d: usize): bool {
  return load<i64>(d) < jumpImm(e);
}

@inline export function less64X(d: usize, r: usize): bool {
  return load<i64>(d) < load<i64>(r);
}

@inline export function less32K(e: usize, d: usize): bool {
  return load<i32>(d) < load<i32>(e, INSN_IMM);
}

@inline export function less32X(d: usize, r: usize): bool {
  return load<i32>(d) < load<i32>(r);
}

@inline export function lessOrEqual64K(e: usize, d: usize): bool {
  return load<i64>(d) <= jumpImm(e);
}

@inline export function lessOrEqual64X(d: usize, r: usize): bool {
  return load<i64>(d) <= load<i64>(r);
}

@inline export function lessOrEqual32K(e: usize, d: usize): bool {
  return load<i32>(d) <= load<i32>(e, INSN_IMM);
}

@inline export function lessOrEqual32X(d: usize, r: usize): bool {
  return load<i32>(d) <= load<i32>(r);
}
