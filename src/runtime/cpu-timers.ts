/** Timers of programs as the thread of a CPU fires them: between what it runs, in time, while JavaScript's own thread is busy. Of a clock that stands the owner says when (timers.ts). */
import { ROOT, ROOT_CLOCK_FROZEN } from '../plane/layout/memory.ts';
import { DUE_ON_RETURN, TIMER_FUEL, TIMERS_COMPILED } from '../plane/layout/timer.ts';
import { WORKER_STACK_TOP, WORKER_TIMER_PASSED, WORKER_TIMER_WAITING } from '../plane/layout/worker.ts';
import { leaveEpochs, takeMemoryFault } from './memory-fault.ts';
import type { PlaneInstance } from './plane.ts';

/** What fires before the thread does something else. */
const AT_ONCE = 64;

export interface CpuTimersOptions {
  /** A callback was stopped. */
  readonly onFault: (fault: Error) => void;
  /** Timers whose callbacks only the owner's thread can run (functions of the interpreter) wait for it now: Timers.arm is to be called there. */
  readonly onPassed: () => void;
}

export class CpuTimers {
  readonly #plane: PlaneInstance;
  readonly #options: CpuTimersOptions;
  #passed: number;

  /** From now on what this CPU starts fires here. When the thread has ended, its owner takes over (Runtime.giveCpu). */
  constructor(plane: PlaneInstance, options: CpuTimersOptions) {
    this.#plane = plane;
    this.#options = options;
    this.#passed = plane.view().getUint32(plane.worker + WORKER_TIMER_PASSED, true);
    plane.exports.timers_begin();
  }

  /** Fires what is due; ns until the next one, 0: there may be more, and what else the thread does comes first. */
  fire(): number {
    const { exports, worker } = this.#plane;
    const view = this.#plane.view();
    if (view.getUint32(worker + WORKER_TIMER_WAITING, true) === 0) return Number.POSITIVE_INFINITY;
    const stands = view.getBigUint64(ROOT + ROOT_CLOCK_FROZEN, true) !== 0n;
    const now = stands
      ? BigInt(DUE_ON_RETURN)
      : BigInt.asUintN(64, (exports.bpf_ktime_get_ns as unknown as () => bigint)()); // what the module exports
    const stackTop = view.getUint32(worker + WORKER_STACK_TOP, true);
    const depth = exports.epoch_depth();
    let fired = 1;
    try {
      exports.epoch_enter();
      fired = exports.timers_run(now, AT_ONCE, TIMERS_COMPILED, TIMER_FUEL) >>> 0;
      exports.epoch_exit();
    } catch (error) {
      const memory = takeMemoryFault(this.#plane, 'of a timer', error);
      leaveEpochs(this.#plane, depth);
      this.#plane.view().setUint32(worker + WORKER_STACK_TOP, stackTop, true);
      exports.timers_done();
      this.#options.onFault(memory ?? (error instanceof Error ? error : new Error(String(error))));
    }
    const passed = this.#plane.view().getUint32(worker + WORKER_TIMER_PASSED, true);
    if (passed !== this.#passed) {
      this.#passed = passed;
      this.#options.onPassed();
    }
    if (fired > 0) return 0;
    if (stands) return Number.POSITIVE_INFINITY;
    const next = BigInt.asUintN(64, exports.timers_next());
    return next > now ? Number(next - now) : 0;
  }
}
