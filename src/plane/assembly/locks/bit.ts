// Locks in bit 0 of a u64 word whose other bits are the holder's to change, in the store that lets the lock go. There is no room for who holds it: its worker block
// says so, for one such lock at a time.
// Nobody is woken: who waits looks again after a while.
import { LOCK_SPINS, lock_sleep } from './wait';
import { WORKER } from '../worker';
import { WORKER_BIT_LOCK } from '../../layout/worker';

const LOCKED: u64 = 1;
const SLEEP_NS: i64 = 50_000;

/** Takes the lock; returns the word without it. */
// @ts-ignore: decorator
@inline
export function bit_lock(at: usize): u64 {
  let word = atomic.load<u64>(at);
  if ((word & LOCKED) != 0 || atomic.cmpxchg<u64>(at, word, word | LOCKED) != word) word = take_later(at);
  store<u32>(WORKER, <u32>at, WORKER_BIT_LOCK);
  return word;
}

function take_later(at: usize): u64 {
  let round: u32 = 0;
  while (true) {
    const word = atomic.load<u64>(at);
    if ((word & LOCKED) == 0) {
      if (atomic.cmpxchg<u64>(at, word, word | LOCKED) == word) return word;
    } else if (round < LOCK_SPINS) round++;
    else lock_sleep(at, <u32>word, SLEEP_NS);
  }
}

/** Lets the lock that was taken last go, and the word be `word`. */
// @ts-ignore: decorator
@inline
export function bit_unlock(at: usize, word: u64): void {
  store<u32>(WORKER, 0, WORKER_BIT_LOCK);
  atomic.store<u64>(at, word);
}
