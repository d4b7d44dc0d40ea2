/** Requests that promises and streams of JavaScript wait for: user_data is a place in this table, and the queue is their own. */
import { CQE_F_MORE } from '../../plane/layout/sqe.ts';
import { Completion } from './completion.ts';
import { RequestError } from './request-error.ts';

/** Upper half of user_data: tells them from requests of the user when one is to be found by it. */
export const PENDING_HIGH = 0x534c_5543;

export interface Pending {
  /** Every completion, the last one without CQE_F_MORE. */
  complete(res: number, flags: number): void;
  /** Nobody will learn how it ends. What `complete` does for memory is still done if it comes. */
  fail(error: unknown): void;
}

export class PendingTable {
  readonly #waiting: (Pending | undefined)[] = [];
  readonly #free: number[] = [];
  /** Requests that have not ended. */
  live = 0;

  add(pending: Pending): number {
    const index = this.#free.pop() ?? this.#waiting.length;
    this.#waiting[index] = pending;
    this.live++;
    return index;
  }

  complete(index: number, res: number, flags: number): void {
    const pending = this.#waiting[index];
    if (pending === undefined) return;
    if ((flags & CQE_F_MORE) === 0) {
      this.#waiting[index] = undefined;
      this.#free.push(index);
      this.live--;
    }
    pending.complete(res, flags);
  }

  failAll(error: unknown): void {
    for (const pending of this.#waiting) pending?.fail(error);
  }

  /** Ends what nothing will complete any more. */
  endAll(res: number): void {
    for (let i = 0; i < this.#waiting.length; i++) this.complete(i, res, 0);
  }
}

/** One completion, as a promise: the result, or RequestError. A zero-copy send resolves once its buffer is free again, with the result of the send. */
export class PendingResult implements Pending {
  readonly promise: Promise<number>;
  #resolve!: (res: number) => void;
  #reject!: (error: unknown) => void;
  #first: number | undefined;
  readonly #operation: string;
  readonly #signal: AbortSignal | undefined;
  readonly #done: (() => void) | undefined;
  readonly holds: unknown;

  constructor(operation: string, signal: AbortSignal | undefined, done: (() => void) | undefined, holds?: unknown) {
    this.holds = holds;
    this.#operation = operation;
    this.#signal = signal;
    this.#done = done;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  complete(res: number, flags: number): void {
    if ((flags & CQE_F_MORE) !== 0) {
      this.#first ??= res;
      return;
    }
    this.#done?.();
    const result = this.#first ?? res;
    if (result >= 0) this.#resolve(result);
    // What was done before the cancellation won is a result, not an abort.
    else if (this.#signal?.aborted === true && result === ECANCELED) this.#reject(abortReason(this.#signal));
    else this.#reject(new RequestError(this.#operation, result));
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

/** Completions of a multishot request, as they come. Ends with the request; its error is thrown after the last completion. */
export class PendingStream implements Pending, AsyncIterableIterator<Completion> {
  readonly #operation: string;
  readonly #signal: AbortSignal | undefined;
  readonly #stop: () => void;
  readonly #arrived: Completion[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  #error: unknown;

  /** `stop` cancels the request: whoever leaves the loop ends it. */
  constructor(operation: string, signal: AbortSignal | undefined, stop: () => void) {
    this.#operation = operation;
    this.#signal = signal;
    this.#stop = stop;
  }

  complete(res: number, flags: number): void {
    const more = (flags & CQE_F_MORE) !== 0;
    if (res >= 0) this.#arrived.push(new Completion(0, 0, res, flags));
    else if (res !== ECANCELED) this.#error = new RequestError(this.#operation, res);
    else if (this.#signal?.aborted === true) this.#error = abortReason(this.#signal);
    if (!more) this.#ended = true;
    this.#wake?.();
    this.#wake = undefined;
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#error = error;
    this.#ended = true;
    this.#wake?.();
    this.#wake = undefined;
  }

  async next(): Promise<IteratorResult<Completion, undefined>> {
    for (;;) {
      const completion = this.#arrived.shift();
      if (completion !== undefined) return { done: false, value: completion };
      if (this.#ended) {
        const error = this.#error;
        this.#error = undefined;
        if (error !== undefined) throw error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<Completion, undefined>> {
    if (!this.#ended) this.#stop();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const ECANCELED = -125;

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
}
