// How timers and work fire: each CPU's thread says when, and calls timers_run for what waits for it. Work is due at once. See timer.ts.
import { holder } from '../locks/word';
import { WORKER } from '../worker';
import { cpu_count, round_up_8 } from '../maps/header';
import { ARRAY } from '../maps/types';
import { free, isOver, letGo, setCallback } from './timer';
import {
  baseOf, dequeue, firstTimer, insert, lockBase, lockBoth, lockTimer, reserve, unlockBase,
} from './timer-queue';
import { MAP_KEY_SIZE, MAP_STRIDE, MAP_TYPE, MAP_VALUES } from '../../layout/map';
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_TIMER_CPU } from '../../layout/memory';
import {
  TIMER_CALLBACK, TIMER_CPU, TIMER_EXPIRES, TIMER_HOLDERS, TIMER_IS_TASK_WORK, TIMER_KIND, TIMER_MAP, TIMER_PLACE, TIMER_RUNNING, TIMER_SEQUENCE, TIMER_VALUE, TIMERS_COMPILED, TIMERS_FOLLOW,
} from '../../layout/timer';
import {
  WORKER_CPU, WORKER_FUEL, WORKER_STACK_TOP, WORKER_TIMER, WORKER_TIMER_AWAITED, WORKER_TIMER_CALLBACK, WORKER_TIMER_FIRES, WORKER_TIMER_HEAP, WORKER_TIMER_MAP,
  WORKER_TIMER_LOCK, WORKER_TIMER_MOVING, WORKER_TIMER_PASSED, WORKER_TIMER_VALUE, WORKER_TIMER_WAITING,
} from '../../layout/worker';

/** This CPU's thread fires its timers from now on. */
export function timers_begin(): void {
  store<u32>(WORKER, 1, WORKER_TIMER_FIRES);
}

/** When the first timer that waits for this CPU is due, in ns; u64.MAX_VALUE if none waits. */
export function timers_next(): u64 {
  lockBase(WORKER);
  const timer = firstTimer(WORKER);
  const expires = timer == 0 ? u64.MAX_VALUE : load<u64>(timer, TIMER_EXPIRES);
  unlockBase(WORKER);
  return expires;
}

/** CPU of the timer that is due first of all, plus 1; 0 if none is due at `until`. For a clock that stands: only then does it stay true. */
export function timers_first(until: u64): u32 {
  const cpus = cpu_count();
  let found: u32 = 0;
  let expires: u64 = 0;
  let sequence: u32 = 0;
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const base = baseOf(cpu);
    if (atomic.load<u32>(base, WORKER_TIMER_WAITING) == 0) continue;
    lockBase(base);
    const timer = firstTimer(base);
    if (timer != 0 && load<u64>(timer, TIMER_EXPIRES) <= until) {
      const started = load<u32>(timer, TIMER_SEQUENCE);
      if (found == 0 || load<u64>(timer, TIMER_EXPIRES) < expires || (load<u64>(timer, TIMER_EXPIRES) == expires && <i32>(started - sequence) < 0)) {
        found = cpu + 1;
        expires = load<u64>(timer, TIMER_EXPIRES);
        sequence = started;
      }
    }
    unlockBase(base);
  }
  return found;
}

/** Address of the key of the value that the timer stands in; for an array, whose keys are nowhere, at `room`. */
function keyOf(map: usize, value: usize, room: usize): usize {
  if (load<u32>(map, MAP_TYPE) != ARRAY) return value - round_up_8(load<u32>(map, MAP_KEY_SIZE));
  store<u32>(room, <u32>(value - load<u32>(map, MAP_VALUES)) / load<u32>(map, MAP_STRIDE));
  return room;
}

/** The timer that is due first on that CPU waits for ROOT_TIMER_CPU instead: 1, or 0 if there is none, or no memory. */
export function timers_pass(cpu: u32): u32 {
  const from = baseOf(cpu);
  lockBase(from);
  const timer = firstTimer(from);
  unlockBase(from);
  return timer != 0 && pass(from, load<u32>(ROOT, ROOT_TIMER_CPU), timer) ? 1 : 0;
}

/** The timer at the head of `from`, if it is still this one, waits for the other CPU. */
function pass(from: usize, cpu: u32, timer: usize): bool {
  const to = baseOf(cpu);
  lockBoth(from, to);
  const moves = firstTimer(from) == timer && reserve(to);
  if (moves) {
    dequeue(from, timer);
    atomic.store<u32>(timer, cpu, TIMER_CPU);
    insert(to, timer);
  }
  unlockBase(from);
  unlockBase(to);
  return moves;
}

