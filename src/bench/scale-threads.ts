/** Our side of `bench scale`: threads that are CPUs of one runtime, as many of them at work as a measurement asks for. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { InternalError } from '../errors.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import { planeModule } from '../runtime/plane.ts';
import type { Runtime } from '../runtime/runtime.ts';
import {
  BOARD_ACTIVE,
  BOARD_BYTES,
  BOARD_COUNT,
  BOARD_DONE,
  BOARD_END,
  BOARD_ENTRY,
  BOARD_FRAMES,
  BOARD_READY,
  boardOf,
  type ScaleThreadData,
} from './scale-board.ts';

/** What was done by all threads in a window. */
export interface ScaleWindow {
  /** Runs of the program, or records that the reader took. */
  readonly done: number;
  readonly ns: number;
  /** CPU time of the whole process: who measures sleeps meanwhile. */
  readonly cpuNs: number;
}

/** A side of a measurement: threads at the same work. */
export interface ScaleSide {
  /** `threads` of them, for `settleMs` without being counted, then for the window. */
  window(threads: number, settleMs: number, windowMs: number): Promise<ScaleWindow>;
  close(): Promise<void>;
}

export interface ScaleThreadsOptions {
  readonly runtime: Runtime;
  /** Function-table index of the program. */
  readonly entry: number;
  /** Most threads of a measurement. */
  readonly threads: number;
  /** Packets of each of so many threads. */
  packets(threads: number): readonly (readonly Uint8Array[])[];
  /** Address of a ring buffer that one more thread reads. */
  readonly ring?: number;
}

export class ScaleThreads implements ScaleSide {
  readonly #words: Int32Array;
  readonly #threads: Worker[] = [];
  readonly #exits: Promise<unknown>[] = [];
  readonly #pools: FramePool[] = [];
  /** Frames for a number of threads: of each thread, the first and how many. */
  readonly #frames = new Map<number, readonly FramePool[]>();
  readonly #options: ScaleThreadsOptions;
  #failure: unknown;

  static async start(options: ScaleThreadsOptions): Promise<ScaleThreads> {
    const side = new ScaleThreads(options);
    while (side.#indices().some((index) => Atomics.load(side.#words, boardOf(index) + BOARD_READY) === 0)) {
      if (side.#failure !== undefined) throw side.#failure;
      await sleep(5);
    }
    return side;
  }

  private constructor(options: ScaleThreadsOptions) {
    const { runtime, threads, ring } = options;
    this.#options = options;
    const board = new SharedArrayBuffer(BOARD_BYTES);
    this.#words = new Int32Array(board);
    const modules = [...runtime.modules];
    for (const index of this.#indices()) {
      const data: ScaleThreadData = {
        memory: runtime.plane.memory,
        plane: planeModule(),
        modules,
        cpu: runtime.takeCpu(),
        index,
        board,
        ring: index === threads ? ring : undefined,
      };
      const thread = new Worker(threadModule(), { workerData: data, execArgv: [] });
      thread.on('error', (error) => {
        this.#failure ??= error;
      });
      this.#exits.push(once(thread, 'exit').finally(() => runtime.giveCpu(data.cpu)));
      this.#threads.push(thread);
    }
  }

  /** Of all threads; the reader of a ring is the last. */
  #indices(): number[] {
    const { threads, ring } = this.#options;
    return Array.from({ length: threads + (ring === undefined ? 0 : 1) }, (_, index) => index);
  }

  #framesFor(threads: number): readonly FramePool[] {
    const there = this.#frames.get(threads);
    if (there !== undefined) return there;
    const pools = this.#options.packets(threads).map((packets) => {
      const pool = new FramePool(this.#options.runtime, packets.length);
      packets.forEach((packet, i) => void pool.fill(i, packet));
      this.#pools.push(pool);
      return pool;
    });
    this.#frames.set(threads, pools);
    return pools;
  }

  async window(threads: number, settleMs: number, windowMs: number): Promise<ScaleWindow> {
    for (const [index, pool] of this.#framesFor(threads).entries()) {
      const own = boardOf(index);
      this.#words[own + BOARD_ENTRY] = this.#options.entry;
      this.#words[own + BOARD_FRAMES] = pool.address;
      this.#words[own + BOARD_COUNT] = pool.count;
    }
    this.#tell(threads);
    try {
      await sleep(settleMs);
      const from = this.#read(threads);
      await sleep(windowMs);
      const to = this.#read(threads);
      if (this.#failure !== undefined) throw this.#failure;
      return { done: (to.done - from.done) >>> 0, ns: to.ns - from.ns, cpuNs: to.cpuNs - from.cpuNs };
    } finally {
      this.#tell(0);
    }
  }

  #read(threads: number): ScaleWindow {
    const { user, system } = process.cpuUsage();
    const { ring, threads: last } = this.#options;
    const counting = ring === undefined ? Array.from({ length: threads }, (_, index) => index) : [last];
    const done = counting.map((index) => Atomics.load(this.#words, boardOf(index) + BOARD_DONE));
    return {
      ns: Number(process.hrtime.bigint()),
      done: done.reduce((sum, each) => (sum + each) >>> 0, 0),
      cpuNs: (user + system) * 1000,
    };
  }

  #tell(active: number): void {
    Atomics.store(this.#words, BOARD_ACTIVE, active);
    Atomics.notify(this.#words, BOARD_ACTIVE);
  }

  async close(): Promise<void> {
    this.#tell(BOARD_END);
    await Promise.all(this.#exits);
    for (const pool of this.#pools) pool.free();
    if (this.#failure !== undefined)
      throw new InternalError('a thread of the measurement failed', { cause: this.#failure });
  }
}

/** Threads run what is built. */
function threadModule(): URL {
  const built = import.meta.url.endsWith('.ts') ? '../../dist/bench/scale-thread.js' : './scale-thread.js';
  return new URL(built, import.meta.url);
}
