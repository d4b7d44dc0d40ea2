/** Rings of the kernel that lie elsewhere, and their likeness in the linear memory: what the two sides write is copied at each enter. */
import { CQE_SIZE, SQE_SIZE } from '../plane/layout/sqe.ts';
import { KernelRings } from './io-uring-mapping.ts';
import type { RingSetup } from './io-uring-setup.ts';

export class CopiedRings {
  readonly rings: KernelRings;
  readonly #setup: RingSetup;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #sqes: number;

  constructor(setup: RingSetup, words: Int32Array, view: DataView, at: number, sqes: number) {
    this.rings = new KernelRings(setup);
    this.#setup = setup;
    this.#words = words;
    this.#bytes = new Uint8Array(view.buffer);
    this.#at = at;
    this.#sqes = sqes;
  }

  /** New requests go to the kernel, and how far completions have been read. */
  give(): void {
    const { sqTail, cqHead, sqEntries } = this.#setup;
    const kernel = this.rings.words;
    const tail = this.#word(sqTail);
    for (let i = kernel[sqTail / 4]!; i !== tail; i = (i + 1) | 0) {
      const entry = (i & (sqEntries - 1)) * SQE_SIZE;
      this.rings.sqes.set(this.#bytes.subarray(this.#sqes + entry, this.#sqes + entry + SQE_SIZE), entry);
    }
    Atomics.store(kernel, sqTail / 4, tail);
    Atomics.store(kernel, cqHead / 4, this.#word(cqHead));
  }

  /** New completions come from the kernel, and how far requests have been taken. */
  take(): void {
    const { sqHead, sqFlags, cqTail, cqes, cqEntries } = this.#setup;
    const kernel = this.rings.words;
    const tail = Atomics.load(kernel, cqTail / 4);
    for (let i = this.#word(cqTail); i !== tail; i = (i + 1) | 0) {
      const entry = cqes + (i & (cqEntries - 1)) * CQE_SIZE;
      this.#bytes.set(this.rings.bytes.subarray(entry, entry + CQE_SIZE), this.#at + entry);
    }
    for (const at of [sqHead, sqFlags]) this.#words[(this.#at + at) / 4] = Atomics.load(kernel, at / 4);
    Atomics.store(this.#words, (this.#at + cqTail) / 4, tail);
  }

  setCqFlags(value: number): void {
    Atomics.store(this.rings.words, this.#setup.cqFlags / 4, value);
  }

  #word(at: number): number {
    return Atomics.load(this.#words, (this.#at + at) / 4);
  }
}
