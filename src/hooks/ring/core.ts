/**
 * hooks/ring: io_uring for JavaScript, with programs on its completions.
 *
 * This file: a ring: its memory, what is staged, and how it is driven: turns of the plane, and enters of the backend between them. Operations by name stand in
 * ring.ts, programs in programs.ts.
 */

import { errnoName } from '../../abi/errno.ts';
import { InputError, SluiceError } from '../../errors.ts';
import {
  QUEUE_LAST,
  QUEUE_VISIBLE,
  RING_GROUP_PARALLEL,
  RING_GROUP_SIZE,
  RING_GROUPS,
  RING_ISSUED,
  RING_READY_FIRST,
  RING_RUNS_LEFT,
  RING_SLOTS_USED,
  RING_STAGE,
  RING_STAGE_HEAD,
  RING_STAGE_MASK,
  RING_STAGE_TAIL,
  RING_STATS,
} from '../../plane/layout/ring.ts';
import {
  IOSQE_IO_HARDLINK,
  IOSQE_IO_LINK,
  SQE_CQ,
  SQE_FLAGS,
  SQE_SIZE,
  SQE_USER_DATA,
} from '../../plane/layout/sqe.ts';
import { WORKER_FUEL, WORKER_STACK_TOP } from '../../plane/layout/worker.ts';
import type { RingBackend, RingThread } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Completion } from './completion.ts';
import { createControlBlock } from './control-block.ts';
import { later } from './later.ts';
import { RingMemory } from './memory.ts';
import type { RequestOptions, RingAnswer, RingCloser, RingCoreOptions, RingCounters, SqeWriter } from './options.ts';
import { PENDING_HIGH, type Pending, PendingResult, PendingStream, PendingTable } from './pending.ts';
import { type RingPlane, ringPlane } from './plane.ts';
import { RingQueue } from './queue.ts';
import { RequestError } from './request-error.ts';
import { ThreadDriver } from './thread-driver.ts';

const ETIME = -62;
const EINTR = -4;
const EBUSY = -16;
const EAGAIN = -11;
const EALREADY = -114;
/** Turns and enters in a row before JavaScript gets its turn, and for how long a ring is polled before a thread waits for it (ns, ms). */
const ROUNDS = 256;
const ROUNDS_MS = 2;
const POLL_MS = 0.1;

export class RingCore implements AsyncIterable<Completion> {
  readonly runtime: Runtime;
  readonly backend: RingBackend;
  /** Address of the control block. */
  readonly address: number;
  /** Completions of requests that name no other queue: queue 0. */
  readonly completions: RingQueue;
  readonly memory: RingMemory;
  /** What stopped a program last: its fault, or what a function threw. The user's queue has a completion for each. */
  get lastFault(): unknown {
    return this.backend.thread === undefined ? this.#lastFault : this.backend.thread.lastFault;
  }

  #lastFault: unknown;
  readonly #plane: RingPlane;
  /** Drives the ring where another thread turns it. */
  readonly #thread: ThreadDriver | undefined;
  readonly #pending = new PendingTable();
  readonly #promises: RingQueue;
  readonly #waiters: { readonly resolve: (more: boolean) => void; readonly reject: (error: unknown) => void }[] = [];
  /** Over the memory as it was at creation: the control block and what is staged lie in it. A shared memory that grows leaves it valid. */
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #stage: number;
  readonly #stageMask: number;
  #stageTail = 0;
  /** Where the chain that is being staged began, and how much of it is kept back while the rest is handed over for want of room. */
  #chainStart = 0;
  #withheld = 0;
  /** The plane is at work: functions on completions are called from there. */
  #turning = false;
  #scheduled = false;
  #waiting = false;
  readonly #closers = new Set<RingCloser>();
  #closed: Promise<void> | undefined;
  /** Nothing is staged any more. */
  #refuses = false;
  #ended = false;
  /** What ended the ring's thread. */
  #failure: Error | undefined;
  #lastProgress = 0;
  #enters = 0;
  #streak = 0;

  constructor(runtime: Runtime, backend: RingBackend, options: RingCoreOptions = {}) {
    this.runtime = runtime;
    this.backend = backend;
    this.#plane = ringPlane(runtime);
    this.address = createControlBlock(runtime, backend, options);
    this.#view = new DataView(runtime.plane.memory.buffer);
    this.#words = new Int32Array(this.#view.buffer);
    this.#stage = this.#view.getUint32(this.address + RING_STAGE, true);
    this.#stageMask = this.#view.getUint32(this.address + RING_STAGE_MASK, true);
    this.memory = new RingMemory(runtime);
    this.completions = this.createQueue({ entries: 256 });
    // Programs of 2021 name queues from 1.
    this.#promises = this.#newQueue(256, QUEUE_VISIBLE | QUEUE_LAST);
    this.#thread = backend.thread === undefined ? undefined : this.#startThread(backend.thread);
  }

