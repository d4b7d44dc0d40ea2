/** runtime/cpus/: CPUs of a runtime that are threads. This file: the threads as their owner, the thread that made the runtime, has them. */
import { InputError, InternalError } from '../../errors.ts';
import { INBOX_DOORBELL, INBOX_MAIL, INBOX_SLEEPING } from '../../plane/layout/cpu.ts';
import { WORKER_INBOX } from '../../plane/layout/worker.ts';
import type { RunInput, RunResult } from '../handles.ts';
import type { Hook } from '../hook.ts';
import { workerAddress } from '../memory.ts';
import { planeModule } from '../plane.ts';
import type { UserProgram } from '../program.ts';
import type { Runtime } from '../runtime.ts';
import type { CpuAsk, CpuMessage, CpuWorker, StartCpu } from './mail.ts';
import { abandonItems, CpuWatch, type Recovered } from './recovery.ts';
import { receivedError } from './sent-error.ts';

export interface CpusOptions {
  /** Which CPUs get a thread (default: all that none has; CPU 0 is the thread that made the runtime). */
  readonly cpus?: readonly number[];
  /** A thread has ended that was not asked to. */
  readonly onCrash?: (crash: CpuCrash) => void;
  /** A program was stopped that was not run by `run`. */
  readonly onFault?: (fault: Error, cpu: number) => void;
}

export interface CpuCrash {
  readonly cpu: number;
  /** What ended the thread. */
  readonly error: Error;
  /** What it was in the middle of, and what has been put in order. */
  readonly recovered: Recovered;
  /**
   * Items of its inbox that it had not begun. They are the next thread's if a handler calls `restart` before it returns; else they come back to who sent them: runs as stopped,
   * frames as crashed.
   */
  readonly waiting: number;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** One CPU's thread. */
class Cpu {
  readonly cpu: number;
  readonly #inbox: number;
  readonly #worker: CpuWorker;
  readonly #words: Int32Array;
  readonly #pending = new Map<number, Pending>();
  #asked: number;
  #isEnding = false;
  stopReplica = () => {};

  constructor(cpu: number, inbox: number, worker: CpuWorker, memory: WebAssembly.Memory) {
    this.cpu = cpu;
    this.#inbox = inbox;
    this.#worker = worker;
    this.#words = new Int32Array(memory.buffer);
    // A thread before this one has counted.
    this.#asked = this.#words[(inbox + INBOX_MAIL) / 4]!;
  }

