/** Allocators: where objects of programs and elements of maps come from (plane/assembly/slab/). */

/** Bytes of a slab; the side table has one entry of SLAB_ENTRY bytes for each piece of the address space of that size: SLAB_TABLE + (address >> SLAB_SHIFT << SLAB_ENTRY_SHIFT). */
export const SLAB_SHIFT = 14;
export const SLAB_BYTES = 16384;
export const SLAB_ENTRY_SHIFT = 6;
export const SLAB_ENTRY = 64;
/** u32: depot that the slab belongs to, 0: no slab. All pieces of a slab have this word and the next three. */
export const SLAB_DEPOT = 0;
/** u32: bytes of each of its objects. */
export const SLAB_OBJECT_SIZE = 4;
/** u32: where a free of one of its objects goes, see "Inline" below; 0: nowhere, the plane has to do it. */
export const SLAB_CACHE = 8;
/** u32: first address of the slab, whose entry has all that follows. */
export const SLAB_START = 12;
/** u32: first object in the slab's own list, objects that are out of the slab (live, cached or waiting), first object never given out, end of the last one. */
export const SLAB_FREE = 16;
export const SLAB_OUT = 20;
export const SLAB_FRESH = 24;
export const SLAB_END = 28;
/** u32: neighbours in the list of slabs of the class that have something to give: addresses of entries. */
export const SLAB_NEXT = 32;
export const SLAB_PREVIOUS = 36;
/** u32: u16 an object, by (address - start) >> SLAB_INDEX_SHIFT: number of the merged allocator that it was given to; 0: slab of an allocator of its own. */
export const SLAB_OWNERS = 40;
/** u32: reservation that the slab belongs to, 0: none. */
export const SLAB_RESERVATION = 44;
/** u32, with checks: u16 an object by the same number: generation and state (slab/checks.ts). */
export const SLAB_STATES = 48;
/** u8 each: class, shift from an offset to the number of an object, flags. */
export const SLAB_CLASS = 52;
export const SLAB_INDEX_SHIFT = 53;
export const SLAB_FLAGS = 54;
/** u32: pages of the slab if it is whole pages, 0: a piece. */
export const SLAB_PAGES = 56;
/** u32, of a piece: RECIPROCAL over the bytes of an object, rounded up, by which an address in it is known to be the first of an object ("Inline" below). */
export const SLAB_RECIPROCAL = 60;

/** Marks of live objects (slab/heap.ts): one bit, from the lowest of the first byte on, for so many bytes of addresses (a shift), the smallest class. */
export const MARK_SHIFT = 3;

/** The slab is in the list of those that have something to give; the piece belongs to no slab. */
export const SLAB_LISTED = 1;
export const SLAB_PIECE_FREE = 2;

/** Most bytes of an object of a program: what Linux gives, whose largest class is 4096 with a word of its own in front. */
export const OBJECT_MAX = 4088;
/** Largest size of all: elements of maps. */
export const ALLOCATION_MAX = 4194304;

/**
 * Size classes: multiples of 8 to 64, then four per doubling (80 96 112 128 160 …) to 4 MiB. Number of the class of a size from 1 on: s = size - 1,
 * e = 31 - clz(s | 32), (e - 5) * 4 + (s >> (e - 2)). Objects of the first CACHED_CLASSES classes (to 4096 bytes) have caches.
 */
export const CLASS_COUNT = 72;
export const CACHED_CLASSES = 32;

/**
 * Inline. A cache belongs to (depot, class, CPU) and is an array of addresses of free objects: its head has two words, CACHE_TOP (address of the word that
 * holds the last object; the array begins with a word 0) and CACHE_LIMIT (what CACHE_TOP is when it is full). Free objects hold the word at
 * ROOT + ROOT_FREE_KEY (never 0, never changed) at OBJECT_KEY. All of this is the CPU's alone: no atomic accesses.
 *
 * Allocate, class known, C = u32 at allocator + ALLOCATOR_CACHES read when the program is compiled (0: not inline, call allocator_alloc always; it never
 * changes to another offset, as caches that close are left empty and full):
 *   head = worker + C + class * CACHE_HEAD; top = load(head + CACHE_TOP); object = load(top);
 *   if (object == 0) return allocator_alloc(allocator, size, holder);
 *   store(head + CACHE_TOP, top - 4); store(object + OBJECT_KEY, 0);
 * Free, r = SLAB_RECIPROCAL of the piece, which the class says as well; an offset in a piece is a multiple of the object's bytes where (offset * r) modulo RECIPROCAL < r:
 *   head = worker + load(SLAB_TABLE + (object >> SLAB_SHIFT << SLAB_ENTRY_SHIFT) + SLAB_CACHE); top = load(head + WORKER_NO_CACHE + CACHE_TOP);
 *   if (top == load(head + WORKER_NO_CACHE + CACHE_LIMIT) || load(object + OBJECT_KEY) == key
 *       || u32((object & (SLAB_BYTES - 1)) * r) >= r) return allocator_free(object);
 *   store(top + 4, object); store(object + OBJECT_KEY, key); store(head + WORKER_NO_CACHE + CACHE_TOP, top + 4);
 * (SLAB_CACHE counts from worker + WORKER_NO_CACHE, so that 0 is a cache that is always full.)
 */
