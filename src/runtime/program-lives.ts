/**
 * How long programs stay: while their object is open, or something holds one of them (an element of a map, an attachment, a ring, a timer). What holds a program names it by an
 * index in the function table, timers by their callbacks; the programs of an object that share a module stay together. As in the kernel, where each of these has a reference to
 * the program.
 */
import type { CallbackHolds, CallbackRange } from './callback-holds.ts';

interface Life {
  readonly base: number;
  readonly size: number;
  readonly callbacks: readonly CallbackRange[];
  references: number;
  readonly end: () => void;
}

export class ProgramLives {
  readonly #lives = new Set<Life>();
  readonly #timers: CallbackHolds;

  constructor(timers: CallbackHolds) {
    this.#timers = timers;
  }

  /**
   * Programs at [base, base + size) of the table, which `end` takes out once nobody holds them any more. Returns what drops the object's own reference, to be called when it is
   * closed.
   */
  add(base: number, size: number, callbacks: readonly CallbackRange[], end: () => void): () => void {
    const life: Life = { base, size, callbacks, references: 1, end };
    this.#lives.add(life);
    let isOpen = true;
    return () => {
      if (isOpen) this.#drop(life);
      isOpen = false;
    };
  }

  /** One more holder of the program at `entry`, until `release`. False: there is none that others could hold. */
  hold(entry: number): boolean {
    const life = this.#of(entry);
    if (life === undefined) return false;
    life.references++;
    return true;
  }

  release(entry: number): void {
    const life = this.#of(entry);
    if (life !== undefined) this.#drop(life);
  }

  #drop(life: Life): void {
    if (--life.references !== 0) return;
    this.#timers.whenFree(life.callbacks, () => {
      // Somebody may hold it again meanwhile, and have let go since.
      if (life.references === 0 && this.#lives.delete(life)) life.end();
    });
  }

  #of(entry: number): Life | undefined {
    for (const life of this.#lives) if (entry >= life.base && entry < life.base + life.size) return life;
    return undefined;
  }
}
