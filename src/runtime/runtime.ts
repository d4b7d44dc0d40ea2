/** One user-space target: a memory, the plane over it, and the function table that its programs live in. */
import { InputError, InternalError } from '../errors.ts';
import type { CompiledProgram } from '../jit/index.ts';
import { INBOX_BYTES } from '../plane/layout/cpu.ts';
import {
  ROOT,
  ROOT_CPU_COUNT,
  ROOT_MEMORY_CHECKS,
  ROOT_NEXT_PROGRAM_ID,
  ROOT_SIZE_HOLDS,
  ROOT_TIMER_CPU,
  WASM_PAGE,
} from '../plane/layout/memory.ts';
import { TraitRegistry } from '../traits/registry.ts';
import { CallbackHolds, type CallbackRange } from './callback-holds.ts';
import { type HelperResults, withHelperResults } from './helper-results.ts';
import { createMemory, workerAddress } from './memory.ts';
import { type Network, setNetwork } from './network.ts';
import { createSockets } from './network-sockets.ts';
import type { ModelledObject } from './objects.ts';
import { createPlane, type PlaneInstance } from './plane.ts';
import { collectPrintk, createPrintkRing } from './printk.ts';
import { ProgramLives } from './program-lives.ts';
import { type Clock, setClock, setStack, setTask, steppingClock, type Task } from './surroundings.ts';
import { Timers } from './timers.ts';
import { registryFor } from './trait-table.ts';
import { setTraitFormat, type TraitFormat } from './traits.ts';

export interface RuntimeOptions {
  /** CPUs that per-CPU maps are made for (default 1). */
  readonly cpus?: number;
  /** Start of the pseudo-random numbers that programs and hash maps see. Random by default; the same seed replays a run. */
  readonly seed?: bigint;
  /** Monotonic clock in ns that programs read. */
  readonly now?: () => number;
  /** A clock that stands or steps, in place of `now`. */
  readonly clock?: Clock;
  /** CPU that programs run on, below `cpus` (default 0). */
  readonly cpu?: number;
  /** The task that programs run in (default: pid 0, no name). */
  readonly task?: Task;
  /** What bpf_fib_lookup, bpf_check_mtu and socket lookups find (default: loopback, which forwards nothing, and no sockets). */
  readonly network?: Network;
  /** How packets keep their traits (default: `0-4-8`, `front`), and what their keys are named (default: a registry of the runtime's own, empty at first). */
  readonly metadata?: Partial<TraitFormat> & { readonly registry?: TraitRegistry };
  /**
   * Looks after objects of allocators: what is freed is filled with a pattern and kept from use for a while; a run that frees twice, or writes to what is free, ends with a
   * fault (default false: only what is freed twice is found). Allocation and free then cost ten times as much.
   */
  readonly memoryChecks?: boolean;
  /** Results of helpers, in place of what they would do. */
  readonly helperResults?: HelperResults;
  /** For threads of a runtime: all else but `now` is as the runtime was made. */
  readonly joins?: JoinedMemory;
}

/** A module of programs, as threads that run them as well load it. */
export interface ProgramModule {
  readonly module: WebAssembly.Module;
  /** Its place in the function table. */
  readonly base: number;
  readonly size: number;
  readonly programs: readonly CompiledProgram[];
  /** Loop rounds and calls that a run may take; undefined: any number. */
  readonly fuel: number | undefined;
}

/** What timers may call of the module. */
export function callbacksOf({ base, size }: Pick<ProgramModule, 'base' | 'size'>): readonly CallbackRange[] {
  return [{ first: BigInt(base), count: size }];
}

/** A thread that runs programs, as its owner sees it. */
export interface ProgramReplica {
  /** Before the module's programs can be called on any thread. */
  load(module: ProgramModule): void | Promise<void>;
  /** No thread runs them any more, and none will: its part of the table is given to others. */
  unload(module: ProgramModule): void | Promise<void>;
}

/** A memory that another thread's runtime has made, and the CPU in it that this thread is. */
export interface JoinedMemory {
  readonly memory: WebAssembly.Memory;
  readonly cpu: number;
  /** plane.wasm, as the other thread has compiled it. */
  readonly plane: WebAssembly.Module;
}

/** Between two looks at whether all CPUs have left. */
const LONGEST_PAUSE_MS = 10;

const ofMemory = new WeakMap<WebAssembly.Memory, Runtime>();

