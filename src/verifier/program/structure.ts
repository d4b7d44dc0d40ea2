/**
 * What can be said of a program without following values: known instructions and registers, jumps that stay inside their function and
 * hit an instruction's first slot, no way to fall off the end, no unreachable code, calls that are neither recursive nor too deep.
 * The kernel does the same first (check_subprogs, check_cfg, resolve_pseudo_ldimm64 in kernel/bpf/verifier.c).
 */

import { checkInsn, checkShape, jumpDistance } from '../../isa/check.ts';
import type { Insn } from '../../isa/insn.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE } from '../../isa/opcodes.ts';
import type { FunctionSpec } from '../../object/spec.ts';
import { MAX_CALL_FRAMES } from '../../plane/layout/worker.ts';
import type { Diagnostic } from '../diagnostic.ts';

export interface StructureInput {
  readonly insns: readonly Insn[];
  readonly functions: readonly FunctionSpec[];
  /** Targets of indirect jumps, as slots. */
  readonly jumpTables: readonly { readonly slots: readonly number[] }[];
}

export interface StructureOptions {
  /** Refuse what Linux refuses beyond RFC 9669: immediate shifts of the width or more, unreachable code. */
  readonly kernel: boolean;
  /** Take CALLX, which only programs without a hook may have. */
  readonly callx?: boolean;
  /**
   * Given: takes, by slot, what is wrong with instructions in ways that the kernel sees only when it gets there (registers, constants,
   * reserved fields); they are not in the result then.
   */
  readonly deferred?: Map<number, string>;
}

/** What the kernel looks for in every instruction, reached or not. */
const always = /^unknown opcode|ld_imm64|LD_IMM64|^BPF_LDX uses|^no instruction/;

/** Everything that is wrong with the structure, in slot order within each kind; empty when nothing is. */
export function checkStructure(program: StructureInput, options: StructureOptions): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const { insns, functions } = program;
  if (insns.length === 0) {
    return [problem('empty-program', 'Program Structure', 'program has no instructions', undefined)];
  }
  for (let slot = 0; slot < insns.length; slot += width(insns, slot)) {
    const text = checkInsn(insns, slot, options);
    if (text === undefined) continue;
    if (options.deferred !== undefined && !always.test(text)) options.deferred.set(slot, text);
    else diagnostics.push(problem('bad-insn', 'Program Structure', text, slot));
  }
  if (diagnostics.length > 0) return diagnostics; // edges of unknown instructions mean nothing

  const shape = checkShape(insns, functions);
  if (shape !== undefined) return [problem(shape.kind, 'Program Structure', shape.problem, shape.slot)];
  if (options.kernel) for (const fn of functions) findUnreachable(program, fn, diagnostics);
  if (diagnostics.length === 0) checkCalls(program, options, diagnostics);
  return diagnostics;
}

function findUnreachable(program: StructureInput, fn: FunctionSpec, diagnostics: Diagnostic[]): void {
  const { insns } = program;
  const end = fn.start + fn.length;
  const seen = new Uint8Array(fn.length);
  const work = [fn.start];
  const visit = (slot: number) => {
    if (slot < fn.start || slot >= end || seen[slot - fn.start] === 1) return;
    seen[slot - fn.start] = 1;
    work.push(slot);
  };
  seen[0] = 1;
  while (work.length > 0) {
    const slot = work.pop()!;
    const insn = insns[slot]!;
    if (insn.opcode === OPCODE.GOTOX) for (const table of program.jumpTables) table.slots.forEach(visit);
    const distance = jumpDistance(insn);
    if (distance !== undefined) visit(slot + 1 + distance);
    if (!ends(insn)) visit(slot + width(insns, slot));
  }
  for (let slot = fn.start; slot < end; slot += width(insns, slot)) {
    if (seen[slot - fn.start] === 0) {
      diagnostics.push(problem('unreachable-insn', 'Program Structure', `unreachable insn ${slot}`, slot));
    }
  }
}

/** Nothing goes on behind it. */
function ends({ opcode }: Insn): boolean {
  return opcode === OPCODE.JA || opcode === OPCODE.JA32 || opcode === OPCODE.GOTOX || opcode === OPCODE.EXIT;
}

function width(insns: readonly Insn[], slot: number): number {
  return insns[slot]!.opcode === OPCODE.LDDW ? 2 : 1;
}

/** Depth of the call graph; callbacks are entered by helpers and count as a frame of their own. */
function checkCalls(program: StructureInput, options: StructureOptions, diagnostics: Diagnostic[]): void {
  const { insns, functions } = program;
  const byStart = new Map(functions.map((fn, index) => [fn.start, index]));
  const callees = functions.map((fn) => {
    const found: { readonly index: number; readonly slot: number; readonly calls: boolean }[] = [];
    for (let slot = fn.start; slot < fn.start + fn.length; slot += width(insns, slot)) {
      const insn = insns[slot]!;
      const calls = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL;
      const refers = insn.opcode === OPCODE.LDDW && insn.src === LDDW_SOURCE.FUNCTION;
      if (!calls && !refers) continue;
      const index = byStart.get(slot + 1 + insn.imm);
      if (index === undefined) {
        const text = `invalid func call: insn ${slot} calls ${slot + 1 + insn.imm}, where no function begins`;
        diagnostics.push(problem('bad-call-target', 'Program Structure', text, slot));
      } else found.push({ index, slot, calls });
    }
    return found;
  });
  const deepest = new Map<number, number>();
  const active = new Set<number>();
  const visit = (index: number): number => {
    const known = deepest.get(index);
    if (known !== undefined) return known;
    active.add(index);
    let depth = 1;
    for (const callee of callees[index]!) {
      if (active.has(callee.index)) {
        // A timer's function may set itself as the next one: a reference is no call.
        if (!callee.calls) continue;
        const text = `recursive call from ${functions[index]!.name}() to ${functions[callee.index]!.name}()`;
        diagnostics.push(problem('recursive-call', 'Program Structure', text, callee.slot));
        continue;
      }
      depth = Math.max(depth, 1 + visit(callee.index));
    }
    active.delete(index);
    deepest.set(index, depth);
    return depth;
  };
  const depth = visit(0);
  // The verifier counts by itself, after all else.
  if (options.deferred === undefined && depth > MAX_CALL_FRAMES) {
    const text = `the call stack of ${depth} frames is too deep !`;
    diagnostics.push(problem('call-stack-too-deep', 'Verifier Limit', text, undefined));
  }
}

const reasons: Readonly<Record<string, string>> = {
  'empty-program': 'A program needs at least an exit.',
  'bad-insn':
    'The combination of opcode, registers, offset and immediate is not an instruction of RFC 9669 or of Linux 6.18.',
  'falls-off': 'Execution can run past the last instruction of the function.',
  'jump-out-of-range': 'A jump has to stay inside its function.',
  'jump-into-lddw': 'The second half of a 16-byte instruction is not an instruction.',
  'unreachable-insn': 'No path from the start of the function leads here.',
  'bad-call-target': 'A call has to name the first instruction of a function of the same program.',
  'recursive-call': 'BPF functions may not call themselves, directly or through others.',
  'call-stack-too-deep': `A program may have at most ${MAX_CALL_FRAMES} frames on its stack.`,
};

function problem(id: string, category: Diagnostic['category'], text: string, slot: number | undefined): Diagnostic {
  return { id, category, problem: text, reason: reasons[id] ?? '', slot };
}
