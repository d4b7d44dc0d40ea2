/** What a ring is made with, and what a request can be asked for. */

/** Limits of one turn. What exceeds one is told by a completion with `escalation`, and the ring goes on. */
export interface RingBudget {
  /** Program runs in a turn; the rest follows in the next (default 65536). */
  readonly runs?: number;
  /** Requests that one run emits (default 1024). */
  readonly requests?: number;
  /** Program runs that lead to each other without the kernel between (default 100000). */
  readonly depth?: number;
  /** Back edges and calls of one run (default 10 million). */
  readonly instructions?: number;
}

export interface RingCoreOptions {
  /** Requests that may be under way at once, those that wait for others included (default 4096). */
  readonly requests?: number;
  /** Requests that can be staged before they are taken, a power of two (default 1024). */
  readonly staged?: number;
  /** Programs and functions that can be attached (default 256), groups (default 256), regions for programs (default 256). */
  readonly programs?: number;
  readonly groups?: number;
  readonly regions?: number;
  /** Programs may reach all of the runtime's memory, not only what is shared with them (default false). */
  readonly openMemory?: boolean;
  readonly budget?: RingBudget;
}

/** Writes an SQE, whose 64 bytes are zero, at `at`: the functions of hooks/ring/prep. */
export type SqeWriter = (view: DataView, at: number) => void;

export interface RequestOptions {
  /** Cancels the request. The promise settles when the request has ended, with its result where that came first. */
  readonly signal?: AbortSignal | undefined;
  /** Called when it has ended, before the promise settles: the kernel is done with its memory. */
  readonly done?: () => void;
  /** Kept alive until then: memory of JavaScript that the kernel reaches. */
  readonly holds?: unknown;
}

/** What goes with a ring: patterns that programs carry out. */
export interface RingCloser {
  /** Called first, while programs still run: resolves when what it stands for has ended. */
  stop?(): Promise<unknown>;
  /** Called last: the kernel is done with all memory. */
  release?(): void;
}

/** A promise that a program settles: by bpf_ring_emit to `queue` with `userData`, once; flags 0. */
export interface RingAnswer {
  readonly queue: number;
  readonly userData: bigint;
  /** The result of that completion, or RequestError. */
  readonly promise: Promise<number>;
  /** Nobody will settle it: the request for it could not be made. It is rejected with ECANCELED, which nobody has to catch. */
  drop(): void;
}

export interface RingCounters {
  readonly requests: bigint;
  readonly completions: bigint;
  readonly runs: bigint;
  readonly posted: bigint;
  readonly cancelled: bigint;
  readonly escalated: bigint;
  readonly enters: bigint;
}
