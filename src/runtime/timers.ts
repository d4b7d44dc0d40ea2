/** When timers and work of programs fire: as the clock is moved, or while it runs by itself, in time. */
import { InputError } from '../errors.ts';
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_TIMER_WAITING } from '../plane/layout/memory.ts';
import { TIMER_CALLBACK, TIMER_MAP, TIMER_VALUE, TIMERS_FOLLOW } from '../plane/layout/timer.ts';
import { WORKER_STACK_TOP, WORKER_TIMER } from '../plane/layout/worker.ts';
import { ProgramFault } from './fault.ts';
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
const OF_INTERPRETER = 0xffff_ffff;
/** More in one go are taken for a timer that starts itself without delay. */
const MOST_AT_ONCE = 1_000_000;
const CALLBACK_FUEL = 1_000_000_000;
const LONGEST_DELAY_MS = 2 ** 31 - 1;

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

  /** Timers and work items that wait. */
  get waiting(): number {
    return this.#plane.view().getUint32(ROOT + ROOT_TIMER_WAITING, true);
  }

  /** Fires what is due now; returns how many fired. */
  run(): number {
    return this.#run(this.#now(), false);
  }

  /** As Runtime.setClock. */
  moveTo(at: bigint): number {
    const now = this.#now();
    if (at < now || at < 1n)
      throw new InputError('SLUICE_CLOCK', `the clock is at ${now} ns, and cannot be set to ${at}`);
    this.#plane.view().setBigUint64(ROOT + ROOT_CLOCK_FROZEN, now, true);
    const fired = this.#run(at, true);
    this.#plane.view().setBigUint64(ROOT + ROOT_CLOCK_FROZEN, at, true);
    return fired;
  }

  /** After programs have run: makes sure that what waits fires in time, if the clock runs. */
  arm(): void {
    if (!this.#live || this.waiting === 0 || this.#isFrozen()) return;
    const next = this.#plane.exports.timers_next();
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

  #run(until: bigint, follow: boolean): number {
    const { exports, worker } = this.#plane;
    const stackTop = this.#plane.view().getUint32(worker + WORKER_STACK_TOP, true);
    const depth = exports.epoch_depth();
    let fired = 0;
    try {
      exports.epoch_enter();
      for (; fired < MOST_AT_ONCE; fired++) {
        const count = exports.timers_run(until, MOST_AT_ONCE - fired, follow ? TIMERS_FOLLOW : 0, CALLBACK_FUEL) >>> 0;
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
    throw new InputError('SLUICE_TIMERS', `${MOST_AT_ONCE} timers fired at once: does one start itself without delay?`);
  }

  #interpretOne(stackTop: number): void {
    const { exports, worker } = this.#plane;
    const view = this.#plane.view();
    const timer = view.getUint32(worker + WORKER_TIMER, true);
    const callback = view.getBigUint64(timer + TIMER_CALLBACK, true);
    const args = {
      map: view.getUint32(timer + TIMER_MAP, true),
      key: exports.timers_key(stackTop - 16) >>> 0,
      value: view.getUint32(timer + TIMER_VALUE, true),
    };
    view.setUint32(worker + WORKER_STACK_TOP, stackTop - 16, true);
    this.interpret?.(Number(callback >> 32n), Number(callback & 0xffff_ffffn), args);
    this.#plane.view().setUint32(worker + WORKER_STACK_TOP, stackTop, true);
  }
}
