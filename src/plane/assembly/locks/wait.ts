// Waiting for a lock: a little in place, then asleep, as there may be fewer processors than CPUs and who holds it may not be running.
/** Looks at a lock before the first sleep: most are held for less than a tenth of a microsecond. */
export const LOCK_SPINS: u32 = 128;

/** The owner of the threads may see that the one that holds the lock has ended, and put in order what it left (runtime/cpus/recovery.ts). */
// @ts-ignore: decorator
@external("env", "lock_waits")
declare function lock_waits(): void;

/** Sleeps until the u32 at `word` is not `seen` any more and somebody says so, or for a while. */
export function lock_sleep(word: usize, seen: u32, ns: i64): void {
  if (atomic.wait<i32>(word, <i32>seen, ns) == 2) lock_waits();
}
