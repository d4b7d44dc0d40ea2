/**
 * What executes a ring's requests: Linux (linux/io-uring.ts) or a simulation. Both fill the same rings in the linear memory, which the plane
 * reads and writes (plane/assembly/ring); JavaScript only enters and waits.
 */

/** Addresses in the linear memory; masks are values. Words are u32, positions run freely. */
export interface RingAddresses {
  readonly sqHead: number;
  readonly sqTail: number;
  /** IORING_SQ_ flags of the kernel. */
  readonly sqFlags: number;
  /** Index array; 0: there is none (IORING_SETUP_NO_SQARRAY), entry n is SQE n. */
  readonly sqArray: number;
  readonly sqes: number;
  readonly sqMask: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqes: number;
  readonly cqMask: number;
}

/** The thread that drives a ring in place of JavaScript's own. Its functions are called on JavaScript's thread, and what blocks there waits for one turn at most. */
export interface RingThread {
  /** The control block at `ring` is the thread's from now on; `promises` is the number of the queue whose tail it tells by RING_SETTLED. */
  start(ring: number, promises: number): void;
  /** Something has been staged. */
  wake(): void;
  /** Takes what is staged, and runs what can run without waiting. Blocks. */
  turn(): void;
  /** ring_queue_create and ring_cancel of the plane, between turns. */
  createQueue(entries: number, how: number): number;
  cancel(low: number, high: number): number;
  /** Cancels everything and resolves when the kernel has nothing. Nothing is called any more. */
  finish(): Promise<void>;
  /** Keeps the process alive, or does not. */
  hold(held: boolean): void;
  /** What stopped a program last. */
  readonly lastFault: unknown;
  /** What ended the thread before its time. Calls throw it. */
  readonly failure: Error | undefined;
  onFailure(failed: (error: Error) => void): void;
  /** Ends the thread where it stands, as a crash would: what is under way is lost. Resolves when it is gone. */
  kill(): Promise<void>;
}

/** How often a plain call was taken, and how often it would have waited and a request was made. */
export interface PlainChoice {
  readonly fileSystem: string;
  readonly operation: 'read' | 'write';
  readonly plain: number;
  readonly ring: number;
}

/** Reads and writes of files that would not wait, without the ring. Addresses are those of the process; offsets are explicit. */
export interface PlainCalls {
  /** Result or negated errno; undefined: it would wait, or may: ask the ring. */
  read(fd: number, address: number, length: number, offset: number): number | undefined;
  write(fd: number, address: number, length: number, offset: number): number | undefined;
  /** The descriptor is closed. */
  forget(fd: number): void;
  readonly choices: readonly PlainChoice[];
}

export interface RingBackend {
  /** Another thread drives the ring: `enter` and `wait` are its own. */
  readonly thread?: RingThread;
  readonly name: 'linux' | 'simulated';
  readonly addresses: RingAddresses;
  /** Descriptor of the ring, for MSG_RING; undefined: no message reaches it. */
  readonly fd?: number | undefined;
  /** Process address of the linear memory's first byte; 0n in simulation. */
  readonly base: bigint;
  /** Setup flags in force and features of the kernel, by their names in abi/io-uring/ring-flags.ts; `registered-ring`. */
  readonly features: ReadonlySet<string>;
  /** By number (abi/io-uring/opcodes.ts). */
  supports(opcode: number): boolean;
  /**
   * io_uring_enter(2): submits what is in the SQ, at most `submit`, and waits for `wait` completions; 0: does not wait, but collects what has
   * completed. The timeout is for the waiting; undefined: none. Blocks the thread. Result (requests submitted) or negated errno, never throws for one:
   * -ETIME and -EINTR where nothing was submitted.
   */
  enter(submit: number, wait: number, timeoutNs?: number): number;
  /** The same, but once `minNs` have passed one completion is enough (min_wait_usec, feature MIN_TIMEOUT: Linux 6.12). */
  enterGathering?(submit: number, wait: number, timeoutNs: number | undefined, minNs: number): number;
  /** Resolves when completions may be there, or the backend is closed; another thread waits. Spurious wakeups are allowed. */
  wait(): Promise<void>;
  /** io_uring_register(2) with the address of its argument in the linear memory, or 0. Pointers inside of it are process addresses. Result or negated errno. */
  register(opcode: number, argument: number, count: number): number;
  /** What costs less without the ring; undefined: nothing does. */
  readonly plain?: PlainCalls | undefined;
  /**
   * Process address of the memory of a view that is not in the linear memory, which stays where it is for as long as its buffer lives. Undefined: the backend
   * reaches the linear memory alone.
   */
  addressOf?(view: ArrayBufferView): number;
  /**
   * Ends the ring at once: `enter` and `register` answer -EBADF from now on, waiters are woken. What was in flight is cancelled by the kernel. Resolves
   * when nothing is in flight any more: only then may memory that requests named be used for something else. The rings' own pages are given back then.
   */
  close(): Promise<void>;
}
