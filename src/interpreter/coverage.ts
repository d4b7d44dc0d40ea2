/** What ran: how often each instruction of each program, which way its jumps went, and by line information each source line. */
import { CLASS, CLASS_MASK, JUMP, OPERATION_MASK } from '../isa/opcodes.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import type { Position } from './run.ts';

export interface ProgramCoverage {
  readonly program: string;
  readonly insns: number;
  /** Instructions that ran at least once, and how many ran in all. */
  readonly covered: number;
  readonly executed: number;
  /** Ways out of conditional jumps: two each. */
  readonly branches: number;
  readonly coveredBranches: number;
}

interface Counted {
  readonly program: ResolvedProgram;
  /** Runs by slot. A double counts up to 2^53. */
  readonly runs: Float64Array;
  /** Of the conditional jump at a slot: how often the run went on behind it, and at its target. */
  readonly passed: Float64Array;
  readonly taken: Float64Array;
}

/** What is counted of one source file. */
interface FileCounts {
  readonly lines: Map<number, number>;
  /** Line and count by name. */
  readonly functions: Map<string, [number, number]>;
  /** By line the conditional jumps, in the order of the code: times passed, times taken. */
  readonly branches: Map<number, [number, number][]>;
}

export class Coverage {
  readonly #counted = new Map<string, Counted>();
  /** The step before: a jump is known by where the next step is. */
  #before: Counted | undefined;
  #beforeSlot = 0;

  /** @param programs those to report even if nothing of them runs. */
  constructor(programs: Iterable<ResolvedProgram> = []) {
    for (const program of programs) this.#of(program);
  }

  /** Call before each step. */
  visit({ image, slot }: Position): void {
    const counted = this.#of(image.program);
    counted.runs[slot]! += 1;
    if (counted === this.#before) {
      const target = branchTarget(counted.program, this.#beforeSlot);
      if (target !== undefined && slot === this.#beforeSlot + 1) counted.passed[this.#beforeSlot]! += 1;
      else if (slot === target) counted.taken[this.#beforeSlot]! += 1;
    }
    this.#before = counted;
    this.#beforeSlot = slot;
  }

  programs(): ProgramCoverage[] {
    return [...this.#counted.values()].map(({ program, runs, passed, taken }) => {
      // The second slot of an LDDW is no instruction.
      const insns = program.insns.filter((_, slot) => !isSecondSlot(program, slot)).length;
      return {
        program: program.name,
        insns,
        covered: hits(runs),
        executed: runs.reduce((sum, count) => sum + count, 0),
        branches: 2 * program.insns.filter((_, slot) => branchTarget(program, slot) !== undefined).length,
        coveredBranches: hits(passed) + hits(taken),
      };
    });
  }

  /**
   * lcov's tracefile format: functions, lines and branches by source file. A line counts as often as its most frequent instruction ran; its
   * conditional jumps are blocks, in the order of the code, whose branch 0 goes on behind the jump and 1 at its target.
   */
  lcov(): string {
    const files = new Map<string, FileCounts>();
    const fileOf = (name: string) => {
      const file = files.get(name) ?? { lines: new Map(), functions: new Map(), branches: new Map() };
      files.set(name, file);
      return file;
    };
    for (const counted of this.#counted.values()) {
      const { program, runs } = counted;
      const own = new Map<string, Map<number, number>>();
      for (const [i, { slot, file, line }] of program.lines.entries()) {
        if (line === 0) continue;
        const lines = own.get(file) ?? new Map<number, number>();
        own.set(file, lines);
        const end = program.lines[i + 1]?.slot ?? program.insns.length;
        lines.set(line, Math.max(lines.get(line) ?? 0, ...runs.subarray(slot, end)));
      }
      // Functions that several programs contain are one function: their counts add up.
      for (const [name, lines] of own) {
        const file = fileOf(name);
        for (const [line, count] of lines) file.lines.set(line, (file.lines.get(line) ?? 0) + count);
      }
      for (const [name, lines] of branchesOf(counted)) {
        const { branches } = fileOf(name);
        for (const [line, jumps] of lines) {
          const known = branches.get(line) ?? [];
          branches.set(line, known);
          for (const [i, [passed, taken]] of jumps.entries())
            known[i] = [(known[i]?.[0] ?? 0) + passed, (known[i]?.[1] ?? 0) + taken];
        }
      }
      for (const { name, start } of program.functions) {
        const first = program.lines.find(({ slot, line }) => slot >= start && line !== 0);
        if (first === undefined) continue;
        const file = fileOf(first.file);
        const [line, count] = file.functions.get(name) ?? [first.line, 0];
        file.functions.set(name, [line, count + runs[start]!]);
      }
    }
    return [...files]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, counts]) => fileText(name, counts))
      .join('');
  }

  #of(program: ResolvedProgram): Counted {
    let counted = this.#counted.get(program.name);
    if (counted === undefined) {
      const counts = () => new Float64Array(program.insns.length);
      counted = { program, runs: counts(), passed: counts(), taken: counts() };
      this.#counted.set(program.name, counted);
    }
    return counted;
  }
}

