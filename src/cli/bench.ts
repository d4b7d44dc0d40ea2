/** `sluice bench [SUITE]`: suites with their peers in the same run. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchJit } from '../bench/jit.ts';
import { benchLoad } from '../bench/load.ts';
import { benchMaps } from '../bench/maps.ts';
import { type BenchResult, growthRows, rows } from '../bench/report.ts';
import { benchRing } from '../bench/ring.ts';
import { benchVerify } from '../bench/verify.ts';
import { benchXdp } from '../bench/xdp.ts';
import { exitCode, UsageError } from './exit.ts';
import { findObjects } from './object-files.ts';
import { integerOption } from './options.ts';
import { table, toJson } from './output.ts';
import { Progress } from './progress.ts';
import type { Verb } from './verb.ts';

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
  xdp: benchXdp,
  ring: benchRing,
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

export const benchVerb: Verb = (program, finish) => {
  program
    .command('bench')
    .description(`suites with their peers in the same run: ${Object.keys(suites).join(', ')}`)
    .argument('[suite]', 'default: all of them')
    .option('--rounds <n>', 'measurements of each case', integerOption(1, 1000), 31)
    .option('--ms <n>', 'length of one measurement in ms', integerOption(1, 10_000), 5)
    .option('--only <text>', 'cases whose name contains it')
    .option(
      '--dir <folder>',
      'verify: objects below it as well, such as compiled selftests; load: those instead of ours',
    )
    .option('--save <file>', 'the JSON result as well, as a file')
    .option('--json', 'result as JSON (sluice.bench/1)')
    .action((name: string | undefined, options: BenchOptions) =>
      finish(options.json === true, async (output) => {
        const chosen = name === undefined ? Object.keys(suites) : [name];
        for (const each of chosen) {
          const suite = suites[each];
          if (suite === undefined)
            throw new UsageError(`no suite ${each}; there are ${Object.keys(suites).join(', ')}`);
          const result = await runSuite(each, suite, options);
          const { cpu, cpus, kernel, node } = result.machine;
          output.line(output.colors.bold(`${each}: ns a run; ratio = ours / peer, below 1 we are faster`));
          output.line(`${cpu}, ${cpus} CPUs, Linux ${kernel}, Node ${node}`);
          for (const row of table(rows(result))) output.line(row);
          if (result.growth !== undefined) for (const row of table(growthRows(result.growth))) output.line(row);
          for (const note of result.notes) output.line(`- ${note}`);
          output.document(result);
          if (options.save !== undefined) writeFileSync(options.save, toJson(result));
        }
        return exitCode.yes;
      }),
    );
};
