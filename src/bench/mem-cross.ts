/** Objects that one CPU makes and another gives back: two threads over one memory, in turns, so that only work counts. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { InputError } from '../errors.ts';
import { load, Runtime } from '../index.ts';
import type { LinuxObject } from '../linux/load.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { WASM_PAGE } from '../plane/layout/memory.ts';
import { readStats } from '../runtime/allocators/stats.ts';
import { planeModule } from '../runtime/plane.ts';
import { CROSS, memPacket, ROUNDS } from './mem-cases.ts';
import { CROSS_STOP, type CrossData, type KernelCrossData } from './mem-turns.ts';
import { wall } from './timing.ts';

/** Turns of ours: ten million objects. */
const TURNS = 2442;
const KERNEL_ROUNDS = 20;
const SIZE = 64;

export interface CrossResult {
  /** ns an object, made and given back. */
  readonly ns: number;
  /** Most memory of slabs after a turn, for each byte of the objects of a turn. */
  readonly peak: number;
}

export async function crossHere(spec: ObjectSpec): Promise<CrossResult> {
  const runtime = new Runtime({ cpus: 2, seed: 1n });
  const object = await load(spec, { runtime });
  const modules = [...runtime.modules];
  const turns = new SharedArrayBuffer(24);
  const data: CrossData = {
    kind: 'ours',
    memory: runtime.plane.memory,
    plane: planeModule(),
    programs: modules[0]!.module,
    base: modules[0]!.base,
    size: modules[0]!.size,
    scratch: runtime.allocatePages(WASM_PAGE),
    turns,
    runs: CROSS / ROUNDS,
  };
  const worker = new Worker(threadModule(), { workerData: data });
  const turn = new Int32Array(turns, 0, 1);
  const [took, failures] = [new Float64Array(turns, 8, 1), new Float64Array(turns, 16, 1)];
  const allocator = runtime.plane.exports.allocator_global() >>> 0;
  let best = Number.POSITIVE_INFINITY;
  let peak = 0;
  try {
    await once(worker, 'online');
    for (let i = 0; i < TURNS; i++) {
      const mine = wall(() =>
        object.programs['cross_alloc']!.run({ data: memPacket(ROUNDS, 0), repeat: CROSS / ROUNDS }),
      );
      peak = Math.max(peak, readStats(runtime.plane, allocator).slabBytes);
      Atomics.store(turn, 0, 2 * i + 1);
      Atomics.notify(turn, 0);
      if (Atomics.wait(turn, 0, 2 * i + 1, 10_000) === 'timed-out')
        throw new InputError('SLUICE_BENCH_RESULT', 'the thread that gives objects back does not answer');
      best = Math.min(best, mine + took[0]!);
    }
    if (failures[0] !== 0) throw new InputError('SLUICE_BENCH_RESULT', `cross_free gives ${failures[0]} failures`);
    return { ns: best / CROSS, peak: peak / (CROSS * SIZE) };
  } finally {
    Atomics.store(turn, 0, CROSS_STOP);
    Atomics.notify(turn, 0);
    await once(worker, 'exit');
    object.close();
  }
}

/** ns an object, in the kernel. */
export async function crossInKernel({ programs }: LinuxObject): Promise<number> {
  const data: KernelCrossData = {
    kind: 'kernel',
    alloc: programs['cross_alloc']!.fd,
    free: programs['cross_free']!.fd,
    rounds: KERNEL_ROUNDS,
  };
  const worker = new Worker(threadModule(), { workerData: data });
  const [best] = (await once(worker, 'message')) as [number]; // what the thread posts
  await worker.terminate();
  return best / CROSS;
}

/** Threads run what is built. */
function threadModule(): URL {
  const built = import.meta.url.endsWith('.ts') ? '../../dist/bench/mem-thread.js' : './mem-thread.js';
  return new URL(built, import.meta.url);
}
