/** Timers of programs, fired by the thread of a ring: in time, while JavaScript's own thread is busy. */
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_TIMER_WAITING } from '../plane/layout/memory.ts';
import { TIMERS_COMPILED } from '../plane/layout/timer.ts';
import { WORKER_STACK_TOP } from '../plane/layout/worker.ts';
import { leaveEpochs, takeMemoryFault } from '../runtime/memory-fault.ts';
import type { PlaneInstance } from '../runtime/plane.ts';
import type { RingFault } from './io-uring-mailbox.ts';

/** What fires before the ring has its turn again. */
const AT_ONCE = 64;
const CALLBACK_FUEL = 1_000_000_000;

export class ThreadTimers {
  readonly #plane: PlaneInstance;
  readonly #tell: (fault: RingFault) => void;

  constructor(plane: PlaneInstance, tell: (fault: RingFault) => void) {
    this.#plane = plane;
    this.#tell = tell;
  }

  /** Fires what is due; ns until the next one, 0: the ring's turn comes first. Clocks that stand, and functions of the interpreter, are the owner's. */
  fire(): number {
    const { exports, worker } = this.#plane;
    const view = this.#plane.view();
    if (view.getUint32(ROOT + ROOT_TIMER_WAITING, true) === 0) return Number.POSITIVE_INFINITY;
    if (view.getBigUint64(ROOT + ROOT_CLOCK_FROZEN, true) !== 0n) return Number.POSITIVE_INFINITY;
    const now = BigInt.asUintN(64, (exports.bpf_ktime_get_ns as unknown as () => bigint)()); // what the module exports
    const stackTop = view.getUint32(worker + WORKER_STACK_TOP, true);
    const depth = exports.epoch_depth();
    let fired = 1;
    try {
      exports.epoch_enter();
      fired = exports.timers_run(now, AT_ONCE, TIMERS_COMPILED, CALLBACK_FUEL) >>> 0;
      exports.epoch_exit();
    } catch (error) {
      const memory = takeMemoryFault(this.#plane, 'of a timer', error);
      leaveEpochs(this.#plane, depth);
      this.#plane.view().setUint32(worker + WORKER_STACK_TOP, stackTop, true);
      exports.timers_done();
      const cause: unknown = memory ?? error;
      this.#tell({ message: `of a timer: ${cause instanceof Error ? cause.message : String(cause)}` });
    }
    if (fired > 0) return 0;
    const next = BigInt.asUintN(64, exports.timers_next());
    return next > now ? Number(next - now) : Number.POSITIVE_INFINITY;
  }
}
