/**
 * A ring of this kernel on a thread of its own: programs run, and completions are taken, while JavaScript's thread does something else.
 *
 * io-uring-thread.ts: what the thread does; io-uring-mailbox.ts: how the two speak.
 */
import { existsSync, writeSync } from 'node:fs';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { InputError, InternalError } from '../errors.ts';
import { RING_SLEEPING } from '../plane/layout/ring.ts';
import { CpuWatch } from '../runtime/cpus/recovery.ts';
import { receivedError } from '../runtime/cpus/sent-error.ts';
import { planeModule } from '../runtime/plane.ts';
import type { RingAddresses, RingBackend, RingThread } from '../runtime/ring-backend.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { addressOf, close } from './ffi.ts';
import type { LinuxRingOptions } from './io-uring.ts';
import * as mail from './io-uring-mailbox.ts';

const EBADF = -9;
/** A thread that has not answered for so long never will. A turn is bounded, and takes a fraction of it. */
const DEAD_MS = 60_000;
const ALIVE_MS = 100;
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

type Ready = Extract<mail.RingThreadMessage, { kind: 'ready' }>;

/** Threads that must return from the kernel before the process can end. */
const threads = new Set<WorkerRing>();
let watchesExit = false;

export class WorkerRing implements RingBackend, RingThread {
  readonly name = 'linux';
  readonly addresses: RingAddresses;
  readonly base: bigint;
  readonly features: ReadonlySet<string>;
  /** Descriptor of the ring, for msg_ring from other rings. */
  readonly fd: number;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #memory: WebAssembly.Memory;
  readonly #mail: Int32Array;
  /** The memory as it is when the ring begins, which lies in it. */
  #words: Int32Array;
  readonly #supported: ReadonlySet<number>;
  readonly #eventfd: number;
  readonly #exited: Promise<void>;
  #stopReplicas = () => {};
  #ring = 0;
  #asked = 0;
  #finishing = false;
  #finished: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  #held = false;
  #fault: unknown;
  failure: Error | undefined;

