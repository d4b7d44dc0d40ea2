/** A completion queue that user space reads: the consumer's side of plane/assembly/ring/queues.ts. */
import {
  QUEUE_BLOCK,
  QUEUE_BLOCK_ENTRIES,
  QUEUE_BLOCK_MASK,
  QUEUE_HEAD,
  QUEUE_TAIL,
  RING_QUEUES,
} from '../../plane/layout/ring.ts';
import { CQE_FLAGS, CQE_RES, CQE_SIZE } from '../../plane/layout/sqe.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { Completion } from './completion.ts';

/** Takes halves of user_data, result and flags. */
export type CompletionReader = (low: number, high: number, res: number, flags: number) => void;

export class RingQueue implements AsyncIterable<Completion> {
  /** Number that requests name it by (`queue`), and programs (cq_idx). */
  readonly index: number;
  readonly #runtime: Runtime;
  readonly #more: () => Promise<boolean>;
  /** Of the memory as it was when they were made, which is good for all that lay in it then. */
  #view: DataView;
  readonly #words: Int32Array;
  readonly #queue: number;

  /** `more` resolves when there may be completions, to false once there will be none. */
  constructor(runtime: Runtime, ring: number, index: number, more: () => Promise<boolean>) {
    this.#runtime = runtime;
    this.index = index;
    this.#more = more;
    this.#view = new DataView(runtime.plane.memory.buffer);
    this.#words = new Int32Array(this.#view.buffer);
    this.#queue = this.#view.getUint32(this.#view.getUint32(ring + RING_QUEUES, true) + index * 4, true);
  }

  get length(): number {
    const words = this.#words;
    const queue = this.#queue;
    return (Atomics.load(words, (queue + QUEUE_TAIL) / 4) - words[(queue + QUEUE_HEAD) / 4]!) >>> 0;
  }

  /** Gives what is there to `read`, at most `limit`; how many there were. What `read` throws leaves the rest where it is. */
  take(read: CompletionReader, limit = Number.POSITIVE_INFINITY): number {
    const queue = this.#queue;
    const words = this.#words;
    const tail = Atomics.load(words, (queue + QUEUE_TAIL) / 4);
    let head = words[(queue + QUEUE_HEAD) / 4]!;
    let taken = 0;
    while (head !== tail && taken < limit) {
      // A queue that grows leaves its old entries where they are.
      const block = words[(queue + QUEUE_BLOCK) / 4]! >>> 0;
      if (block >= this.#view.byteLength) this.#view = new DataView(this.#runtime.plane.memory.buffer);
      const view = this.#view;
      const entry = block + QUEUE_BLOCK_ENTRIES + (head & view.getUint32(block + QUEUE_BLOCK_MASK, true)) * CQE_SIZE;
      const low = view.getUint32(entry, true);
      const high = view.getUint32(entry + 4, true);
      const res = view.getInt32(entry + CQE_RES, true);
      const flags = view.getUint32(entry + CQE_FLAGS, true);
      head = (head + 1) | 0;
      Atomics.store(words, (queue + QUEUE_HEAD) / 4, head);
      taken++;
      read(low, high, res, flags);
    }
    return taken;
  }

  /** The oldest completion, undefined if there is none. */
  shift(): Completion | undefined {
    let completion: Completion | undefined;
    this.take((low, high, res, flags) => {
      completion = new Completion(low, high, res, flags);
    }, 1);
    return completion;
  }

  /** Completions as they come; ends when the ring is closed and all are taken. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Completion, void, void> {
    for (;;) {
      const completion = this.shift();
      if (completion !== undefined) yield completion;
      else if (!(await this.#more()) && this.length === 0) return;
    }
  }
}
