// bpf_timer (helpers 169 to 172), bpf_wq and bpf_task_work: what programs do with them, from any CPU, and what ends them. timer-firing.ts: how they fire. Facts: kernel/bpf/helpers.c.
import { EBUSY, EDEADLK, EINVAL, ENOMEM, EPERM } from '../errno';
import { bpf_ktime_get_ns } from '../helpers/clock';
import { lock_sleep } from '../locks/wait';
import { cpu_count } from '../maps/header';
import { WORKER } from '../worker';
import { giveSmall, takeSmall } from './pool';
import {
  addTimer, baseOf, baseOfTimer, dequeue, enqueue, lockBoth, lockField, lockList, lockTimer, removeTimer, reserve, unlink, unlockBase, unlockList,
} from './timer-queue';
import { MAP_TASK_WORK, MAP_TIMER, MAP_USERS, MAP_WORK } from '../../layout/map';
import { ROOT, ROOT_CALLBACKS_DROPPED, ROOT_CALLBACKS_WATCHED, ROOT_TIMER_CPU } from '../../layout/memory';
import {
  BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN, DUE_AT_ONCE, DUE_ON_RETURN, TIMER_CALLBACK, TIMER_CANCELLING, TIMER_CPU, TIMER_HOLDERS, TIMER_IS_TASK_WORK, TIMER_IS_TIMER, TIMER_IS_WORK, TIMER_KIND, TIMER_MAP,
  TIMER_NEXT, TIMER_PLACE, TIMER_RUNNING, TIMER_VALUE,
} from '../../layout/timer';
import { WORKER_CPU, WORKER_TIMER, WORKER_TIMER_AWAITED, WORKER_TIMER_COUNTED, WORKER_TIMER_FIRES } from '../../layout/worker';

const MAX_CLOCKS: u64 = 16;
const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_BOOTTIME: u64 = 7;
/** How often who waits for a callback looks before it sleeps, and how long it sleeps at most before it looks again. */
const SPINS = 256;
const WAIT_NS: i64 = 1_000_000;

/** The CPU that fires what is started on this one. */
@inline function firingCpu(): u32 {
  return load<u32>(WORKER, WORKER_TIMER_FIRES) != 0 ? load<u32>(WORKER, WORKER_CPU) : load<u32>(ROOT, ROOT_TIMER_CPU);
}

/** Under the lock of its base. What it called has a holder less, which control code that waits for that is told. */
export function setCallback(timer: usize, callback: u64): void {
  const before = load<u64>(timer, TIMER_CALLBACK);
  store<u64>(timer, callback, TIMER_CALLBACK);
  if (before == 0 || before == callback || atomic.load<u32>(ROOT, ROOT_CALLBACKS_WATCHED) == 0) return;
  atomic.add<u32>(ROOT, 1, ROOT_CALLBACKS_DROPPED);
  atomic.notify(ROOT + ROOT_CALLBACKS_DROPPED, -1);
}

function create(field: usize, map: usize, offset: u32, kind: u32): i64 {
  if (atomic.load<u32>(field) != 0) return EBUSY;
  const timer = takeSmall();
  if (timer == 0) return ENOMEM;
  store<u32>(timer, <u32>map, TIMER_MAP);
  store<u32>(timer, <u32>field - offset, TIMER_VALUE);
  store<u32>(timer, kind, TIMER_KIND);
  store<u32>(timer, firingCpu(), TIMER_CPU);
  // Held until it is in its field: who ends the map's timers finds it in the list before.
  store<u32>(timer, 1, TIMER_HOLDERS);
  store<u32>(WORKER, <u32>timer, WORKER_TIMER_AWAITED);
  addTimer(timer);
  // Another CPU may be first; and whoever was user space's last holder of the map may have ended its timers already.
  const isFirst = atomic.cmpxchg<u32>(field, 0, <u32>timer) == 0;
  const stays = isFirst && atomic.load<u32>(map, MAP_USERS) != 0;
  const base = lockTimer(timer);
  if (!stays) end(base, timer);
  if (load<u32>(timer, TIMER_VALUE) == 0) atomic.cmpxchg<u32>(field, <u32>timer, 0);
  const over = letGo(timer, WORKER);
  unlockBase(base);
  if (over) free(timer);
  return stays ? 0 : isFirst ? EPERM : EBUSY;
}

