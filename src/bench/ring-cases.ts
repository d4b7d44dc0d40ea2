/** How cases of `bench ring` are timed: each side gives the ns that a count of operations took, in turns, and the shortest counts. */
import type { BenchCase, PeerName } from './report.ts';

/** ns that `count` operations took. */
export type RingRun = (count: number) => number | Promise<number>;

export interface RingCase {
  readonly name: string;
  /** Operations in one measurement: enough for some milliseconds. */
  readonly count: number;
  readonly ours: RingRun;
  readonly peers: Readonly<Partial<Record<PeerName, RingRun>>>;
  /** Measurements (default: as the user says); for cases that take long. */
  readonly rounds?: number;
  prepare?(): void | Promise<void>;
  after?(): void | Promise<void>;
}

export async function timeCase(each: RingCase, rounds: number): Promise<BenchCase> {
  await each.prepare?.();
  try {
    const peers = Object.entries(each.peers) as [PeerName, RingRun][]; // entries() widens the keys
    const runs: readonly RingRun[] = [each.ours, ...peers.map(([, run]) => run)];
    const best = runs.map(() => Number.POSITIVE_INFINITY);
    // The first round warms caches and compilers, and does not count.
    for (let round = -1; round < Math.min(rounds, each.rounds ?? rounds); round++) {
      for (const [i, run] of runs.entries()) {
        const ns = (await run(each.count)) / each.count;
        if (round >= 0) best[i] = Math.min(best[i]!, ns);
      }
    }
    return {
      case: each.name,
      ours: best[0]!,
      peers: Object.fromEntries(peers.map(([name], i) => [name, best[i + 1]!])),
    };
  } finally {
    await each.after?.();
  }
}

/** ns of a call, and of a promise. */
export async function elapsed(call: () => void | Promise<void>): Promise<number> {
  const start = process.hrtime.bigint();
  await call();
  return Number(process.hrtime.bigint() - start);
}
