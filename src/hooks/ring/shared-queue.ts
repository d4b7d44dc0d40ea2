/** A completion queue that several rings post to: results of all of them in the order in which they came (plane/assembly/ring/shared-queue.ts). */
import { InputError, InternalError } from '../../errors.ts';
import {
  SHARED_ENTRIES,
  SHARED_ENTRY_CQE,
  SHARED_ENTRY_RING,
  SHARED_ENTRY_SEQUENCE,
  SHARED_ENTRY_SIZE,
  SHARED_HEAD,
  SHARED_POSTED,
  SHARED_STARVED,
  SHARED_TAIL,
} from '../../plane/layout/ring.ts';
import { CQE_FLAGS, CQE_RES } from '../../plane/layout/sqe.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { Completion } from './completion.ts';
import type { RingCore } from './core.ts';
import { ringPlane } from './plane.ts';
import { waitAsync } from './wait-async.ts';

/** Takes the number of the ring, halves of user_data, result and flags. */
export type SharedReader = (ring: number, low: number, high: number, res: number, flags: number) => void;

export interface SharedCompletion<Of extends RingCore = RingCore> {
  readonly ring: Of;
  readonly completion: Completion;
}

const MOST_ENTRIES = 2 ** 20;

/**
 * Completions of one ring keep their order; those of several are in the order in which the rings' turns ended. What finds no room waits in its ring: none is lost.
 * Belongs to the thread of the runtime. While it is waited for, requests under way keep the process alive, and nothing else does.
 */
export class SharedQueue<Of extends RingCore = RingCore> implements AsyncIterable<SharedCompletion<Of>> {
  readonly #runtime: Runtime;
  readonly #queue: number;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #rings = new Map<number, Of>();
  #closed = false;

