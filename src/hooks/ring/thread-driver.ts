/** A ring that another thread turns, as JavaScript's own thread drives it: it tells what is staged, and reads what has been posted. */
import { RING_IDLE, RING_POSTED, RING_SETTLED, RING_STAGE_TAIL, RING_STATS } from '../../plane/layout/ring.ts';
import type { RingThread } from '../../runtime/ring-backend.ts';
import type { RingDriver, RingDriverHost } from './driver.ts';
import { later } from './later.ts';
import { waitAsync } from './wait-async.ts';

export class ThreadDriver implements RingDriver {
  /** The plane is at work elsewhere. */
  readonly isTurning = false;
  readonly #thread: RingThread;
  readonly #host: RingDriverHost;
  readonly #words: Int32Array;
  readonly #at: number;
  #seen = 0;
  #listening = false;

  constructor(thread: RingThread, host: RingDriverHost) {
    this.#thread = thread;
    this.#host = host;
    this.#words = host.words;
    this.#at = host.address / 4;
  }

  get enters(): bigint {
    const at = this.#host.address + RING_STATS + 48;
    return new DataView(this.#words.buffer).getBigUint64(at, true);
  }

  get lastFault(): unknown {
    return this.#thread.lastFault;
  }

  createQueue(entries: number, how: number): number {
    return this.#thread.createQueue(entries, how);
  }

  drive(): void {
    this.#publish();
    this.#thread.wake();
    this.look();
  }

  makeRoom(): void {
    this.#publish();
    this.#thread.turn();
    this.look();
  }

  cancel(low: number, high: number): number {
    this.#publish();
    return this.#thread.cancel(low, high);
  }

  finish(): Promise<void> {
    return this.#thread.finish();
  }

  wait(count: number, timeoutNs?: number, minNs?: number): void {
    this.#publish();
    this.#thread.turn();
    const gatheredAt = performance.now() + (minNs ?? Number.POSITIVE_INFINITY) / 1e6;
    const until = timeoutNs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutNs / 1e6;
    for (;;) {
      const posted = this.#word(RING_POSTED);
      // In this order: nothing under way means that all has been posted.
      const isIdle = this.#isIdle();
      const now = performance.now();
      const isGathering = now < gatheredAt;
      if (isIdle || this.#host.ready() >= (isGathering ? count : Math.min(count, 1))) break;
      const left = until - now;
      if (left <= 0) break;
      // The thread might have died without a word.
      Atomics.wait(
        this.#words,
        this.#at + RING_POSTED / 4,
        posted,
        Math.min(left, isGathering ? gatheredAt - now : left, ALIVE_MS),
      );
      if (this.#word(RING_POSTED) === posted) this.#thread.turn();
    }
    this.look();
  }

  /** Takes what has been posted, and has the event loop come back for the rest. */
  look(): void {
    // Before the rest: what is told of nothing under way is told last.
    const isIdle = this.#isIdle();
    const posted = this.#word(RING_POSTED);
    const come = posted !== this.#seen;
    this.#seen = posted;
    this.#host.deliver(this.#word(RING_SETTLED), come);
    this.#thread.hold(!isIdle || this.#host.awaited);
    if (this.#listening || this.#host.ended) return;
    this.#listening = true;
    const again = () => {
      this.#listening = false;
      if (!this.#host.ended) this.look();
    };
    const waited = waitAsync(this.#words, this.#at + RING_POSTED / 4, posted);
    if (waited.async) void waited.value.then(again);
    else later(again);
  }

  #isIdle(): boolean {
    return this.#word(RING_IDLE) === this.#word(RING_STAGE_TAIL);
  }

  #publish(): void {
    Atomics.store(this.#words, this.#at + RING_STAGE_TAIL / 4, this.#host.tail() | 0);
  }

  #word(offset: number): number {
    return Atomics.load(this.#words, this.#at + offset / 4);
  }
}

const ALIVE_MS = 1000;
