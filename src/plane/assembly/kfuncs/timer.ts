// bpf_timer (helpers 169 to 172) and bpf_wq: what a program does with them, and how they fire. The runtime says when: timers_run is called
// once the clock has moved. Work is due at once. Facts: kernel/bpf/helpers.c.
import { EBUSY, EDEADLK, EINVAL, ENOMEM } from '../errno';
import { bpf_ktime_get_ns } from '../helpers/clock';
import { WORKER } from '../worker';
import { round_up_8 } from '../maps/header';
import { ARRAY } from '../maps/types';
import { giveSmall, takeSmall } from './pool';
import { addTimer, dequeue, enqueue, firstTimer, lockTimers, removeTimer, unlockTimers } from './timer-queue';
import { MAP_KEY_SIZE, MAP_STRIDE, MAP_TIMER, MAP_TYPE, MAP_VALUES, MAP_WORK } from '../../layout/map';
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_TIMERS } from '../../layout/memory';
import {
  BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN, TIMER_CALLBACK, TIMER_EXPIRES, TIMER_IS_TIMER, TIMER_IS_WORK, TIMER_KIND, TIMER_MAP, TIMER_NEXT,
  TIMER_PLACE, TIMER_RUNNING, TIMER_VALUE, TIMERS_COMPILED, TIMERS_FOLLOW,
} from '../../layout/timer';
import { WORKER_FUEL, WORKER_STACK_TOP, WORKER_TIMER } from '../../layout/worker';

const MAX_CLOCKS: u64 = 16;
const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_BOOTTIME: u64 = 7;

@inline function timerOf(field: u64): usize {
  return <usize>load<u32>(<usize>field);
}

function create(field: u64, map: usize, offset: u32, kind: u32): i64 {
  lockTimers();
  if (timerOf(field) != 0) {
    unlockTimers();
    return EBUSY;
  }
  const timer = takeSmall();
  if (timer == 0) {
    unlockTimers();
    return ENOMEM;
  }
  store<u32>(timer, <u32>map, TIMER_MAP);
  store<u32>(timer, <u32>field - offset, TIMER_VALUE);
  store<u32>(timer, kind, TIMER_KIND);
  addTimer(timer);
  store<u32>(<usize>field, <u32>timer);
  unlockTimers();
  return 0;
}

export function bpf_timer_init(field: u64, map: u64, flags: u64): i64 {
  const clock = flags & (MAX_CLOCKS - 1);
  if (flags >= MAX_CLOCKS || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME)) return EINVAL;
  const offset = load<u32>(<usize>map, MAP_TIMER);
  return offset == 0 ? EINVAL : create(field, <usize>map, offset - 1, TIMER_IS_TIMER);
}

export function bpf_timer_set_callback(field: u64, callback: u64): i64 {
  const timer = timerOf(field);
  if (timer == 0) return EINVAL;
  store<u64>(timer, callback, TIMER_CALLBACK);
  return 0;
}

export function bpf_timer_start(field: u64, nsecs: u64, flags: u64): i64 {
  if ((flags & ~(<u64>(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN))) != 0) return EINVAL;
  const timer = timerOf(field);
  if (timer == 0 || load<u64>(timer, TIMER_CALLBACK) == 0) return EINVAL;
  let expires = nsecs;
  if ((flags & BPF_F_TIMER_ABS) == 0) {
    const now = bpf_ktime_get_ns();
    // KTIME_MAX, where the sum is beyond it.
    expires = nsecs > <u64>i64.MAX_VALUE - now ? <u64>i64.MAX_VALUE : now + nsecs;
  }
  lockTimers();
  dequeue(timer);
  const queued = enqueue(timer, expires);
  unlockTimers();
  return queued ? 0 : ENOMEM;
}

/** 1 if it waited; after this it has no callback. */
export function bpf_timer_cancel(field: u64): i64 {
  const timer = timerOf(field);
  if (timer == 0) return EINVAL;
  if (load<u32>(WORKER, WORKER_TIMER) == <u32>timer) return EDEADLK;
  lockTimers();
  store<u64>(timer, 0, TIMER_CALLBACK);
  const waited = dequeue(timer);
  unlockTimers();
  return waited ? 1 : 0;
}

export function bpf_wq_init(field: u64, map: u64, flags: u64): i64 {
  const offset = load<u32>(<usize>map, MAP_WORK);
  if (<u32>flags != 0 || offset == 0) return EINVAL;
  return create(field, <usize>map, offset - 1, TIMER_IS_WORK);
}

export function bpf_wq_set_callback_impl(field: u64, callback: u64, flags: u64, program: u64): i64 {
  return <u32>flags != 0 ? EINVAL : bpf_timer_set_callback(field, callback);
}

/** Work that waits already is not scheduled a second time. */
export function bpf_wq_start(field: u64, flags: u64): i64 {
  const timer = timerOf(field);
  if (<u32>flags != 0 || timer == 0 || load<u64>(timer, TIMER_CALLBACK) == 0) return EINVAL;
  lockTimers();
  const queued = load<u32>(timer, TIMER_PLACE) != 0 || enqueue(timer, 0);
  unlockTimers();
  return queued ? 0 : ENOMEM;
}

/** With the lock held. One whose callback runs goes once that has ended. */
function end(timer: usize): void {
  dequeue(timer);
  store<u64>(timer, 0, TIMER_CALLBACK);
  store<u32>(timer, 0, TIMER_VALUE);
  if (load<u32>(timer, TIMER_RUNNING) != 0) return;
  removeTimer(timer);
  giveSmall(timer);
}

