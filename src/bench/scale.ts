/**
 * `bench scale`: what 1, 2, 4 and 8 threads do together in a second: programs on shared maps, packets spread by RSS, a ring of each thread's own. Ours are CPUs of one
 * runtime; the kernel's are threads that run the same objects by BPF_PROG_TEST_RUN, and rings of liburing.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError, InternalError, UnsupportedError } from '../errors.ts';
import { load } from '../index.ts';
import { onlineCpus } from '../linux/cpus.ts';
import { bpfRefusal } from '../linux/features.ts';
import { loadLinux } from '../linux/load.ts';
import { readObject } from '../object/index.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { PlaneMap } from '../runtime/maps/plane-map.ts';
import { Runtime } from '../runtime/runtime.ts';
import {
  type BenchCase,
  type BenchResult,
  benchResult,
  type PeerName,
  type ScalePoint,
  type ScaleSeries,
} from './report.ts';
import { type ScaleCase, scaleCases } from './scale-cases.ts';
import { ScaleCpus, type ScaleSide, type ScaleWindow } from './scale-cpus.ts';
import { ScalePeer } from './scale-peer.ts';
import { ScaleRings } from './scale-rings.ts';
import { median } from './timing.ts';

export interface ScaleBenchOptions {
  /** Folders bpf/ and bench/peers/ of the checkout or package. */
  readonly bpf: string;
  readonly peers: string;
  /** Measurements of each number of threads: a third of it, at most MOST_ROUNDS. */
  readonly rounds: number;
  /** A window is WINDOW times as long. */
  readonly targetMs: number;
  /** Cases whose name contains it. */
  readonly filter?: string;
  /** Numbers of threads (default 1, 2, 4, 8). */
  readonly threads?: readonly number[];
  progress(done: number, of: number, name: string): void;
}

const THREADS = [1, 2, 4, 8];
const MOST_ROUNDS = 9;
const WINDOW = 40;
/** Part of a window that threads are at work before it begins. */
const SETTLE = 0.25;
/** Windows of all threads before anything counts: V8 compiles hot code in the background. */
const WARM_UPS = 3;
const DEPTH = 32;
const RINGS = `nops, ${DEPTH} side by side in a ring of each thread's own`;

/** The sides of a case: ours first. */
interface Sides {
  readonly operations: number;
  readonly ours: ScaleSide;
  readonly peer: { readonly name: PeerName; readonly side: ScaleSide } | undefined;
  close(): Promise<void>;
}

export async function benchScale(options: ScaleBenchOptions): Promise<BenchResult> {
  const threads = options.threads ?? THREADS;
  const wanted = (name: string) => options.filter === undefined || name.includes(options.filter);
  const chosen = scaleCases.filter(({ name }) => wanted(name));
  const of = chosen.length + (wanted(RINGS) ? 1 : 0);
  const peer = new ScalePeer(options.peers);
  const refusal = bpfRefusal() ?? peer.absent;
  const notes: string[] = [];
  const series: ScaleSeries[] = [];
  try {
    for (const each of chosen) {
      options.progress(series.length, of, each.name);
      const sides = await programSides(
        each,
        options.bpf,
        refusal === undefined ? peer : undefined,
        Math.max(...threads),
      );
      series.push(await measured(each.name, sides, threads, options));
    }
    if (wanted(RINGS)) {
      options.progress(series.length, of, RINGS);
      try {
        const sides = await ringSides(options.bpf, peer, Math.max(...threads));
        series.push(await measured(RINGS, sides, threads, options));
      } catch (error) {
        if (!(error instanceof UnsupportedError)) throw error;
        notes.push(`rings are absent: ${error.message}`);
      }
      if (peer.withoutRings !== undefined)
        notes.push(`liburing-c is absent: bench/peers/scale.c does not build with liburing: ${peer.withoutRings}`);
    }
  } finally {
    peer.close();
  }
  const windowMs = options.targetMs * WINDOW;
  return benchResult(
    'scale',
    series.flatMap(casesOf),
    [
      `each number is of all threads together, the median of the less disturbed half of ${roundsOf(options)} windows of ${windowMs} ms, in which sides and numbers of threads take turns; ${onlineCpus()} processors; the kernel's thread n stays on processor n, counted round`,
      'the factor is the throughput over that of one thread; CPU is the CPU time of an operation on all processors: where it stays the same nobody waits for another',
      'counted are operations (512 a run) of programs on maps of 16384 keys, or 16 counters; packets; records that the reader has taken; nops',
      ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
      ...notes,
    ],
    [],
    series,
  );
}

const roundsOf = ({ rounds }: ScaleBenchOptions) => Math.max(1, Math.min(MOST_ROUNDS, Math.ceil(rounds / 3)));