  /** A queue that requests name by its index; programs reap it, and user space reads it if it is `visible` (the default). */
  createQueue(options: { readonly entries?: number; readonly visible?: boolean } = {}): RingQueue {
    return this.#newQueue(options.entries ?? 64, options.visible === false ? 0 : QUEUE_VISIBLE);
  }

  #newQueue(entries: number, how: number): RingQueue {
    const index =
      this.#thread === undefined
        ? this.#plane.ring_queue_create(this.address, entries, how)
        : this.backend.thread!.createQueue(entries, how);
    if (index < 0) throw new InputError('SLUICE_RING_QUEUE', `a queue of ${entries} completions: ${errnoName(-index)}`);
    return new RingQueue(this.runtime, this.address, index, () => this.#more());
  }

  /** Requests of a serial group (the default) follow each other, one chain at a time; in a parallel one only a drain waits. */
  setGroup(group: number, options: { readonly parallel: boolean }): void {
    const view = this.#view;
    const at = view.getUint32(this.address + RING_GROUPS, true) + group * RING_GROUP_SIZE;
    Atomics.store(this.#words, (at + RING_GROUP_PARALLEL) / 4, options.parallel ? 1 : 0);
  }

  /** Requests that the kernel has, and all that have not ended. */
  get issued(): number {
    return this.#view.getUint32(this.address + RING_ISSUED, true);
  }

  get live(): number {
    return this.#view.getUint32(this.address + RING_SLOTS_USED, true);
  }

  /** Nothing is under way or staged. */
  protected get isIdle(): boolean {
    return (
      this.live === 0 && this.#stageTail === this.#words[(this.address + RING_STAGE_HEAD) / 4]! >>> 0 && !this.closed
    );
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  get stats(): RingCounters {
    const view = this.#view;
    const counter = (place: number) => view.getBigUint64(this.address + RING_STATS + place * 8, true);
    return {
      requests: counter(0),
      completions: counter(1),
      runs: counter(2),
      posted: counter(3),
      cancelled: counter(4),
      escalated: counter(5),
      enters: this.#thread === undefined ? BigInt(this.#enters) : this.#thread.enters,
    };
  }

  /**
   * Stages one request; it goes with the next `submit`, or by itself when the present JavaScript has run to its end. Requests that are linked must be staged
   * in the same turn of JavaScript.
   */
  stage(write: SqeWriter): void {
    const at = this.#nextSqe();
    this.#write(write, at);
    this.#staged(at);
  }

  /** A request whose result is a promise: the completion's result, or RequestError. `operation` names it in errors. */
  request(operation: string, write: SqeWriter, options: RequestOptions = {}): Promise<number> {
    const { signal, done, holds } = options;
    signal?.throwIfAborted();
    const pending = new PendingResult(operation, signal, done, holds);
    const index = this.#add(pending, write);
    if (signal === undefined) return pending.promise;
    const abort = () => this.#cancel(index);
    signal.addEventListener('abort', abort, { once: true });
    return pending.promise.finally(() => signal.removeEventListener('abort', abort));
  }

  /** A multishot request: its completions, as they come. Leaving the loop cancels it. */
  stream(operation: string, write: SqeWriter, options: RequestOptions = {}): AsyncIterableIterator<Completion> {
    const { signal } = options;
    signal?.throwIfAborted();
    let index = -1;
    const stop = () => this.#cancel(index);
    const pending = new PendingStream(operation, signal, stop);
    index = this.#add(pending, write);
    signal?.addEventListener('abort', stop, { once: true });
    return pending;
  }

  /** A promise for a program to settle. A signal does not end it by itself: it only makes ECANCELED the signal's reason. */
  answer(operation: string, signal?: AbortSignal): RingAnswer {
    const pending = new PendingResult(operation, signal, undefined);
    const index = this.#pending.add(pending);
    const userData = (BigInt(PENDING_HIGH) << 32n) | BigInt(index);
    const drop = () => {
      pending.promise.catch(() => {});
      this.#pending.complete(index, ECANCELED, 0);
    };
    return { queue: this.#promises.index, userData, promise: pending.promise, drop };
  }

  /** Has `close` stop something first. Returns what takes it back. */
  onClose(closer: RingCloser): () => void {
    this.#closers.add(closer);
    return () => void this.#closers.delete(closer);
  }

  /** Hands over what is staged and takes what has completed, without waiting. */
  submit(): void {
    this.#drive();
  }

  /**
   * As io_uring_submit_and_wait: blocks this thread until queue 0 holds `wait` completions, or the time (ns) is over. Returns how many it holds. JavaScript's
   * own promises settle only afterwards.
   */
  submitAndWait(wait: number, timeoutNs?: number): number {
    if (this.#turning)
      throw new InputError('SLUICE_RING_IN_TURN', 'a function on completions must not wait for completions');
    if (this.#thread !== undefined) {
      this.#thread.wait(this.#stageTail - this.#withheld, wait, timeoutNs);
      return this.completions.length;
    }
    const until = timeoutNs === undefined ? 0 : performance.now() + timeoutNs / 1e6;
    let asked = false;
    for (;;) {
      const pending = this.#turn();
      const enough = this.completions.length >= wait;
      const more = this.#moreToDo();
      if (pending === 0 && enough) break;
      if (pending === 0 && this.issued === 0 && !more) {
        // Messages of other rings are work that is done in an enter.
        if (asked) break;
        asked = true;
        this.#enter(0, 0);
        continue;
      }
      const left = timeoutNs === undefined ? undefined : (until - performance.now()) * 1e6;
      if (left !== undefined && left <= 0) {
        if (pending > 0) this.#enter(pending, 0);
        break;
      }
      const entered = this.#enter(pending, enough || more ? 0 : 1, left);
      if (entered === ETIME && pending === 0) break;
    }
    this.#deliver();
    if (this.#moreToDo()) this.#schedule();
    return this.completions.length;
  }

  /** Completions of queue 0 as they come. */
  [Symbol.asyncIterator](): AsyncGenerator<Completion, void, void> {
    return this.completions[Symbol.asyncIterator]();
  }

  /** Cancels the request of the user with this user_data. False: there is none. Its completion tells how it ended. */
  cancel(userData: bigint): boolean {
    return this.#cancelBy(Number(userData & 0xffff_ffffn), Number(userData >> 32n));
  }

  /**
   * Cancels everything, waits for the kernel to be done with it, and gives the memory back. No program runs any more. Completions that nobody has taken are gone
   * with the queues; promises are rejected with ECANCELED.
   */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Takes the ring on as far as it goes without waiting. For what has changed it by other means: programs.ts, a worker. */
  protected drive(): void {
    this.#schedule();
  }

  async #end(): Promise<void> {
    const stops = [...this.#closers].flatMap((closer) => closer.stop?.() ?? []);
    if (stops.length > 0) await Promise.allSettled(stops);
    this.#refuses = true;
    // Asked for by a function on completions: once the plane has returned.
    if (this.#turning) await Promise.resolve();
    if (this.#failure === undefined) this.#drive();
    if (this.backend.thread === undefined) await this.#cancelAll();
    else await this.backend.thread.finish();
    // A thread that failed: only then is the kernel done with what was under way.
    if (this.#failure !== undefined) await this.backend.close();
    this.#deliver();
    this.#pending.endAll(ECANCELED);
    this.#ended = true;
    this.#wake(false);
    await Promise.resolve();
    await this.backend.close();
    for (const closer of this.#closers) closer.release?.();
    this.memory.close();
    this.#plane.ring_free(this.address);
  }

  async #cancelAll(): Promise<void> {
    this.#plane.ring_close(this.address);
    const asked = this.#plane.ring_cancel_all(this.address) !== 0;
    let rounds = asked ? 0 : 1;
    for (;;) {
      this.#enter(this.#turn(), 0);
      this.#turn();
      this.#deliver();
      if (this.issued === 0) break;
      // What could not be cancelled at first, as it was about to be started by a worker of the kernel, can be later.
      if (rounds++ % 16 === 1) this.#plane.ring_cancel_all(this.address);
      // Where nobody can be woken, this thread waits itself.
      await this.backend.wait().catch(() => this.#enter(0, 1, CLOSING_NS));
    }
  }

  /** Address of the next staged SQE, zeroed. Makes room by handing over what is there. */
  #nextSqe(): number {
    if (this.#refuses) throw this.#failure ?? new InputError('SLUICE_RING_CLOSED', 'the ring is closed');
    if (this.#isFull()) {
      this.#withheld = (this.#stageTail - this.#chainStart) >>> 0;
      if (this.#thread === undefined) this.#drive();
      else this.#thread.turn(this.#stageTail - this.#withheld);
      const { length, whole } = { length: this.#withheld, whole: this.#withheld > this.#stageMask };
      this.#withheld = 0;
      if (this.#isFull()) {
        if (length > 0) this.#dropChain();
        throw new InputError(
          'SLUICE_RING_FULL',
          whole
            ? `a chain of more than ${length} requests: create the ring with more { staged }`
            : `${this.live} requests are under way: take completions first, or create the ring with more { requests }`,
        );
      }
    }
    // The plane leaves what it has taken zeroed.
    const at = this.#stage + (this.#stageTail & this.#stageMask) * SQE_SIZE;
    return at;
  }

  #staged(at: number): void {
    this.#stageTail = (this.#stageTail + 1) >>> 0;
    if ((this.#view.getUint8(at + SQE_FLAGS) & LINKED) === 0) this.#chainStart = this.#stageTail;
    this.#schedule();
  }

  /** Takes back what is staged of a chain that finds no place. */
  #dropChain(): void {
    const view = this.#view;
    const dropped: number[] = [];
    for (let i = this.#chainStart; i !== this.#stageTail; i = (i + 1) >>> 0) {
      const at = this.#stage + (i & this.#stageMask) * SQE_SIZE;
      if (view.getUint16(at + SQE_CQ, true) === this.#promises.index)
        dropped.push(view.getUint32(at + SQE_USER_DATA, true));
      this.#words.fill(0, at / 4, (at + SQE_SIZE) / 4);
    }
    this.#stageTail = this.#chainStart;
    for (const index of dropped) this.#pending.complete(index, ECANCELED, 0);
  }

  #write(write: SqeWriter, at: number): void {
    try {
      write(this.#view, at);
    } catch (error) {
      this.#words.fill(0, at / 4, (at + SQE_SIZE) / 4);
      throw error;
    }
  }

  #isFull(): boolean {
    const at = (this.address + RING_STAGE_HEAD) / 4;
    const head = this.#thread === undefined ? this.#words[at]! : Atomics.load(this.#words, at);
    return (this.#stageTail - head) >>> 0 > this.#stageMask;
  }

  #add(pending: Pending, write: SqeWriter): number {
    const at = this.#nextSqe();
    this.#write(write, at);
    const index = this.#pending.add(pending);
    const view = this.#view;
    view.setUint32(at + SQE_USER_DATA, index, true);
    view.setUint32(at + SQE_USER_DATA + 4, PENDING_HIGH, true);
    view.setUint16(at + SQE_CQ, this.#promises.index, true);
    this.#staged(at);
    return index;
  }

  #cancel(index: number): void {
    if (!this.#ended) this.#cancelBy(index, PENDING_HIGH);
  }

  #cancelBy(low: number, high: number): boolean {
    if (this.#failure !== undefined) return false;
    let result: number;
    if (this.#thread === undefined) {
      if (!this.#turning) this.#turn();
      result = this.#plane.ring_cancel(this.address, low, high);
    } else result = this.#thread.cancel(this.#stageTail - this.#withheld, low, high);
    this.#schedule();
    if (result === EBUSY) {
      // Every slot is taken: once one is free the kernel can be asked.
      later(() => this.#ended || this.#cancelBy(low, high));
      return true;
    }
    return result === 0 || result === EALREADY;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const run = () => {
      this.#scheduled = false;
      if (!this.#ended) this.#drive();
    };
    // Promises that wait for each other would keep timers and other sources from their turn.
    if (this.#streak++ < ROUNDS) queueMicrotask(run);
    else {
      this.#streak = 0;
      later(run);
    }
  }

  #drive(): void {
    if (this.#thread !== undefined) {
      this.#thread.drive(this.#stageTail - this.#withheld);
      return;
    }
    if (this.#turning) {
      this.#schedule();
      return;
    }
    const start = performance.now();
    for (let round = 0; ; round++) {
      const pending = this.#turn();
      const more = this.#moreToDo();
      if (pending === 0 && !more && (round > 0 || this.issued === 0)) break;
      if (pending > 0 || this.issued > 0) this.#enter(pending, 0);
      if (!this.#arrived() && !more && !this.#isKeptBack()) break;
      if (round >= ROUNDS || performance.now() - start > ROUNDS_MS) {
        // Promises that settle now must not bring the next such drive before timers and other sources have had their turn.
        this.#streak = ROUNDS;
        this.#schedule();
        break;
      }
    }
    if (this.#turn() > 0) this.#schedule();
    const delivered = this.#deliver();
    if (delivered) this.#lastProgress = performance.now();
    this.#await();
  }

  /** Has somebody wait for what is under way. */
  #await(): void {
    if (this.#waiting || this.#refuses || this.issued === 0) return;
    this.#waiting = true;
    const again = () => {
      this.#waiting = false;
      if (!this.#ended) this.#drive();
    };
    // What answers soon is met by polling; a thread costs more than that.
    if (performance.now() - this.#lastProgress < POLL_MS) later(again);
    else
      this.backend.wait().then(
        () => {
          this.#lastProgress = performance.now();
          again();
        },
        (error) => {
          // The kernel goes on with them, and their memory stays its own until `close`.
          this.#waiting = false;
          this.#lastFault = error;
          this.#reject(error);
        },
      );
  }

  #turn(): number {
    const view = this.#view;
    Atomics.store(this.#words, (this.address + RING_STAGE_TAIL) / 4, (this.#stageTail - this.#withheld) | 0);
    const { plane } = this.runtime;
    const stackTop = view.getUint32(plane.worker + WORKER_STACK_TOP, true);
    for (;;) {
      try {
        this.#turning = true;
        return this.#plane.ring_turn(this.address) >>> 0;
      } catch (error) {
        view.setUint32(plane.worker + WORKER_STACK_TOP, stackTop, true);
        const trapped = error instanceof WebAssembly.RuntimeError;
        // The interpreter counts by itself (`budget` of load), and says so.
        const counted = error instanceof SluiceError && error.code === 'SLUICE_FAULT_BUDGET';
        const exhausted = counted || (trapped && view.getUint32(plane.worker + WORKER_FUEL, true) === 0);
        if (this.#plane.ring_stopped(this.address, exhausted ? 1 : 0) === 0) throw error;
        this.#lastFault = error;
      } finally {
        this.#turning = false;
      }
    }
  }

  #enter(submit: number, wait: number, timeoutNs?: number): number {
    this.#enters++;
    const result = this.backend.enter(submit, wait, timeoutNs);
    if (result >= 0 || result === ETIME || result === EINTR || result === EBUSY || result === EAGAIN) return result;
    throw new RequestError('io_uring_enter', result);
  }

  /** The plane stopped for its budget, or the kernel keeps completions that found no room. */
  #moreToDo(): boolean {
    const view = this.#view;
    if (view.getUint32(this.address + RING_RUNS_LEFT, true) === 0) return true;
    return (view.getUint32(this.backend.addresses.sqFlags, true) & SQ_CQ_OVERFLOW) !== 0 || this.#arrived();
  }

  /** Requests are ready that found no place in the kernel's queue. */
  #isKeptBack(): boolean {
    return this.#view.getUint32(this.address + RING_READY_FIRST, true) !== 0;
  }

  #arrived(): boolean {
    const { cqHead, cqTail } = this.backend.addresses;
    // The kernel writes its tail in enters of this thread, or is asked again.
    return this.#words[cqHead / 4] !== this.#words[cqTail / 4];
  }

  #deliver(): boolean {
    const taken = this.#takePromises();
    if (this.#waiters.length > 0) this.#wake(true);
    return taken > 0;
  }

  #takePromises(limit?: number): number {
    return this.#promises.take((low, _high, res, flags) => this.#pending.complete(low, res, flags), limit);
  }

  #wake(more: boolean): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(more);
  }

  /** Whoever waits is told that nothing can be learnt of it. */
  #reject(error: unknown): void {
    this.#pending.failAll(error);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #startThread(thread: RingThread): ThreadDriver {
    thread.start(this.address, this.#promises.index);
    const ended = () => this.#ended;
    const driver = new ThreadDriver(thread, {
      address: this.address,
      words: this.#words,
      get ended() {
        return ended();
      },
      ready: () => this.completions.length,
      deliver: (until, come) => {
        this.#takePromises(this.#promises.before(until));
        if (come) this.#wake(true);
      },
    });
    thread.onFailure((error) => {
      this.#failure = error;
      this.#refuses = true;
      this.#reject(error);
    });
    return driver;
  }

  #more(): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    this.#schedule();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }
}

const SQ_CQ_OVERFLOW = 2;
/** How long closing blocks at once. */
const CLOSING_NS = 20e6;
const LINKED = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
const ECANCELED = -125;
