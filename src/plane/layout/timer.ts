/**
 * A timer or work item: a small block of the pool (kfuncs/pool.ts) that a bpf_timer or bpf_wq field of a map value points to by its first
 * eight bytes; 0 there: not initialised. The timers that wait stand in a heap, earliest first, those of one time in the order of their start.
 */

/** u32: previous and next in the list of all timers (ROOT_TIMERS), 0 at the ends. */
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
/** u32: CPUs that run its callback at this moment. */
export const TIMER_RUNNING = 44;

/** How timers_run fires them: a frozen clock shows each the time that it was due at; functions of the interpreter are left to others. */
export const TIMERS_FOLLOW = 1;
export const TIMERS_COMPILED = 2;

/** Bytes of struct bpf_timer and struct bpf_wq. */
export const TIMER_FIELD_SIZE = 16;

/** Flags of bpf_timer_start (include/uapi/linux/bpf.h). */
export const BPF_F_TIMER_ABS = 1;
export const BPF_F_TIMER_CPU_PIN = 2;
