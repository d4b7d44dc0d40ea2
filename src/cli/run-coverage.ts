/** `sluice run … --coverage FILE`: what of the source ran, as lcov. */
import { Coverage } from '../interpreter/index.ts';
import { observeSteps } from '../runtime/interpreter-engine.ts';
import { UsageError } from './exit.ts';
import { type Output, table } from './output.ts';
import type { Subject } from './subjects.ts';
import { writeText } from './text-file.ts';

/** Watches the subject that runs in the interpreter. Throws UsageError where there is none. */
export function coverSubject(subjects: readonly Subject[], path: string): { finish(output: Output): void } {
  const runtime = subjects.find(({ name }) => name === 'interpreter')?.runtime;
  if (runtime === undefined) throw new UsageError('--coverage needs --engine interpreter');
  const coverage = new Coverage();
  observeSteps(runtime, (position) => coverage.visit(position));
  return {
    finish(output) {
      observeSteps(runtime, undefined);
      writeText(path, coverage.lcov(), output);
      const rows = [['PROGRAM', 'INSNS', 'COVERED', 'PERCENT', 'BRANCHES', 'TAKEN', 'EXECUTED']];
      for (const { program, insns, covered, executed, branches, coveredBranches } of coverage.programs())
        rows.push([
          ...[program, String(insns), String(covered), ((100 * covered) / insns).toFixed(1)],
          ...[branches, coveredBranches, executed].map(String),
        ]);
      for (const row of table(rows)) output.line(row);
      output.line(`written to ${path}: coverage by line and branch`);
    },
  };
}
