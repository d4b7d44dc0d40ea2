/**
 * What metadata costs a packet (bpf/bench/trait_packets_*.bpf.c): a batch of frames through the plane's loop, with 0, 1, 4 and 16 values set and read; and what insertions and
 * deletions cost alone, as differences of such programs. Frames are as they were before each batch, untimed; programs of C over data_meta take metadata away themselves, in
 * the kernel, too, which runs one packet again and again.
 */
import { InputError } from '../errors.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import { xdpPlane } from '../hooks/xdp/plane.ts';
import { FRAME_DESCRIPTOR_SIZE } from '../plane/layout/frame.ts';
import type { UserObject } from '../runtime/load.ts';
import type { MetadataBenchOptions } from './metadata.ts';
import { casesOf, isWanted, openSides, type Side } from './metadata-sides.ts';
import type { BenchCase } from './report.ts';
import { minima, type Timed } from './timing.ts';

const FRAMES = 1024;
const FLOOR = 0.1;
/** Batches of a round. */
const SLICES = 20;
/** Insertions of `insert` and deletions of `insert_delete`. */
const MOVES = 12;

const programs = ['keys_0', 'keys_1', 'keys_4', 'keys_16', 'three', 'insert', 'insert_delete'] as const;
type Program = (typeof programs)[number];

interface PacketCase {
  readonly text: string;
  readonly of: Program;
  readonly less?: Program;
  /** What the difference is divided by. */
  readonly by: number;
}

const cases: readonly PacketCase[] = [
  { text: 'a packet, no values', of: 'keys_0', by: 1 },
  { text: 'a packet, 1 value set and read', of: 'keys_1', by: 1 },
  { text: 'a packet, 4 values set and read', of: 'keys_4', by: 1 },
  { text: 'a packet, 16 values set and read', of: 'keys_16', by: 1 },
  { text: 'insert before three others', of: 'insert', less: 'three', by: MOVES },
  { text: 'delete before three others', of: 'insert_delete', less: 'insert', by: MOVES },
];
export const PACKET_CASES = programs.length;

/** @param done cases that were measured before, for progress. */
export async function benchPackets(
  options: MetadataBenchOptions,
  done: number,
): Promise<{ readonly cases: BenchCase[]; readonly notes: readonly string[] }> {
  const chosen = cases.filter(({ text }) => isWanted(text, options.filter));
  const needed = programs.filter((name) => chosen.some(({ of, less }) => of === name || less === name));
  if (needed.length === 0) return { cases: [], notes: [] };
  const sides: Side[] = [];
  try {
    await openSides(sides, 'trait_packets', options.bpf);
    const frames = sides.map(({ user }) => (user === undefined ? undefined : framesOf(user)));
    const times = new Map<Program, readonly number[]>();
    for (const [i, name] of needed.entries()) {
      options.progress(done + i, done + needed.length, name);
      check(sides, name);
      const timed = sides.map((side, at) => timedPackets(side, name, frames[at]));
      const calls = await minima(timed, options.rounds, options.targetMs, SLICES);
      times.set(
        name,
        calls.map((ns, at) => (frames[at] === undefined ? ns : ns / FRAMES)),
      );
    }
    for (const pool of frames) pool?.free();
    return {
      cases: chosen.flatMap(({ text, of, less, by }) => {
        const ns = times
          .get(of)!
          .map((gross, i) => Math.max(FLOOR, (gross - (less === undefined ? 0 : times.get(less)![i]!)) / by));
        return casesOf(text, sides, ns, options.filter);
      }),
      notes: [
        `packets: ${FRAMES} frames, each run once by the plane's loop, with all that a packet costs; in the kernel, and in C here, a program takes the metadata of the run before away itself`,
        `insert alone is what ${MOVES} insertions before three values cost beyond setting those three, delete alone what taking them out again costs beyond that`,
      ],
    };
  } finally {
    for (const { object } of sides) object.close();
  }
}

/** struct bench_packet (bpf/bench/bench.h). */
function packet(): Uint8Array {
  const bytes = new Uint8Array(64);
  new DataView(bytes.buffer).setUint32(20, 0x12345678, true);
  return bytes;
}

/** Frames with a packet each, and their descriptors as they are before a program. */
interface Frames {
  readonly address: number;
  reset(): void;
  free(): void;
}

function framesOf({ runtime }: UserObject): Frames {
  const pool = new FramePool(runtime, FRAMES);
  for (let i = 0; i < FRAMES; i++) pool.fill(i, packet());
  const size = FRAMES * FRAME_DESCRIPTOR_SIZE;
  const pristine = runtime.bytes().slice(pool.address, pool.address + size);
  return {
    address: pool.address,
    reset: () => runtime.bytes().set(pristine, pool.address),
    free: () => pool.free(),
  };
}

function timedPackets({ object, user }: Side, name: Program, frames: Frames | undefined): Timed {
  if (user === undefined || frames === undefined) {
    const program = object.programs[name]!;
    const data = packet();
    return { weight: 4, run: (repeat) => program.run({ data, repeat }).durationNs * repeat };
  }
  const { executable } = user.programs[name]!;
  return {
    // One call is a batch.
    limit: 1,
    run() {
      executable.enter(() => xdpPlane(user.runtime).xdp_run_batch(executable.entry, frames.address, FRAMES));
      return undefined;
    },
    after: frames.reset,
  };
}

/** All sides must compute the same before anyone times them. */
function check(sides: readonly Side[], name: Program): void {
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
