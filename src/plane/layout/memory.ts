/**
 * plane/layout/: where things lie in the one linear memory, as constants that both compilers read (TypeScript and
 * AssemblyScript), so that no offset is written twice. Only literal constants and arithmetic on them may stand here.
 *
 * This file: the fixed areas, from address 0 up. All addresses and sizes are in bytes.
 */

export const WASM_PAGE = 65536;

/** [0, 64 KiB) is the null page: never given out; a program that reads through NULL reads zeros there, or is stopped by the interpreter. */
export const NULL_PAGE_END = 0x1_0000;

/** Static data of plane.wasm and of interpreter.wasm (32 KiB each; scripts/build.mjs names the same two addresses). */
export const PLANE_DATA = 0x1_0000;
export const INTERPRETER_DATA = 0x1_8000;

/** The root structure: see the ROOT_ offsets below. */
export const ROOT = 0x2_0000;
/** u32: 0 until the first worker has initialised the memory, then ROOT_READY. */
export const ROOT_STATE = 0;
export const ROOT_READY = 0x534c5543;
/** u32 lock word of the page allocator. */
export const ROOT_PAGE_LOCK = 4;
/** u32: address of the first never-used page of the heap. */
export const ROOT_HEAP_TOP = 8;
/** u32: head of the list of free page runs (see plane/assembly/pages.ts). */
export const ROOT_FREE_RUNS = 12;
/** u32: number of CPUs (workers) that this memory serves, at least 1, at most MAX_CPUS. */
export const ROOT_CPU_COUNT = 16;
/** u32: next map id, next program id. */
export const ROOT_NEXT_MAP_ID = 20;
export const ROOT_NEXT_PROGRAM_ID = 24;
/** u32: address of the newest map (the others follow by MAP_NEXT), and the lock word of that list. */
export const ROOT_MAPS = 28;
export const ROOT_MAPS_LOCK = 48;
/** u64: clock offset in ns added to the raw clock; u64: frozen clock in ns, 0 when the clock runs. */
export const ROOT_CLOCK_OFFSET = 32;
export const ROOT_CLOCK_FROZEN = 40;
/** Four keys of 16 bytes for SYN cookies: two for IPv4, two for IPv6. Written once, at the creation of the memory. */
export const ROOT_SYNCOOKIE_SECRETS = 128;
/** u32: lock word of the pool of small blocks, then the first free block of each of its two sizes (plane/assembly/kfuncs/pool.ts). */
export const ROOT_POOL_LOCK = 256;
export const ROOT_POOL_SMALL = 260;
export const ROOT_POOL_LARGE = 264;
/** u32: the CPU that fires timers of CPUs without a thread that does (worker.ts, WORKER_TIMER_FIRES); number of the last start of a timer. */
export const ROOT_TIMER_CPU = 320;
export const ROOT_TIMER_SEQUENCE = 340;
/** u32: 1 while control code waits for timers to let go of callbacks; how often one has, which is then notified. */
export const ROOT_CALLBACKS_WATCHED = 344;
export const ROOT_CALLBACKS_DROPPED = 348;
export const POOL_SMALL = 64;
export const POOL_LARGE = 4096;

/** u32: newest modelled object (object.ts), the lock word of that list, the last id given. */
export const ROOT_OBJECTS = 96;
export const ROOT_OBJECTS_LOCK = 100;
export const ROOT_NEXT_OBJECT_ID = 104;
/**
 * u32: number of reasons not to grow the memory. Growing makes all of it writable, and engines end the process where that fails: while pages of the
 * kernel are mapped that can only be read, the memory keeps its size.
 */
export const ROOT_SIZE_HOLDS = 108;

/** u32: address of the allocator that is always there, lock word and newest of all, number of the last one (allocator.ts). */
export const ROOT_GLOBAL_ALLOCATOR = 352;
export const ROOT_ALLOCATORS_LOCK = 356;
export const ROOT_ALLOCATORS = 360;
export const ROOT_NEXT_ALLOCATOR_ID = 364;
/** u32: epoch of the memory: see plane/assembly/slab/epoch.ts. */
export const ROOT_EPOCH = 368;
/** u32: always 0, where caches without objects point; mark of free objects, random; lock word and first of the free pieces of slabs. */
export const ROOT_NO_OBJECT = 1024;
export const ROOT_FREE_KEY = 1028;
export const ROOT_PIECES_LOCK = 1032;
export const ROOT_PIECES = 1036;
/** u32: newest depot, how often one was closed, heads of caches that no depot has, and their lock word. */
export const ROOT_DEPOTS = 1040;
export const ROOT_CLOSINGS = 1044;
export const ROOT_HEADS = 1048;
export const ROOT_HEADS_LOCK = 1052;
/** u32: bits of what is checked (slab/checks.ts), 0: nothing beyond double frees. */
export const ROOT_MEMORY_CHECKS = 1056;
/** u32: ring of freed objects that are kept from use, and its lock word. */
export const ROOT_QUARANTINE = 1060;
export const ROOT_QUARANTINE_LOCK = 1064;
/** Depot of what allocators themselves need. */
export const META_DEPOT = 0x2_1000;

/** What the registry of traits says of their keys: TRAIT_TABLE_* in trait.ts, 384 bytes. */
export const TRAIT_TABLE = 0x2_2000;
/** Fields of traits of layout TRAITS_STATIC: TRAIT_FIELDS_* in trait.ts, 260 bytes. */
export const TRAIT_FIELDS = 0x2_2200;
/** Rings by number: u32 descriptor of each plus 1, 0: there is none. Programs send to rings by number, and need no descriptors. */
export const RING_TABLE = 0x2_4000;
export const MAX_RINGS = 1024;
/** u32: layout and placement of the traits of packets (trait.ts), written once, at the creation of the memory. */
export const ROOT_TRAIT_LAYOUT = 384;
export const ROOT_TRAIT_PLACEMENT = 388;
/** 64 bytes: MERGE_* (trait.ts) of each key; who gives names to keys writes them. */
export const ROOT_TRAIT_POLICIES = 1280;
/** u32: allocator of the elements of maps that name none (plane/assembly/maps/element.ts). */
export const ROOT_ELEMENT_ALLOCATOR = 376;

/** u32: queues of cpumaps that were closed and may still have frames. */
export const ROOT_CLOSING_QUEUES = 1344;

export const MAX_CPUS = 64;

/** Worker blocks: one a CPU, WORKER_SIZE bytes each. Offsets inside stand in worker.ts. */
export const WORKERS = 0x3_0000;
export const WORKER_SIZE = 1024;

/**
 * BPF stacks: one area a CPU. A frame is 512 bytes and frames grow down from the top of the area. The deepest that verified programs get are
 * 33 tail calls, each out of the eighth frame of its program: 239 frames.
 */
export const STACKS = 0x4_0000;
export const STACK_AREA_SIZE = 0x2_0000;
export const FRAME_SIZE = 512;

/** Side table of slabs (allocator.ts), for all of the address space: 16 MiB of addresses, of which only what is used takes memory. */
export const SLAB_TABLE = 0x84_0000;

/** First page of the heap: everything from here up belongs to the page allocator. */
export const HEAP = 0x184_0000;
