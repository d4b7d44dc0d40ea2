/** `sluice bench [SUITE]`: suites with their peers in the same run. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { benchJit } from '../bench/jit.ts';
import { benchLoad } from '../bench/load.ts';
import { benchMaps } from '../bench/maps.ts';
import { benchMem } from '../bench/mem.ts';
import { benchMetadata } from '../bench/metadata.ts';
import { type BenchResult, growthRows, rows, scaleRows } from '../bench/report.ts';
import { benchRing } from '../bench/ring.ts';
import { benchRingPatterns } from '../bench/ring-patterns.ts';
import { benchScale } from '../bench/scale.ts';
import { benchSteer } from '../bench/steer.ts';
import { benchSteerTap } from '../bench/steer-tap.ts';
import { benchVerify } from '../bench/verify.ts';
import { benchXdp } from '../bench/xdp.ts';
import { type ExitCode, exitCode, UsageError } from './exit.ts';
import { findObjects } from './object-files.ts';
import { integerOption } from './options.ts';
import { type Output, table, toJson } from './output.ts';
import { Progress } from './progress.ts';
import type { Finish, Verb } from './verb.ts';

interface BenchOptions {
  readonly rounds: number;
  readonly ms: number;
  readonly only?: string;
  readonly save?: string;
  readonly json?: boolean;
  readonly dir?: string;
}

/** What every suite is given; each takes of it what it has use for. */
interface SuiteOptions {
  /** Folders of the checkout or package. */
  readonly bpf: string;
  readonly peers: string;
  readonly rounds: number;
  /** Length of one measurement. */
  readonly targetMs: number;
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

type Suite = (given: SuiteOptions, dir: string | undefined) => Promise<BenchResult>;

const suites: Readonly<Record<string, Suite>> = {
  jit: benchJit,
  verify: (given, dir) =>
    benchVerify({
      ...given,
      objects: findObjects([join(given.bpf, 'objects'), ...(dir === undefined ? [] : [dir])]),
      script: fileURLToPath(new URL('../bench/verify-once.js', import.meta.url)),
      sizes: given.filter === undefined ? [1000, 4000, 16_000, 64_000] : [],
    }),
  load: (given, dir) => benchLoad({ ...given, objects: findObjects([dir ?? join(given.bpf, 'objects')]) }),
  maps: benchMaps,
  mem: benchMem,
  metadata: benchMetadata,
  scale: benchScale,
  steer: benchSteer,
  xdp: benchXdp,
  ring: benchRing,
  'ring-patterns': benchRingPatterns,
  'steer-tap': benchSteerTap,
};

async function runSuite(name: string, suite: Suite, options: BenchOptions): Promise<BenchResult> {
  // Objects, cases and peers lie beside the built command: dist/cli/ -> bpf/.
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
  const progress = new Progress(`bench ${name}`);
  try {
    return await suite(
      {
        bpf: join(root, 'bpf'),
        peers: join(root, 'bench', 'peers'),
        rounds: options.rounds,
        targetMs: options.ms,
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      },
      options.dir,
    );
  } finally {
    progress.end();
  }
}

/** Options of a command that runs suites, and what it does: `only` one, or those that its argument names. */
export function addBench(command: Command, finish: Finish, only?: string): void {
  if (only === undefined) command.argument('[suite]', 'default: all of them');
  command
    .option('--rounds <n>', 'measurements of each case', integerOption(1, 1000), 31)
    .option('--ms <n>', 'length of one measurement in ms', integerOption(1, 10_000), 5)
    .option('--only <text>', 'cases whose name contains it')
    .option(
      '--dir <folder>',
      'verify: objects below it as well, such as compiled selftests; load: those instead of ours',
    )
    .option('--save <file>', 'the JSON result as well, as a file')
    .option('--json', 'result as JSON (sluice.bench/1)')
    .action((...given: unknown[]) => {
      const name = only ?? (typeof given[0] === 'string' ? given[0] : undefined);
      const options: BenchOptions = command.opts();
      return finish(options.json === true, (output) => runSuites(name, options, output));
    });
}

async function runSuites(name: string | undefined, options: BenchOptions, output: Output): Promise<ExitCode> {
  const chosen = name === undefined ? Object.keys(suites) : [name];
  for (const each of chosen) {
    const suite = suites[each];
    if (suite === undefined) throw new UsageError(`no suite ${each}; there are ${Object.keys(suites).join(', ')}`);
    const result = await runSuite(each, suite, options);
    const { cpu, cpus, kernel, node } = result.machine;
    output.line(output.colors.bold(`${each}: ns a run; ratio = ours / peer, below 1 we are faster`));
    output.line(`${cpu}, ${cpus} CPUs, Linux ${kernel}, Node ${node}`);
    for (const row of table(result.scale === undefined ? rows(result) : scaleRows(result.scale))) output.line(row);
    if (result.growth !== undefined) for (const row of table(growthRows(result.growth))) output.line(row);
    for (const note of result.notes) output.line(`- ${note}`);
    output.document(result);
    if (options.save !== undefined) writeFileSync(options.save, toJson(result));
  }
  return exitCode.yes;
}

export const benchVerb: Verb = (program, finish) => {
  const command = program
    .command('bench')
    .description(`suites with their peers in the same run: ${Object.keys(suites).join(', ')}`);
  addBench(command, finish);
};
