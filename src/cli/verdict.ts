/** A refusal for people: what, where, why, how it came to that, and what to do. */
import { helperNameFor } from '../abi/programs/index.ts';
import { disassembleInsn } from '../isa/disassembler.ts';
import { CALL_SOURCE, OPCODE } from '../isa/opcodes.ts';
import type { LineInfo, ProgramSpec } from '../object/spec.ts';
import type { CausalStep, Diagnostic, PathStep } from '../verifier/diagnostic.ts';

/** Steps of the causal path that are shown; the others stand in the JSON. */
const SHOWN = 14;

/** Lines of text: the problem in the kernel's words, reason and bounds, the causal path, a suggestion. */
export function describeDiagnostic(diagnostic: Diagnostic, program: ProgramSpec): string[] {
  const { category, problem, slot, reason, proven, needed, steps, suggestion } = diagnostic;
  const lines = problem
    .split('\n')
    .map((line, i) => (i === 0 ? `Verification failed: ${category}: ${line}` : `  ${line}`));
  if (slot !== undefined) {
    const source = lineOf(program, slot);
    if (source !== undefined) lines.push(`  at ${source.file}:${source.line}: ${source.text.trim()}`);
    lines.push(`  insn ${slot}: ${text(program, slot)}`);
  }
  if (reason !== '') lines.push(`  Reason: ${reason}`);
  if (needed !== undefined) lines.push(`    needed: ${needed}`);
  if (proven !== undefined) lines.push(`    proven: ${proven}`);
  if (steps !== undefined && steps.length > 1) lines.push(...causalPath(steps, program));
  else if (diagnostic.path !== undefined && diagnostic.path.length > 0)
    lines.push(...decisions(diagnostic.path, program));
  if (suggestion !== undefined) lines.push(`  Suggestion: ${suggestion}`);
  return lines;
}

const notes: Readonly<Record<CausalStep['role'], string>> = {
  value: '',
  proof: 'proves',
  'no-proof': 'does not help',
  loss: 'makes void',
  call: 'passes on',
  acquired: 'acquires',
  branch: 'this way',
  refused: 'refused here',
};

function causalPath(steps: readonly CausalStep[], program: ProgramSpec): string[] {
  const shown = steps.length <= SHOWN ? steps : [...steps.slice(0, 4), ...steps.slice(4 - SHOWN)];
  const lines = ['  How it came to that:'];
  const width = Math.min(44, Math.max(...shown.map(({ slot }) => text(program, slot).length)));
  let last: LineInfo | undefined;
  for (const [i, { slot, role, values, taken, repeated }] of shown.entries()) {
    if (steps.length > SHOWN && i === 4) lines.push(`      … ${steps.length - shown.length} more`);
    const source = lineOf(program, slot);
    if (source !== undefined && (source.line !== last?.line || source.file !== last.file))
      lines.push(`    ${String(source.line).padStart(4)} | ${source.text.trim()}`);
    last = source;
    const known = Object.entries(values)
      .map(([register, value]) => `${register} = ${value}`)
      .join(', ');
    const way = taken === undefined ? '' : taken ? ' (jumps)' : ' (goes on)';
    const note = notes[role];
    const rounds = repeated === undefined ? '' : ` [${repeated + 1} times]`;
    const said = `${note === '' ? '' : `${note}${way}: `}${known}${rounds}`;
    lines.push(`    ${`${slot}:`.padStart(6)} ${text(program, slot).padEnd(width)}  ${said}`.trimEnd());
  }
  return lines;
}

function decisions(path: readonly PathStep[], program: ProgramSpec): string[] {
  const shown = path.slice(-8);
  const lines = [`  Path${path.length > shown.length ? ` (last ${shown.length} of ${path.length} steps)` : ''}:`];
  for (const step of shown) {
    const what = step.kind === 'branch' ? (step.taken ? 'taken' : 'not taken') : `${step.kind} to insn ${step.target}`;
    lines.push(`    ${String(step.slot).padStart(5)}: ${text(program, step.slot)}  (${what})`);
  }
  return lines;
}

function lineOf(program: ProgramSpec, slot: number): LineInfo | undefined {
  const found = program.lines.findLast((line) => line.slot <= slot);
  return found === undefined || found.line === 0 ? undefined : found;
}

function text(program: ProgramSpec, slot: number): string {
  const insn = program.insns[slot];
  if (insn === undefined) return '?';
  const helper = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.HELPER;
  const name = helper ? helperNameFor(program.type, insn.imm) : undefined;
  return name === undefined ? disassembleInsn(insn, program.insns[slot + 1]) : `call ${name}#${insn.imm}`;
}