/** Ends the timer and the work of a value that goes, or is written over. */
export function releaseTimers(map: usize, value: usize): void {
  lockTimers();
  for (let i: usize = 0; i < 2; i++) {
    const offset = load<u32>(map + (i == 0 ? MAP_TIMER : MAP_WORK));
    if (offset == 0) continue;
    const field = value + offset - 1;
    const timer = <usize>load<u32>(field);
    if (timer != 0) end(timer);
    store<u64>(field, 0);
    store<u64>(field, 0, 8);
  }
  unlockTimers();
}

/** Ends all timers of a map that goes. */
export function releaseTimersOf(map: usize): void {
  lockTimers();
  let timer = <usize>load<u32>(ROOT, ROOT_TIMERS);
  while (timer != 0) {
    const next = <usize>load<u32>(timer, TIMER_NEXT);
    if (load<u32>(timer, TIMER_MAP) == <u32>map) end(timer);
    timer = next;
  }
  unlockTimers();
}

/** Takes the callbacks from `first` on, `count` of them, off all timers: the program that they belong to goes. */
export function timers_forget(first: u64, count: u32): void {
  lockTimers();
  let timer = <usize>load<u32>(ROOT, ROOT_TIMERS);
  while (timer != 0) {
    if (load<u64>(timer, TIMER_CALLBACK) - first < <u64>count) {
      dequeue(timer);
      store<u64>(timer, 0, TIMER_CALLBACK);
    }
    timer = <usize>load<u32>(timer, TIMER_NEXT);
  }
  unlockTimers();
}

/** When the first timer is due, in ns; u64.MAX_VALUE if none waits. */
export function timers_next(): u64 {
  lockTimers();
  const timer = firstTimer();
  const expires = timer == 0 ? u64.MAX_VALUE : load<u64>(timer, TIMER_EXPIRES);
  unlockTimers();
  return expires;
}

/** Address of the key of the value that the timer stands in; for an array, whose keys are nowhere, at `room`. */
function keyOf(map: usize, value: usize, room: usize): usize {
  if (load<u32>(map, MAP_TYPE) != ARRAY) return value - round_up_8(load<u32>(map, MAP_KEY_SIZE));
  store<u32>(room, <u32>(value - load<u32>(map, MAP_VALUES)) / load<u32>(map, MAP_STRIDE));
  return room;
}

/**
 * Fires timers that are due at `until`, at most `most`, earliest first; `how`: TIMERS_FOLLOW, TIMERS_COMPILED. Returns how many fired; or,
 * where one is a function of the interpreter, u32.MAX_VALUE: WORKER_TIMER then says which, and the caller runs it and calls timers_done.
 */
export function timers_run(until: u64, most: u32, how: u32, fuel: u32): u32 {
  let fired: u32 = 0;
  while (fired < most) {
    lockTimers();
    const timer = firstTimer();
    const others = (how & TIMERS_COMPILED) != 0 && timer != 0 && load<u64>(timer, TIMER_CALLBACK) >> 32 != 0;
    if (timer == 0 || others || load<u64>(timer, TIMER_EXPIRES) > until) {
      unlockTimers();
      break;
    }
    dequeue(timer);
    store<u32>(timer, load<u32>(timer, TIMER_RUNNING) + 1, TIMER_RUNNING);
    const expires = load<u64>(timer, TIMER_EXPIRES);
    unlockTimers();
    if ((how & TIMERS_FOLLOW) != 0 && expires > load<u64>(ROOT, ROOT_CLOCK_FROZEN)) store<u64>(ROOT, expires, ROOT_CLOCK_FROZEN);
    store<u32>(WORKER, <u32>timer, WORKER_TIMER);
    const callback = load<u64>(timer, TIMER_CALLBACK);
    if (callback >> 32 != 0) return u32.MAX_VALUE;
    if (callback != 0) {
      const map = <usize>load<u32>(timer, TIMER_MAP);
      const value = <usize>load<u32>(timer, TIMER_VALUE);
      const top = load<u32>(WORKER, WORKER_STACK_TOP);
      store<u32>(WORKER, top - 16, WORKER_STACK_TOP);
      store<u32>(WORKER, fuel, WORKER_FUEL);
      call_indirect<u64>(<u32>callback, <u64>map, <u64>keyOf(map, value, <usize>(top - 16)), <u64>value, <u64>0, <u64>0);
      store<u32>(WORKER, top, WORKER_STACK_TOP);
    }
    timers_done();
    fired++;
  }
  return fired;
}

/** Key of the timer in WORKER_TIMER, for a caller that runs its callback; of an array's at `room`. */
export function timers_key(room: usize): usize {
  const timer = <usize>load<u32>(WORKER, WORKER_TIMER);
  return keyOf(<usize>load<u32>(timer, TIMER_MAP), <usize>load<u32>(timer, TIMER_VALUE), room);
}

/** The callback of the timer in WORKER_TIMER has ended. */
export function timers_done(): void {
  const timer = <usize>load<u32>(WORKER, WORKER_TIMER);
  store<u32>(WORKER, 0, WORKER_TIMER);
  if (timer == 0) return;
  lockTimers();
  const running = load<u32>(timer, TIMER_RUNNING) - 1;
  store<u32>(timer, running, TIMER_RUNNING);
  if (running == 0 && load<u32>(timer, TIMER_VALUE) == 0) {
    removeTimer(timer);
    giveSmall(timer);
  }
  unlockTimers();
}