export function bpf_timer_init(field: u64, map: u64, flags: u64): i64 {
  const clock = flags & (MAX_CLOCKS - 1);
  if (flags >= MAX_CLOCKS || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME)) return EINVAL;
  const offset = load<u32>(<usize>map, MAP_TIMER);
  return offset == 0 ? EINVAL : create(<usize>field, <usize>map, offset - 1, TIMER_IS_TIMER);
}

export function bpf_timer_set_callback(field: u64, callback: u64): i64 {
  const timer = lockField(<usize>field);
  if (timer == 0) return EINVAL;
  const reachable = atomic.load<u32>(<usize>load<u32>(timer, TIMER_MAP), MAP_USERS) != 0;
  if (reachable) setCallback(timer, callback);
  unlockBase(baseOfTimer(timer));
  return reachable ? 0 : EPERM;
}

/**
 * Lets it wait until `expires` for the CPU that fires what this one starts; but while its callback runs it stays where that is, as in the kernel (switch_hrtimer_base,
 * __queue_work), and so never runs twice at a time. Work that waits is not scheduled a second time.
 */
function start(field: usize, expires: u64, isWork: bool): i64 {
  while (true) {
    const timer = lockField(field);
    if (timer == 0) return EINVAL;
    const from = baseOfTimer(timer);
    if (load<u64>(timer, TIMER_CALLBACK) == 0) {
      unlockBase(from);
      return EINVAL;
    }
    if (isWork && load<u32>(timer, TIMER_PLACE) != 0) {
      unlockBase(from);
      return 0;
    }
    const cpu = load<u32>(timer, TIMER_RUNNING) != 0 ? load<u32>(timer, TIMER_CPU) : firingCpu();
    const to = baseOf(cpu);
    if (from != to) {
      unlockBase(from);
      lockBoth(from, to);
      const stays = atomic.load<u32>(field) == <u32>timer && baseOfTimer(timer) == from && load<u32>(timer, TIMER_RUNNING) == 0
        && load<u64>(timer, TIMER_CALLBACK) != 0 && !(isWork && load<u32>(timer, TIMER_PLACE) != 0);
      if (!stays) {
        unlockBase(from);
        unlockBase(to);
        continue;
      }
    }
    const room = reserve(to);
    if (room) {
      dequeue(from, timer);
      atomic.store<u32>(timer, cpu, TIMER_CPU);
      enqueue(to, timer, expires);
    }
    if (from != to) unlockBase(from);
    unlockBase(to);
    return room ? 0 : ENOMEM;
  }
}

export function bpf_timer_start(field: u64, nsecs: u64, flags: u64): i64 {
  if ((flags & ~(<u64>(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN))) != 0) return EINVAL;
  let expires = max<u64>(nsecs, <u64>DUE_AT_ONCE);
  if ((flags & BPF_F_TIMER_ABS) == 0) {
    const now = bpf_ktime_get_ns();
    // KTIME_MAX, where the sum is beyond it.
    expires = nsecs > <u64>i64.MAX_VALUE - now ? <u64>i64.MAX_VALUE : now + nsecs;
  }
  return start(<usize>field, expires, false);
}

/** The timer, not the work, whose callback this CPU runs. */
function runningTimer(): usize {
  const timer = <usize>load<u32>(WORKER, WORKER_TIMER);
  return timer != 0 && load<u32>(timer, TIMER_KIND) == TIMER_IS_TIMER ? timer : 0;
}

/** With its base, where its callback runs on another CPU, given free until that has ended. Returns its base, locked. */
function awaitEnd(timer: usize, base: usize): usize {
  while (load<u32>(timer, TIMER_RUNNING) != 0) {
    const running = load<u32>(timer, TIMER_RUNNING);
    unlockBase(base);
    let spins = 0;
    while (atomic.load<u32>(timer, TIMER_RUNNING) == running && ++spins < SPINS) {}
    // The CPU that runs it may have ended.
    if (spins == SPINS) lock_sleep(timer + TIMER_RUNNING, running, WAIT_NS);
    base = lockTimer(timer);
  }
  return base;
}

