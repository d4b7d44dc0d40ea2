/**
 * Assembler text to instructions, in two syntaxes: LLVM's, as `llvm-objdump -d` prints and clang accepts it, and that of the
 * conformance cases (uBPF's). One pass over the lines, then labels are put in.
 */
import { AsmOutput, type Fixup } from './asm-output.ts';
import { parseConformanceLine } from './conformance-syntax.ts';
import { functionsOf } from './functions.ts';
import type { Insn } from './insn.ts';
import { parseLlvmLine } from './llvm-syntax.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE } from './opcodes.ts';
import { asmError, SourceLine } from './source-line.ts';

export type AsmSyntax = 'llvm' | 'conformance';

export interface AssembleOptions {
  readonly syntax: AsmSyntax;
  /** Name of the text for messages. */
  readonly input?: string;
  /** Take calls and LDDWs of symbols that the text does not define (LLVM syntax), see `Assembled.externs`. */
  readonly externs?: boolean;
  /** Labels of each jump table that `jump_table N` refers to (conformance syntax). */
  readonly jumpTables?: readonly (readonly string[])[];
}

export interface AsmFunction {
  /** First label there; `entry` or `function_SLOT` without one. */
  readonly name: string;
  /** First slot and number of slots. */
  readonly start: number;
  readonly length: number;
  /** Its address is taken by an LDDW. */
  readonly callback: boolean;
}

export interface AsmJumpTable {
  /** Target slots. */
  readonly slots: readonly number[];
  /** First slots of the LDDWs whose constant is to become the table's address (source 0, constant 0 as assembled). */
  readonly references: readonly number[];
}

/** A reference to a symbol that the text does not define. */
export interface AsmExtern {
  readonly slot: number;
  readonly symbol: string;
  /** CALL (left with source 1 and distance -1, as LLVM leaves it) or LDDW (left 0). */
  readonly kind: 'call' | 'address';
}

export interface Assembled {
  readonly insns: Insn[];
  /** Slot by name. */
  readonly labels: ReadonlyMap<string, number>;
  /** In slot order: slot 0, and what is called or has its address taken. */
  readonly functions: readonly AsmFunction[];
  readonly jumpTables: readonly AsmJumpTable[];
  /** In slot order. */
  readonly externs: readonly AsmExtern[];
  /** Line of the text (from 1) by slot. */
  readonly lines: readonly number[];
}

/**
 * @throws InputError SLUICE_ASM_SYNTAX: not the syntax, an unknown mnemonic, a number that does not fit, a label that is
 * unknown, defined twice or too far away; the message gives line and column.
 */
export function assemble(text: string, options: AssembleOptions): Assembled {
  const output = new AsmOutput();
  const parse = options.syntax === 'llvm' ? parseLlvmLine : parseConformanceLine;
  const rows = withoutBlockComments(text).split('\n');
  for (let row = 0; row < rows.length; row++) parse(new SourceLine(rows[row]!, row + 1, options.input), output);
  const { insns, labels, lines } = output;
  if (options.syntax === 'conformance' && !labels.has('exit')) {
    // The cases jump to `exit`: the first EXIT of the program.
    const exit = insns.findIndex(
      (insn, slot) => insn.opcode === OPCODE.EXIT && insns[slot - 1]?.opcode !== OPCODE.LDDW,
    );
    if (exit >= 0) labels.set('exit', exit);
  }
  const externs: AsmExtern[] = [];
  for (const fixup of output.fixups) {
    const { slot, label } = fixup;
    const insn = insns[slot]!;
    const target = output.find(label, slot);
    if (target !== undefined) insns[slot] = withDistance(fixup, insn, target, options.input);
    else if (options.externs === true && insn.opcode === OPCODE.CALL) {
      insns[slot] = { ...insn, imm: -1 };
      externs.push({ slot, symbol: label, kind: 'call' });
    } else if (options.externs === true && insn.opcode === OPCODE.LDDW) {
      insns[slot] = { ...insn, src: LDDW_SOURCE.CONSTANT };
      externs.push({ slot, symbol: label, kind: 'address' });
    } else throw asmError(`unknown label '${label}'`, options.input, fixup.line, fixup.column);
  }
  return {
    insns,
    labels,
    functions: nameFunctions(externs.length === 0 ? insns : withoutCalls(insns, externs), labels),
    jumpTables: resolveTables(output, options),
    externs,
    lines,
  };
}

/** Comments become spaces and keep their line ends, so that places stay what they are. */
function withoutBlockComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '));
}

function withDistance(fixup: Fixup, insn: Insn, target: number, input: string | undefined): Insn {
  const distance = target - fixup.slot - 1;
  if (fixup.field === 'imm') return { ...insn, imm: distance };
  if (distance < -0x8000 || distance > 0x7fff)
    throw asmError(
      `label '${fixup.label}' is ${distance} slots away: a jump with 16 bits does not reach it`,
      input,
      fixup.line,
      fixup.column,
    );
  return { ...insn, off: distance };
}

/** An unresolved call leads to itself: that begins no function. */
function withoutCalls(insns: readonly Insn[], externs: readonly AsmExtern[]): Insn[] {
  const calls = new Set(externs.filter(({ kind }) => kind === 'call').map(({ slot }) => slot));
  return insns.map((insn, slot) => (calls.has(slot) ? { ...insn, src: CALL_SOURCE.HELPER } : insn));
}

function nameFunctions(insns: readonly Insn[], labels: ReadonlyMap<string, number>): AsmFunction[] {
  const names = new Map<number, string>();
  for (const [name, slot] of labels) if (!names.has(slot)) names.set(slot, name);
  return functionsOf(insns).map(({ start, length, callback }) => ({
    name: names.get(start) ?? (start === 0 ? 'entry' : `function_${start}`),
    start,
    length,
    callback,
  }));
}

function resolveTables(output: AsmOutput, options: AssembleOptions): AsmJumpTable[] {
  const tables = options.jumpTables ?? [];
  for (const [table, references] of output.tableReferences) {
    if (table < tables.length) continue;
    throw asmError(`there is no jump table ${table}`, options.input, output.lines[references[0]!]!, 1);
  }
  return tables.map((names, index) => ({
    slots: names.map((name) => {
      const slot = output.labels.get(name);
      if (slot === undefined) throw asmError(`jump table ${index}: unknown label '${name}'`, options.input, 1, 1);
      return slot;
    }),
    references: output.tableReferences.get(index) ?? [],
  }));
}
