/** Timers and work hold the programs that their callbacks belong to, as in the kernel (bpf_timer_set_callback): which they are the plane knows, and says when one lets go. */
import { ROOT, ROOT_CALLBACKS_DROPPED, ROOT_CALLBACKS_WATCHED } from '../plane/layout/memory.ts';
import type { PlaneInstance } from './plane.ts';
import { waitForChange } from './waiting.ts';

/** Callbacks in a row, as TIMER_CALLBACK has them (plane/layout/timer.ts). */
export interface CallbackRange {
  readonly first: bigint;
  readonly count: number;
}

/** How long a notification is waited for before the timers are looked at all the same. */
const LOOK_MS = 1000;

export class CallbackHolds {
  readonly #plane: PlaneInstance;
  readonly #waiting = new Map<readonly CallbackRange[], () => void>();

  constructor(plane: PlaneInstance) {
    this.#plane = plane;
  }

  /** Calls `then` once no timer has one of the callbacks: now, or in a turn of its own after the last has let go. Does not keep the process alive. */
  whenFree(callbacks: readonly CallbackRange[], then: () => void): void {
    if (!this.isHeld(callbacks)) {
      then();
      return;
    }
    this.#waiting.set(callbacks, then);
    if (this.#waiting.size === 1) void this.#watch();
  }

  isHeld(callbacks: readonly CallbackRange[]): boolean {
    return callbacks.some(({ first, count }) => this.#plane.exports.timers_holding(first, count) !== 0);
  }

  async #watch(): Promise<void> {
    const words = new Int32Array(this.#plane.memory.buffer);
    const dropped = (ROOT + ROOT_CALLBACKS_DROPPED) / 4;
    const watched = (ROOT + ROOT_CALLBACKS_WATCHED) / 4;
    Atomics.store(words, watched, 1);
    while (this.#waiting.size > 0) {
      const seen = Atomics.load(words, dropped);
      for (const [callbacks, then] of [...this.#waiting]) {
        if (this.isHeld(callbacks)) continue;
        this.#waiting.delete(callbacks);
        then();
      }
      if (this.#waiting.size > 0) await waitForChange(words, dropped, seen, LOOK_MS, { background: true });
    }
    Atomics.store(words, watched, 0);
  }
}
