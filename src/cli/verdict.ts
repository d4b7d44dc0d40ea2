/** One program's verdict, as `verify` prints it and `diff` compares it. */
import { applyCoreRelocations } from '../btf/core.ts';
import type { Btf } from '../btf/types.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { disassembleInsn } from '../isa/disassembler.ts';
import { vmlinuxBtf } from '../linux/btf-vmlinux.ts';
import { possibleCpus } from '../linux/cpus.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { Diagnostic } from '../verifier/diagnostic.ts';
import { verify } from '../verifier/verify.ts';

export interface ProgramVerdict {
  readonly object: string;
  readonly program: string;
  /** `unsupported`: the verifier does not follow something that the program uses, and says nothing of it. */
  readonly verdict: 'accept' | 'reject' | 'unsupported';
  readonly diagnostics: readonly Diagnostic[];
  /** What is not followed; undefined for the other verdicts. */
  readonly feature?: string;
  readonly stats: { readonly insns: number; readonly states: number; readonly time_us: number };
}

/** Judges as Linux 6.18 does for a loader with all capabilities. CO-RE is resolved against this kernel's types where it shows them. */
export function judge(object: ObjectSpec, program: ProgramSpec): ProgramVerdict {
  const names = { object: object.name, program: program.name };
  let relocated = program;
  if (program.coreRelocations.length > 0 && object.btf !== undefined) {
    try {
      relocated = { ...program, insns: applyCoreRelocations(program, object.btf, kernelTypes() ?? object.btf).insns };
    } catch (error) {
      if (!(error instanceof InputError || error instanceof UnsupportedError)) throw error;
      return {
        ...names,
        verdict: 'unsupported',
        diagnostics: [],
        feature: `CO-RE: ${error.message}`,
        stats: { insns: 0, states: 0, time_us: 0 },
      };
    }
  }
  const start = performance.now();
  const { verdict, diagnostics, feature, stats } = verify(
    { program: relocated, maps: object.maps, license: object.license, btf: object.btf },
    { cpus: cpus() },
  );
  const time_us = Math.round((performance.now() - start) * 1000);
  return {
    ...names,
    verdict,
    diagnostics,
    ...(feature === undefined ? {} : { feature }),
    stats: { ...stats, time_us },
  };
}

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

/** undefined where there is no kernel that shows its types. */
function kernelTypes(): Btf | undefined {
  try {
    return vmlinuxBtf();
  } catch (error) {
    if (error instanceof UnsupportedError || error instanceof InputError) return undefined;
    throw error;
  }
}

/** CPUs that Linux would bound bpf_get_smp_processor_id by; the most that x86 has where this is no Linux. */
function cpus(): number {
  return process.platform === 'linux' ? possibleCpus() : 8192;
}
