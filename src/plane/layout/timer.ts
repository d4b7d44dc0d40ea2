/**
 * A timer or work item, of a workqueue or of a task: a small block of the pool (kfuncs/pool.ts) that a bpf_timer, bpf_wq or bpf_task_work field of a map value points to by its first
 * eight bytes; 0 there: not initialised. The timers that wait for a CPU stand in its heap (WORKER_TIMER_HEAP), earliest first, those of one time in the order of their start.
 *
 * What a timer has is written under the lock of TIMER_CPU alone, which itself changes under the locks of both CPUs, and never while its callback runs: no callback runs beside
 * itself. A field that points to a timer is cleared under that lock too: who has the lock and still reads the timer in the field has a timer that lives.
 */

/** u32: previous and next in the list of timers that were initialised on TIMER_HOME (WORKER_TIMER_LIST), 0 at the ends; under the lock of that list. */
export const TIMER_PREVIOUS = 0;
export const TIMER_NEXT = 4;
/** u64: when it is due, in ns of the clock of the programs. */
export const TIMER_EXPIRES = 8;
/** u32: number of its start; place in the heap, from 1, 0 while it does not wait. */
export const TIMER_SEQUENCE = 16;
export const TIMER_PLACE = 20;
/** u32: map, and address of the value that it stands in; 0 once that value is gone. */
export const TIMER_MAP = 24;
export const TIMER_VALUE = 28;
/**
 * u64: what it calls, 0: nothing. An index into the function table, or with a non-zero upper half a function of the interpreter: image
 * above, index of the function below.
 */
export const TIMER_CALLBACK = 32;
/** u32: TIMER_IS_*. */
export const TIMER_KIND = 40;
export const TIMER_IS_TIMER = 1;
export const TIMER_IS_WORK = 2;
export const TIMER_IS_TASK_WORK = 3;
/** u32: CPU that runs its callback at this moment, plus 1; 0: none. Who waits for its end waits at this word. */
export const TIMER_RUNNING = 44;
/** u32: CPU in whose heap it waits, or last waited; CPU in whose list it is. */
export const TIMER_CPU = 48;
export const TIMER_HOME = 52;
/** u32: callbacks of other timers that are in bpf_timer_cancel of this one. */
export const TIMER_CANCELLING = 56;
/** u32: CPUs that hold it while they wait; the block goes with the last. */
export const TIMER_HOLDERS = 60;

/**
 * How timers_run fires them: a frozen clock shows each the time that it was due at, and one of another CPU that is due before comes first; functions of the interpreter are given to
 * ROOT_TIMER_CPU.
 */
export const TIMERS_FOLLOW = 1;
export const TIMERS_COMPILED = 2;

/**
 * What is due at once: work of tasks, before the CPU that runs the task returns to control code (timers_run until DUE_ON_RETURN), whatever the clock says; other work, as timers
 * whose time has come.
 */
export const DUE_ON_RETURN = 0;
export const DUE_AT_ONCE = 1;

/** WORKER_TIMER_TURN. */
export const TURN_WAITS = 0;
export const TURN_DONE = 1;
export const TURN_STOPPED = 2;

/** Loop rounds and calls that a callback may take. */
export const TIMER_FUEL = 1_000_000_000;

/** Bytes of struct bpf_timer and struct bpf_wq. */
export const TIMER_FIELD_SIZE = 16;

/** Flags of bpf_timer_start (include/uapi/linux/bpf.h). */
export const BPF_F_TIMER_ABS = 1;
export const BPF_F_TIMER_CPU_PIN = 2;
