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
  #blocks: Int32Array;
  /** Its bytes; a number, as typed arrays of shared memory are slow to tell. */
  #size: number;
  readonly #words: Int32Array;
  /** Address. */
  readonly address: number;
  readonly #queue: number;
  /** Another thread fills it. */
  readonly #shared: boolean;

  /** `shared`: another thread fills it. `more` resolves when there may be completions, to false once there will be none. */
  constructor(runtime: Runtime, ring: number, index: number, shared: boolean, more: () => Promise<boolean>) {
    this.#runtime = runtime;
    this.index = index;
    this.#shared = shared;
    this.#more = more;
    this.#words = new Int32Array(runtime.plane.memory.buffer);
    this.#blocks = this.#words;
    this.#size = this.#words.byteLength;
    const view = new DataView(this.#words.buffer);
    this.address = view.getUint32(view.getUint32(ring + RING_QUEUES, true) + index * 4, true);
    this.#queue = this.address;
  }

  get length(): number {
    const words = this.#words;
    const queue = this.#queue;
    // Not atomic: whoever takes orders what it reads.
    return (words[(queue + QUEUE_TAIL) / 4]! - words[(queue + QUEUE_HEAD) / 4]!) >>> 0;
  }

  /** How many of the completions stand before this position of the tail. */
  before(tail: number): number {
    return (tail - this.#words[(this.#queue + QUEUE_HEAD) / 4]!) >>> 0;
  }

  /** Gives what is there to `read`, at most `limit`; how many there were. What `read` throws leaves the rest where it is. */
  take(read: CompletionReader, limit = Number.POSITIVE_INFINITY): number {
    const words = this.#words;
    const headWord = (this.#queue + QUEUE_HEAD) / 4;
    const tailWord = (this.#queue + QUEUE_TAIL) / 4;
    const start = words[headWord]!;
    if (words[tailWord] === start) return 0;
    // Atomic operations are calls, which on one thread nothing is gained by.
    const tail = this.#shared ? Atomics.load(words, tailWord) : words[tailWord]!;
    let head = start;
    try {
      for (let left = limit; head !== tail && left > 0; left--) {
        // A queue that grows leaves its old entries where they are.
        const block = words[(this.#queue + QUEUE_BLOCK) / 4]! >>> 0;
        const blocks = block < this.#size ? this.#blocks : this.#grown();
        const entry =
          (block + QUEUE_BLOCK_ENTRIES) / 4 + (head & blocks[(block + QUEUE_BLOCK_MASK) / 4]!) * (CQE_SIZE / 4);
        head = (head + 1) | 0;
        read(
          blocks[entry]! >>> 0,
          blocks[entry + 1]! >>> 0,
          blocks[entry + CQE_RES / 4]!,
          blocks[entry + CQE_FLAGS / 4]! >>> 0,
        );
      }
    } finally {
      if (this.#shared) Atomics.store(words, headWord, head);
      else words[headWord] = head;
    }
    return (head - start) >>> 0;
  }

  #grown(): Int32Array {
    this.#blocks = new Int32Array(this.#runtime.plane.memory.buffer);
    this.#size = this.#blocks.byteLength;
    return this.#blocks;
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
