/** Our side of `bench scale`: CPUs of one runtime, as many of them at work as a measurement asks for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cpus } from '../cpus.ts';
import { InternalError } from '../errors.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import {
  CPU_RUN,
  INBOX_HEAD,
  INBOX_ROOM,
  INBOX_TAIL,
  RUN_BYTES,
  RUN_CONTEXT,
  RUN_ENTRY,
  RUN_FUEL,
  RUN_REPEAT,
} from '../plane/layout/cpu.ts';
import { RINGBUF_WAITERS, RINGBUF_WAKES } from '../plane/layout/map-ringbuf.ts';
import type { PlaneMap } from '../runtime/maps/plane-map.ts';
import { PlaneRingbuf } from '../runtime/maps/ringbuf.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** What was done by all threads in a window. */
export interface ScaleWindow {
  /** Runs of the program, or records that the reader took. */
  readonly done: number;
  readonly ns: number;
  /** CPU time of the whole process: who measures sleeps meanwhile, or reads a ring buffer. */
  readonly cpuNs: number;
}

/** A side of a measurement: threads at the same work. */
export interface ScaleSide {
  /** `threads` of them, for `settleMs` without being counted, then for the window. */
  window(threads: number, settleMs: number, windowMs: number): Promise<ScaleWindow>;
  close(): Promise<void>;
}

export interface ScaleCpusOptions {
  readonly runtime: Runtime;
  /** Function-table index of the program. */
  readonly entry: number;
  /** Most threads of a measurement. */
  readonly threads: number;
  /** Packets of each of so many threads. */
  packets(threads: number): readonly (readonly Uint8Array[])[];
  /** A ring buffer that the measuring thread reads, record by record where they lie. */
  readonly ring?: PlaneMap;
}

/** Frames of a CPU, and a run block for each. */
interface Work {
  readonly pool: FramePool;
  readonly blocks: number;
}

const FUEL = 0xffff_ffff;
/** Longest sleep of a reader whose ring is empty, and of who waits for inboxes to be empty. */
const WAIT_MS = 1;

export class ScaleCpus implements ScaleSide {
  readonly #options: ScaleCpusOptions;
  readonly #cpus: Cpus;
  /** The memory as it is when a window begins. */
  #words: Int32Array = new Int32Array();
  readonly #work = new Map<number, readonly Work[]>();
  /** Runs of an item: what is in the inboxes lasts for longer than a window. */
  #repeat = 1;
  readonly #faults: readonly Error[];

  static async start(options: ScaleCpusOptions): Promise<ScaleCpus> {
    const faults: Error[] = [];
    const cpus = await Cpus.start(options.runtime, { onFault: (fault) => void faults.push(fault) });
    return new ScaleCpus(options, cpus, faults);
  }

  private constructor(options: ScaleCpusOptions, cpus: Cpus, faults: readonly Error[]) {
    this.#options = options;
    this.#cpus = cpus;
    this.#faults = faults;
  }

  #workFor(threads: number): readonly Work[] {
    const there = this.#work.get(threads);
    if (there !== undefined) return there;
    const { runtime, entry, packets } = this.#options;
    const made = packets(threads).map((each) => {
      const pool = new FramePool(runtime, each.length);
      const blocks = runtime.allocatePages(each.length * RUN_BYTES);
      const view = runtime.view();
      each.forEach((packet, i) => {
        pool.fill(i, packet);
        view.setUint32(blocks + i * RUN_BYTES + RUN_ENTRY, entry, true);
        view.setUint32(blocks + i * RUN_BYTES + RUN_FUEL, FUEL, true);
        view.setBigUint64(blocks + i * RUN_BYTES + RUN_CONTEXT, BigInt(pool.descriptor(i)), true);
      });
      return { pool, blocks };
    });
    this.#work.set(threads, made);
    return made;
  }

  async window(threads: number, settleMs: number, windowMs: number): Promise<ScaleWindow> {
    const work = this.#workFor(threads);
    this.#words = new Int32Array(this.#options.runtime.plane.memory.buffer);
    const cpus = this.#cpus.list.slice(0, threads);
    this.#repeats(work, this.#repeat);
    cpus.forEach((cpu, n) => {
      const { pool, blocks } = work[n]!;
      for (let i = 0; i < INBOX_ROOM; i++) this.#cpus.send(cpu, CPU_RUN, blocks + (i % pool.count) * RUN_BYTES);
    });
    await this.#pass(settleMs);
    const from = this.#read(cpus);
    const records = await this.#pass(windowMs);
    const to = this.#read(cpus);
    const ended = cpus.some((cpu) => this.#taken(cpu) === this.#sent(cpu));
    this.#repeats(work, 0);
    while (cpus.some((cpu) => this.#taken(cpu) !== this.#sent(cpu))) {
      await this.#pass(WAIT_MS);
    }
    const [fault] = this.#faults;
    if (fault !== undefined) throw new InternalError('a program of the measurement was stopped', { cause: fault });
    if (ended) {
      // Their work did not last.
      this.#repeat *= 4;
      return await this.window(threads, settleMs, windowMs);
    }
    const done = this.#options.ring === undefined ? ((to.done - from.done) >>> 0) * this.#repeat : records;
    return { done, ns: to.ns - from.ns, cpuNs: to.cpuNs - from.cpuNs };
  }

  #repeats(work: readonly Work[], repeat: number): void {
    for (const { pool, blocks } of work)
      for (let i = 0; i < pool.count; i++)
        Atomics.store(this.#words, (blocks + i * RUN_BYTES + RUN_REPEAT) / 4, repeat);
  }

  #taken(cpu: number): number {
    return Atomics.load(this.#words, (this.#options.runtime.inboxOf(cpu) + INBOX_HEAD) / 4);
  }

  #sent(cpu: number): number {
    return Atomics.load(this.#words, (this.#options.runtime.inboxOf(cpu) + INBOX_TAIL) / 4);
  }

  #read(cpus: readonly number[]): ScaleWindow {
    const { user, system } = process.cpuUsage();
    return {
      ns: Number(process.hrtime.bigint()),
      done: cpus.reduce((sum, cpu) => (sum + this.#taken(cpu)) >>> 0, 0),
      cpuNs: (user + system) * 1000,
    };
  }

  /** Sleeps, or reads the ring buffer as long; how many records. */
  async #pass(ms: number): Promise<number> {
    const { ring } = this.#options;
    if (ring !== undefined) return this.#consume(new PlaneRingbuf(ring), ring.address, ms);
    await sleep(ms);
    return 0;
  }

  #consume(ring: PlaneRingbuf, address: number, ms: number): number {
    const [wakes, waiters] = [(address + RINGBUF_WAKES) / 4, (address + RINGBUF_WAITERS) / 4];
    const end = performance.now() + ms;
    let read = 0;
    let sum = 0;
    const look = (memory: DataView, at: number) => {
      sum = (sum + memory.getUint32(at, true)) >>> 0;
    };
    while (performance.now() < end) {
      const seen = Atomics.load(this.#words, wakes);
      const records = ring.scan(look);
      read += records;
      if (records !== 0) continue;
      Atomics.add(this.#words, waiters, 1);
      Atomics.wait(this.#words, wakes, seen, WAIT_MS);
      Atomics.sub(this.#words, waiters, 1);
    }
    return read;
  }

  async close(): Promise<void> {
    await this.#cpus.close();
    const { runtime } = this.#options;
    for (const work of this.#work.values())
      for (const { pool, blocks } of work) {
        runtime.freePages(blocks, pool.count * RUN_BYTES);
        pool.free();
      }
  }
}
