/**
 * bench/: suites that measure Sluice beside its peers in the same run, and print the ratios.
 *
 * This file: how a thing is timed. Times are ns a call.
 */

export interface Timed {
  /**
   * Runs the thing `count` times; what it costs to begin is spread over the count. Returns the ns that it took where it knows them
   * better than the clock around it.
   */
  run(count: number): number | undefined;
  /** Measurements are so many times longer, where short ones would say little (default 1). */
  readonly weight?: number;
  /** Cleans up after each call of `run`; not timed. */
  after?(): void;
  /** Most runs in one call, where the thing cannot take more at once. */
  readonly limit?: number;
}

/** Time of a call, ns. */
export function wall(call: () => void): number {
  const start = process.hrtime.bigint();
  call();
  return Number(process.hrtime.bigint() - start);
}

/** Time of one call of `run`, ns. */
function once(timed: Timed, count: number): number {
  let told: number | undefined;
  const ns = wall(() => {
    told = timed.run(count);
  });
  timed.after?.();
  return told ?? ns;
}

/** How many runs take about `targetMs`, after warming up for about as long; at least one, at most the limit. */
export function calibrate(timed: Timed, ms: number): number {
  const targetMs = ms * (timed.weight ?? 1);
  const limit = timed.limit ?? 1 << 30;
  let count = 1;
  for (;;) {
    const ns = once(timed, count);
    if (count >= limit) return limit;
    if (ns > (targetMs * 1e6) / 4) return Math.max(1, Math.min(limit, Math.round((count * targetMs * 1e6) / ns)));
    count = Math.min(limit, count * 4);
  }
}

/** As calibrate, for a machine that may interrupt any measurement: by the shortest of several. */
function sliced(timed: Timed, targetMs: number): number {
  const count = calibrate(timed, targetMs);
  const shortest = Math.min(...Array.from({ length: SLICES_FOR_COUNT }, () => once(timed, count)));
  const wanted = (count * targetMs * (timed.weight ?? 1) * 1e6) / shortest;
  return Math.max(1, Math.min(timed.limit ?? 1 << 30, Math.round(wanted)));
}

const SLICES_FOR_COUNT = 20;

/** Calls before anything counts, and the pause after each, ms: V8 compiles hot code in the background and takes it up at the next call. */
const WARM_UPS = 6;
const WARM_UP_PAUSE = 15;

/** Times of a call of several things, measured in turns, so that a machine whose speed drifts is unfair to nobody. */
async function inTurns(all: readonly Timed[], rounds: number, targetMs: number, slices = 1): Promise<number[][]> {
  for (let call = 0; call < WARM_UPS; call++) {
    for (const timed of all) calibrate(timed, targetMs / 4);
    await new Promise((resolve) => setTimeout(resolve, WARM_UP_PAUSE));
  }
  const counts = all.map((timed) => (slices === 1 ? calibrate(timed, targetMs) : sliced(timed, targetMs / slices)));
  const samples: number[][] = all.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, timed] of all.entries()) {
      for (let slice = 0; slice < slices; slice++) samples[i]!.push(once(timed, counts[i]!) / counts[i]!);
    }
  }
  return samples;
}

/**
 * The shortest time of each. Whatever else runs on the machine can only make a round longer: of many short rounds the shortest is the
 * thing itself. With `slices` a round is measured in so many parts, each on its own: on a busy machine some of them are not interrupted.
 */
export async function minima(all: readonly Timed[], rounds: number, targetMs: number, slices = 1): Promise<number[]> {
  return (await inTurns(all, rounds, targetMs, slices)).map((samples) => Math.min(...samples));
}

/** The median time of each, for things whose rounds differ by themselves. */
export async function medians(all: readonly Timed[], rounds: number, targetMs: number): Promise<number[]> {
  return (await inTurns(all, rounds, targetMs)).map(median);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