/** The runtime that made this plane's memory; undefined for a memory without one. */
export function runtimeOf(plane: PlaneInstance): Runtime | undefined {
  return ofMemory.get(plane.memory);
}

export class Runtime {
  readonly plane: PlaneInstance;
  readonly cpus: number;
  readonly timers: Timers;
  /** Who holds which programs. */
  readonly lives: ProgramLives;
  /** Names of packets' traits. */
  readonly traits: TraitRegistry;
  /** Sockets of the network by name. */
  readonly sockets: ReadonlyMap<string, ModelledObject>;
  /** What programs call: what the plane exports, and helpers whose results are set. */
  readonly functions: Readonly<Record<string, unknown>>;
  /** Why no other thread can run the programs; undefined: it can. */
  readonly singleThread: string | undefined;
  /** Trace rings by CPU. */
  readonly #printk: (number | undefined)[] = [];
  /** Inboxes by CPU: kept, as another CPU may be about to put something in. */
  readonly #inboxes: (number | undefined)[] = [];
  readonly #callbackHolds: CallbackHolds;
  readonly #takenCpus = new Set<number>();
  readonly #modules = new Set<ProgramModule>();
  readonly #replicas = new Set<ProgramReplica>();
  readonly #freeEntries: { index: number; count: number }[] = [];
  /** Ends of modules that runs may still be in. */
  readonly #leaving: Promise<void>[] = [];

