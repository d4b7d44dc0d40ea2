/** `sluice verify OBJ…`: the kernel's verdict without a kernel. */

import { availableParallelism } from 'node:os';
import { version } from '../abi/stability/version.ts';
import { type PolicyName, policyNames } from '../runtime/allocators/policy.ts';
import { exitCode, UsageError } from './exit.ts';
import type { ProgramVerdict } from './judge.ts';
import { addObjectChanges, type ChangeOptions, changesOf } from './object-changes.ts';
import { findObjects } from './object-files.ts';
import { choiceOption, integerOption } from './options.ts';
import { type Output, table } from './output.ts';
import { Progress } from './progress.ts';
import type { Verb } from './verb.ts';
import { csvLines } from './verify-csv.ts';
import type { JudgedProgram, ObjectVerdicts } from './verify-object.ts';
import { judgeObjects } from './verify-pool.ts';
import { sarifLog } from './verify-sarif.ts';
import {
  describeWitness,
  type FoundWitness,
  replayBeside,
  saveWitness,
  searchWitness,
  witnessDocument,
} from './witness.ts';

const formats = ['text', 'json', 'kernel', 'csv', 'sarif'] as const;

interface VerifyOptions extends ChangeOptions {
  readonly json?: boolean;
  readonly format: (typeof formats)[number];
  readonly jobs: number;
  readonly logLevel: number;
  readonly btf?: string;
  readonly replaces?: string;
  readonly witness?: string;
  readonly witnessBudget?: number;
  readonly replay?: boolean;
  readonly policy?: PolicyName | 'all';
  readonly merge?: boolean;
}

export const verifyVerb: Verb = (program, finish) => {
  const command = program
    .command('verify')
    .description("the verdict of Linux 6.18's verifier, without a kernel; what is not followed yet is `unsupported`")
    .argument('<obj...>', 'object files, optionally with :program, and folders of them')
    .option('--json', 'result as JSON (sluice.verify/1), as --format json')
    .option(
      '--format <format>',
      'text, json, kernel (its log), csv (columns of veristat), sarif (for editors and CI)',
      choiceOption(formats),
      'text' as const,
    )
    .option('--jobs <n>', 'threads (default: one a CPU)', integerOption(1, 1024), availableParallelism())
    .option(
      '--log-level <n>',
      'with --format kernel: 1 the path that was refused, 2 all paths, plus 4 for the time',
      integerOption(1, 7),
      1,
    )
    .option('--replaces <obj:program>', 'what programs of freplace sections replace a function of')
    .option('--btf <file>', "types of the kernel to verify for (default: this kernel's, /sys/kernel/btf/vmlinux)")
    .option('--witness <file>', 'save the input on which the (one) refused program really fails, for replay and step')
    .option(
      '--witness-budget <ms>',
      'time to search for such an input for each refused program; 0: none (default: 1000 with text for up to 4 refused programs)',
      integerOption(0, 3_600_000),
    )
    .option(
      '--policy <policy>',
      `${policyNames.join(', ')}, all: whether an object’s programs may live together under that policy of allocators (docs/allocators.md)`,
      choiceOption([...policyNames, 'all']),
    )
    .option('--merge', 'with --policy: allocators that are alike are made one where they meet')
    .option('--replay', 'run that input step by step beside what the verifier knew');
  addObjectChanges(command);
  command.action((selectors: string[], options: VerifyOptions) => {
    const format = options.json === true ? 'json' : options.format;
    return finish(format === 'json' || format === 'sarif', async (output) => {
      const objects = findObjects(selectors);
      const changes = changesOf(options);
      const progress = new Progress('verify', objects.length);
      let done = 0;
      const results = await judgeObjects(
        objects.map((selector) => ({
          selector,
          ...(format === 'kernel' ? { logLevel: options.logLevel } : {}),
          ...(options.btf === undefined ? {} : { btf: options.btf }),
          ...(options.replaces === undefined ? {} : { replaces: options.replaces }),
          ...(changes === undefined ? {} : { changes }),
          ...(options.policy === undefined
            ? {}
            : { policies: options.policy === 'all' ? policyNames : [options.policy], merge: options.merge === true }),
        })),
        options.jobs,
        ({ selector }) => {
          progress.update(++done, selector);
        },
      );
      progress.end();
      const verdicts = results.flatMap(({ programs }) => programs.map(({ verdict }) => verdict));
      const witnesses = await searchAll(results, options, format);
      if (format === 'csv') for (const line of csvLines(verdicts)) output.line(line);
      else if (format === 'sarif') output.document(sarifLog(results, version));
      else if (format === 'json') output.document(jsonDocument(results, verdicts, witnesses));
      else if (format === 'kernel') printLogs(output, results);
      else printText(output, results, verdicts, witnesses);
      if (format === 'text') printPolicies(output, results);
      for (const [judged, found] of witnesses) await replayOrSave(results, judged, found, options, output);
      for (const { error } of results) if (error !== undefined) output.note(`sluice: ${error.message}`);
      if (results.some(({ error }) => error !== undefined)) return exitCode.input;
      if (count(verdicts, 'reject') > 0 || isRefusedByPolicy(results)) return exitCode.no;
      return count(verdicts, 'unsupported') > 0 ? exitCode.missing : exitCode.yes;
    });
  });
};

