// Locks of slabs: 0 free, 1 held, 2 held and waited for. A waiter sleeps, as there may be fewer processors than workers.
const SPINS = 64;

export function lock(word: usize): void {
  if (atomic.cmpxchg<u32>(word, 0, 1) == 0) return;
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<u32>(word) == 0 && atomic.cmpxchg<u32>(word, 0, 1) == 0) return;
  }
  while (atomic.xchg<u32>(word, 2) != 0) atomic.wait<i32>(word, 2, 1_000_000);
}

export function unlock(word: usize): void {
  if (atomic.xchg<u32>(word, 0) == 2) atomic.notify(word, 1);
}
