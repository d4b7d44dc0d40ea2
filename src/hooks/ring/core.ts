/**
 * hooks/ring: io_uring for JavaScript, with programs on its completions.
 *
 * This file: a ring: its memory, what is staged, and how it is driven: turns of the plane, and enters of the backend between them. Operations by name stand in
 * ring.ts, programs in programs.ts.
 */

import { errnoName } from '../../abi/errno.ts';
import { InputError } from '../../errors.ts';
import {
  QUEUE_LAST,
  QUEUE_NEXT,
  QUEUE_TO,
  QUEUE_VISIBLE,
  RING_CONTEXT,
  RING_CTX_RING,
  RING_FORWARDS,
  RING_GROUP_PARALLEL,
  RING_GROUP_SIZE,
  RING_GROUPS,
  RING_ISSUED,
  RING_SLOTS_USED,
  RING_STAGE,
  RING_STAGE_HEAD,
  RING_STAGE_MASK,
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
import type { RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Completion } from './completion.ts';
import { createControlBlock } from './control-block.ts';
import type { RingDriver, RingDriverHost } from './driver.ts';
import { InlineDriver } from './inline-driver.ts';
import { later } from './later.ts';
import { RingMemory } from './memory.ts';
import { giveNumber, takeNumber } from './numbers.ts';
import type { RequestOptions, RingAnswer, RingCloser, RingCoreOptions, RingCounters, SqeWriter } from './options.ts';
import { PENDING_HIGH, type Pending, PendingResult, PendingStream, PendingTable } from './pending.ts';
import { type RingPlane, ringPlane } from './plane.ts';
import { RingQueue } from './queue.ts';
import { ThreadDriver } from './thread-driver.ts';

const EBADF = -9;
const EBUSY = -16;
const EALREADY = -114;
/** Drives in a row by microtasks, before timers and other sources have their turn. */
const STREAK = 256;

export class RingCore implements AsyncIterable<Completion> {
  readonly runtime: Runtime;
  readonly backend: RingBackend;
  /** Address of the control block. */
  readonly address: number;
  /** Completions of requests that name no other queue: queue 0. */
  readonly completions: RingQueue;
  readonly memory: RingMemory;
  /** Number among the rings of the runtime: messages name it by that, those of programs too (`ctx->ring` there). */
  readonly number: number;
  /** What stopped a program last: its fault, or what a function threw. The user's queue has a completion for each. */
  get lastFault(): unknown {
    return this.#driver.lastFault;
  }

  readonly #plane: RingPlane;
  readonly #driver: RingDriver;
  readonly #pending = new PendingTable();
  readonly #promises: RingQueue;
  readonly #waiters: { readonly resolve: (more: boolean) => void; readonly reject: (error: unknown) => void }[] = [];
  /** Over the memory as it was at creation: the control block and what is staged lie in it. A shared memory that grows leaves it valid. */
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #stage: number;
  readonly #stageMask: number;
  #stageTail = 0;
  #stageHead = 0;
  /** Where the chain that is being staged began, and how much of it is kept back while the rest is handed over for want of room. */
  #chainStart = 0;
  #withheld = 0;
  #scheduled = false;
  readonly #closers = new Set<RingCloser>();
  #closed: Promise<void> | undefined;
  /** Nothing is staged any more. */
  #refuses = false;
  #ended = false;
  #numbered = true;
  /** What ended the ring's thread. */
  #failure: Error | undefined;
  readonly #failed: ((error: Error) => void)[] = [];
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
    this.completions = this.#queue(this.#plane.ring_queue_create(this.address, 256, QUEUE_VISIBLE), 256);
    // Programs of 2021 name queues from 1.
    this.#promises = this.#queue(this.#plane.ring_queue_create(this.address, 256, QUEUE_VISIBLE | QUEUE_LAST), 256);
    this.number = takeNumber(this.#words, backend.fd ?? EBADF);
    this.#view.setUint32(this.address + RING_CONTEXT + RING_CTX_RING, this.number, true);
    this.#driver = this.#startDriver();
  }

  /** A queue that requests name by its index; programs reap it, and user space reads it if it is `visible` (the default). */
  createQueue(options: { readonly entries?: number; readonly visible?: boolean } = {}): RingQueue {
    const { entries = 64, visible = true } = options;
    return this.#queue(this.#driver.createQueue(entries, visible ? QUEUE_VISIBLE : 0), entries);
  }

  /** Of its number, or of the negated errno that there is in its place. */
  #queue(index: number, entries: number): RingQueue {
    if (index < 0) throw new InputError('SLUICE_RING_QUEUE', `a queue of ${entries} completions: ${errnoName(-index)}`);
    return new RingQueue(this.runtime, this.address, index, this.backend.thread !== undefined, () => this.#more());
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

  /** What ended the ring's thread before its time; undefined: nothing has. Requests that were under way are lost, and rejected with it. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Called once the ring's thread has ended before its time. */
  onFailure(failed: (error: Error) => void): void {
    if (this.#failure === undefined) this.#failed.push(failed);
    else failed(this.#failure);
  }

  /** Requests that have not ended, those that are staged included. */
  get inFlight(): number {
    return this.live + ((this.#stageTail - Atomics.load(this.#words, (this.address + RING_STAGE_HEAD) / 4)) >>> 0);
  }

  /**
   * Completions of the queue that is returned go on to `shared`, the address of a shared queue of the runtime (shared-queue.ts), which must outlive the ring.
   * Programs may wait for it, nobody else reads it.
   */
  forward(shared: number): number {
    const { index, address } = this.createQueue({ visible: false });
    // The memory may have grown.
    const view = this.runtime.view();
    view.setUint32(address + QUEUE_TO, shared, true);
    const first = (this.address + RING_FORWARDS) / 4;
    view.setUint32(address + QUEUE_NEXT, Atomics.load(this.#words, first), true);
    Atomics.store(this.#words, first, address);
    return index;
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
      enters: this.#driver.enters,
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
    this.#driver.drive();
  }

  /**
   * As io_uring_submit_and_wait: blocks this thread until queue 0 holds `wait` completions, or the time (ns) is over. Returns how many it holds. JavaScript's
   * own promises settle only afterwards. Once `minWaitNs` have passed one completion is enough: batches where there are many, and no long wait where there are few.
   */
  submitAndWait(wait: number, timeoutNs?: number, minWaitNs?: number): number {
    this.#driver.wait(wait, timeoutNs, minWaitNs);
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
    this.#giveNumber();
    if (this.#failure === undefined) this.#driver.drive();
    await this.#driver.finish();
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

  /** Once: another ring may have it next. */
  #giveNumber(): void {
    if (this.#numbered) giveNumber(this.#words, this.number);
    this.#numbered = false;
  }

  /** Address of the next staged SQE, zeroed. Makes room by handing over what is there. */
  #nextSqe(): number {
    if (this.#refuses) throw this.#failure ?? new InputError('SLUICE_RING_CLOSED', 'the ring is closed');
    if (this.#isFull()) {
      this.#withheld = (this.#stageTail - this.#chainStart) >>> 0;
      this.#driver.makeRoom();
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
    // As it was seen last: there is no less room now.
    if ((this.#stageTail - this.#stageHead) >>> 0 <= this.#stageMask) return false;
    this.#stageHead = Atomics.load(this.#words, (this.address + RING_STAGE_HEAD) / 4);
    return (this.#stageTail - this.#stageHead) >>> 0 > this.#stageMask;
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
    const result = this.#driver.cancel(low, high);
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
      if (!this.#ended) this.#driver.drive();
    };
    // Promises that wait for each other would keep timers and other sources from their turn.
    if (this.#streak++ < STREAK) queueMicrotask(run);
    else {
      this.#streak = 0;
      later(run);
    }
  }

  readonly #settle = (low: number, _high: number, res: number, flags: number) =>
    this.#pending.complete(low, res, flags);

  #deliver(until?: number, come = true): boolean {
    const limit = until === undefined ? undefined : this.#promises.before(until);
    const taken = this.#promises.take(this.#settle, limit);
    if (come && this.#waiters.length > 0) this.#wake(true);
    return taken > 0;
  }

  #wake(more: boolean): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(more);
  }

  /** Whoever waits is told that nothing can be learnt of it. */
  #reject(error: unknown): void {
    this.#pending.failAll(error);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #startDriver(): RingDriver {
    const ended = () => this.#ended;
    const refuses = () => this.#refuses;
    const awaited = () => this.#waiters.length > 0;
    const host: RingDriverHost = {
      address: this.address,
      words: this.#words,
      get ended() {
        return ended();
      },
      get refuses() {
        return refuses();
      },
      get awaited() {
        return awaited();
      },
      tail: () => this.#stageTail - this.#withheld,
      ready: () => this.completions.length,
      deliver: (until, come) => this.#deliver(until, come),
      schedule: (late) => {
        if (late === true) this.#streak = STREAK;
        this.#schedule();
      },
      fail: (error) => this.#reject(error),
    };
    const { thread } = this.backend;
    if (thread === undefined) return new InlineDriver(this.runtime, this.backend, host);
    thread.start(this.address, this.#promises.index);
    thread.onFailure((error) => {
      this.#failure = error;
      this.#giveNumber();
      this.#refuses = true;
      this.#reject(error);
      for (const failed of this.#failed.splice(0)) failed(error);
    });
    return new ThreadDriver(thread, host);
  }

  #more(): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    this.#schedule();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }
}

const LINKED = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
const ECANCELED = -125;
