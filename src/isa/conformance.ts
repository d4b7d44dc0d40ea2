/**
 * Conformance cases: files of sections `-- asm`, `-- raw`, `-- mem`, `-- result`, `-- error` in the format of bpf_conformance,
 * plus `-- jump-table` (ours): one table a line, the labels of its targets; the program loads its address by
 * `lddw %r1, jump_table N`.
 *
 * A program gets the address of its memory in r1 and its length in r2 (0 and 0 without), and returns r0.
 */
import { InputError } from '../errors.ts';
import { type AsmFunction, type AsmJumpTable, assemble } from './assembler.ts';
import { decodeInsns, INSN_SIZE } from './decode.ts';
import { encodeInsns } from './encode.ts';
import { functionsOf } from './functions.ts';
import type { Insn } from './insn.ts';
import { type ConformanceGroup, type CpuVersion, requirementsOf } from './requirements.ts';

export interface ConformanceCase {
  readonly name: string;
  readonly insns: readonly Insn[];
  readonly functions: readonly AsmFunction[];
  readonly jumpTables: readonly AsmJumpTable[];
  /** Bytes that r1 points to; undefined if the case has none. */
  readonly memory: Uint8Array | undefined;
  /** r0 at EXIT, as u64; undefined if the program must be refused or fail. */
  readonly expected: bigint | undefined;
  /** Part of the message with which it must be refused or fail. */
  readonly error: string | undefined;
  /** Conformance groups of RFC 9669 section 2.4 that the program needs. */
  readonly groups: ReadonlySet<ConformanceGroup>;
  readonly cpuVersion: CpuVersion;
}

const sectionNames = ['asm', 'raw', 'mem', 'result', 'error', 'c', 'jump-table', 'no register offset'] as const;
type SectionName = (typeof sectionNames)[number];

/**
 * @param name of the case, for messages.
 * @throws InputError SLUICE_CONFORMANCE_CASE: an unknown section, no program, neither result nor error, bytes or numbers that
 * are none, `asm` and `raw` that disagree; SLUICE_ASM_SYNTAX from the assembler, with lines counted in the file.
 */
export function parseConformanceCase(name: string, text: string): ConformanceCase {
  const sections = splitSections(name, text);
  const asm = sections.get('asm');
  const raw = sections.get('raw');
  const jumpTables = wordsByLine(sections.get('jump-table'));
  const assembled = asm === undefined ? undefined : assemble(asm, { syntax: 'conformance', input: name, jumpTables });
  const decoded = raw === undefined ? undefined : parseRaw(name, raw);
  const insns = assembled?.insns ?? decoded ?? [];
  if (insns.length === 0) throw caseError(name, 'no instructions');
  if (assembled !== undefined && decoded !== undefined && !sameCode(assembled.insns, decoded))
    throw caseError(name, 'sections asm and raw disagree');
  const result = sections.get('result')?.trim();
  const error = sections.get('error')?.trim();
  if (result === undefined && error === undefined) throw caseError(name, 'neither result nor error');
  const { groups, cpuVersion } = requirementsOf(insns);
  return {
    name,
    insns,
    functions:
      assembled?.functions ??
      functionsOf(insns).map((range) => ({ name: range.start === 0 ? 'entry' : `function_${range.start}`, ...range })),
    jumpTables: assembled?.jumpTables ?? [],
    memory: parseMemory(name, sections.get('mem')),
    expected: result === undefined ? undefined : parseResult(name, result),
    error,
    groups,
    cpuVersion,
  };
}

/** Text of each section with comments removed; blank lines stand for the others, so that line numbers stay. */
function splitSections(name: string, text: string): Map<SectionName, string> {
  const sections = new Map<SectionName, string[]>();
  const rows = text.split(/\r?\n/);
  let current: string[] | undefined;
  for (let row = 0; row < rows.length; row++) {
    const heading = /^--\s*(.*?)\s*(#.*)?$/.exec(rows[row]!);
    if (heading !== null) {
      const section = sectionNames.find((known) => known === heading[1]);
      if (section === undefined) throw caseError(name, `line ${row + 1}: unknown section '${heading[1]}'`);
      current = sections.get(section) ?? [];
      sections.set(section, current);
    } else if (current !== undefined) {
      while (current.length < row) current.push('');
      current.push(rows[row]!.replace(/#.*$/, ''));
    }
  }
  return new Map([...sections].map(([section, lines]) => [section, lines.join('\n')]));
}

function wordsByLine(text: string | undefined): string[][] {
  const lines = (text ?? '').split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map((line) => line.split(/[\s,]+/));
}

/** Either one u64 an instruction slot (`0x0000000000000095`) or its bytes (`95 00 00 00 00 00 00 00`). */
function parseRaw(name: string, text: string): Insn[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.every((word) => /^[0-9a-fA-F]{2}$/.test(word))) {
    if (words.length % INSN_SIZE !== 0) throw caseError(name, `${words.length} bytes of code in section raw`);
    return decodeInsns(Uint8Array.from(words, (word) => Number.parseInt(word, 16)));
  }
  const bytes = new DataView(new ArrayBuffer(words.length * INSN_SIZE));
  for (const [slot, word] of words.entries()) {
    if (!/^(0x[0-9a-fA-F]{1,16}|[0-9]+)$/.test(word)) throw caseError(name, `'${word}' in section raw is no number`);
    bytes.setBigUint64(slot * INSN_SIZE, BigInt(word), true);
  }
  return decodeInsns(new Uint8Array(bytes.buffer));
}

function parseMemory(name: string, text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const words = text.split(/\s+/).filter((word) => word !== '');
  for (const word of words)
    if (!/^[0-9a-fA-F]{1,2}$/.test(word)) throw caseError(name, `'${word}' in section mem is no byte`);
  return Uint8Array.from(words, (word) => Number.parseInt(word, 16));
}

function parseResult(name: string, text: string): bigint {
  if (!/^(0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(text)) throw caseError(name, `result '${text}' is no number`);
  return BigInt.asUintN(64, BigInt(text));
}

function sameCode(a: readonly Insn[], b: readonly Insn[]): boolean {
  const left = encodeInsns(a);
  const right = encodeInsns(b);
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

function caseError(name: string, message: string): InputError {
  return new InputError('SLUICE_CONFORMANCE_CASE', message, { input: name });
}
