/**
 * `bench jit`: the programs of bpf/bench in our JIT, in the kernel's JIT by BPF_PROG_TEST_RUN on the same bytecode and packet, and in the
 * interpreter. The cost of an empty program is measured on each side and subtracted.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '../errors.ts';
import { load, Runtime, type UserObject } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import { bpfRefusal } from '../linux/features.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { isRingbuf } from '../runtime/handles.ts';
import { type BenchCase, type BenchResult, benchResult, type PeerName } from './report.ts';
import { median, minima, type Timed, wall } from './timing.ts';
import { UbpfPeer } from './ubpf.ts';

/** One row of bpf/bench/cases.json. */
interface BenchProgram {
  readonly object: string;
  readonly program: string;
  /** Hex. */
  readonly dataIn: string;
  readonly dataOut: string;
  readonly returnValue: number;
  /** Program of the object that must have run once. */
  readonly prepare?: string;
  /** Runs after which the ring buffer has to be read. */
  readonly maxRuns?: number;
}

export interface JitBenchOptions {
  /** Folder bpf/ of the checkout or package. */
  readonly bpf: string;
  readonly rounds: number;
  /** Length of one measurement in ms. */
  readonly targetMs: number;
  /** Cases whose name contains it. */
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

/** What cannot be told from nothing, ns, as the kernel counts in whole ns: a net time below it counts as this much, on every side. */
const FLOOR = 1;

export async function benchJit(options: JitBenchOptions): Promise<BenchResult> {
  const all = JSON.parse(readFileSync(join(options.bpf, 'bench', 'cases.json'), 'utf8')) as BenchProgram[]; // our own file
  // The first case of a program is its benchmark; the others are corner cases for the tests.
  const chosen = all.filter(
    (each, i) =>
      all.findIndex(({ program }) => program === each.program) === i &&
      (options.filter === undefined || each.program.includes(options.filter)),
  );
  const refusal = bpfRefusal();
  const ubpf = UbpfPeer.find();
  const empty = await measure(
    emptyCase(),
    readObject(emptyObject(), 'empty'),
    refusal === undefined,
    undefined,
    options,
  );
  const cases: BenchCase[] = [];
  for (const each of chosen) {
    options.progress(cases.length, chosen.length, each.program);
    const spec = readObject(readFileSync(join(options.bpf, each.object)), basename(each.object));
    const gross = await measure(each, spec, refusal === undefined, ubpf, options);
    const net = (name: PeerName | 'ours') => Math.max(FLOOR, gross[name]! - (empty[name] ?? 0));
    const peers: Partial<Record<PeerName, number>> = {};
    for (const name of ['linux-jit', 'ubpf-jit', 'interpreter'] as const)
      if (gross[name] !== undefined) peers[name] = net(name);
    cases.push({ case: each.program, ours: net('ours'), peers });
  }
  const costs = Object.entries(empty).map(([name, ns]) => `${name} ${ns.toFixed(1)} ns`);
  return benchResult('jit', cases, [
    `subtracted from each side, the cost of an empty program: ${costs.join(', ')}`,
    `each time is the shortest of ${options.rounds} rounds, in which the sides take turns; net times below ${FLOOR} ns count as ${FLOOR} ns`,
    'programs of a few ns overlap with the loop that repeats them, most with the longest one (linux-jit): net times are too small there',
    'our JIT runs the programs with its budget check in every loop, as they are not verified',
    ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
    ...(ubpf === undefined ? ['ubpf-jit is absent: set SLUICE_UBPF to a binary of bench/peers/ubpf-bench.c'] : []),
  ]);
}

type Times = Partial<Record<PeerName | 'ours', number>>;

async function measure(
  bench: BenchProgram,
  spec: ObjectSpec,
  kernel: boolean,
  ubpf: UbpfPeer | undefined,
  options: JitBenchOptions,
): Promise<Times> {
  const data = Uint8Array.from(Buffer.from(bench.dataIn, 'hex'));
  const ours = await load(spec, { cpus: 1, seed: 1n });
  const interpreter = await load(spec, {
    cpus: 1,
    seed: 1n,
    engine: 'interpreter',
    runtime: new Runtime({ cpus: 1, seed: 1n }),
  });
  const linux = kernel ? await load(spec, { target: 'linux' }) : undefined;
  try {
    const objects: [PeerName | 'ours', LoadedObject | UserObject][] = [
      ['ours', ours],
      ['interpreter', interpreter],
    ];
    if (linux !== undefined) objects.push(['linux-jit', linux]);
    for (const [, object] of objects) prepare(object, bench, data);
    const timed = objects.map(([, object]) => timedRuns(object, bench, data));
    const results = await minima(timed, options.rounds, options.targetMs);
    const times: Times = Object.fromEntries(objects.map(([name], i) => [name, results[i]!]));
    const peer = await ubpf?.measure(spec, bench.program, data, bench.returnValue, options);
    return peer === undefined ? times : { ...times, 'ubpf-jit': peer };
  } finally {
    ours.close();
    interpreter.close();
    linux?.close();
  }
}

/** Fills maps, and makes sure that the program computes what it should before anyone times it. */
function prepare(object: LoadedObject, bench: BenchProgram, data: Uint8Array): void {
  if (bench.prepare !== undefined) object.programs[bench.prepare]!.run({ data });
  const { returnValue, data: after } = object.programs[bench.program]!.run({ data });
  if (returnValue !== bench.returnValue || Buffer.from(after!).toString('hex') !== bench.dataOut) {
    throw new InputError(
      'SLUICE_BENCH_RESULT',
      `${bench.program} on ${object.target} gives ${returnValue}, ${Buffer.from(after!).toString('hex')}`,
    );
  }
}

function timedRuns(object: LoadedObject, bench: BenchProgram, data: Uint8Array): Timed {
  const program = object.programs[bench.program]!;
  const rings = Object.values(object.maps).filter(isRingbuf);
  const kernel = object.target === 'linux';
  // A test run with repeat waits for RCU while the kernel makes the program its XDP dispatcher's: milliseconds that are no run's.
  const begin = kernel ? median(Array.from({ length: 5 }, () => wall(() => program.run({ data, repeat: 2 })))) : 0;
  return {
    ...(bench.maxRuns === undefined ? {} : { limit: bench.maxRuns }),
    weight: kernel ? 4 : 1,
    run(count) {
      if (!kernel) {
        program.run({ data, repeat: count });
        return undefined;
      }
      let durationNs = 0;
      const ns = wall(() => {
        durationNs = program.run({ data, repeat: count }).durationNs;
      });
      // The kernel leaves out what others ran meanwhile, and cuts off to whole ns; our clock says where in between.
      return Math.max(durationNs * count, Math.min(ns - begin, (durationNs + 1) * count));
    },
    after() {
      for (const ring of rings) ring.consume(() => {});
    },
  };
}

function emptyObject(): Uint8Array {
  const { insns, functions } = assemble('empty:\n r0 = 2\n exit', { syntax: 'llvm' });
  return writeObject({ section: 'xdp', license: 'GPL', insns, functions });
}

function emptyCase(): BenchProgram {
  const packet = '00'.repeat(64);
  return { object: '', program: 'empty', dataIn: packet, dataOut: packet, returnValue: 2 };
}
