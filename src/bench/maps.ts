/**
 * `bench maps`: operations on maps in programs (bpf/bench/maps.bpf.c), in our JIT and in the kernel by BPF_PROG_TEST_RUN on the same bytecode.
 * Times are of one operation, net of the same loop without one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.ts';
import { load } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { readObject } from '../object/index.ts';
import { isRingbuf, type LoadedObject } from '../runtime/handles.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';
import { median, minima, type Timed, wall } from './timing.ts';

export interface MapBenchOptions {
  /** Folder bpf/ of the checkout or package. */
  readonly bpf: string;
  readonly rounds: number;
  /** Length of one measurement in ms. */
  readonly targetMs: number;
  /** Cases whose name contains it. */
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

const LOOP = 'loop';
const FILL = 'fill';
/** Operations of a run, and of one that fills a ring, which holds 4 MiB. */
const OPERATIONS = 512;
const RING_OPERATIONS = 128;
const RING_RUNS = 800;
/** What cannot be told from nothing, ns an operation: a net time below it counts as this much, on both sides. */
const FLOOR = 0.1;

export async function benchMaps(options: MapBenchOptions): Promise<BenchResult> {
  const spec = readObject(readFileSync(join(options.bpf, 'objects', 'bench', 'maps.bpf.o')), 'maps.bpf.o');
  const chosen = [...spec.programs.keys()].filter(
    (name) => name !== LOOP && name !== FILL && (options.filter === undefined || name.includes(options.filter)),
  );
  const refusal = bpfRefusal();
  const ours = await load(spec, { cpus: 1, seed: 1n });
  const linux = refusal === undefined ? await load(spec, { target: 'linux' }) : undefined;
  const objects: LoadedObject[] = linux === undefined ? [ours] : [ours, linux];
  try {
    for (const object of objects) object.programs[FILL]!.run({ data: packet(OPERATIONS) });
    const measured = async (name: string) => {
      check(objects, name);
      return await minima(
        objects.map((object) => timedRuns(object, name)),
        options.rounds,
        options.targetMs,
      );
    };
    const cases: BenchCase[] = [];
    const loops = new Map<number, readonly number[]>();
    for (const name of chosen) {
      options.progress(cases.length, chosen.length, name);
      const count = operations(name);
      const loop =
        loops.get(count) ??
        (await minima(
          objects.map((object) => timedRuns(object, LOOP, count)),
          options.rounds,
          options.targetMs,
        ));
      loops.set(count, loop);
      const gross = await measured(name);
      const net = gross.map((ns, i) => Math.max(FLOOR, (ns - loop[i]!) / count));
      cases.push({ case: name, ours: net[0]!, peers: net[1] === undefined ? {} : { 'linux-jit': net[1] } });
    }
    const costs = [...loops].map(
      ([count, ns]) => `${ns.map((each) => (each / count).toFixed(2)).join(' and ')} ns of a loop of ${count}`,
    );
    return benchResult('maps', cases, [
      `each time is of one operation; subtracted from each side, an empty round: ${costs.join(', ')}${linux === undefined ? '' : ' (ours and linux-jit)'}`,
      `each time is the shortest of ${options.rounds} rounds, in which the sides take turns; net times below ${FLOOR} ns count as ${FLOOR} ns`,
      'delete_insert and push_pop are two operations, counted as one; keys are 4 bytes, or 20, values 8 bytes; 512 keys; lru_evict: 4096 entries, each insert pushes one out',
      ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
    ]);
  } finally {
    for (const object of objects) object.close();
  }
}

const fillsRing = (name: string) => name.startsWith('ringbuf_');
const operations = (name: string) => (fillsRing(name) ? RING_OPERATIONS : OPERATIONS);

/** struct bench_packet (bpf/bench/bench.h). */
function packet(count: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, 0x0008, true);
  view.setUint32(16, count, true);
  view.setUint32(20, 0x12345678, true);
  return bytes;
}

/** Both sides must compute the same before anyone times them. */
function check(objects: readonly LoadedObject[], name: string): void {
  const results = objects.map((object) => {
    const { returnValue, data } = object.programs[name]!.run({ data: packet(operations(name)) });
    drain(object);
    return `${returnValue} ${Buffer.from(data!).toString('hex')}`;
  });
  if (results.some((result) => result !== results[0] || !result.startsWith('2 ')))
    throw new InputError('SLUICE_BENCH_RESULT', `${name} gives ${results.join(' here, and in the kernel ')}`);
}

function drain(object: LoadedObject): void {
  for (const map of Object.values(object.maps)) if (isRingbuf(map)) map.consume(() => {});
}

function timedRuns(object: LoadedObject, name: string, count = operations(name)): Timed {
  const program = object.programs[name]!;
  const kernel = object.target === 'linux';
  const data = packet(count);
  // As in bench jit: what the kernel waits for around the runs is no run's.
  const begin = kernel ? median(Array.from({ length: 5 }, () => wall(() => program.run({ data, repeat: 2 })))) : 0;
  return {
    ...(fillsRing(name) ? { limit: RING_RUNS } : {}),
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
    after() {
      if (fillsRing(name)) drain(object);
    },
  };
}