/**
 * 1 if it waited; after this it has no callback, and none runs on another CPU. -EDEADLK from its own callback, and from the callback of a timer that another callback is
 * cancelling: the two might wait for each other.
 */
export function bpf_timer_cancel(field: u64): i64 {
  const timer = lockField(<usize>field);
  if (timer == 0) return EINVAL;
  let base = baseOfTimer(timer);
  const running = runningTimer();
  if (running == timer) {
    unlockBase(base);
    return EDEADLK;
  }
  // Held, and so noted that it can be let go where this CPU ends on the way.
  store<u32>(timer, load<u32>(timer, TIMER_HOLDERS) + 1, TIMER_HOLDERS);
  store<u32>(WORKER, <u32>timer, WORKER_TIMER_AWAITED);
  if (running != 0) {
    atomic.add<u32>(timer, 1, TIMER_CANCELLING);
    store<u32>(WORKER, 1, WORKER_TIMER_COUNTED);
  }
  let result: i64 = EDEADLK;
  if (running == 0 || atomic.load<u32>(running, TIMER_CANCELLING) == 0) {
    setCallback(timer, 0);
    let waited = dequeue(base, timer);
    base = awaitEnd(timer, base);
    // Another CPU may have started it meanwhile.
    if (dequeue(base, timer)) waited = true;
    result = waited ? 1 : 0;
  }
  const last = letGo(timer, WORKER);
  unlockBase(base);
  if (last) free(timer);
  return result;
}

/** What the CPU with this worker block holds by WORKER_TIMER_AWAITED; true: it was the last thing that kept the block. */
export function letGo(timer: usize, worker: usize): bool {
  if (load<u32>(worker, WORKER_TIMER_COUNTED) != 0) {
    atomic.sub<u32>(timer, 1, TIMER_CANCELLING);
    store<u32>(worker, 0, WORKER_TIMER_COUNTED);
  }
  store<u32>(timer, load<u32>(timer, TIMER_HOLDERS) - 1, TIMER_HOLDERS);
  store<u32>(worker, 0, WORKER_TIMER_AWAITED);
  return isOver(timer);
}

export function bpf_wq_init(field: u64, map: u64, flags: u64): i64 {
  const offset = load<u32>(<usize>map, MAP_WORK);
  if (<u32>flags != 0 || offset == 0) return EINVAL;
  return create(<usize>field, <usize>map, offset - 1, TIMER_IS_WORK);
}

export function bpf_wq_set_callback_impl(field: u64, callback: u64, flags: u64, program: u64): i64 {
  return <u32>flags != 0 ? EINVAL : bpf_timer_set_callback(field, callback);
}

export function bpf_wq_start(field: u64, flags: u64): i64 {
  return <u32>flags != 0 ? EINVAL : start(<usize>field, DUE_AT_ONCE, true);
}

/**
 * Lets the callback run as this CPU, which runs the task, returns to control code: programs come to no other task. -EBUSY while it has been asked for and has not ended, and where user
 * space does not reach the map any more.
 */
function scheduleForTask(field: usize, map: usize, callback: u64): i64 {
  if (atomic.load<u32>(field) == 0) {
    const result = create(field, map, load<u32>(map, MAP_TASK_WORK) - 1, TIMER_IS_TASK_WORK);
    if (result == ENOMEM) return ENOMEM;
  }
  const timer = lockField(field);
  if (timer == 0) return EBUSY;
  const isFree = load<u64>(timer, TIMER_CALLBACK) == 0 && atomic.load<u32>(map, MAP_USERS) != 0;
  if (isFree) setCallback(timer, callback);
  unlockBase(baseOfTimer(timer));
  if (!isFree) return EBUSY;
  // A value that goes meanwhile takes it along.
  if (start(field, DUE_ON_RETURN, true) != ENOMEM) return 0;
  bpf_timer_cancel(field);
  return ENOMEM;
}