  /**
   * Throws InputError `SLUICE_CPU` where the runtime has no CPU for the thread, `SLUICE_RING_DRIVER` where another thread cannot run its programs, and what
   * LinuxRing throws.
   */
  static async create(runtime: Runtime, options: LinuxRingOptions): Promise<WorkerRing> {
    if (runtime.singleThread !== undefined)
      throw new InputError('SLUICE_RING_DRIVER', `${runtime.singleThread}: use driver inline on this runtime`);
    const cpu = runtime.takeCpu();
    const { port1, port2 } = new MessageChannel();
    const words = new Int32Array(new SharedArrayBuffer(mail.MAIL_WORDS * 4));
    const { entries, cqEntries, without } = options;
    const data: mail.RingThreadData = {
      memory: runtime.plane.memory,
      plane: planeModule(),
      cpu,
      timeOrigin: performance.timeOrigin,
      mail: words,
      port: port2,
      options: {
        ...(entries === undefined ? {} : { entries }),
        ...(cqEntries === undefined ? {} : { cqEntries }),
        ...(without === undefined ? {} : { without }),
      },
    };
    const worker = new Worker(threadModule(), { workerData: data, transferList: [port2], execArgv: [] });
    let isEnded = false;
    const watch = new CpuWatch(runtime.plane, cpu, () => !isEnded && isThere(words[mail.MAIL_THREAD]!));
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        isEnded = true;
        watch.ended();
        runtime.giveCpu(cpu);
        port1.close();
        resolve();
      });
    });
    const ready = await new Promise<Ready>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => reject(new InternalError("the ring's thread ended before it began")));
      worker.once('message', (message: mail.RingThreadMessage) => {
        if (message.kind === 'ready') resolve(message);
        else if (message.kind === 'failed') reject(receivedError(message.error));
      });
    });
    const ring = new WorkerRing(worker, port1, runtime.plane.memory, words, ready, exited);
    worker.on('message', ({ kind }: mail.RingThreadMessage) => {
      if (kind === 'timers') runtime.timers.arm();
    });
    ring.#stopReplicas = await runtime.replicate({
      load: (module) => ring.#send({ kind: 'load', module }),
      unload: (module) => ring.#send({ kind: 'unload', module }),
    });
    return ring;
  }

  private constructor(
    worker: Worker,
    port: MessagePort,
    memory: WebAssembly.Memory,
    words: Int32Array,
    ready: Ready,
    exited: Promise<void>,
  ) {
    this.#worker = worker;
    this.#port = port;
    this.#mail = words;
    this.#memory = memory;
    this.#words = new Int32Array(this.#memory.buffer);
    this.addresses = ready.addresses;
    this.base = ready.base;
    this.features = new Set(ready.features);
    this.#supported = new Set(ready.supported);
    this.fd = ready.fd;
    this.#eventfd = ready.eventfd;
    this.#exited = exited;
    worker.removeAllListeners('error');
    worker.on('message', (message: mail.RingThreadMessage) => {
      if (message.kind === 'failed') this.#fail(receivedError(message.error));
      else if (message.kind === 'finished') this.#finished?.();
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => {
      threads.delete(this);
      this.#stopReplicas();
      if (Atomics.load(this.#mail, mail.MAIL_CLOSES) === 0) this.#closeFor();
      if (!this.#finishing) this.#fail(new InternalError("the ring's thread has ended: what was under way is lost"));
      this.#finished?.();
    });
    worker.unref();
    threads.add(this);
    if (!watchesExit) {
      watchesExit = true;
      process.on('exit', () => {
        for (const each of threads) each.#stop();
      });
    }
  }

  supports(opcode: number): boolean {
    return this.#supported.has(opcode);
  }

  addressOf(view: ArrayBufferView): number {
    return addressOf(view);
  }

  get thread(): RingThread {
    return this;
  }

  enter(): number {
    throw new InternalError('a ring with a thread is entered by that thread alone');
  }

  wait(): Promise<void> {
    throw new InternalError('a ring with a thread is waited for by that thread alone');
  }

  register(opcode: number, argument: number, count: number): number {
    return this.#call(mail.CALL_REGISTER, opcode, argument, count);
  }

  start(ring: number, promises: number): void {
    this.#words = new Int32Array(this.#memory.buffer);
    this.#call(mail.CALL_START, ring, promises);
    this.#ring = ring;
  }

  wake(): void {
    if (this.#ring === 0 || this.failure !== undefined) return;
    if (Atomics.exchange(this.#words, (this.#ring + RING_SLEEPING) / 4, 0) === 1) writeSync(this.#eventfd, ONE);
  }

  turn(): void {
    this.#call(mail.CALL_TURN);
  }

  createQueue(entries: number, how: number): number {
    return this.#call(mail.CALL_QUEUE, entries, how);
  }

  cancel(low: number, high: number): number {
    return this.#call(mail.CALL_CANCEL, low, high);
  }

  async finish(): Promise<void> {
    if (this.#finishing || this.failure !== undefined) return;
    this.#finishing = true;
    this.hold(true);
    const finished = new Promise<void>((resolve) => {
      this.#finished = resolve;
    });
    this.#ask(mail.CALL_FINISH, 0, 0, 0);
    await finished;
  }

  hold(held: boolean): void {
    const holds = held || this.#finishing;
    if (holds === this.#held) return;
    this.#held = holds;
    if (holds) this.#worker.ref();
    else this.#worker.unref();
  }

  get lastFault(): unknown {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return this.#fault;
      const { message } = received.message as mail.RingFault; // what the thread sends
      this.#fault = new WebAssembly.RuntimeError(message);
    }
  }

  onFailure(failed: (error: Error) => void): void {
    this.#failed = failed;
    if (this.failure !== undefined) failed(this.failure);
  }

  async kill(): Promise<void> {
    const killed = this.#worker.terminate();
    // Out of the kernel, where it cannot be ended.
    writeSync(this.#eventfd, ONE);
    await killed;
    await this.#exited;
  }

  /**
   * Of a thread that has ended without closing anything. The kernel has cancelled what it had of it before that was seen (io_uring_files_cancel, in do_exit); it may yet
   * write to the rings, whose pages stay taken: only the ring's own thread could learn when it is done with them.
   */
  #closeFor(): void {
    close(this.fd);
    close(this.#eventfd);
  }

  async close(): Promise<void> {
    await this.finish();
    this.#worker.ref();
    await this.#exited;
  }

  /** A thread that ends needs no programs. */
  #send(message: mail.RingModuleMessage): void {
    if (this.#finishing || this.failure !== undefined) return;
    this.#port.postMessage(message);
    this.#call(mail.CALL_LOAD);
  }

  #ask(call: number, a: number, b: number, c: number): void {
    const words = this.#mail;
    words[mail.MAIL_CALL] = call;
    words[mail.MAIL_ARGUMENTS] = a;
    words[mail.MAIL_ARGUMENTS + 1] = b;
    words[mail.MAIL_ARGUMENTS + 2] = c;
    this.#asked = (this.#asked + 1) | 0;
    Atomics.store(words, mail.MAIL_ASKED, this.#asked);
    Atomics.notify(words, mail.MAIL_ASKED);
    this.wake();
  }

  #call(call: number, a = 0, b = 0, c = 0): number {
    if (this.failure !== undefined) throw this.failure;
    if (this.#finishing) return EBADF;
    const words = this.#mail;
    const before = this.#asked;
    this.#ask(call, a, b, c);
    const start = performance.now();
    let isGone = false;
    while (Atomics.load(words, mail.MAIL_ANSWERED) !== this.#asked) {
      if (isGone || Atomics.load(words, mail.MAIL_ENDED) !== 0 || performance.now() - start > DEAD_MS) {
        const failure = new InternalError(
          "the ring's thread answers no more: see lastFault once the event loop has run",
        );
        this.#fail(failure);
        throw failure;
      }
      const waited = Atomics.wait(words, mail.MAIL_ANSWERED, before, ALIVE_MS);
      // What ends without a word is told by the event loop, which does not run meanwhile.
      isGone = waited === 'timed-out' && !isThere(words[mail.MAIL_THREAD]!);
    }
    return words[mail.MAIL_RESULT]!;
  }

  #fail(error: Error): void {
    this.#fault = error;
    if (this.failure !== undefined) return;
    this.failure = error;
    this.#failed?.(error);
    this.#finished?.();
  }

  /** The process ends: the thread must not sleep in the kernel. */
  #stop(): void {
    Atomics.store(this.#mail, mail.MAIL_STOP, 1);
    Atomics.notify(this.#mail, mail.MAIL_ASKED);
    this.wake();
  }
}

/** Whether this process has such a thread; 0: it has not begun. */
function isThere(thread: number): boolean {
  return thread === 0 || existsSync(`/proc/self/task/${thread}`);
}

/** Threads cannot load the sources: where these run without a build, the thread is that of the last one. */
function threadModule(): URL {
  const built = import.meta.url.endsWith('.ts') ? '../../dist/linux/io-uring-thread.js' : './io-uring-thread.js';
  return new URL(built, import.meta.url);
}
