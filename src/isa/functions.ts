/** Where the functions of a program lie: they follow each other, and each begins where something calls it or takes its address. */
import type { Insn } from './insn.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE } from './opcodes.ts';

/** Slots [start, start + length). */
export interface FunctionRange {
  readonly start: number;
  readonly length: number;
  /** Its address is taken by an LDDW. */
  readonly callback: boolean;
}

/** In slot order; the first begins at slot 0. Targets outside of the program are left out (`checkInsns` refuses them). */
export function functionsOf(insns: readonly Insn[]): FunctionRange[] {
  const starts = new Map<number, boolean>([[0, false]]);
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    const isAddress = insn.opcode === OPCODE.LDDW && insn.src === LDDW_SOURCE.FUNCTION;
    const isCall = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL;
    const target = slot + 1 + insn.imm;
    if ((isAddress || isCall) && target >= 0 && target < insns.length)
      starts.set(target, starts.get(target) === true || isAddress);
    if (insn.opcode === OPCODE.LDDW) slot++;
  }
  const sorted = [...starts].sort((a, b) => a[0] - b[0]);
  return sorted.map(([start, callback], index) => {
    const end = sorted[index + 1]?.[0] ?? insns.length;
    return { start, length: end - start, callback };
  });
}
