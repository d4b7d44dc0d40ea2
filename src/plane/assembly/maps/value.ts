// Values with a bpf_spin_lock: copies leave the lock alone, and BPF_F_LOCK copies under it. Facts: copy_map_value_locked,
// kernel/bpf/helpers.c.
import { copy_bytes } from './header';
import { WORKER } from '../worker';
import { releaseTimers } from '../kfuncs/timer';
import { TIMER_FIELD_SIZE } from '../../layout/timer';
import { MAP_SPIN_LOCK, MAP_TIMER, MAP_VALUE_SIZE, MAP_WORK, SPIN_LOCK_SIZE } from '../../layout/map';
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

// @ts-ignore: decorator
@inline
export function has_timers(map: usize): bool {
  return load<u64>(map, MAP_TIMER) != 0; // MAP_WORK too
}

/** What the value holds of timers ends: it goes, or is written over. */
// @ts-ignore: decorator
@inline
export function value_release(map: usize, value: usize): void {
  if (has_timers(map)) releaseTimers(map, value);
}

function clear_timers(map: usize, value: usize): void {
  for (let i: usize = 0; i < 2; i++) {
    const offset = load<u32>(map + (i == 0 ? MAP_TIMER : MAP_WORK));
    if (offset != 0) memory.fill(value + offset - 1, 0, TIMER_FIELD_SIZE);
  }
}

/** As value_copy, where the fields of `to` are to stay. */
function copy_around_timers(map: usize, to: usize, from: usize): void {
  const timer = load<u32>(map, MAP_TIMER);
  const work = load<u32>(map, MAP_WORK);
  const kept_timer = timer == 0 ? i64x2.splat(0) : v128.load(to + timer - 1);
  const kept_work = work == 0 ? i64x2.splat(0) : v128.load(to + work - 1);
  if (has_spin_lock(map)) copy_around_lock(map, to, from);
  else copy_bytes(to, from, load<u32>(map, MAP_VALUE_SIZE));
  if (timer != 0) v128.store(to + timer - 1, kept_timer);
  if (work != 0) v128.store(to + work - 1, kept_work);
}

/** Copies a value over another, but for its lock and timers. */
// @ts-ignore: decorator
@inline
export function value_copy(map: usize, to: usize, from: usize): void {
  if (has_timers(map)) {
    copy_around_timers(map, to, from);
    return;
  }
  if (has_spin_lock(map)) copy_around_lock(map, to, from);
  else copy_bytes(to, from, load<u32>(map, MAP_VALUE_SIZE));
}

/** Copies a value to where none was: its lock is free, or in a copy for user space zero. */
// @ts-ignore: decorator
@inline
export function value_init(map: usize, to: usize, from: usize): void {
  value_copy(map, to, from);
  if (has_spin_lock(map)) store<u32>(to + load<u32>(map, MAP_SPIN_LOCK) - 1, 0);
  if (has_timers(map)) clear_timers(map, to);
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
