/** What ran: how often each instruction of each program, and by line information each source line. */
import type { ResolvedProgram } from '../object/resolved.ts';
import type { Position } from './run.ts';

export interface ProgramCoverage {
  readonly program: string;
  readonly insns: number;
  /** Instructions that ran at least once, and how many ran in all. */
  readonly covered: number;
  readonly executed: number;
}

interface Counted {
  readonly program: ResolvedProgram;
  /** Runs by slot. A double counts up to 2^53. */
  readonly runs: Float64Array;
}

export class Coverage {
  readonly #counted = new Map<string, Counted>();

  /** @param programs those to report even if nothing of them runs. */
  constructor(programs: Iterable<ResolvedProgram> = []) {
    for (const program of programs) this.#of(program);
  }

  /** Call before each step. */
  visit({ image, slot }: Position): void {
    this.#of(image.program).runs[slot]! += 1;
  }

  programs(): ProgramCoverage[] {
    return [...this.#counted.values()].map(({ program, runs }) => {
      // The second slot of an LDDW is no instruction.
      const insns = program.insns.filter((_, slot) => !isSecondSlot(program, slot)).length;
      return {
        program: program.name,
        insns,
        covered: runs.filter((count) => count > 0).length,
        executed: runs.reduce((sum, count) => sum + count, 0),
      };
    });
  }

  /** lcov's tracefile format: functions and lines by source file. A line counts as often as its most frequent instruction ran. */
  lcov(): string {
    const files = new Map<
      string,
      { readonly lines: Map<number, number>; readonly functions: Map<string, [number, number]> }
    >();
    const fileOf = (name: string) => {
      const file = files.get(name) ?? { lines: new Map(), functions: new Map() };
      files.set(name, file);
      return file;
    };
    for (const { program, runs } of this.#counted.values()) {
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
      .map(([name, { lines, functions }]) => fileText(name, lines, functions))
      .join('');
  }

  #of(program: ResolvedProgram): Counted {
    let counted = this.#counted.get(program.name);
    if (counted === undefined) {
      counted = { program, runs: new Float64Array(program.insns.length) };
      this.#counted.set(program.name, counted);
    }
    return counted;
  }
}

function isSecondSlot(program: ResolvedProgram, slot: number): boolean {
  return slot > 0 && program.insns[slot]!.opcode === 0 && program.insns[slot - 1]!.opcode === 0x18;
}

function fileText(
  name: string,
  lines: ReadonlyMap<number, number>,
  functions: ReadonlyMap<string, readonly [number, number]>,
): string {
  const hit = (counts: Iterable<number>) => [...counts].filter((count) => count > 0).length;
  const text = ['TN:', `SF:${name}`];
  for (const [fn, [line]] of functions) text.push(`FN:${line},${fn}`);
  for (const [fn, [, count]] of functions) text.push(`FNDA:${count},${fn}`);
  text.push(`FNF:${functions.size}`, `FNH:${hit([...functions.values()].map(([, count]) => count))}`);
  for (const [line, count] of [...lines].sort(([a], [b]) => a - b)) text.push(`DA:${line},${count}`);
  text.push(`LF:${lines.size}`, `LH:${hit(lines.values())}`, 'end_of_record');
  return `${text.join('\n')}\n`;
}
