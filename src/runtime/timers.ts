/** When timers and work of programs fire: as the clock is moved, or while it runs by itself, in time. */
import { InputError, InternalError } from '../errors.ts';
import { CPU_TIMERS } from '../plane/layout/cpu.ts';
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_CPU_COUNT } from '../plane/layout/memory.ts';
import {
  DUE_ON_RETURN as ON_RETURN,
  TIMER_FUEL,
  TIMERS_FOLLOW,
  TURN_STOPPED,
  TURN_WAITS,
} from '../plane/layout/timer.ts';
import {
  WORKER_INBOX,
  WORKER_STACK_TOP,
  WORKER_TIMER_CALLBACK,
  WORKER_TIMER_MAP,
  WORKER_TIMER_TURN,
  WORKER_TIMER_TURN_FIRED,
  WORKER_TIMER_VALUE,
  WORKER_TIMER_WAITING,
} from '../plane/layout/worker.ts';
import { ProgramFault } from './fault.ts';
import { workerAddress } from './memory.ts';
import { leaveEpochs, takeMemoryFault } from './memory-fault.ts';
import type { PlaneInstance } from './plane.ts';

/** Addresses that a callback is given. */
export interface CallbackArguments {
  readonly map: number;
  readonly key: number;
  readonly value: number;
}

/** Runs function `index` of the interpreter's image at this address. */
export type Interpret = (image: number, index: number, args: CallbackArguments) => void;

const NONE = (1n << 64n) - 1n;
const DUE_ON_RETURN = BigInt(ON_RETURN);
const OF_INTERPRETER = 0xffff_ffff;
/** More in one go are taken for a timer that starts itself without delay. */
const MOST_AT_ONCE = 1_000_000;
const LONGEST_DELAY_MS = 2 ** 31 - 1;
/** A thread that is asked to fire a timer does what is in its inbox before; one that has not answered for so long has ended, or never will. */
const LONGEST_ANSWER_MS = 20_000;

export class Timers {
  interpret: Interpret | undefined;
  readonly #plane: PlaneInstance;
  readonly #live: boolean;
  #armedFor = NONE;
  #handle: ReturnType<typeof setTimeout> | undefined;

  /** @param live the clock runs by itself: timers fire without being asked for, while the process lives for other reasons. */
  constructor(plane: PlaneInstance, live: boolean) {
    this.#plane = plane;
    this.#live = live;
  }

  /** Timers and work items that wait, on all CPUs. */
  get waiting(): number {
    const cpus = this.#plane.view().getUint32(ROOT + ROOT_CPU_COUNT, true);
    let waiting = 0;
    for (let cpu = 0; cpu < cpus; cpu++) waiting += this.#waitingOf(workerAddress(cpu));
    return waiting;
  }

  /** Fires what is due now on this CPU, and on those that no thread runs; returns how many fired. */
  run(): number {
    return this.#run(this.#now(), false);
  }

  /** As Runtime.setClock. */
  moveTo(at: bigint): number {
    const now = this.#now();
    if (at < now || at < 1n)
      throw new InputError('SLUICE_CLOCK', `the clock is at ${now} ns, and cannot be set to ${at}`);
    this.#plane.view().setBigUint64(ROOT + ROOT_CLOCK_FROZEN, now, true);
    const fired = this.#follow(at);
    this.#plane.view().setBigUint64(ROOT + ROOT_CLOCK_FROZEN, at, true);
    return fired;
  }