/**
 * Takes the timer that is due first on this CPU: what its callback needs stands in the worker block (WORKER_TIMER), as another CPU may start or end the timer from then on. 0 if
 * none is due, 1 if another has to be looked at.
 */
function take(until: u64, how: u32): usize {
  lockBase(WORKER);
  const timer = firstTimer(WORKER);
  if (timer == 0 || load<u64>(timer, TIMER_EXPIRES) > until) {
    unlockBase(WORKER);
    return 0;
  }
  const callback = load<u64>(timer, TIMER_CALLBACK);
  if ((how & TIMERS_COMPILED) != 0 && callback >> 32 != 0) {
    unlockBase(WORKER);
    if (!pass(WORKER, load<u32>(ROOT, ROOT_TIMER_CPU), timer)) return 0;
    store<u32>(WORKER, load<u32>(WORKER, WORKER_TIMER_PASSED) + 1, WORKER_TIMER_PASSED);
    return 1;
  }
  const expires = load<u64>(timer, TIMER_EXPIRES);
  dequeue(WORKER, timer);
  store<u64>(WORKER, callback, WORKER_TIMER_CALLBACK);
  store<u32>(WORKER, load<u32>(timer, TIMER_MAP), WORKER_TIMER_MAP);
  store<u32>(WORKER, load<u32>(timer, TIMER_VALUE), WORKER_TIMER_VALUE);
  // One step, for who comes after this CPU (timers_recover).
  store<u32>(WORKER, <u32>timer, WORKER_TIMER);
  atomic.store<u32>(timer, load<u32>(WORKER, WORKER_CPU) + 1, TIMER_RUNNING);
  unlockBase(WORKER);
  if ((how & TIMERS_FOLLOW) != 0 && expires > load<u64>(ROOT, ROOT_CLOCK_FROZEN)) store<u64>(ROOT, expires, ROOT_CLOCK_FROZEN);
  return timer;
}

/**
 * Fires timers of this CPU that are due at `until`, at most `most`, earliest first, within an epoch, which keeps values and maps that end meanwhile; `how`: TIMERS_FOLLOW, TIMERS_COMPILED. Returns how many fired; or,
 * where one is a function of the interpreter, u32.MAX_VALUE: WORKER_TIMER then says which, and the caller runs it and calls timers_done.
 */
export function timers_run(until: u64, most: u32, how: u32, fuel: u32): u32 {
  let fired: u32 = 0;
  while (fired < most) {
    if ((how & TIMERS_FOLLOW) != 0 && cpu_count() != 1 && timers_first(until) != load<u32>(WORKER, WORKER_CPU) + 1) break;
    const timer = take(until, how);
    if (timer == 0) break;
    if (timer == 1) continue;
    const callback = load<u64>(WORKER, WORKER_TIMER_CALLBACK);
    if (callback >> 32 != 0) return u32.MAX_VALUE;
    const map = <usize>load<u32>(WORKER, WORKER_TIMER_MAP);
    const value = <usize>load<u32>(WORKER, WORKER_TIMER_VALUE);
    const top = load<u32>(WORKER, WORKER_STACK_TOP);
    store<u32>(WORKER, top - 16, WORKER_STACK_TOP);
    store<u32>(WORKER, fuel, WORKER_FUEL);
    call_indirect<u64>(<u32>callback, <u64>map, <u64>keyOf(map, value, <usize>(top - 16)), <u64>value, <u64>0, <u64>0);
    store<u32>(WORKER, top, WORKER_STACK_TOP);
    timers_done();
    fired++;
  }
  return fired;
}

/** Key of the value that the callback in WORKER_TIMER is about, for a caller that runs it; of an array's at `room`. */
export function timers_key(room: usize): usize {
  return keyOf(<usize>load<u32>(WORKER, WORKER_TIMER_MAP), <usize>load<u32>(WORKER, WORKER_TIMER_VALUE), room);
}

/** The callback of the timer in WORKER_TIMER has ended, or was stopped. */
export function timers_done(): void {
  done(WORKER);
}