  /** `entries`: a power of two. Throws InputError `SLUICE_RING_QUEUE`. */
  constructor(runtime: Runtime, entries = 4096) {
    if (!(Number.isInteger(entries) && entries >= 2 && entries <= MOST_ENTRIES && (entries & (entries - 1)) === 0))
      throw new InputError(
        'SLUICE_RING_QUEUE',
        `a shared queue of ${entries} completions: a power of two from 2 to 2^20`,
      );
    this.#runtime = runtime;
    this.#mask = entries - 1;
    this.#queue = ringPlane(runtime).ring_shared_create(entries) >>> 0;
    if (this.#queue === 0) throw new InternalError('the linear memory has no room for a shared queue');
    this.#words = new Int32Array(runtime.plane.memory.buffer);
  }

  /** Number of a queue of the ring (`queue` of requests, cq_idx) whose completions come here. The ring must be closed before this queue. */
  connect(ring: Of): number {
    if (ring.runtime !== this.#runtime)
      throw new InputError('SLUICE_RING_RUNTIME', 'the ring belongs to another runtime than the queue');
    const number = ring.forward(this.#queue);
    this.#rings.set(ring.number, ring);
    return number;
  }

  /** Completions that are here; more may wait in their rings while it is full. */
  get length(): number {
    return (this.#word(SHARED_TAIL) - this.#word(SHARED_HEAD)) >>> 0;
  }

  /** Gives what is there to `read`, at most `limit`; how many there were. */
  take(read: SharedReader, limit = Number.POSITIVE_INFINITY): number {
    const words = this.#words;
    const start = this.#word(SHARED_HEAD);
    let head = start;
    try {
      for (let left = limit; left > 0; left--) {
        const entry = (this.#queue + SHARED_ENTRIES + (head & this.#mask) * SHARED_ENTRY_SIZE) / 4;
        if (Atomics.load(words, entry + SHARED_ENTRY_SEQUENCE / 4) !== ((head + 1) | 0)) break;
        const cqe = entry + SHARED_ENTRY_CQE / 4;
        const ring = words[entry + SHARED_ENTRY_RING / 4]!;
        const low = words[cqe]! >>> 0;
        const high = words[cqe + 1]! >>> 0;
        const res = words[cqe + CQE_RES / 4]!;
        const flags = words[cqe + CQE_FLAGS / 4]! >>> 0;
        Atomics.store(words, entry + SHARED_ENTRY_SEQUENCE / 4, (head + this.#mask + 1) | 0);
        head = (head + 1) | 0;
        read(ring, low, high, res, flags);
      }
    } finally {
      Atomics.store(words, (this.#queue + SHARED_HEAD) / 4, head);
    }
    // Rings that found no room may have gone to sleep.
    if (head !== start && Atomics.exchange(words, (this.#queue + SHARED_STARVED) / 4, 0) !== 0)
      for (const ring of this.#rings.values()) if (!ring.closed && ring.failure === undefined) ring.submit();
    return (head - start) >>> 0;
  }

  /** The oldest completion, undefined if there is none. */
  shift(): SharedCompletion<Of> | undefined {
    let shifted: SharedCompletion<Of> | undefined;
    this.take((number, low, high, res, flags) => {
      shifted = { ring: this.#rings.get(number)!, completion: new Completion(low, high, res, flags) };
    }, 1);
    return shifted;
  }

  /** Resolves when `count` completions are here, of whichever rings, or after `ms`, or when it is closed; how many there are. */
  async wait(count: number, ms = Number.POSITIVE_INFINITY): Promise<number> {
    if (count > this.#mask + 1)
      throw new InputError('SLUICE_RING_QUEUE', `a queue of ${this.#mask + 1} never holds ${count} completions`);
    const until = performance.now() + ms;
    for (;;) {
      if (this.#closed) return 0;
      const posted = this.#word(SHARED_POSTED);
      const { length } = this;
      const left = until - performance.now();
      if (left <= 0 || (length >= count && this.#isFilled(count))) return length;
      const waited = waitAsync(this.#words, (this.#queue + SHARED_POSTED) / 4, posted, left);
      if (waited.async) await waited.value;
    }
  }

  /** Blocks this thread until `count` completions are here, or `ms` have passed; how many there are. For rings with threads of their own: others need this one. */
  waitSync(count: number, ms = Number.POSITIVE_INFINITY): number {
    const until = performance.now() + ms;
    // What is staged would go when this thread's present work is over.
    for (const ring of this.#rings.values()) if (!ring.closed && ring.failure === undefined) ring.submit();
    for (;;) {
      if (this.#closed) return 0;
      const posted = this.#word(SHARED_POSTED);
      const { length } = this;
      const left = until - performance.now();
      if (left <= 0 || (length >= count && this.#isFilled(count))) return length;
      Atomics.wait(this.#words, (this.#queue + SHARED_POSTED) / 4, posted, left);
    }
  }

  /** Completions as they come; ends when the queue is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<SharedCompletion<Of>, void, void> {
    while (!this.#closed) {
      const shifted = this.shift();
      if (shifted !== undefined) yield shifted;
      else await this.wait(1);
    }
  }

  /** The rings are closed. What is in it is gone; who waits is woken. */
  close(): void {
    if (this.#closed) return;
    for (const ring of this.#rings.values())
      if (!ring.closed)
        throw new InputError('SLUICE_RING_QUEUE', `ring ${ring.number} posts to the queue: close it first`);
    this.#closed = true;
    Atomics.add(this.#words, (this.#queue + SHARED_POSTED) / 4, 1);
    Atomics.notify(this.#words, (this.#queue + SHARED_POSTED) / 4);
    ringPlane(this.#runtime).ring_shared_free(this.#queue);
  }

  /** A place that is taken may be about to be filled. */
  #isFilled(count: number): boolean {
    const head = this.#word(SHARED_HEAD);
    for (let i = 0; i < count; i++) {
      const entry = (this.#queue + SHARED_ENTRIES + ((head + i) & this.#mask) * SHARED_ENTRY_SIZE) / 4;
      if (Atomics.load(this.#words, entry + SHARED_ENTRY_SEQUENCE / 4) !== ((head + i + 1) | 0)) return false;
    }
    return true;
  }

  #word(offset: number): number {
    return Atomics.load(this.#words, (this.#queue + offset) / 4);
  }
}
