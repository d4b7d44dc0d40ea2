/** `sluice diff linux OBJ…`: every program here and in the kernel of this machine, over many inputs. */
import { existsSync, readFileSync } from 'node:fs';
import type { ProgramTypeName } from '../abi/program-types.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { InternalError, SluiceError, UnsupportedError } from '../errors.ts';
import { bpfRefusal } from '../linux/features.ts';
import { kernelKconfigValues } from '../linux/kconfig.ts';
import { ProgramRefusedError } from '../linux/syscall-error.ts';
import type { ScenarioName } from '../net/scenarios/index.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { RunInput } from '../runtime/handles.ts';
import type { MapInput } from '../runtime/json-value.ts';
import type { Task } from '../runtime/surroundings.ts';
import { readEthernetCapture } from './capture-file.ts';
import { compareMaps, type Divergence, describeOutcome, type MapDivergence, runOnAll } from './comparison.ts';
import { type ExitCode, exitCode } from './exit.ts';
import { describeInput, generateInputs, takesPackets, withContext } from './inputs.ts';
import { judge } from './judge.ts';
import { readMapInput } from './map-input.ts';
import { addObjectChanges, type ChangeOptions, changesOf } from './object-changes.ts';
import { integerOption, listOption } from './options.ts';
import { type Output, table } from './output.ts';
import { ownResults } from './own-results.ts';
import { Progress } from './progress.ts';
import { select } from './selector.ts';
import { createSubject, type Subject } from './subjects.ts';
import { trafficOption } from './traffic-option.ts';
import type { Verb } from './verb.ts';

interface DiffOptions extends ChangeOptions {
  readonly inputs: number;
  readonly seed: number;
  readonly unverified?: boolean;
  readonly engine: readonly ('jit' | 'interpreter')[];
  readonly traffic: 'mix' | ScenarioName;
  readonly pcap?: string;
  readonly maps?: string;
  readonly json?: boolean;
}

interface ProgramResult {
  readonly object: string;
  readonly program: string;
  readonly type?: ProgramTypeName;
  /** Verdicts: of our verifier, and of the kernel's. */
  readonly here: 'accept' | 'reject' | 'unsupported';
  readonly linux: 'accept' | 'reject' | 'unsupported';
  readonly runs: number;
  /** Inputs on which everything agreed. */
  readonly agreed: number;
  readonly mapEntries: number;
  readonly reason?: string;
  readonly divergence?: Divergence;
  readonly mapDivergences?: readonly MapDivergence[];
}

type Judgement = 'agree' | 'stricter' | 'laxer' | 'unsupported' | 'diverged';

export const diffVerb: Verb = (program, finish) => {
  const command = program
    .command('diff')
    .description('programs here and elsewhere, over many inputs')
    .command('linux')
    .description('return values, packets and maps of every program, here and in the kernel of this machine')
    .argument('<obj...>', 'object files, optionally with :program')
    .option('--inputs <n>', 'generated packets (or contexts) a program', integerOption(1, 1e9), 1000)
    .option('--seed <n>', 'of the packet generator', integerOption(0, 0xffff_ffff), 1)
    .addOption(trafficOption())
    .option('--pcap <file>', 'a capture as input instead of generated packets')
    .option('--engine <list>', 'jit, interpreter', listOption(['jit', 'interpreter']), ['jit'])
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option('--unverified', 'user space runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.diff/1)');
  addObjectChanges(command);
  command.action((selectors: string[], options: DiffOptions) =>
    finish(options.json === true, async (output) => {
      const maps = options.maps === undefined ? {} : readMapInput(options.maps);
      const results: ProgramResult[] = [];
      for (const selector of selectors) {
        const { object, programs } = select(selector, changesOf(options));
        for (const each of programs) results.push(await diffProgram(object, each, options, maps));
      }
      return report(results, output);
    }),
  );
};

async function diffProgram(
  object: ObjectSpec,
  program: ProgramSpec,
  options: DiffOptions,
  maps: MapInput,
): Promise<ProgramResult> {
  const subjects: Subject[] = [];
  const loaded = unpinned(object);
  const names = {
    object: object.name,
    program: program.name,
    ...(program.type === undefined ? {} : { type: program.type }),
  };
  try {
    // Our loader into the kernel binds no program to a device.
    const judged = judge(object, program, { deviceBound: false });
    let linux: ProgramResult['linux'] = 'accept';
    const reasons = [judged.feature, judged.diagnostics[0]?.problem].flatMap((each) =>
      each === undefined ? [] : [`here: ${each}`],
    );
    for (const name of [...options.engine, 'linux'] as const) {
      try {
        subjects.push(
          await createSubject(loaded, program, name, {
            kconfig: kernelKconfigValues(),
            seed: BigInt(options.seed),
            maps,
            unverified: options.unverified,
            surroundings: { task: thisTask() },
          }),
        );
      } catch (error) {
        if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
        // Without bpf(2) nothing can be said at all; a kernel that refuses one type (EPERM for fentry) says nothing of that alone.
        if (error instanceof UnsupportedError && error.feature === 'bpf(2)' && bpfRefusal() !== undefined) throw error;
        // Only its verifier gives a verdict: a map that it does not make, or a type that it was built without, is none.
        if (name === 'linux') linux = error instanceof ProgramRefusedError ? 'reject' : 'unsupported';
        // An engine that keeps to our verdict adds nothing to it.
        if (error.code !== 'SLUICE_PROGRAM_REFUSED') reasons.push(`${name}: ${error.message}`);
      }
    }
    const result = {
      ...names,
      here: judged.verdict,
      linux,
      ...(reasons.length === 0 ? {} : { reason: reasons.join('; ') }),
    };
    // What is refused on one side is not run on the others.
    if (subjects.length < options.engine.length + 1) return { ...result, runs: 0, agreed: 0, mapEntries: 0 };
    if (!runsInLinux(program)) {
      const reason = [...reasons, `Linux has no test run for programs of type ${program.type}: verdicts only`].join(
        '; ',
      );
      return { ...result, reason, runs: 0, agreed: 0, mapEntries: 0 };
    }
    const compared = { ...result, ...compareRuns(subjects, `${object.name}:${program.name}`, options) };
    const own = judgement(compared) === 'diverged' ? ownResults(program) : [];
    if (own.length === 0) return compared;
    const cause = `each side has its own results of ${own.join(', ')}`;
    return { ...compared, reason: [...reasons, cause].join('; ') };
  } finally {
    for (const subject of subjects) subject.close();
  }
}

