/**
 * Locks, and what a CPU has in hand while it works: when its thread ends in the middle, plane/assembly/cpus/recovery.ts finds it by these words.
 *
 * A lock word (u32) is 0, or the number of the CPU that holds it, from 1, plus LOCK_WAITED if somebody sleeps until it is free.
 */
export const LOCK_WAITED = 0x8000_0000;

/**
 * In the worker block. WORKER_BIT_LOCK, u32: address of the u64 whose bit 0 the CPU holds as a lock (a bucket, the producer's position of a ring buffer), 0: none.
 *
 * WORKER_ELEMENT, two u32: element of a map that the CPU has in hand, 0: none, and the map: it is in none of the map's lists or chains, or has just come out of one, or is
 * about to be put into one. One at a time of either: no operation on a map runs another one in the middle.
 *
 * The element may be CARRIES_COUNT: the map counts one that was not drawn yet.
 *
 * WORKER_FIELD_LOCK, u32: lock in a value that the plane has taken. WORKER_RECLAIMED, u32: object that is being freed. WORKER_DEPOT, u32: depot whose lock the
 * CPU took last.
 *
 * WORKER_PROGRAM_LOCKS, u32: number of locks in values that a program holds, the last of them maybe one that it waits for, then their addresses; those beyond PROGRAM_LOCKS (RES_NR_HELD of the kernel) are not
 * written down.
 */
export const PROGRAM_LOCKS = 31;
export const CARRIES_COUNT = 1;
