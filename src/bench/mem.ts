/**
 * `bench mem`: objects and map elements. The programs of bpf/bench/mem.bpf.c in our JIT and in the kernel by BPF_PROG_TEST_RUN, and the same patterns
 * in C under mimalloc, jemalloc and glibc. Times are of one operation (a pair of allocation and release, an exchange there and back, an update or a
 * delete), the loop around it included on every side.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.ts';
import { load, Runtime } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { loadLinux } from '../linux/load.ts';
import { readObject } from '../object/index.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { MEM_CASES, type MemCase, memPacket, ROUNDS } from './mem-cases.ts';
import { crossHere, crossInKernel } from './mem-cross.ts';
import { type Footprint, footprint } from './mem-footprint.ts';
import { MallocPeers, type MallocRun } from './mem-peer.ts';
import { type BenchCase, type BenchResult, benchResult, type PeerName } from './report.ts';
import { median, minima, type Timed, wall } from './timing.ts';

export interface MemBenchOptions {
  /** Folders bpf/ and bench/peers/ of the checkout or package. */
  readonly bpf: string;
  readonly peers: string;
  readonly rounds: number;
  /** Length of one measurement in ms. */
  readonly targetMs: number;
  /** Cases whose name contains it. */
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

const SEED = 0x12345678;
/** Operations of a round of the C peers: some hundred microseconds, so that most rounds are not interrupted. */
const C_COUNT = 1 << 16;

/** A round is measured in parts of about so many ms, for the same reason. */
const SLICE_MS = 1;

/** One side of the comparison that runs the object. */
interface Side {
  readonly name: PeerName | 'ours';
  readonly object: LoadedObject;
}

export async function benchMem(options: MemBenchOptions): Promise<BenchResult> {
  const chosen = MEM_CASES.filter(({ name }) => options.filter === undefined || name.includes(options.filter));
  const spec = readObject(readFileSync(join(options.bpf, 'objects', 'bench', 'mem.bpf.o')), 'mem.bpf.o');
  const refusal = bpfRefusal();
  const sides: Side[] = [];
  const peers = new MallocPeers(options.peers);
  const failures: string[] = [];
  const slices = Math.max(1, Math.round(options.targetMs / SLICE_MS));
  const parts = options.rounds * slices;
  try {
    const runtime = new Runtime({ cpus: 1, seed: 1n });
    sides.push({ name: 'ours', object: await load(spec, { runtime, policy: 'global' }) });
    for (const policy of ['dynamic', 'per-map'] as const)
      sides.push({ name: policy, object: await load(spec, { cpus: 1, seed: 1n, policy }) });
    const linux = refusal === undefined ? loadLinux(spec) : undefined;
    if (linux !== undefined) sides.push({ name: 'linux-jit', object: linux });
    for (const { object } of sides) fill(object);
    const memory = footprint(runtime);
    const cases: BenchCase[] = [];
    const footprints = new Map<string, number>();
    for (const each of chosen) {
      options.progress(cases.length, chosen.length, each.name);
      // Before and after ours: a machine whose speed drifts is unfair to nobody.
      const before = runPeers(peers, each, parts);
      const times = await minima(
        sides.map((side) => timedRuns(side, each)),
        options.rounds,
        options.targetMs,
        slices,
      );
      const after = runPeers(peers, each, parts);
      const kernel = Object.fromEntries(sides.slice(1).map(({ name }, i) => [name, times[i + 1]! / each.operations]));
      const malloc = Object.fromEntries(
        before.map(([name, { ns }], i) => [name, Math.min(ns, after[i]![1].ns)] as const),
      );
      for (const [name, { grown, live }] of after) if (live > 0) footprints.set(`${each.name}, ${name}`, grown / live);
      cases.push({ case: each.name, ours: times[0]! / each.operations, peers: { ...malloc, ...kernel } });
      failures.push(...refused(sides, each));
    }
    let peak: number | undefined;
    if (options.filter === undefined || 'cross'.includes(options.filter)) {
      options.progress(cases.length, cases.length + 1, 'cross');
      const here = await crossHere(spec);
      peak = here.peak;
      const kernel: Partial<Record<PeerName, number>> =
        linux === undefined ? {} : { 'linux-jit': await crossInKernel(linux) };
      const malloc = Object.fromEntries(
        peers.names.map((name) => [name, peers.run(name, 'cross', C_COUNT, parts).ns] as const),
      );
      cases.push({ case: 'cross', ours: here.ns, peers: { ...malloc, ...kernel } });
    }
    return benchResult('mem', cases, [
      'a time is of one pair of allocation and release, of one exchange there and back, of one update or delete; the loop around it is included on every side',
      `each time is the shortest of ${parts} of about ${SLICE_MS} ms, in ${options.rounds} rounds in which the sides take turns`,
      'lifo, batch_128: 64 bytes; mixed: one after the other, somewhere, of 16384 objects of 16 sizes (16 to 1024 bytes) is replaced; C stores pointers where programs exchange kptrs',
      'list_push_pop and tree_add_remove: one more and one less of 512 nodes; overwrite: 8192 keys of 4 bytes, values of 8; add_del: 512 keys come and go; dynamic: BPF_F_NO_PREALLOC',
      'ours: policy global; dynamic and per-map: the same under these policies',
      ...told(memory, footprints),
      ...(peak === undefined
        ? []
        : [
            `cross: 4096 objects of 64 bytes are made by one CPU, then given back by another; after ten million the slabs had taken at most ${peak.toFixed(2)} bytes for each`,
          ]),
      ...failures,
      ...peers.absent,
      ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
    ]);
  } finally {
    peers.close();
    for (const { object } of sides) object.close();
  }
}

