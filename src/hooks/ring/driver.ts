/** What takes a ring on: JavaScript's own thread (inline-driver.ts), or another one (thread-driver.ts). `tail`: position behind what is staged. */
export interface RingDriver {
  /** System calls that were made for the ring. */
  readonly enters: bigint;
  /** What stopped a program last. */
  readonly lastFault: unknown;
  /** The plane is at work on this thread: functions on completions are called from there. */
  readonly isTurning: boolean;
  /** Number of a new queue, or a negative errno. */
  createQueue(entries: number, how: number): number;
  /** Hands over what is staged, and takes what has been posted, without waiting; goes on by the event loop. */
  drive(): void;
  /** The same, so that what is staged has been taken as far as there is room. */
  makeRoom(): void;
  /** Blocks until queue 0 holds so many completions (one, once `minNs` have passed), nothing is under way, or the time (ns) is over. */
  wait(count: number, timeoutNs?: number, minNs?: number): void;
  /** Of ring_cancel. */
  cancel(low: number, high: number): number;
  /** Cancels everything; resolves when the kernel has nothing. */
  finish(): Promise<void>;
}

/** What drivers ask of their ring. */
export interface RingDriverHost {
  /** Address of the control block, and the memory as words. */
  readonly address: number;
  readonly words: Int32Array;
  /** Nothing is staged any more; nothing comes any more. */
  readonly refuses: boolean;
  readonly ended: boolean;
  /** Somebody waits for completions, which may be messages of other rings: nothing need be under way. */
  readonly awaited: boolean;
  /** Position behind what is staged and may be taken. */
  tail(): number;
  /** Completions in queue 0. */
  ready(): number;
  /** Settles promises, up to the tail `until` of their queue where it is given; wakes whoever waits for completions. True: some were settled. */
  deliver(until?: number, come?: boolean): boolean;
  /** Drives again by itself; `late`: after timers and other sources have had their turn. */
  schedule(late?: boolean): void;
  /** Nothing can be learnt of what is under way. */
  fail(error: unknown): void;
}
