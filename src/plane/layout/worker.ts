/** Offsets inside a worker block (bytes from the block's start). A worker block belongs to one CPU; only its worker writes it. */

/** u32: CPU number, 0-based. */
export const WORKER_CPU = 0;
/** u32: address just above the frame of the next BPF function that is entered from outside (program, callback). */
export const WORKER_STACK_TOP = 4;
/** u32: tail calls made since the current program was entered; the limit is MAX_TAIL_CALLS. */
export const WORKER_TAIL_CALLS = 8;
/** u32: instructions or back edges left for unverified programs; see jit fuel. */
export const WORKER_FUEL = 12;
/** u64: state of the pseudo-random generator (never 0). */
export const WORKER_RANDOM = 16;
/** u32 redirect target of the last bpf_redirect or bpf_redirect_map: map address (0: none), u32 key or ifindex, u32 flags. */
export const WORKER_REDIRECT_MAP = 24;
export const WORKER_REDIRECT_INDEX = 28;
export const WORKER_REDIRECT_FLAGS = 32;
/** u32: packet frame that is being run, 0 outside of a packet hook. */
export const WORKER_FRAME = 36;
/** u64 pid_tgid, u64 uid_gid, 16 bytes comm: the modelled current task. */
export const WORKER_PID_TGID = 40;
export const WORKER_UID_GID = 48;
export const WORKER_COMM = 56;
/** u32: non-zero while bpf_spin_lock is held. */
export const WORKER_LOCK_HELD = 72;
/** u32: address of the trace (printk) ring of this CPU, 0 if printk is dropped. */
export const WORKER_PRINTK = 76;
/** u32: what the frame in WORKER_FRAME is, for helpers that have no context argument (bpf_redirect): HOOK_XDP or HOOK_SKB. */
export const WORKER_HOOK = 80;
export const HOOK_XDP = 0;
export const HOOK_SKB = 1;
/** A context that is no packet (context.ts); sk_reuseport, whose packet stands behind the context. */
export const HOOK_CONTEXT = 2;
export const HOOK_REUSEPORT = 3;
/** u32: address of the i32 that bpf_get_retval and bpf_set_retval are about. */
export const WORKER_RETVAL = 472;
/** A socket lookup: the context is struct bpf_sk_lookup with SK_LOOKUP_NO_REUSEPORT behind it (layout/sk-lookup.ts). */
export const HOOK_SK_LOOKUP = 4;
/** u32: body of the modelled control group that programs run for (object.ts), 0 for none; owner of storage that goes with the run, 0 for none; body of the current task. */
export const WORKER_CGROUP = 480;
export const WORKER_RUN_STORAGE = 484;
export const WORKER_TASK = 488;
/** u32: address of the call stacks that the run gives (stack-trace.ts), 0 for none. */
export const WORKER_STACK_TRACE = 496;
/** u32: id of a map that has given much into its free list, 0 for none (plane/assembly/maps/element.ts). */
export const WORKER_TRIM = 500;
/** u32: 1 while an exception goes through a function of the plane that called back; u64: its cookie. See jit/exceptions.ts. */
export const WORKER_THROWN = 84;
export const WORKER_COOKIE = 88;
/** u64 each: where loads from an arena go that have no page, always 0; and stores. */
export const WORKER_ARENA_ZERO = 96;
export const WORKER_ARENA_SINK = 104;
/** u32: timer whose callback runs on this CPU, 0: none. */
export const WORKER_TIMER = 112;
/** u32: ring whose program runs, 0: none. */
export const WORKER_RING = 116;
/** u64: 0, a cache that is always full (allocator.ts). */
export const WORKER_NO_CACHE = 120;
/** u32: not 0 while no slab may be made, as in an NMI of the kernel: what is cached, free in slabs or reserved is all there is. */
export const WORKER_NO_REFILL = 128;
/** u32: epoch that the CPU is in, times 4, plus 1; 0: in none; 2, and 4 times the number of a CPU, from 1: that one empties its caches. How many times it has entered; objects that wait: oldest and newest chunk, bytes. */
export const WORKER_EPOCH = 132;
export const WORKER_EPOCH_DEPTH = 136;
export const WORKER_LIMBO_OLDEST = 140;
export const WORKER_LIMBO_NEWEST = 144;
export const WORKER_LIMBO_BYTES = 148;
/** u32: MEMORY_FAULT_ that ended the last run (allocator.ts), 0: none; address of the object. */
export const WORKER_MEMORY_FAULT = 152;
export const WORKER_MEMORY_FAULT_ADDRESS = 156;
/** u32: ROOT_CLOSINGS when the CPU last looked. */
export const WORKER_CLOSINGS = 160;
/** u32: WORKER_EPOCH_DEPTH before the turn of a ring. */
export const WORKER_RING_DEPTH = 164;
/** u32: WORKER_EPOCH_DEPTH before an operation of user space, plus 1; 0: none is under way. */
export const WORKER_OPERATION = 168;
/** u32: path on which the packet that is run is under way (path.ts), 0: on none. */
export const WORKER_PATH = 172;
/** u32: inbox of the CPU (cpu.ts), 0: no thread runs it; item that it does, 0: none. */
export const WORKER_INBOX = 176;
export const WORKER_ITEM = 180;
/** What the CPU has in hand: see locks.ts. */
export const WORKER_BIT_LOCK = 188;
export const WORKER_ELEMENT = 192;
export const WORKER_FIELD_LOCK = 200;
export const WORKER_RECLAIMED = 204;
export const WORKER_DEPOT = 184;
export const WORKER_PROGRAM_LOCKS = 208;
/**
 * The timers that wait for this CPU, which other CPUs put there as well: u32 lock word of the heap, its address, pages, and number of timers; lock word and newest of the timers that were
 * initialised on this CPU, wherever they wait.
 */
