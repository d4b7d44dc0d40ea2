// Waiting for a lock: a little in place, then asleep, as there may be fewer processors than CPUs and who holds it may not be running.
/** Looks at a lock before the first sleep: most are held for less than a tenth of a microsecond. */
export const LOCK_SPINS: u32 = 4096;

/** The owner of the threads may see that the one that holds the lock has ended, and put in order what it left (runtime/cpus/recovery.ts). */
// @ts-ignore: decorator
@external("env", "lock_waits")
declare function lock_waits(): void;

/**
 * All sleeps of the plane: until the u32 at `word` is not `seen` any more and somebody says so, or for `ns`. 0: woken, 1: it was something else, 2: it took too long.
 *
 * The first compiler of V8 (Liftoff, node 20) loses locals that are in registers where memory.atomic.wait stands: a sleep between two uses of a local gives the second a wrong value. Nothing
 * comes after it here, and a function that calls is not inlined (test/plane-waits.test.ts looks at what was built).
 */
export function word_wait(word: usize, seen: u32, ns: i64): i32 {
  if (ns < 0) return word_wait(word, seen, i64.MAX_VALUE);
  return atomic.wait<i32>(word, <i32>seen, ns);
}

/** The same for a lock. */
export function lock_sleep(word: usize, seen: u32, ns: i64): void {
  if (word_wait(word, seen, ns) == 2) lock_waits();
}