  ask(ask: CpuAsk): Promise<unknown> {
    const number = ++this.#asked;
    const answer = new Promise((resolve, reject) => this.#pending.set(number, { resolve, reject }));
    this.#worker.hold(true);
    this.#worker.post({ number, ask });
    Atomics.store(this.#words, (this.#inbox + INBOX_MAIL) / 4, number);
    // It may be about to sleep: the doorbell is rung in any case.
    Atomics.store(this.#words, (this.#inbox + INBOX_SLEEPING) / 4, 0);
    Atomics.add(this.#words, (this.#inbox + INBOX_DOORBELL) / 4, 1);
    Atomics.notify(this.#words, (this.#inbox + INBOX_DOORBELL) / 4);
    return answer;
  }

  answered(message: CpuMessage & { readonly kind: 'answer' | 'failed' }): void {
    const pending = this.#pending.get(message.number);
    this.#pending.delete(message.number);
    if (this.#pending.size === 0 && !this.#isEnding) this.#worker.hold(false);
    if (message.kind === 'answer') pending?.resolve(message.result);
    else pending?.reject(receivedError(message.error));
  }

  /** Nothing that it was asked for will be answered. */
  abandon(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  /** It is to end: until it has, it keeps the process alive, which may have nothing else to do. */
  holdToEnd(): void {
    this.#isEnding = true;
    this.#worker.hold(true);
  }

  kill(): Promise<void> {
    return this.#worker.kill();
  }
}

/** When inboxes of CPUs without threads are looked at again: who was about to put an item in when the thread ended may have been kept from it for so long. */
const LATE_MS = [20, 200, 2000];

export class CpuSet {
  readonly runtime: Runtime;
  readonly #start: StartCpu;
  readonly #hooks: readonly Hook[];
  readonly #options: CpusOptions;
  readonly #threads = new Map<number, Cpu>();
  /** CPUs whose threads have crashed, until they have new ones. */
  readonly #crashed = new Set<number>();
  readonly #handlers = new Set<(crash: CpuCrash) => void>();
  /** Ends of threads that are under way, by CPU. */
  readonly #ending = new Map<number, () => void>();

  protected constructor(runtime: Runtime, start: StartCpu, hooks: readonly Hook[], options: CpusOptions) {
    if (runtime.singleThread !== undefined)
      throw new InputError('SLUICE_CPU', `no other thread can run this runtime's programs: ${runtime.singleThread}`);
    this.runtime = runtime;
    this.#start = start;
    this.#hooks = hooks;
    this.#options = options;
  }

  /** CPUs that have a thread, in order. */
  get list(): readonly number[] {
    return [...this.#threads.keys()].sort((a, b) => a - b);
  }

  protected async startAll(): Promise<void> {
    const { runtime } = this;
    const wanted = this.#options.cpus ?? runtime.freeCpus();
    if (wanted.length === 0)
      throw new InputError(
        'SLUICE_CPU',
        `the runtime has ${runtime.cpus} CPUs, and none is free: new Runtime({ cpus: ${runtime.cpus + 1} })`,
      );
    try {
      await Promise.all(wanted.map((cpu) => this.#startCpu(cpu)));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Calls `handler` when a thread has ended that was not asked to; returns what ends that. As CpusOptions.onCrash. */
  onCrash(handler: (crash: CpuCrash) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Gives a CPU whose thread has crashed a new one, which goes on with what is in the inbox behind the item that the crash stopped (CpuCrash.waiting). Throws InputError `SLUICE_CPU` for others. */
  async restart(cpu: number): Promise<void> {
    if (!this.#crashed.has(cpu))
      throw new InputError(
        'SLUICE_CPU',
        `CPU ${cpu} has no thread that crashed: ${[...this.#crashed].join(', ') || 'none has'}`,
      );
    await this.#startCpu(cpu);
    this.#crashed.delete(cpu);
  }

  async #startCpu(cpu: number): Promise<void> {
    const { runtime } = this;
    runtime.takeCpu(cpu);
    const inbox = runtime.inboxOf(cpu);
    this.#setInbox(cpu, inbox);
    const worker = this.#start({
      memory: runtime.plane.memory,
      plane: planeModule(),
      cpu,
      timeOrigin: performance.timeOrigin,
    });
    const thread = new Cpu(cpu, inbox, worker, runtime.plane.memory);
    const watch = new CpuWatch(runtime.plane, cpu, () => worker.isAlive());
    this.#threads.set(cpu, thread);
    worker.onExit((error) => this.#ended(thread, watch, error));
    await new Promise<void>((resolve, reject) => {
      this.#ending.set(cpu, () => reject(new InternalError(`the thread of CPU ${cpu} ended before it began`)));
      worker.onMessage((message) => {
        if (message.kind === 'ready') resolve();
        else if (message.kind === 'timers') runtime.timers.arm();
        else if (message.kind === 'fault') this.#options.onFault?.(receivedError(message.error), cpu);
        else thread.answered(message);
      });
    });
    this.#ending.delete(cpu);
    worker.hold(false);
    thread.stopReplica = await runtime.replicate({
      load: (module) => this.#tell(thread, { kind: 'load', module }),
      unload: (module) => this.#tell(thread, { kind: 'unload', module }),
    });
    // What is in the inbox from a thread before may run any program.
    await thread.ask({ kind: 'begin' });
  }

  /** A test run of the program on that CPU: as `program.run`. Throws what it throws, InputError `SLUICE_CPU` where no thread runs the CPU. */
  async run(program: UserProgram, input: RunInput, cpu: number): Promise<RunResult> {
    const { executable, hook, name, type, runtime } = program;
    if (runtime !== this.runtime)
      throw new InputError('SLUICE_CPU_PROGRAM', `program ${name} belongs to another runtime`);
    if (executable.entry === 0)
      throw new InputError(
        'SLUICE_CPU_PROGRAM',
        `program ${name} runs in the interpreter, which is this thread's: load it with engine 'jit'`,
      );
    if (!this.#hooks.includes(hook))
      throw new InputError('SLUICE_CPU_PROGRAM', `program ${name}: a hook of your own is this thread's alone`);
    return (await this.#of(cpu).ask({ kind: 'run', entry: executable.entry, type, input })) as RunResult; // what the thread's hook gives
  }

  /** Puts an item into a CPU's inbox (plane/layout/cpu.ts); false: it is full, or no thread runs the CPU. */
  send(cpu: number, kind: number, a = 0, b = 0, c = 0, d = 0): boolean {
    return this.runtime.plane.exports.cpu_send(cpu, kind, a, b, c, d) !== 0;
  }

  /** Calls a function of the plane on that CPU, within an epoch; what it returns. */
  async call(cpu: number, name: string, ...args: readonly (number | bigint)[]): Promise<number | bigint | undefined> {
    return (await this.#of(cpu).ask({ kind: 'call', name, args })) as number | bigint | undefined; // of a WebAssembly function
  }

  /** Ends a CPU's thread where it stands, as a crash would. */
  async kill(cpu: number): Promise<void> {
    await this.#of(cpu).kill();
  }

  /** Ends the threads: each does what is in its inbox first. */
  async close(): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => this.#stop(thread)));
  }

  async #stop(thread: Cpu): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#ending.set(thread.cpu, resolve));
    thread.stopReplica();
    thread.holdToEnd();
    try {
      await thread.ask({ kind: 'stop' });
    } catch {
      // It has ended, one way or the other.
    }
    await ended;
  }

  #of(cpu: number): Cpu {
    const thread = this.#threads.get(cpu);
    if (thread === undefined)
      throw new InputError('SLUICE_CPU', `no thread runs CPU ${cpu}: ${this.list.join(', ') || 'none is started'}`);
    return thread;
  }

  /** A thread that ends needs no programs. */
  async #tell(thread: Cpu, ask: CpuAsk): Promise<void> {
    if (this.#threads.get(thread.cpu) === thread)
      await thread.ask(ask).catch((error) => {
        if (this.#threads.get(thread.cpu) === thread) throw error;
      });
  }

  #ended(thread: Cpu, watch: CpuWatch, error: Error | undefined): void {
    const { cpu } = thread;
    const { runtime } = this;
    const recovered = watch.ended();
    const waiting = runtime.plane.exports.inbox_count(runtime.inboxOf(cpu));
    this.#threads.delete(cpu);
    thread.stopReplica();
    const expected = this.#ending.get(cpu);
    this.#ending.delete(cpu);
    const failure = error ?? new InternalError(`the thread of CPU ${cpu} has ended`);
    thread.abandon(failure);
    runtime.giveCpu(cpu);
    if (expected !== undefined) {
      expected();
    } else {
      this.#crashed.add(cpu);
      for (const handler of [this.#options.onCrash, ...this.#handlers])
        handler?.({ cpu, error: failure, recovered, waiting });
    }
    this.#abandonItems(cpu);
    for (const ms of LATE_MS) {
      const handle = setTimeout(() => this.#abandonItems(cpu), ms);
      // Node's: nobody waits for this.
      if (typeof handle === 'object') handle.unref();
    }
  }

  /** What lies in the inbox of a CPU that no thread runs goes back to who sent it. */
  #abandonItems(cpu: number): void {
    abandonItems(this.runtime, cpu);
  }

  #setInbox(cpu: number, inbox: number): void {
    const words = new Int32Array(this.runtime.plane.memory.buffer);
    Atomics.store(words, (workerAddress(cpu) + WORKER_INBOX) / 4, inbox);
  }
}
