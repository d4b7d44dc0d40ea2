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

const suites: Readonly<Record<string, (options: BenchOptions) => Promise<BenchResult>>> = {
  async jit(options) {
    const progress = new Progress('bench jit');
    // Objects and cases lie beside the built command: dist/cli/ -> bpf/.
    const bpf = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bpf');
    try {
      return await benchJit({
        bpf,
        rounds: options.rounds,
        targetMs: options.ms,
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      });
    } finally {
      progress.end();
    }
  },
  async verify(options) {
    const progress = new Progress('bench verify');
    const bpf = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bpf', 'objects');
    try {
      return await benchVerify({
        objects: findObjects(options.dir === undefined ? [bpf] : [bpf, options.dir]),
        rounds: options.rounds,
        script: fileURLToPath(new URL('../bench/verify-once.js', import.meta.url)),
        sizes: options.only === undefined ? [1000, 4000, 16_000, 64_000] : [],
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      });
    } finally {
      progress.end();
    }
  },
  async load(options) {
    const progress = new Progress('bench load');
    const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
    try {
      return await benchLoad({
        objects: findObjects(options.dir === undefined ? [join(root, 'bpf', 'objects')] : [options.dir]),
        peers: join(root, 'bench', 'peers'),
        rounds: options.rounds,
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      });
    } finally {
      progress.end();
    }
  },
  async maps(options) {
    const progress = new Progress('bench maps');
    const bpf = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bpf');
    try {
      return await benchMaps({
        bpf,
        rounds: options.rounds,
        targetMs: options.ms,
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      });
    } finally {
      progress.end();
    }
  },
  async xdp(options) {
    const progress = new Progress('bench xdp');
    const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
    try {
      return await benchXdp({
        bpf: join(root, 'bpf'),
        peers: join(root, 'bench', 'peers'),
        rounds: options.rounds,
        targetMs: options.ms,
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      });
    } finally {
      progress.end();
    }
  },
  async ring(options) {
    const progress = new Progress('bench ring');
    const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
    try {
      return await benchRing({
        bpf: join(root, 'bpf'),
        peers: join(root, 'bench', 'peers'),
        rounds: options.rounds,
        ...(options.only === undefined ? {} : { filter: options.only }),
        progress: (done, of, name) => progress.update(done, `of ${of}: ${name}`),
      });
    } finally {
      progress.end();
    }
  },
};

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
          const result = await suite(options);
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
