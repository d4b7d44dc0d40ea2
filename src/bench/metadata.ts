/**
 * `bench metadata`: operations on traits in programs (bpf/bench/trait_*.bpf.c): by kfunc in our JIT, in every layout and place; in C over data_meta (the store, a list, a
 * struct) in our JIT, and in the kernel's JIT on the same bytecode. Times are of one operation, net of the same loop without one. What a packet costs, and insertions alone:
 * metadata-packets.ts.
 */
import { InputError } from '../errors.ts';
import { bpfRefusal } from '../linux/features.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import { benchPackets, PACKET_CASES } from './metadata-packets.ts';
import { casesOf, isWanted, openSides, type Side } from './metadata-sides.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';
import { median, minima, type Timed, wall } from './timing.ts';

export interface MetadataBenchOptions {
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
/** Rounds of a run, and operations of a round. */
const ROUNDS = 512;
const OPERATIONS = ROUNDS * 8;
/** Measurements of a round: of many short ones some are not interrupted. */
const SLICES = 10;
/** What cannot be told from nothing, ns an operation. */
const FLOOR = 0.1;

const texts: Readonly<Record<string, string>> = {
  get: 'get 8 bytes',
  set: 'set 8 bytes that are there',
  is_set: 'is set',
  append: 'insert behind three others, and delete',
  move: 'insert before three others, and delete',
  batch: 'batches: set three, get three',
  get_any: 'get, key not known',
};

export async function benchMetadata(options: MetadataBenchOptions): Promise<BenchResult> {
  const sides: Side[] = [];
  try {
    await openSides(sides, 'trait', options.bpf);
    const names = Object.keys(texts).filter((name) => isWanted(texts[name]!, options.filter));
    const loops = names.length === 0 ? [] : await measure(sides, LOOP, options);
    const cases: BenchCase[] = [];
    for (const [done, name] of names.entries()) {
      options.progress(done, names.length + PACKET_CASES, name);
      check(sides, name);
      const gross = await measure(sides, name, options);
      const net = gross.map((ns, i) => Math.max(FLOOR, (ns - loops[i]!) / OPERATIONS));
      cases.push(...casesOf(texts[name]!, sides, net, options.filter));
    }
    const packets = await benchPackets(options, names.length);
    const refusal = bpfRefusal();
    return benchResult(
      'metadata',
      [...cases, ...packets.cases],
      [
        `each time is of one operation, eight of them in a callback of bpf_loop; subtracted from each side, a round without them: ${sides.map(({ name }, i) => `${((loops[i] ?? 0) / ROUNDS).toFixed(2)} ns (${name})`).join(', ')}`,
        'linux-jit runs a C form over data_meta (bpf/include/sluice/trait.h, trait_tlv.h, trait_static.h), as it has no kfuncs for this: the list for lists, the struct for structs, the store for all else; insert and delete are two operations, counted as one, and three in a batch are counted as one',
        ...packets.notes,
        ...(refusal === undefined ? [] : [`linux-jit is absent: ${refusal}`]),
      ],
    );
  } finally {
    for (const { object } of sides) object.close();
  }
}

function measure(sides: readonly Side[], name: string, options: MetadataBenchOptions): Promise<readonly number[]> {
  return minima(
    sides.map(({ object }) => timedRuns(object, name)),
    options.rounds,
    options.targetMs,
    SLICES,
  );
}

/** struct bench_packet (bpf/bench/bench.h). */
function packet(): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(16, ROUNDS, true);
  view.setUint32(20, 0x12345678, true);
  return bytes;
}

/** All sides must compute the same before anyone times them: the packet's end, as what lies before it differs by layout. */
function check(sides: readonly Side[], name: string): void {
  const results = sides.map(({ object }) => {
    const { returnValue, data } = object.programs[name]!.run({ data: packet() });
    return `${returnValue} ${Buffer.from(data!.subarray(-64)).toString('hex')}`;
  });
  const differs = results.findIndex((result) => result !== results[0] || !result.startsWith('2 '));
  if (differs >= 0)
    throw new InputError(
      'SLUICE_BENCH_RESULT',
      `${name} gives ${results[differs]} with ${sides[differs]!.name}, and ${results[0]} with ${sides[0]!.name}`,
    );
}

function timedRuns(object: LoadedObject, name: string): Timed {
  const program = object.programs[name]!;
  const kernel = object.target === 'linux';
  const data = packet();
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
