// Counting what recovery does (layout/recovery.ts).
import { LOCK_WAITED } from '../../layout/locks';
import { RECOVERED_LOCKS } from '../../layout/recovery';
import { holder, word_unlock } from '../locks/word';

export function recovered(report: usize, what: usize): void {
  store<u32>(report + what, load<u32>(report + what) + 1);
}

/** Whether this CPU holds the lock. */
export function holds(word: usize): bool {
  return (atomic.load<u32>(word) & ~LOCK_WAITED) == holder();
}

/** Lets a lock go if this CPU holds it; what it guards is as it should be. */
export function let_go(report: usize, word: usize): void {
  if (!holds(word)) return;
  recovered(report, RECOVERED_LOCKS);
  word_unlock(word);
}