export const CACHE_HEAD = 8;
export const CACHE_TOP = 0;
export const CACHE_LIMIT = 4;
export const OBJECT_KEY = 4;
export const RECIPROCAL = 4294967296;
/** Bytes of the heads of one depot on one CPU, the first of which the next CPU's follow WORKER_SIZE bytes later; most depots that share such a block. */
export const CACHE_HEADS = 256;

/** u32 each: number of the allocator, references (maps, programs, handles), ALLOCATOR_ flags, depot. */
export const ALLOCATOR_ID = 0;
export const ALLOCATOR_REFERENCES = 4;
export const ALLOCATOR_FLAGS = 8;
export const ALLOCATOR_DEPOT = 12;
/** u32: offset of its caches from the worker block, 0: no inline allocation. */
export const ALLOCATOR_CACHES = 16;
/** u32: next older of all allocators, and of those that share its depot. */
export const ALLOCATOR_NEXT = 20;
export const ALLOCATOR_NEXT_MEMBER = 24;
/** u32: its number among those that share its depot, from 1; 0: the depot is its own. */
export const ALLOCATOR_MEMBER = 28;
/** u64: bytes that it may give out at most, 0: no quota. */
export const ALLOCATOR_QUOTA = 32;
/** u32: ALLOCATOR_OPEN or ALLOCATOR_DRAINING (an allocator that is dead is no more). */
export const ALLOCATOR_STATE = 40;
/** u32: number that allocators have in common which share one quota, 0: none; heads of caches that it had before it was merged. */
export const ALLOCATOR_GROUP = 44;
export const ALLOCATOR_OLD_HEADS = 48;
export const ALLOCATOR_SIZE = 64;

/** Flag: shares slabs with all allocators of the same flags, quota and group. */
export const ALLOCATOR_MERGE = 1;

export const ALLOCATOR_DEAD = 0;
export const ALLOCATOR_OPEN = 1;
export const ALLOCATOR_DRAINING = 2;

/** Depots: slabs and caches of one allocator, or of several that are merged. u32 each: lock, DEPOT_ flags, CPU 0's heads, newest of its allocators, how many. */
export const DEPOT_LOCK = 0;
export const DEPOT_FLAGS = 4;
export const DEPOT_HEADS = 8;
export const DEPOT_MEMBERS = 12;
export const DEPOT_MEMBER_COUNT = 16;
/** u32: newest of its reservations; next older depot; table of members by number (merged). */
export const DEPOT_RESERVATIONS = 20;
export const DEPOT_NEXT = 24;
export const DEPOT_MEMBER_TABLE = 28;
/** u64: most bytes that are out of slabs or reserved, 0: no quota; how many are; bytes of its slabs. */
export const DEPOT_QUOTA = 32;
export const DEPOT_CHARGED = 40;
export const DEPOT_SLAB_BYTES = 48;
/** u32: number of those that share its quota, members that are open. */
export const DEPOT_GROUP = 56;
export const DEPOT_OPEN = 60;
/** A class: u32 first entry of a slab with something to give, slabs, objects that are out of them, objects that they have room for. */
export const DEPOT_CLASSES = 64;
export const DEPOT_CLASS = 16;
export const CLASS_SLAB = 0;
export const CLASS_SLABS = 4;
export const CLASS_OUT = 8;
export const CLASS_OBJECTS = 12;
/** u32: where one object is handed over under the lock; numbers that the table of members has room for. */
export const DEPOT_OBJECT = 1216;
export const DEPOT_MEMBER_ROOM = 1220;
export const DEPOT_SIZE = 1232;

