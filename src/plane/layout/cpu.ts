/**
 * Work for CPUs that are threads. A CPU's inbox (its address is in the worker block, WORKER_INBOX) is a bounded queue: any CPU puts items in, the CPU itself takes them, in
 * order (plane/assembly/cpus/). Lines of 64 bytes are written by one side each.
 */

/** u32: items ever put in; ever taken; 1 while the CPU sleeps; the word that it sleeps on; messages for its JavaScript. */
export const INBOX_TAIL = 0;
export const INBOX_HEAD = 64;
export const INBOX_SLEEPING = 128;
export const INBOX_DOORBELL = 132;
export const INBOX_MAIL = 136;
/** u64: items that found no room. */
export const INBOX_REFUSED = 192;
/** Items, a power of two of them. */
export const INBOX_ITEMS = 256;
export const INBOX_ROOM = 1024;
export const INBOX_BYTES = 65536;

/** u32 each: ITEM_SEQUENCE (n: free for the nth item; n + 1: the nth is there), CPU_ kind, four arguments. */
export const ITEM_BYTES = 32;
export const ITEM_SHIFT = 5;
export const ITEM_SEQUENCE = 0;
export const ITEM_KIND = 4;
export const ITEM_A = 8;
export const ITEM_B = 12;
export const ITEM_C = 16;
export const ITEM_D = 20;

/** Nothing is to be done. */
export const CPU_NOTHING = 0;
/** A run of a program: ITEM_A is the address of a run block. */
export const CPU_RUN = 1;
/** Frames: ITEM_A is the address of a lot (frames.ts). */
export const CPU_FRAMES = 2;
/** Packets of a socket of AF_XDP: ITEM_A is the address of its structure (xsk.ts). */
export const CPU_SOCKET = 6;
/** Packets of a path: a: the CPU's lane (path.ts). */
export const CPU_PATH = 7;
/** Frames that cpumaps have sent lie in WORKER_MAP_QUEUES: the item only wakes. */
export const CPU_MAP_FRAMES = 3;

/**
 * Fires the timer of this CPU that is due first, if it is at the time in ITEM_B (lower half) and ITEM_C, while the clock stands. ITEM_A: worker block of who waits for the answer
 * (WORKER_TIMER_TURN); 0: the CPU wakes, and looks at its timers as it does in any case.
 */
export const CPU_TIMERS = 4;

/** Run blocks belong to who sends them, until RUN_STATE says that the run has ended (it is notified then). u32: RUN_ state, why it was stopped. */
export const RUN_STATE = 0;
export const RUN_FAULT = 4;
/** u32 each: function-table index of the program, how often it runs, loop rounds and calls that it may take in all. u64: context. */
export const RUN_ENTRY = 8;
export const RUN_REPEAT = 12;
export const RUN_FUEL = 16;
export const RUN_CONTEXT = 24;
/** u64: r0 of the last run. */
export const RUN_RESULT = 32;
export const RUN_BYTES = 64;

export const RUN_WAITS = 0;
export const RUN_UNDER_WAY = 1;
export const RUN_DONE = 2;
export const RUN_STOPPED = 3;

/** Why: the sandbox, the budget, a fault of memory, the end of the CPU's thread. */
export const STOPPED_TRAP = 1;
export const STOPPED_BUDGET = 2;
export const STOPPED_MEMORY = 3;
export const STOPPED_CRASH = 4;