type Witnesses = ReadonlyMap<JudgedProgram, FoundWitness>;

/** Refused programs that are searched for without being asked to. */
const SEARCHED = 4;

async function searchAll(
  results: readonly ObjectVerdicts[],
  options: VerifyOptions,
  format: VerifyOptions['format'],
): Promise<Witnesses> {
  const refused = results.flatMap(({ selector, programs }) =>
    programs.filter(({ verdict }) => verdict.verdict === 'reject').map((judged) => ({ selector, judged })),
  );
  const asked = options.witness !== undefined || options.replay === true;
  if (asked && refused.length > 1)
    throw new UsageError(
      `--witness and --replay take one program; ${refused.length} are refused: name one, OBJ:program`,
    );
  const budget = options.witnessBudget ?? (asked || (format === 'text' && refused.length <= SEARCHED) ? 1000 : 0);
  const found = new Map<JudgedProgram, FoundWitness>();
  if (budget === 0) return found;
  for (const { selector, judged } of refused) {
    const [diagnostic] = judged.verdict.diagnostics;
    if (diagnostic !== undefined)
      found.set(judged, await searchWitness(selector, judged.verdict.program, diagnostic, budget, changesOf(options)));
  }
  return found;
}

async function replayOrSave(
  results: readonly ObjectVerdicts[],
  judged: JudgedProgram,
  found: FoundWitness,
  options: VerifyOptions,
  output: Output,
): Promise<void> {
  const { selector } = results.find(({ programs }) => programs.includes(judged))!;
  if (options.witness !== undefined) await saveWitness(selector, found, options.witness, output, changesOf(options));
  if (options.replay === true) await replayBeside(found, output);
}

function count(verdicts: readonly ProgramVerdict[], verdict: ProgramVerdict['verdict']): number {
  return verdicts.filter((each) => each.verdict === verdict).length;
}

/** A file that is no object appears under `errors`, and only then. */
function jsonDocument(
  results: readonly ObjectVerdicts[],
  verdicts: readonly ProgramVerdict[],
  witnesses: Witnesses,
): unknown {
  const found = new Map([...witnesses].map(([{ verdict }, each]) => [verdict, witnessDocument(each)]));
  const programs = verdicts.map((each) => (found.has(each) ? { ...each, witness: found.get(each) } : each));
  const errors = results.flatMap(({ selector, error }) =>
    error === undefined ? [] : [{ object: selector, ...error }],
  );
  const policies = results.flatMap(({ selector, policies: asked = [] }) =>
    asked.map((each) => ({ object: selector, ...each })),
  );
  return {
    schema: 'sluice.verify/1',
    programs,
    ...(errors.length > 0 ? { errors } : {}),
    ...(policies.length > 0 ? { policies } : {}),
  };
}

/** With one policy its verdict counts; with all of them one that accepts is enough. */
function isRefusedByPolicy(results: readonly ObjectVerdicts[]): boolean {
  return results.some(
    ({ policies = [] }) => policies.length > 0 && policies.every(({ verdict }) => verdict === 'reject'),
  );
}

function printPolicies(output: Output, results: readonly ObjectVerdicts[]): void {
  for (const { selector, policies = [] } of results)
    for (const { policy, verdict, problem } of policies)
      output.line(`${selector}, policy ${policy}: ${verdict}${problem === undefined ? '' : `: ${problem}`}`);
}

/** One log as it is; several with veristat's headings. */
function printLogs(output: Output, results: readonly ObjectVerdicts[]): void {
  const all = results.flatMap(({ programs }) => programs);
  for (const { verdict, log } of all) {
    if (all.length > 1) {
      const answer = verdict.verdict === 'accept' ? 'success' : 'failure';
      const times = `DURATION US: ${verdict.stats.time_us}, VERDICT: ${answer}`;
      output.line(`PROCESSING ${verdict.object}/${verdict.program}, ${times}, VERIFIER LOG:`);
    }
    output.line(log);
  }
}

function printText(
  output: Output,
  results: readonly ObjectVerdicts[],
  verdicts: readonly ProgramVerdict[],
  witnesses: Witnesses,
): void {
  const rows = [['PROGRAM', 'VERDICT', 'INSNS', 'STATES', 'TIME us', 'NOT FOLLOWED']];
  for (const { object, program: name, verdict, stats, feature } of verdicts) {
    const { insns, states, time_us } = stats;
    rows.push([`${object}:${name}`, verdict, String(insns), String(states), String(time_us), feature ?? '']);
  }
  for (const row of table(rows)) output.line(row);
  for (const { programs } of results) {
    for (const judged of programs) {
      const { verdict, explanation } = judged;
      if (explanation.length === 0) continue;
      output.line();
      output.line(`${verdict.object}:${verdict.program}`);
      for (const line of explanation) output.line(line);
      const found = witnesses.get(judged);
      if (found !== undefined) for (const line of describeWitness(found)) output.line(line);
    }
  }
  output.line(
    `${count(verdicts, 'accept')} passed, ${count(verdicts, 'reject')} failed, ${count(verdicts, 'unsupported')} skipped`,
  );
}