  /** After programs have run: does what they have left to do for their task, and makes sure that what waits fires in time, if the clock runs. */
  arm(): void {
    const { exports, worker } = this.#plane;
    if (this.#waitingOf(worker) === 0) return;
    let next = exports.timers_next();
    if (next === DUE_ON_RETURN && exports.epoch_depth() === 0) {
      this.#run(DUE_ON_RETURN, false);
      if (this.#waitingOf(worker) === 0) return;
      next = exports.timers_next();
    }
    if (!this.#live || this.#isFrozen()) return;
    if (this.#handle !== undefined && this.#armedFor <= next) return;
    if (this.#handle !== undefined) clearTimeout(this.#handle);
    this.#armedFor = next;
    const delay = Math.min(Math.max(0, Number(next - this.#now()) / 1e6), LONGEST_DELAY_MS);
    this.#handle = setTimeout(() => {
      this.#handle = undefined;
      this.#armedFor = NONE;
      if (!this.#isFrozen()) this.run();
      this.arm();
    }, Math.ceil(delay));
    // Node's: a timer of a program does not keep the process alive.
    if (typeof this.#handle === 'object') this.#handle.unref();
  }

  #now(): bigint {
    return BigInt.asUintN(64, (this.#plane.exports.bpf_ktime_get_ns as unknown as () => bigint)());
  }

  #isFrozen(): boolean {
    return this.#plane.view().getBigUint64(ROOT + ROOT_CLOCK_FROZEN, true) !== 0n;
  }

  #waitingOf(worker: number): number {
    return this.#plane.view().getUint32(worker + WORKER_TIMER_WAITING, true);
  }

  /** Fires what is due on all CPUs by then, one at a time in the order of their times, each where it waits. */
  #follow(at: bigint): number {
    const { exports, cpu: own } = this.#plane;
    let fired = 0;
    while (fired < MOST_AT_ONCE) {
      const first = exports.timers_first(at);
      if (first === 0) return fired;
      fired += first - 1 === own ? this.#run(at, true) : this.#ask(first - 1, at);
    }
    throw tooMany();
  }

  /** Lets the thread of another CPU fire its first timer. Of one that takes no such requests (a ring's) the timer comes here. */
  #ask(cpu: number, at: bigint): number {
    const { exports, worker } = this.#plane;
    const words = new Int32Array(this.#plane.memory.buffer);
    const turn = (worker + WORKER_TIMER_TURN) / 4;
    Atomics.store(words, turn, TURN_WAITS);
    const low = Number(at & 0xffff_ffffn);
    const high = Number(at >> 32n);
    const start = performance.now();
    const inbox = Atomics.load(words, (workerAddress(cpu) + WORKER_INBOX) / 4);
    while (exports.cpu_send(cpu, CPU_TIMERS, worker, low, high, 0) === 0) {
      if (Atomics.load(words, (workerAddress(cpu) + WORKER_INBOX) / 4) === 0) {
        exports.timers_pass(cpu);
        return 0;
      }
      // Its inbox is full.
      Atomics.wait(words, turn, TURN_WAITS, 1);
      this.#plane.watches.get(cpu)?.hasEnded();
      this.#expectAnswer(cpu, start);
    }
    while (Atomics.wait(words, turn, TURN_WAITS, 100) === 'timed-out') {
      this.#expectAnswer(cpu, start);
      if (this.#plane.watches.get(cpu)?.hasEnded() !== true || Atomics.load(words, turn) !== TURN_WAITS) continue;
      // It had not come to it: the timer fires where it goes now.
      exports.timers_withdraw(inbox, worker);
      exports.timers_pass(cpu);
      return 0;
    }
    if (Atomics.load(words, turn) === TURN_STOPPED)
      throw new ProgramFault('SLUICE_FAULT_TRAP', 'of a timer', `a callback on CPU ${cpu} was stopped by the sandbox`);
    return Atomics.load(words, (worker + WORKER_TIMER_TURN_FIRED) / 4);
  }

  #expectAnswer(cpu: number, start: number): void {
    if (performance.now() - start > LONGEST_ANSWER_MS)
      throw new InternalError(`the thread of CPU ${cpu} does not fire its timers`);
  }

  #run(until: bigint, follow: boolean): number {
    const { exports, worker } = this.#plane;
    const stackTop = this.#plane.view().getUint32(worker + WORKER_STACK_TOP, true);
    const depth = exports.epoch_depth();
    let fired = 0;
    try {
      exports.epoch_enter();
      for (; fired < MOST_AT_ONCE; fired++) {
        const count = exports.timers_run(until, MOST_AT_ONCE - fired, follow ? TIMERS_FOLLOW : 0, TIMER_FUEL) >>> 0;
        if (count !== OF_INTERPRETER) {
          exports.epoch_exit();
          return fired + count;
        }
        this.#interpretOne(stackTop);
        exports.timers_done();
      }
    } catch (error) {
      const memory = takeMemoryFault(this.#plane, 'of a timer', error);
      leaveEpochs(this.#plane, depth);
      this.#plane.view().setUint32(worker + WORKER_STACK_TOP, stackTop, true);
      exports.timers_done();
      if (memory !== undefined) throw memory;
      if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
      throw new ProgramFault(
        'SLUICE_FAULT_TRAP',
        'of a timer',
        `a callback was stopped by the sandbox (${error.message})`,
        {
          cause: error,
        },
      );
    }
    leaveEpochs(this.#plane, depth);
    throw tooMany();
  }

  #interpretOne(stackTop: number): void {
    const { exports, worker } = this.#plane;
    const view = this.#plane.view();
    const callback = view.getBigUint64(worker + WORKER_TIMER_CALLBACK, true);
    const args = {
      map: view.getUint32(worker + WORKER_TIMER_MAP, true),
      key: exports.timers_key(stackTop - 16) >>> 0,
      value: view.getUint32(worker + WORKER_TIMER_VALUE, true),
    };
    view.setUint32(worker + WORKER_STACK_TOP, stackTop - 16, true);
    this.interpret?.(Number(callback >> 32n), Number(callback & 0xffff_ffffn), args);
    this.#plane.view().setUint32(worker + WORKER_STACK_TOP, stackTop, true);
  }
}

function tooMany(): InputError {
  return new InputError('SLUICE_TIMERS', `${MOST_AT_ONCE} timers fired at once: does one start itself without delay?`);
}