/** CPUs have caches; slabs have owners; caches are to be emptied and stay closed. */
export const DEPOT_CACHED = 1;
export const DEPOT_MERGED = 2;
export const DEPOT_CLOSED = 4;

/** What ends a run, in WORKER_MEMORY_FAULT (0: nothing): freed twice, no object, written after it was freed. */
export const MEMORY_FAULT_DOUBLE_FREE = 1;
export const MEMORY_FAULT_NO_OBJECT = 2;
export const MEMORY_FAULT_WRITTEN = 3;
export const MEMORY_FAULT_NO_MEMORY = 4;

/** Objects that wait for the epoch: chunks of LIMBO_BYTES, oldest first: next, number of objects, epoch in which the last was added, addresses. */
export const LIMBO_NEXT = 0;
export const LIMBO_COUNT = 4;
export const LIMBO_EPOCH = 8;
export const LIMBO_OBJECTS = 16;
export const LIMBO_BYTES = 1024;
/** What waits, in the low bits of its address: an object of a slab, a map without references, a modelled object, an element of a storage, a block of the pool (kfuncs/pool.ts), a queue of a cpumap. */
export const WAITS_MASK = 7;
export const WAITS_OBJECT = 0;
export const WAITS_MAP = 1;
export const WAITS_MODELLED = 2;
export const WAITS_ELEMENT = 3;
export const WAITS_BLOCK = 4;
export const WAITS_QUEUE = 5;
/** Bytes for which a map or a modelled object counts in what waits: one page, however large it is. */
export const WAITS_BYTES = 65536;
/** Bytes that wait on a CPU beyond which it waits for the others, and leaves between the runs of one call. */
export const LIMBO_URGENT = 4194304;

/** Reservations. u32 each: next of the depot, allocator, class, holder, objects that are set apart, of which out, room in its slabs, first of them. */
export const RESERVATION_NEXT = 0;
export const RESERVATION_ALLOCATOR = 4;
export const RESERVATION_CLASS = 8;
export const RESERVATION_HOLDER = 12;
export const RESERVATION_COUNT = 16;
export const RESERVATION_OUT = 20;
export const RESERVATION_ROOM = 24;
export const RESERVATION_SLABS = 28;
export const RESERVATION_BYTES = 32;

/**
 * What allocator_stats writes. u64 each: objects, and bytes by class, that are live; bytes of slabs (with merged allocators: of all of them); objects and bytes that
 * were freed and wait for the epoch; that are set apart; quota (0: none); bytes that count against it (live, cached on one CPU, waiting, set apart).
 */
export const STATS_LIVE = 0;
export const STATS_LIVE_BYTES = 8;
export const STATS_SLAB_BYTES = 16;
export const STATS_WAITING = 24;
export const STATS_WAITING_BYTES = 32;
export const STATS_RESERVED = 40;
export const STATS_RESERVED_BYTES = 48;
export const STATS_QUOTA = 56;
export const STATS_CHARGED = 64;
/** u32 each: ALLOCATOR_ state, references, allocators that share the slabs. */
export const STATS_STATE = 72;
export const STATS_REFERENCES = 76;
export const STATS_MEMBERS = 80;
/** By class, u32 each: live objects of this allocator; in caches, free in slabs, slabs, of all that share them. */
export const STATS_CLASSES = 88;
export const STATS_CLASS = 16;
export const STATS_CLASS_LIVE = 0;
export const STATS_CLASS_CACHED = 4;
export const STATS_CLASS_FREE = 8;
export const STATS_CLASS_SLABS = 12;
export const STATS_SIZE = 1240;

/** With checks, u16 an object at SLAB_STATES: STATE_ in the lower bits, generation above, 0 for memory that was never given out. */
export const STATE_MASK = 3;
export const STATE_SHIFT = 2;
export const STATE_FREE = 0;
export const STATE_LIVE = 1;
export const STATE_WAITING = 2;
/** Free, and kept from use for a while. */
export const STATE_KEPT = 3;
/** Objects that are kept: a ring of QUARANTINE_ROOM addresses; index of the oldest, number. */
export const QUARANTINE_FIRST = 0;
export const QUARANTINE_COUNT = 4;
export const QUARANTINE_OBJECTS = 8;
export const QUARANTINE_ROOM = 512;