/** The same for the CPU with this worker block. */
function done(worker: usize): void {
  const timer = <usize>load<u32>(worker, WORKER_TIMER);
  if (timer == 0) return;
  const base = lockTimer(timer);
  // It may be asked for again, and has its program no more.
  if (load<u32>(timer, TIMER_KIND) == TIMER_IS_TASK_WORK) setCallback(timer, 0);
  atomic.store<u32>(timer, 0, TIMER_RUNNING);
  store<u32>(worker, 0, WORKER_TIMER);
  const awaited = load<u32>(timer, TIMER_HOLDERS) != 0;
  const over = isOver(timer);
  unlockBase(base);
  // Where the last who waited was quicker, nobody waits at that word any more.
  if (awaited) atomic.notify(timer + TIMER_RUNNING, -1);
  if (over) free(timer);
}

/** timers_done for who may hold another lock: false, and nothing is done, if the timer's is held. */
export function timer_try_done(): bool {
  const timer = <usize>load<u32>(WORKER, WORKER_TIMER);
  if (timer == 0) return true;
  const base = baseOf(atomic.load<u32>(timer, TIMER_CPU));
  if (atomic.load<u32>(base + WORKER_TIMER_LOCK) != 0 || atomic.cmpxchg<u32>(base + WORKER_TIMER_LOCK, 0, holder()) != 0) return false;
  const here = baseOf(atomic.load<u32>(timer, TIMER_CPU)) == base;
  // One that is over is freed later, which needs the lock of the list.
  const ends = here && load<u32>(timer, TIMER_HOLDERS) != 0;
  if (ends) {
    atomic.store<u32>(timer, 0, TIMER_RUNNING);
    store<u32>(WORKER, 0, WORKER_TIMER);
  }
  unlockBase(base);
  if (ends) atomic.notify(timer + TIMER_RUNNING, -1);
  return ends;
}

/** Another CPU was ended while it held the lock of this one's heap: puts the heap in order, before the lock is given back. */
export function timers_rebuild(cpu: u32): void {
  const base = baseOf(cpu);
  const heap = <usize>load<u32>(base, WORKER_TIMER_HEAP);
  const count = load<u32>(base, WORKER_TIMER_WAITING);
  // What has a place and was not seen yet moves to the front; a timer on the way stands twice, or nowhere but in WORKER_TIMER_MOVING.
  const SEEN: u32 = u32.MAX_VALUE;
  let kept: u32 = 0;
  const moving = <usize>load<u32>(base, WORKER_TIMER_MOVING);
  for (let i: u32 = 0; i <= count; i++) {
    const timer = i < count ? <usize>load<u32>(heap + (<usize>i << 2)) : moving;
    if (timer == 0) continue;
    const place = load<u32>(timer, TIMER_PLACE);
    if (place == 0 || place == SEEN || load<u32>(timer, TIMER_CPU) != cpu) continue;
    store<u32>(timer, SEEN, TIMER_PLACE);
    store<u32>(heap + (<usize>kept << 2), <u32>timer);
    kept++;
  }
  store<u32>(base, 0, WORKER_TIMER_WAITING);
  for (let i: u32 = 0; i < kept; i++) insert(base, <usize>load<u32>(heap + (<usize>i << 2)));
}

/** Of a CPU that was ended, once its locks are free: its callback counts as ended, and what it held of timers is let go. Its timers wait on (timers_move). */
export function timers_recover(cpu: u32): void {
  const worker = baseOf(cpu);
  const awaited = <usize>load<u32>(worker, WORKER_TIMER_AWAITED);
  if (awaited != 0) {
    const base = lockTimer(awaited);
    const last = letGo(awaited, worker);
    unlockBase(base);
    if (last) free(awaited);
  }
  done(worker);
}

/** A CPU whose thread ends, or has ended, fires no timers from now on: those that wait for it go to ROOT_TIMER_CPU. False: there is no memory for them. */
export function timers_move(cpu: u32): bool {
  const from = baseOf(cpu);
  store<u32>(from, 0, WORKER_TIMER_FIRES);
  const to = load<u32>(ROOT, ROOT_TIMER_CPU);
  if (to == cpu) return true;
  lockBoth(from, baseOf(to));
  let timer = firstTimer(from);
  while (timer != 0 && reserve(baseOf(to))) {
    dequeue(from, timer);
    atomic.store<u32>(timer, to, TIMER_CPU);
    insert(baseOf(to), timer);
    timer = firstTimer(from);
  }
  unlockBase(from);
  unlockBase(baseOf(to));
  return timer == 0;
}