async function programSides(
  each: ScaleCase,
  bpf: string,
  peer: ScalePeer | undefined,
  threads: number,
): Promise<Sides> {
  const spec = readObject(readFileSync(join(bpf, 'objects', each.object)), basename(each.object));
  const runtime = new Runtime({ cpus: 1 + threads, seed: 1n });
  const ours = await load(spec, { runtime });
  const linux = peer === undefined ? undefined : loadLinux(spec);
  const objects: LoadedObject[] = linux === undefined ? [ours] : [ours, linux];
  for (const object of objects) each.prepare(object);
  check(each, objects);
  const ring = each.ring === undefined ? undefined : mapOf(ours, each.ring);
  const mine = await ScaleCpus.start({
    runtime,
    entry: ours.programs[each.program]!.executable.entry,
    threads,
    packets: (count) => each.packets(count),
    ...(ring === undefined ? {} : { ring }),
  });
  const theirs =
    linux === undefined || peer === undefined
      ? undefined
      : peer.programs(
          linux.programs[each.program]!.fd,
          (count) => each.packets(count),
          each.ring === undefined ? undefined : linux.maps[each.ring]!.kernel.fd,
        );
  return {
    // Of a ring buffer each record is counted.
    operations: each.ring === undefined ? each.operations : 1,
    ours: mine,
    peer: theirs === undefined ? undefined : { name: 'linux-jit', side: theirs },
    async close() {
      await mine.close();
      await theirs?.close();
      for (const object of objects) object.close();
    },
  };
}

function mapOf(object: LoadedObject, name: string): PlaneMap {
  const raw = object.maps[name]?.raw;
  if (!(raw instanceof PlaneMap)) throw new InternalError(`there is no map ${name}`);
  return raw;
}

async function ringSides(bpf: string, peer: ScalePeer, threads: number): Promise<Sides> {
  const mine = await ScaleRings.start(bpf, threads, DEPTH);
  const theirs = peer.withoutRings === undefined ? peer.nops(DEPTH) : undefined;
  return {
    operations: 1,
    ours: mine,
    peer: theirs === undefined ? undefined : { name: 'liburing-c', side: theirs },
    async close() {
      await mine.close();
      await theirs?.close();
    },
  };
}

/** Both sides must compute the same before anyone times them. */
function check(each: ScaleCase, objects: readonly LoadedObject[]): void {
  const [packets] = each.packets(1);
  const results = objects.map((object) =>
    packets!.map((packet) => {
      const { returnValue, data } = object.programs[each.program]!.run({ data: packet });
      return `${returnValue}${each.repeatable ? ` ${Buffer.from(data!).toString('hex')}` : ''}`;
    }),
  );
  for (const [i, result] of results[0]!.entries()) {
    const other = results.at(-1)![i]!;
    if (result !== other || Number(result.split(' ')[0]) !== each.verdict)
      throw new InputError('SLUICE_BENCH_RESULT', `${each.program} gives ${result} here, and in the kernel ${other}`);
  }
}

async function measured(
  name: string,
  sides: Sides,
  threads: readonly number[],
  options: ScaleBenchOptions,
): Promise<ScaleSeries> {
  const windowMs = options.targetMs * WINDOW;
  const settleMs = windowMs * SETTLE;
  const all = [sides.ours, ...(sides.peer === undefined ? [] : [sides.peer.side])];
  try {
    for (let i = 0; i < WARM_UPS; i++)
      for (const side of all) await side.window(Math.max(...threads), settleMs, settleMs);
    const windows = all.map(() => threads.map((): ScaleWindow[] => []));
    for (let round = 0; round < roundsOf(options); round++)
      for (const [i, count] of threads.entries())
        for (const [j, side] of all.entries()) windows[j]![i]!.push(await side.window(count, settleMs, windowMs));
    const [ours, theirs] = windows.map((of) => points(of, sides.operations));
    return {
      series: name,
      points: threads.map((count, i) => ({
        threads: count,
        ours: ours![i]!,
        peers: sides.peer === undefined ? {} : { [sides.peer.name]: theirs![i]! },
      })),
    };
  } finally {
    await sides.close();
  }
}

/** Windows of each number of threads. */
function points(of: readonly (readonly ScaleWindow[])[], operations: number): ScalePoint[] {
  const speeds = of.map((windows) => {
    // Where others had a processor for a while, threads had less of it.
    const calm = [...windows].sort((a, b) => b.cpuNs / b.ns - a.cpuNs / a.ns).slice(0, Math.ceil(windows.length / 2));
    return {
      perSecond: median(calm.map(({ done, ns }) => (done * operations * 1e9) / ns)),
      cpuNs: median(calm.map(({ done, cpuNs }) => cpuNs / (done * operations))),
    };
  });
  return speeds.map((each) => ({ ...each, factor: each.perSecond / speeds[0]!.perSecond }));
}

function casesOf({ series, points }: ScaleSeries): BenchCase[] {
  return points.map(({ threads, ours, peers }) => ({
    case: `${series}: ${threads} thread${threads === 1 ? '' : 's'}`,
    ours: 1e9 / ours.perSecond,
    peers: Object.fromEntries(Object.entries(peers).map(([name, { perSecond }]) => [name, 1e9 / perSecond])),
  }));
}