function isSecondSlot(program: ResolvedProgram, slot: number): boolean {
  return slot > 0 && program.insns[slot]!.opcode === 0 && program.insns[slot - 1]!.opcode === 0x18;
}

function hits(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) if (count > 0) sum++;
  return sum;
}

/** Jumps that always go the same way; and may_goto, which the source does not have. */
const unconditional: ReadonlySet<number> = new Set([JUMP.JA, JUMP.CALL, JUMP.EXIT, JUMP.JCOND]);

/** Where the conditional jump at the slot goes; undefined for other instructions, and jumps that go on behind themselves. */
function branchTarget({ insns }: ResolvedProgram, slot: number): number | undefined {
  const { opcode, off } = insns[slot]!;
  const kind = opcode & CLASS_MASK;
  if ((kind !== CLASS.JMP && kind !== CLASS.JMP32) || unconditional.has(opcode & OPERATION_MASK)) return undefined;
  return off === 0 ? undefined : slot + 1 + off;
}

/** Conditional jumps by file and line. */
function branchesOf({ program, passed, taken }: Counted): Map<string, Map<number, [number, number][]>> {
  const files = new Map<string, Map<number, [number, number][]>>();
  for (const [i, { slot: first, file, line }] of program.lines.entries()) {
    if (line === 0) continue;
    const end = program.lines[i + 1]?.slot ?? program.insns.length;
    for (let slot = first; slot < end; slot++) {
      if (branchTarget(program, slot) === undefined) continue;
      const lines = files.get(file) ?? new Map<number, [number, number][]>();
      files.set(file, lines);
      const jumps = lines.get(line) ?? [];
      lines.set(line, jumps);
      jumps.push([passed[slot]!, taken[slot]!]);
    }
  }
  return files;
}

function fileText(name: string, { lines, functions, branches }: FileCounts): string {
  const text = ['TN:', `SF:${name}`];
  for (const [fn, [line]] of functions) text.push(`FN:${line},${fn}`);
  for (const [fn, [, count]] of functions) text.push(`FNDA:${count},${fn}`);
  text.push(`FNF:${functions.size}`, `FNH:${hits([...functions.values()].map(([, count]) => count))}`);
  for (const [line, jumps] of [...branches].sort(([a], [b]) => a - b))
    for (const [block, ways] of jumps.entries()) {
      const ran = ways[0] + ways[1] > 0;
      for (const [way, count] of ways.entries()) text.push(`BRDA:${line},${block},${way},${ran ? count : '-'}`);
    }
  const ways = [...branches.values()].flat(2);
  if (ways.length > 0) text.push(`BRF:${ways.length}`, `BRH:${hits(ways)}`);
  for (const [line, count] of [...lines].sort(([a], [b]) => a - b)) text.push(`DA:${line},${count}`);
  text.push(`LF:${lines.size}`, `LH:${hits(lines.values())}`, 'end_of_record');
  return `${text.join('\n')}\n`;
}