export const WORKER_TIMER_LOCK = 400;
export const WORKER_TIMER_HEAP = 404;
export const WORKER_TIMER_HEAP_PAGES = 408;
export const WORKER_TIMER_WAITING = 412;
export const WORKER_TIMER_LIST_LOCK = 416;
export const WORKER_TIMER_LIST = 420;
/** u32: 1 while a thread of this CPU fires its timers; 0: they go to ROOT_TIMER_CPU. */
export const WORKER_TIMER_FIRES = 424;
/** u32: timer whose callback this CPU's bpf_timer_cancel waits for, which it holds, 0: none; 1 if it does so in a callback itself and counts in TIMER_CANCELLING. */
export const WORKER_TIMER_AWAITED = 428;
export const WORKER_TIMER_COUNTED = 432;
/** u32: timers that this CPU met whose callback it cannot run, and gave to ROOT_TIMER_CPU. */
export const WORKER_TIMER_PASSED = 436;
/** u32: timer that last got another place in the heap: where the CPU that moved it was ended on the way, it may stand nowhere. */
export const WORKER_TIMER_MOVING = 444;
/** u32: map and value that the callback is about; u64: the callback, as TIMER_CALLBACK was when it was taken. */
export const WORKER_TIMER_MAP = 440;
export const WORKER_TIMER_VALUE = 448;
export const WORKER_TIMER_CALLBACK = 456;
/** u32: what became of the timer that this CPU has asked another one to fire: TURN_ (timer.ts), which is notified; how many fired. */
export const WORKER_TIMER_TURN = 464;
export const WORKER_TIMER_TURN_FIRED = 468;
/**
 * Frames that cpumaps send to the CPU (frames.ts). u32: first queue that has some, a stack that any CPU puts one on; those taken off it and not looked into yet; the one that
 * is; record whose program runs, 0: none.
 */
export const WORKER_MAP_QUEUES = 384;
export const WORKER_MAP_TAKEN = 388;
export const WORKER_MAP_QUEUE = 392;
export const WORKER_MAP_RECORD = 396;
/** u32: record that the CPU has put into the queue of another one, whose it is since then; queue that it is about to put on a CPU's stack. 0: none. */
export const WORKER_MOVED = 476;
export const WORKER_SCHEDULES = 492;
/** u32: root of the tree of objects that the CPU changes, 0: none. */
export const WORKER_TREE = 380;
/** u32: pages for arguments of calls that the CPU's thread has, and how many (runtime/plane.ts). */
export const WORKER_PAGES = 504;
export const WORKER_PAGE_COUNT = 508;
/** 256 bytes of scratch for helpers that build something (csum, printk formatting). */
export const WORKER_SCRATCH = 512;
export const WORKER_SCRATCH_SIZE = 512;

/** MAX_TAIL_CALL_CNT of the kernel (include/linux/bpf.h). */
export const MAX_TAIL_CALLS = 33;
/** MAX_CALL_FRAMES of the kernel's verifier. */
export const MAX_CALL_FRAMES = 8;