/** What other processes keep by name is left alone, and what they wrote does not count. */
function unpinned(object: ObjectSpec): ObjectSpec {
  const maps = [...object.maps].map(([name, map]) => [name, { ...map, pinning: 'none' }] as const);
  return { ...object, maps: new Map(maps) };
}

/** Programs behind a devmap or cpumap have a context that BPF_PROG_TEST_RUN does not make (bpf_prog_test_run_xdp). */
function runsInLinux({ type, attachType }: ProgramSpec): boolean {
  if (attachType === 'xdp_cpumap' || attachType === 'xdp_devmap') return false;
  return type !== undefined && programDeclarations.get(type)?.testRun === true;
}

/** What programs in the kernel see as the current task: this process. */
function thisTask(): Task {
  const comm = existsSync('/proc/self/comm') ? readFileSync('/proc/self/comm', 'utf8').trim() : '';
  return { pid: process.pid, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, comm };
}

function compareRuns(subjects: readonly Subject[], label: string, options: DiffOptions) {
  const progress = new Progress(label, options.pcap === undefined ? options.inputs : undefined);
  const inputs = inputsOf(subjects[0]!.program.type, options);
  let runs = 0;
  let agreed = 0;
  let divergence: Divergence | undefined;
  for (const input of inputs) {
    const result = runOnAll(subjects, input, runs++);
    if (result.divergence === undefined) agreed++;
    else divergence ??= result.divergence;
    progress.update(runs);
  }
  progress.end();
  const { compared, divergences } = compareMaps(subjects);
  return {
    runs,
    agreed,
    mapEntries: compared,
    ...(divergence === undefined ? {} : { divergence }),
    ...(divergences.length === 0 ? {} : { mapDivergences: divergences }),
  };
}

function* inputsOf(type: ProgramTypeName, options: DiffOptions): Generator<RunInput> {
  if (options.pcap === undefined || !takesPackets(type))
    yield* generateInputs(type, options.seed, options.inputs, options.traffic);
  else for (const { data } of readEthernetCapture(options.pcap)) yield withContext(type, data);
}

function judgement(result: ProgramResult): Judgement {
  if (result.agreed !== result.runs || result.mapDivergences !== undefined) return 'diverged';
  if (result.here === 'unsupported' || result.linux === 'unsupported') return 'unsupported';
  if (result.here !== result.linux) return result.here === 'accept' ? 'laxer' : 'stricter';
  return 'agree';
}

function report(results: readonly ProgramResult[], output: Output): ExitCode {
  const { green, red, yellow } = output.colors;
  const count: Record<Judgement, number> = { agree: 0, stricter: 0, laxer: 0, unsupported: 0, diverged: 0 };
  const rows = [['PROGRAM', 'HERE', 'LINUX', 'INPUTS', 'AGREED', 'MAP ENTRIES', 'RESULT']];
  for (const each of results) {
    const verdict = judgement(each);
    count[verdict]++;
    rows.push([
      `${each.object}:${each.program}`,
      each.here,
      each.linux,
      String(each.runs),
      String(each.agreed),
      String(each.mapEntries),
      verdict,
    ]);
  }
  for (const row of table(rows)) output.line(row);
  for (const each of results) {
    const name = `${each.object}:${each.program}`;
    if (each.reason !== undefined) output.line(yellow(`${name}: ${each.reason}`));
    if (each.divergence !== undefined && each.type !== undefined)
      printDivergence(name, each.type, each.divergence, output);
    for (const map of each.mapDivergences?.slice(0, 5) ?? []) {
      output.line(
        red(
          `${name}: map ${map.map} key ${map.key}: ${[...map.values].map(([who, value]) => `${who} ${value ?? '-'}`).join(', ')}`,
        ),
      );
    }
  }
  output.document({ schema: 'sluice.diff/1', programs: results, ...count });
  const bad = count.laxer + count.diverged + count.stricter;
  const line = `${count.agree} agree, ${count.stricter} stricter, ${count.laxer} laxer, ${count.unsupported} unsupported, ${count.diverged} diverged`;
  output.line(bad === 0 ? green(line) : red(line));
  output.line(`${count.agree} passed, ${bad} failed, ${count.unsupported} skipped`);
  if (bad > 0) return exitCode.no;
  return count.unsupported > 0 ? exitCode.missing : exitCode.yes;
}

function printDivergence(name: string, type: ProgramTypeName, divergence: Divergence, output: Output): void {
  output.line(
    output.colors.red(`${name}: first difference at input ${divergence.input}: ${describeInput(divergence.given)}`),
  );
  for (const [who, outcome] of divergence.outcomes) output.line(`  ${who}: ${describeOutcome(outcome, type)}`);
}
