/**
 * Stress tests of maps: threads that are CPUs (workers.ts) do operations on one map and record them (history.ts); what they saw is held against a sequential model
 * (linearizability.ts), and what is left in the map against what should be.
 *
 * A map type's stress test is two things:
 * - a model, `test/stress/models/TYPE.ts`: a `Model` whose `apply` says which states may follow an operation with its recorded results. If operations on different keys
 *   know nothing of each other, `part` gives the key, which makes the check cheap. What is not decided by the arguments (which element an LRU map evicts) is several
 *   next states. An operation that takes effect in several steps (room is taken, then the element is seen) says so by `steps`.
 * - a worker, a function in `TYPE.test.ts` that goes to the threads as text, and so uses nothing but its argument: it calls what programs and user space call by
 *   `call('hash_update', map, key, value, 0n)`, between `begin(kind, key, value)` and `end(result)`, with `pause()` here and there. One call that shows several
 *   elements (a batch, an iteration) is recorded as so many lookups by `note`, each with the stamps of the whole call. `meet()` now and then keeps windows short.
 *
 *   const result = await stress({ map: { type: 'hash', … }, workers: 4, rounds: 2000, records: 2000, body });
 *   expectLinearizable(hashModel, result);
 *
 * What programs call (`hash_lookup`, `bpf_map_update_elem`, …) stands between `call('epoch_enter')` and `call('epoch_exit')`, as runs do; the functions of user space
 * (`map_lookup_user`, …) do it themselves.
 *
 * `STRESS_SEED` chooses what the threads do (not how they are scheduled: repeat with more rounds), `STRESS_ROUNDS` multiplies how long they do it. An error says the
 * seed. `chaos-plane.ts` is a plane that stops for a moment between any two accesses to the memory (`stress({ …, ...chaos(60) })`), which on two cores is what makes
 * rare orders common; it takes mutations (`mutations.ts`), of which a scenario must catch each (`...chaos(60, mutation)`). A test of final contents that may
 * not end belongs to the end of the worker's function (`meet(); if (cpu === 1) …`), where the time limit ends it.
 */
import { createMap, type MapAttributes, type PlaneMap } from '../../src/runtime/maps/plane-map.ts';
import { createMemory } from '../../src/runtime/memory.ts';
import { createPlane, type PlaneInstance } from '../../src/runtime/plane.ts';
import { checkLinearizable, type Model } from './linearizability.ts';
import { type Parameters, type RunOptions, type RunResult, runWorkers, type StressWorker } from './workers.ts';

/** How much longer than in CI. */
export const stressFactor = Number(process.env['STRESS_ROUNDS'] ?? 1);

/** The seed that was asked for, or another one each time. */
export function stressSeed(): number {
  const asked = process.env['STRESS_SEED'];
  return asked === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1 : Number(asked);
}

export interface StressOptions<P extends Parameters> extends Partial<RunOptions> {
  readonly parameters?: P;
  readonly map: MapAttributes;
  /** Threads, CPUs 1 and up. */
  readonly workers: number;
  /** Rounds of each thread and records of each thread, before STRESS_ROUNDS. */
  readonly rounds: number;
  readonly body: (worker: StressWorker<P>) => unknown;
  /** On CPU 0, before the threads start. */
  readonly before?: (map: PlaneMap, plane: PlaneInstance) => void;
  /** Sets up the memory, as switches of mutations. */
  readonly prepare?: (memory: WebAssembly.Memory) => void;
}

export interface StressResult extends RunResult {
  readonly map: PlaneMap;
  readonly plane: PlaneInstance;
  readonly seed: number;
}

/** A map in a memory of its own, with `workers` threads at it until each has done its rounds. */
export async function stress<P extends Parameters>(options: StressOptions<P>): Promise<StressResult> {
  const { workers, seed = stressSeed() } = options;
  const memory = createMemory(workers + 1, 1n);
  options.prepare?.(memory);
  const plane = createPlane(memory, { hashSeed: 3n, ...(options.module && { module: options.module }) });
  const map = createMap(plane, options.map);
  options.before?.(map, plane);
  return withSeed(seed, async () => {
    const run = await runWorkers(plane, map.address, options.body, {
      ...options,
      seed,
      rounds: Math.ceil(options.rounds * stressFactor),
      records: Math.ceil((options.records ?? 0) * stressFactor),
      timeout: (options.timeout ?? 20_000) * Math.max(1, stressFactor),
    });
    return { ...run, map, plane, seed };
  });
}

/** Throws an error with the shortest window that the model does not explain, and the seed. */
export function expectLinearizable<State extends string | number>(
  model: Model<State>,
  { history, seed }: Pick<StressResult, 'history' | 'seed'>,
): void {
  try {
    checkLinearizable(model, history);
  } catch (error) {
    throw saying(seed, error);
  }
}

function saying(seed: number, error: unknown): unknown {
  if (error instanceof Error && !error.message.includes('STRESS_SEED')) error.message += `\nSTRESS_SEED=${seed}`;
  return error;
}

/** Errors of `work` say the seed. */
export async function withSeed<T>(seed: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw saying(seed, error);
  }
}
