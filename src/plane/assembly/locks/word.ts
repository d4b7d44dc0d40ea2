// plane/assembly/locks/: all locks of the memory, how they are waited for, and what a CPU has in hand while it works.
//
// This file: lock words (u32). Who holds one is the word's value (layout/locks.ts).
import { LOCK_SPINS, lock_sleep } from './wait';
import { WORKER } from '../worker';
import { LOCK_WAITED } from '../../layout/locks';
import { WORKER_CPU } from '../../layout/worker';

const SLEEP_NS: i64 = 1_000_000;

/** This CPU as the holder of a lock. */
// @ts-ignore: decorator
@inline
export function holder(): u32 {
  return load<u32>(WORKER, WORKER_CPU) + 1;
}

export function word_lock(word: usize): void {
  const own = holder();
  if (atomic.cmpxchg<u32>(word, 0, own) != 0) take_later(word, own, u32.MAX_VALUE);
}

/** As word_lock, but not for longer than about so many milliseconds: false. */
export function word_lock_within(word: usize, ms: u32): bool {
  const own = holder();
  return atomic.cmpxchg<u32>(word, 0, own) == 0 || take_later(word, own, LOCK_SPINS + ms);
}

function take_later(word: usize, own: u32, rounds: u32): bool {
  for (let round: u32 = 0; round < rounds; round++) {
    const seen = atomic.load<u32>(word);
    if (seen == 0) {
      // Others may sleep still, if this one did.
      if (atomic.cmpxchg<u32>(word, 0, round < LOCK_SPINS ? own : own | LOCK_WAITED) == 0) return true;
    } else if (round >= LOCK_SPINS && ((seen & LOCK_WAITED) != 0 || atomic.cmpxchg<u32>(word, seen, seen | LOCK_WAITED) == seen)) {
      lock_sleep(word, seen | LOCK_WAITED, SLEEP_NS);
    }
  }
  return false;
}

export function word_unlock(word: usize): void {
  if ((atomic.xchg<u32>(word, 0) & LOCK_WAITED) != 0) atomic.notify(word, 1);
}
