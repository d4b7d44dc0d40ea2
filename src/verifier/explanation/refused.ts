/** What advice on a refusal starts from, and the words that all of it shares. */
import type { ProgramTypeName } from '../../abi/program-types.ts';
import { helperNameFor } from '../../abi/programs/index.ts';
import { CALL_SOURCE, CLASS, OPCODE } from '../../isa/opcodes.ts';
import type { LineInfo, MapSpec, ProgramSpec } from '../../object/spec.ts';
import type { Diagnostic } from '../diagnostic.ts';
import type { Node } from '../recording/recorder.ts';
import type { SliceStep } from './slice.ts';
import type { Fields } from './value-text.ts';

/** Everything that is known of a refusal. */
export interface Refused {
  readonly program: ProgramSpec;
  readonly maps: readonly MapSpec[];
  readonly diagnostic: Diagnostic;
  readonly slot: number;
  readonly node: Node;
  readonly steps: readonly SliceStep[];
  /** The register that failed, and what was known of it. */
  readonly register: number | undefined;
  readonly fields: Fields | undefined;
}

export interface Advice {
  /** In plain words; takes the place of the diagnostic's reason. */
  readonly reason?: string;
  /** What is known, and what the access needs: `14 bytes from the start of the packet`. */
  readonly proven?: string;
  readonly needed?: string;
  readonly suggestion?: string;
}

/** What a program of the type returns when it gives up. */
export function giveUp(type: ProgramTypeName | undefined): string {
  if (type === 'xdp') return 'return XDP_DROP;';
  if (type === 'sched_cls' || type === 'sched_act') return 'return TC_ACT_SHOT;';
  if (type === 'sk_lookup') return 'return SK_PASS;';
  return 'return 0;';
}

/** `line 12 (program.c)` of an instruction, or its number. */
export function placeOf(program: ProgramSpec, slot: number): string {
  const line = lineOf(program, slot);
  return line === undefined ? `insn ${slot}` : `line ${line.line} (insn ${slot})`;
}
export function lineOf(program: ProgramSpec, slot: number): LineInfo | undefined {
  const found = program.lines.findLast((line) => line.slot <= slot);
  return found === undefined || found.line === 0 ? undefined : found;
}

export function helperAt(program: ProgramSpec, slot: number): string | undefined {
  const insn = program.insns[slot];
  if (insn === undefined || insn.opcode !== OPCODE.CALL || insn.src !== CALL_SOURCE.HELPER) return undefined;
  return helperNameFor(program.type, insn.imm);
}

/** Offset from the pointer and size that the problem speaks of. */
export function access({ diagnostic, program, slot, fields }: Refused): { off: number; size: number } | undefined {
  const [, off, size] = /\boff=(-?\d+) size=(\d+)/.exec(diagnostic.problem) ?? [];
  if (off !== undefined) return { off: Number(off), size: Number(size) };
  const insn = program.insns[slot]!;
  const kind = insn.opcode & 7;
  if (kind !== CLASS.LDX && kind !== CLASS.ST && kind !== CLASS.STX) return undefined;
  return { off: insn.off + (fields?.offset ?? 0), size: [4, 2, 1, 8][(insn.opcode >> 3) & 3]! };
}

export const plural = (count: number | bigint, word: string) =>
  `${count} ${word}${count === 1 || count === 1n ? '' : 's'}`;