/** Memory against what was asked for. */
function told({ objects, elements }: Footprint, peers: ReadonlyMap<string, number>): string[] {
  const ratio = (value: number) => value.toFixed(2);
  return [
    `memory for each byte that lives: objects of mixed ${ratio(objects)} (slabs), elements of overwrite_dynamic ${ratio(elements)} (slabs, of what an element takes); resident growth of the peers: ${
      [...peers].map(([name, value]) => `${name} ${ratio(value)}`).join('; ') || 'not measured'
    }`,
  ];
}

function fill(object: LoadedObject): void {
  for (let part = 0; part < 16; part++) {
    const { returnValue, data } = object.programs['fill']!.run({ data: memPacket(ROUNDS, part) });
    if (returnValue !== 2 || (object.target !== 'linux' && failuresIn(data) !== 0n))
      throw new InputError('SLUICE_BENCH_RESULT', `fill gives ${returnValue}, and ${failuresIn(data)} failures`);
  }
}

/** packet->result: allocations and updates that failed since the object was loaded. */
function failuresIn(data: Uint8Array | undefined): bigint {
  return new DataView(data!.buffer, data!.byteOffset).getBigUint64(0, true);
}

/** Ours never fails; the kernel may give NULL while its lists are being refilled, and that is told. */
function refused(sides: readonly Side[], { name, program }: MemCase): string[] {
  return sides.flatMap(({ name: side, object }) => {
    const { returnValue, data } = object.programs[program]!.run({ data: memPacket(0, SEED) });
    const failures = failuresIn(data);
    if (returnValue !== 2 || (side !== 'linux-jit' && failures !== 0n))
      throw new InputError(
        'SLUICE_BENCH_RESULT',
        `${program} gives ${returnValue}, and ${failures} failures (${side})`,
      );
    return failures === 0n ? [] : [`up to ${name}, the kernel has refused ${failures} allocations or updates`];
  });
}

function runPeers(peers: MallocPeers, { c }: MemCase, rounds: number): (readonly [PeerName, MallocRun])[] {
  return c === undefined ? [] : peers.names.map((name) => [name, peers.run(name, c, C_COUNT, rounds)] as const);
}

function timedRuns({ object }: Side, { program: name }: MemCase): Timed {
  const program = object.programs[name]!;
  const kernel = object.target === 'linux';
  const data = memPacket(ROUNDS, SEED);
  // As in bench jit: what the kernel waits for around the runs is no run's.
  const begin = kernel ? median(Array.from({ length: 5 }, () => wall(() => program.run({ data, repeat: 2 })))) : 0;
  return {
    weight: kernel ? 4 : 1,
    run(repeat) {
      if (!kernel) {
        program.run({ data, repeat });
        return undefined;
      }
      let durationNs = 0;
      const ns = wall(() => {
        durationNs = program.run({ data, repeat }).durationNs;
      });
      return Math.max(durationNs * repeat, Math.min(ns - begin, (durationNs + 1) * repeat));
    },
  };
}
