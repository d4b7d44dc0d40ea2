// Values with a bpf_spin_lock: copies leave the lock alone, and BPF_F_LOCK copies under it. Facts: copy_map_value_locked,
// kernel/bpf/helpers.c.
import { copy_bytes } from './header';
import { WORKER } from '../worker';
import { MAP_SPIN_LOCK, MAP_VALUE_SIZE, SPIN_LOCK_SIZE } from '../../layout/map';
import { WORKER_LOCK_HELD } from '../../layout/worker';

// @ts-ignore: decorator
@inline
export function has_spin_lock(map: usize): bool {
  return load<u32>(map, MAP_SPIN_LOCK) != 0;
}

/** Takes the lock word at `lock` for this CPU. */
export function value_lock(lock: usize): void {
  // Programs hold one lock at most, and none when they end: what this CPU still holds is of one that an engine has stopped.
  const stale = <usize>load<u32>(WORKER, WORKER_LOCK_HELD);
  if (stale != 0) value_unlock(stale);
  while (atomic.cmpxchg<u32>(lock, 0, 1) != 0) {}
  store<u32>(WORKER, <u32>lock, WORKER_LOCK_HELD);
}

export function value_unlock(lock: usize): void {
  store<u32>(WORKER, 0, WORKER_LOCK_HELD);
  atomic.store<u32>(lock, 0);
}

function copy_around_lock(map: usize, to: usize, from: usize): void {
  const lock = load<u32>(map, MAP_SPIN_LOCK) - 1;
  const rest = lock + SPIN_LOCK_SIZE;
  copy_bytes(to, from, lock);
  copy_bytes(to + rest, from + rest, load<u32>(map, MAP_VALUE_SIZE) - rest);
}

/** Copies a value over another, but for its lock. */
// @ts-ignore: decorator
@inline
export function value_copy(map: usize, to: usize, from: usize): void {
  if (has_spin_lock(map)) copy_around_lock(map, to, from);
  else copy_bytes(to, from, load<u32>(map, MAP_VALUE_SIZE));
}

/** Copies a value to where none was: its lock is free, or in a copy for user space zero. */
// @ts-ignore: decorator
@inline
export function value_init(map: usize, to: usize, from: usize): void {
  value_copy(map, to, from);
  if (has_spin_lock(map)) store<u32>(to + load<u32>(map, MAP_SPIN_LOCK) - 1, 0);
}

/** Copies a value of the map over under the lock in `owner`, which is one of the two. */
export function value_copy_locked(map: usize, to: usize, from: usize, owner: usize): void {
  const lock = owner + load<u32>(map, MAP_SPIN_LOCK) - 1;
  value_lock(lock);
  copy_around_lock(map, to, from);
  value_unlock(lock);
}

export function bpf_spin_lock(lock: u64): u64 {
  value_lock(<usize>lock);
  return 0;
}

export function bpf_spin_unlock(lock: u64): u64 {
  value_unlock(<usize>lock);
  return 0;
}
