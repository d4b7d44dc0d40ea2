/**
 * `bench jit`: the programs of bpf/ and bpf/bench in our JIT, in the kernel's JIT by BPF_PROG_TEST_RUN on the same bytecode, maps and packet,
 * and in the interpreter. The cost of an empty program is measured on each side and subtracted.
 */
import type { ProgramTypeName } from '../abi/program-types.ts';
import { bpfRefusal } from '../linux/features.ts';
import { emptyCase, type JitCase, jitCases, type OpenCase, openCase, readRings } from './jit-cases.ts';
import { type BenchCase, type BenchResult, benchResult, type PeerName } from './report.ts';
import { median, minima, type Timed, wall } from './timing.ts';
import { UbpfPeer } from './ubpf.ts';

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

type Times = Partial<Record<PeerName | 'ours', number>>;

export async function benchJit(options: JitBenchOptions): Promise<BenchResult> {
  const chosen = jitCases(options.bpf).filter(
    ({ program }) => options.filter === undefined || program.includes(options.filter),
  );
  const refusal = bpfRefusal();
  const ubpf = UbpfPeer.find();
  const empties = new Map<ProgramTypeName, Times>();
  const cases: BenchCase[] = [];
  for (const each of chosen) {
    options.progress(cases.length, chosen.length, each.program);
    let empty = empties.get(each.type);
    if (empty === undefined) {
      empty = await measure(emptyCase(each), refusal === undefined, undefined, options);
      empties.set(each.type, empty);
    }
    const nothing = empty;
    const gross = await measure(each, refusal === undefined, ubpf, options);
    const net = (name: PeerName | 'ours') => Math.max(FLOOR, gross[name]! - (nothing[name] ?? 0));
    const peers: Partial<Record<PeerName, number>> = {};
    for (const name of ['linux-jit', 'ubpf-jit', 'interpreter'] as const)
      if (gross[name] !== undefined) peers[name] = net(name);
    cases.push({ case: each.program, ours: net('ours'), peers });
  }
  const costs = [...empties].map(
    ([type, times]) =>
      `${type}: ${Object.entries(times)
        .map(([name, ns]) => `${name} ${ns.toFixed(1)} ns`)
        .join(', ')}`,
  );
  return benchResult('jit', cases, [
    `subtracted from each side, the cost of an empty program of the type; ${costs.join('; ')}`,
    `each time is the shortest of ${options.rounds} rounds, in which the sides take turns; net times below ${FLOOR} ns count as ${FLOOR} ns`,
    'programs of a few ns overlap with the loop that repeats them, most with the longest one (linux-jit): net times are too small there',
    'both sides verify the programs; our JIT keeps its budget check in every loop',
    ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
    ...(ubpf === undefined ? ['ubpf-jit is absent: set SLUICE_UBPF to a binary of bench/peers/ubpf-bench.c'] : []),
  ]);
}

async function measure(
  bench: JitCase,
  kernel: boolean,
  ubpf: UbpfPeer | undefined,
  options: JitBenchOptions,
): Promise<Times> {
  const open: [PeerName | 'ours', OpenCase][] = [];
  try {
    open.push(['ours', await openCase(bench, 'jit')], ['interpreter', await openCase(bench, 'interpreter')]);
    if (kernel) open.push(['linux-jit', await openCase(bench, 'linux')]);
    const timed = open.map(([, each]) => timedRuns(each, bench));
    const results = await minima(timed, options.rounds, options.targetMs);
    const times: Times = Object.fromEntries(open.map(([name], i) => [name, results[i]!]));
    const { spec, program, returnValue, maps, input } = bench;
    if (ubpf === undefined || input.data === undefined || Object.keys(maps).length > 0) return times;
    const peer = await ubpf.measure(spec, program, input.data, returnValue, options);
    return peer === undefined ? times : { ...times, 'ubpf-jit': peer };
  } finally {
    for (const [, { object }] of open) object.close();
  }
}

function timedRuns({ object, run }: OpenCase, { maxRuns }: JitCase): Timed {
  const kernel = object.target === 'linux';
  // A test run with repeat waits for RCU while the kernel makes the program its XDP dispatcher's: milliseconds that are no run's.
  const begin = kernel ? median(Array.from({ length: 5 }, () => wall(() => run(2)))) : 0;
  return {
    ...(maxRuns === undefined ? {} : { limit: maxRuns }),
    weight: kernel ? 4 : 1,
    run(count) {
      if (!kernel) {
        run(count);
        return undefined;
      }
      let durationNs = 0;
      const ns = wall(() => {
        durationNs = run(count).durationNs;
      });
      // The kernel leaves out what others ran meanwhile, and cuts off to whole ns; our clock says where in between.
      return Math.max(durationNs * count, Math.min(ns - begin, (durationNs + 1) * count));
    },
    after() {
      readRings(object);
    },
  };
}
