/** A verdict for people. */
import { disassembleInsn } from '../isa/disassembler.ts';
import type { ProgramSpec } from '../object/spec.ts';
import type { Diagnostic } from '../verifier/diagnostic.ts';

/** A diagnostic for people: problem, source and instruction, reason, and the decisions that led there. */
export function describeDiagnostic(diagnostic: Diagnostic, program: ProgramSpec): string[] {
  const lines = [`Verification failed: ${diagnostic.category}: ${diagnostic.problem}`];
  if (diagnostic.slot !== undefined) {
    const { slot } = diagnostic;
    const source = program.lines.findLast((line) => line.slot <= slot);
    if (source !== undefined) lines.push(`  at ${source.file}:${source.line}: ${source.text.trim()}`);
    lines.push(`  insn ${slot}: ${text(program, slot)}`);
  }
  if (diagnostic.reason !== '') lines.push(`  Reason: ${diagnostic.reason}`);
  const path = diagnostic.path ?? [];
  if (path.length > 0) {
    const shown = path.slice(-8);
    lines.push(`  Path${path.length > shown.length ? ` (last ${shown.length} of ${path.length} steps)` : ''}:`);
    for (const step of shown) {
      const what =
        step.kind === 'branch' ? (step.taken ? 'taken' : 'not taken') : `${step.kind} to insn ${step.target}`;
      lines.push(`    ${String(step.slot).padStart(5)}: ${text(program, step.slot)}  (${what})`);
    }
  }
  if (diagnostic.suggestion !== undefined) lines.push(`  Suggestion: ${diagnostic.suggestion}`);
  return lines;
}

function text(program: ProgramSpec, slot: number): string {
  const insn = program.insns[slot];
  return insn === undefined ? '?' : disassembleInsn(insn, program.insns[slot + 1]);
}