  constructor(options: RuntimeOptions = {}) {
    if (options.joins !== undefined) {
      const { memory, cpu, plane } = options.joins;
      const { now } = options;
      this.plane = createPlane(memory, { cpu, module: plane, ...(now === undefined ? {} : { now }) });
      this.cpus = this.plane.view().getUint32(ROOT + ROOT_CPU_COUNT, true);
      this.traits = new TraitRegistry();
      this.sockets = new Map();
      this.functions = this.plane.exports;
      this.timers = new Timers(this.plane, false);
      this.#callbackHolds = new CallbackHolds(this.plane);
      this.lives = new ProgramLives(this.#callbackHolds);
      this.singleThread = undefined;
      ofMemory.set(memory, this);
      return;
    }
    this.cpus = options.cpus ?? 1;
    const seed = options.seed ?? crypto.getRandomValues(new BigUint64Array(1))[0]!;
    const cpu = options.cpu ?? 0;
    if (!(Number.isInteger(cpu) && cpu >= 0 && cpu < this.cpus))
      throw new InputError('SLUICE_CPU', `there is no CPU ${cpu} among ${this.cpus}`);
    const now = options.clock === undefined ? options.now : steppingClock(options.clock);
    this.plane = createPlane(createMemory(this.cpus, seed), {
      cpu,
      ...(now === undefined ? {} : { now }),
      ...(options.seed === undefined ? {} : { hashSeed: seed }),
    });
    setTraitFormat(this.plane.view(), options.metadata ?? {});
    this.traits = registryFor(this.plane, options.metadata?.registry);
    if (options.memoryChecks === true) this.plane.view().setUint32(ROOT + ROOT_MEMORY_CHECKS, 1, true);
    if (options.clock !== undefined) setClock(this.plane.view(), options.clock);
    if (options.task !== undefined) setTask(this.plane.view(), this.plane.worker, options.task);
    const stack = options.task?.stack;
    if (stack !== undefined) setStack(this.plane.view(), this.plane.worker, this.allocatePages(WASM_PAGE), stack);
    if (options.network !== undefined) setNetwork(this.plane, options.network);
    this.sockets = createSockets(this, options.network?.sockets ?? []);
    this.functions = withHelperResults(this.plane, options.helperResults ?? {});
    this.timers = new Timers(this.plane, options.clock === undefined);
    this.#callbackHolds = new CallbackHolds(this.plane);
    this.lives = new ProgramLives(this.#callbackHolds);
    this.view().setUint32(ROOT + ROOT_TIMER_CPU, cpu, true);
    this.#printk[cpu] = createPrintkRing(this.plane);
    this.#takenCpus.add(cpu);
    this.singleThread =
      now !== undefined
        ? 'its clock is a function of this thread'
        : Object.keys(options.helperResults ?? {}).length > 0
          ? 'results of helpers are set'
          : undefined;
    ofMemory.set(this.plane.memory, this);
  }

  /** Zeroed memory, at least `size` bytes, aligned to 64 KiB; the caller's until `freePages` with the same size. */
  allocatePages(size: number): number {
    const address = this.plane.exports.pages_alloc(Math.ceil(size / WASM_PAGE)) >>> 0;
    if (address === 0) throw new InternalError(`the linear memory has no room for ${size} bytes`);
    return address;
  }

  freePages(address: number, size: number): void {
    this.plane.exports.pages_free(address, Math.ceil(size / WASM_PAGE));
  }

  /**
   * Grows the memory by `bytes` (address space: what is not written takes no memory) and keeps it from growing further, as growing would end the process
   * while memory is mapped in it that can only be read. Returns what lets it grow again.
   */
  holdSize(bytes: number): () => void {
    const { memory } = this.plane;
    const holds = () => this.view().getUint32(ROOT + ROOT_SIZE_HOLDS, true);
    if (holds() === 0) {
      const room = 65536 - memory.buffer.byteLength / WASM_PAGE;
      try {
        memory.grow(Math.min(room, Math.ceil(bytes / WASM_PAGE)));
      } catch {
        throw new InputError('SLUICE_MAP_ENOMEM', `the linear memory cannot grow by ${bytes} bytes: ENOMEM`);
      }
    }
    this.view().setUint32(ROOT + ROOT_SIZE_HOLDS, holds() + 1, true);
    return () => this.view().setUint32(ROOT + ROOT_SIZE_HOLDS, holds() - 1, true);
  }

  /** Number of a program that is loaded, from 1. */
  nextProgram(): number {
    const view = this.view();
    const number = view.getUint32(ROOT + ROOT_NEXT_PROGRAM_ID, true);
    view.setUint32(ROOT + ROOT_NEXT_PROGRAM_ID, number + 1, true);
    return number;
  }

  bytes(): Uint8Array {
    return this.plane.bytes();
  }

  view(): DataView {
    return this.plane.view();
  }

  /**
   * Sets the clock, which stands from then on, and fires the timers that are due by then, each at its own time; a clock is never set back.
   * Returns how many fired. Throws InputError `SLUICE_CLOCK` for a time before the present one, ProgramFault where a callback does what it may
   * not.
   */
  setClock(at: bigint): number {
    return this.timers.moveTo(at);
  }

  /** First of `count` function-table entries in a row, the caller's until `releaseEntries`. */
  reserveEntries(count: number): number {
    const fits = this.#freeEntries.findIndex((run) => run.count >= count);
    if (fits < 0) return this.plane.table.grow(count);
    const run = this.#freeEntries[fits]!;
    this.#freeEntries.splice(fits, 1);
    if (run.count > count) this.#freeEntries.push({ index: run.index + count, count: run.count - count });
    return run.index;
  }

  releaseEntries(index: number, count: number): void {
    for (let i = index; i < index + count; i++) this.plane.table.set(i, null);
    if (count > 0) this.#freeEntries.push({ index, count });
  }

  /** Lines that programs wrote with bpf_trace_printk since the last call, and how many found no room. */
  printk(): { readonly lines: readonly string[]; readonly dropped: number } {
    const lines: string[] = [];
    let dropped = 0;
    for (const ring of this.#printk) {
      if (ring === undefined) continue;
      const of = collectPrintk(this.plane, ring);
      lines.push(...of.lines);
      dropped += of.dropped;
    }
    return { lines, dropped };
  }

  /** CPUs that no thread has taken. */
  freeCpus(): readonly number[] {
    return Array.from({ length: this.cpus }, (_, cpu) => cpu).filter((cpu) => !this.#takenCpus.has(cpu));
  }

  /** A CPU for a thread of its own, `wanted` or any, the caller's until `giveCpu`. Throws InputError `SLUICE_CPU` if it, or all, are taken. */
  takeCpu(wanted?: number): number {
    const cpu = wanted ?? this.freeCpus()[0];
    if (cpu === undefined)
      throw new InputError(
        'SLUICE_CPU',
        `all ${this.cpus} CPUs of the runtime are taken: a thread needs one of its own, new Runtime({ cpus: ${this.cpus + 1} })`,
      );
    if (!(Number.isInteger(cpu) && cpu >= 0 && cpu < this.cpus))
      throw new InputError('SLUICE_CPU', `there is no CPU ${cpu} among ${this.cpus}`);
    if (this.#takenCpus.has(cpu))
      throw new InputError(
        'SLUICE_CPU',
        `CPU ${cpu} has a thread${cpu === 0 ? ': the one that made the runtime' : ''}`,
      );
    this.#takenCpus.add(cpu);
    this.#printk[cpu] ??= createPrintkRing(this.plane, workerAddress(cpu));
    return cpu;
  }

  /** Address of the CPU's inbox (plane/layout/cpu.ts). */
  inboxOf(cpu: number): number {
    let inbox = this.#inboxes[cpu];
    if (inbox === undefined) {
      inbox = this.allocatePages(INBOX_BYTES);
      this.plane.exports.inbox_init(inbox);
      this.#inboxes[cpu] = inbox;
    }
    return inbox;
  }

  /** Its thread has ended: timers that wait for it fire on this one. */
  giveCpu(cpu: number): void {
    this.#takenCpus.delete(cpu);
    this.plane.exports.timers_move(cpu);
    this.timers.arm();
  }

  /** For the engine: all threads have the programs in their tables when this has ended, this one before. */
  async addModule(module: ProgramModule): Promise<void> {
    this.#modules.add(module);
    await Promise.all([...this.#replicas].map((replica) => replica.load(module)));
  }

  /**
   * For the engine: nothing leads to the programs any more. What runs them ends first; then their part of the table is free, and `gone` is called. False: there is no such
   * module.
   */
  removeModule(module: ProgramModule, gone: () => void): boolean {
    if (!this.#modules.has(module)) return false;
    if (this.#replicas.size === 0) {
      this.#modules.delete(module);
      this.releaseEntries(module.base, module.size);
      gone();
    } else this.#leave(module, gone);
    return true;
  }

  #leave(module: ProgramModule, gone: () => void): void {
    const end = this.#unload(module, gone);
    // `settled` tells.
    end.catch(() => {});
    this.#leaving.push(end);
  }

  /** Modules whose programs are in the table. */
  get modules(): Iterable<ProgramModule> {
    return this.#modules;
  }

  /** Ends when all programs are gone whose objects are closed and that nothing holds. Throws what went wrong with one. */
  async settled(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#leaving.splice(0));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #unload(module: ProgramModule, gone: () => void): Promise<void> {
    await this.synchronize();
    await this.#cpumapsSettled();
    const callbacks = callbacksOf(module);
    // A run that was under way may have set a callback: then the program stays for that timer. (Linux refuses it, as nobody holds the program: -ENOENT.)
    if (this.#callbackHolds.isHeld(callbacks)) {
      this.#callbackHolds.whenFree(callbacks, () => this.#leave(module, gone));
      return;
    }
    this.#modules.delete(module);
    await Promise.all([...this.#replicas].map((replica) => replica.unload(module)));
    this.releaseEntries(module.base, module.size);
    gone();
  }

  /** Ends when frames that lay in queues of cpumaps' elements have been run that are no more: by their programs, of which the module may be one. */
  async #cpumapsSettled(): Promise<void> {
    const { exports } = this.plane;
    for (let ms = 0; exports.queues_closing() !== 0; ms = Math.min(ms + 1, LONGEST_PAUSE_MS)) {
      // What waits for a grace period goes when this CPU leaves one.
      exports.epoch_enter();
      exports.epoch_exit();
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  /** Keeps a thread's programs as this runtime's: those that are there, and those that come. Returns what ends that. */
  async replicate(replica: ProgramReplica): Promise<() => void> {
    // What is added meanwhile goes to both.
    const before = [...this.#modules];
    this.#replicas.add(replica);
    try {
      for (const module of before) if (this.#modules.has(module)) await replica.load(module);
    } catch (error) {
      this.#replicas.delete(replica);
      throw error;
    }
    return () => void this.#replicas.delete(replica);
  }

  /**
   * Ends when every run on every CPU has ended that was under way at the call (the kernel's synchronize_rcu): nobody holds what was taken out of maps and attachments
   * before.
   */
  async synchronize(): Promise<void> {
    const { exports } = this.plane;
    if (this.cpus === 1) return;
    const target = exports.epoch_target();
    for (let ms = 0; exports.epoch_reached(target) === 0; ms = Math.min(ms + 1, LONGEST_PAUSE_MS))
      await new Promise((resolve) => setTimeout(resolve, ms));
  }
}