export function bpf_task_work_schedule_signal_impl(task: u64, field: u64, map: u64, callback: u64, program: u64): i64 {
  return scheduleForTask(<usize>field, <usize>map, callback);
}

/** A task of a CPU is always at work: it needs no signal to come back. */
export function bpf_task_work_schedule_resume_impl(task: u64, field: u64, map: u64, callback: u64, program: u64): i64 {
  return scheduleForTask(<usize>field, <usize>map, callback);
}

/** Nothing leads to the block any more. */
export function isOver(timer: usize): bool {
  return load<u32>(timer, TIMER_VALUE) == 0 && load<u32>(timer, TIMER_RUNNING) == 0 && load<u32>(timer, TIMER_HOLDERS) == 0;
}

export function free(timer: usize): void {
  removeTimer(timer);
  giveSmall(timer);
}

/** With the lock held. What its callback or a cancellation still needs of it goes with them. */
function end(base: usize, timer: usize): bool {
  dequeue(base, timer);
  setCallback(timer, 0);
  store<u32>(timer, 0, TIMER_VALUE);
  return isOver(timer);
}

/**
 * Ends the timer and the work of a value that goes, or is written over. A callback that runs on another CPU is not waited for, as the caller may hold what it needs: the value
 * stays readable until it ends.
 */
export function releaseTimers(map: usize, value: usize): void {
  for (let kind = TIMER_IS_TIMER; kind <= TIMER_IS_TASK_WORK; kind++) {
    const offset = load<u32>(map + placeOf(kind));
    if (offset != 0) releaseField(value + offset - 1);
  }
}

function releaseField(field: usize): void {
  const timer = lockField(field);
  if (timer == 0) return;
  const base = baseOfTimer(timer);
  const over = end(base, timer);
  atomic.store<u32>(field, 0);
  unlockBase(base);
  if (over) free(timer);
}

/** Where the map says where fields of the kind lie. */
function placeOf(kind: u32): usize {
  return kind == TIMER_IS_TIMER ? MAP_TIMER : kind == TIMER_IS_WORK ? MAP_WORK : MAP_TASK_WORK;
}

/** The field that a timer stands in forgets it. */
function clear(timer: usize): void {
  const map = <usize>load<u32>(timer, TIMER_MAP);
  const offset = load<u32>(map + placeOf(load<u32>(timer, TIMER_KIND)));
  atomic.cmpxchg<u32>(<usize>load<u32>(timer, TIMER_VALUE) + offset - 1, <u32>timer, 0);
}

/** Ends all timers of a map that goes, or that user space has let go of. Callbacks that run on other CPUs end within their epochs, which the map's memory waits for. */
export function releaseTimersOf(map: usize): void {
  const cpus = cpu_count();
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    let timer = lockList(cpu);
    while (timer != 0) {
      const next = <usize>load<u32>(timer, TIMER_NEXT);
      if (load<u32>(timer, TIMER_MAP) == <u32>map) {
        const base = lockTimer(timer);
        // One that is over already is about to be taken out by who has ended it.
        let over = false;
        if (load<u32>(timer, TIMER_VALUE) != 0) {
          clear(timer);
          over = end(base, timer);
        }
        unlockBase(base);
        if (over) {
          unlink(timer);
          giveSmall(timer);
        }
      }
      timer = next;
    }
    unlockList(cpu);
  }
}

/** How many timers have one of `count` callbacks from `first` on, armed or not: each holds the program that these belong to, as in the kernel. */
export function timers_holding(first: u64, count: u32): u32 {
  let holding: u32 = 0;
  const cpus = cpu_count();
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    for (let timer = lockList(cpu); timer != 0; timer = <usize>load<u32>(timer, TIMER_NEXT)) {
      const base = lockTimer(timer);
      if (load<u64>(timer, TIMER_CALLBACK) - first < <u64>count) holding++;
      unlockBase(base);
    }
    unlockList(cpu);
  }
  return holding;
}
