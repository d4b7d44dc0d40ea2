// The timers that wait, a binary heap of their addresses by time for each CPU, in pages of its own that grow; and the lists of all timers. See layout/timer.ts.
import { ROOT, ROOT_TIMER_SEQUENCE, WASM_PAGE, WORKERS, WORKER_SIZE } from '../../layout/memory';
import { DUE_ON_RETURN, TIMER_CPU, TIMER_EXPIRES, TIMER_HOME, TIMER_NEXT, TIMER_PLACE, TIMER_PREVIOUS, TIMER_SEQUENCE } from '../../layout/timer';
import {
  WORKER_CPU, WORKER_TIMER_HEAP, WORKER_TIMER_HEAP_PAGES, WORKER_TIMER_LIST, WORKER_TIMER_LIST_LOCK, WORKER_TIMER_LOCK, WORKER_TIMER_MOVING,
  WORKER_TIMER_WAITING,
} from '../../layout/worker';
import { cpu_count } from '../maps/header';
import { pages_alloc, pages_free } from '../pages';
import { word_lock, word_unlock } from '../locks/word';
import { WORKER } from '../worker';

/** How often a field is looked at again that led nowhere: one that a program without a verdict has written over is not waited for. */
const LOOKS = 1_000_000;

/** What a CPU's timers stand in: its worker block. */
@inline export function baseOf(cpu: u32): usize {
  return WORKERS + <usize>cpu * WORKER_SIZE;
}

export function lockBase(base: usize): void {
  word_lock(base + WORKER_TIMER_LOCK);
}

export function unlockBase(base: usize): void {
  word_unlock(base + WORKER_TIMER_LOCK);
}

/** The locks of two CPUs, always in this order. */
export function lockBoth(one: usize, other: usize): void {
  lockBase(min(one, other));
  lockBase(max(one, other));
}

/** Of a timer that cannot go meanwhile: its base, locked. */
export function lockTimer(timer: usize): usize {
  while (true) {
    const base = baseOf(atomic.load<u32>(timer, TIMER_CPU));
    lockBase(base);
    if (baseOf(atomic.load<u32>(timer, TIMER_CPU)) == base) return base;
    unlockBase(base);
  }
}

/** The timer that the field points to, with its base locked (baseOfTimer); 0, and nothing is locked, if there is none. */
export function lockField(field: usize): usize {
  for (let looks = 0; looks < LOOKS; looks++) {
    const timer = <usize>atomic.load<u32>(field);
    if (timer == 0) return 0;
    // The block may have become something else before the lock is held; the field tells.
    const cpu = atomic.load<u32>(timer, TIMER_CPU);
    if (cpu >= cpu_count()) continue;
    const base = baseOf(cpu);
    lockBase(base);
    if (atomic.load<u32>(field) == <u32>timer && atomic.load<u32>(timer, TIMER_CPU) == cpu) return timer;
    unlockBase(base);
  }
  unreachable();
  return 0;
}

@inline export function baseOfTimer(timer: usize): usize {
  return baseOf(load<u32>(timer, TIMER_CPU));
}

@inline function at(base: usize, place: u32): usize {
  return <usize>load<u32>(base, WORKER_TIMER_HEAP) + (<usize>(place - 1) << 2);
}

@inline function put(base: usize, place: u32, timer: usize): void {
  store<u32>(at(base, place), <u32>timer);
  store<u32>(timer, place, TIMER_PLACE);
}

@inline function isBefore(a: usize, b: usize): bool {
  const x = load<u64>(a, TIMER_EXPIRES);
  const y = load<u64>(b, TIMER_EXPIRES);
  if (x != y) return x < y;
  const wasFirst = <i32>(load<u32>(a, TIMER_SEQUENCE) - load<u32>(b, TIMER_SEQUENCE)) < 0;
  // The kernel's list of a task's work is one of last come, first served.
  return x == DUE_ON_RETURN ? !wasFirst : wasFirst;
}

function rise(base: usize, place: u32, timer: usize): u32 {
  while (place > 1) {
    const parent = <usize>load<u32>(at(base, place >> 1));
    if (!isBefore(timer, parent)) break;
    put(base, place, parent);
    place >>= 1;
  }
  put(base, place, timer);
  return place;
}

function sink(base: usize, place: u32, timer: usize, count: u32): void {
  while (place << 1 <= count) {
    let child = place << 1;
    if (child < count && isBefore(<usize>load<u32>(at(base, child + 1)), <usize>load<u32>(at(base, child)))) child++;
    const other = <usize>load<u32>(at(base, child));
    if (!isBefore(other, timer)) break;
    put(base, place, other);
    place = child;
  }
  put(base, place, timer);
}

/** Room for one more; false: no memory. */
export function reserve(base: usize): bool {
  const pages = load<u32>(base, WORKER_TIMER_HEAP_PAGES);
  if (<usize>(load<u32>(base, WORKER_TIMER_WAITING) + 1) << 2 <= <usize>pages * WASM_PAGE) return true;
  const heap = pages_alloc(pages == 0 ? 1 : pages << 1);
  if (heap == 0) return false;
  const before = <usize>load<u32>(base, WORKER_TIMER_HEAP);
  if (pages != 0) memory.copy(heap, before, <usize>pages * WASM_PAGE);
  store<u32>(base, <u32>heap, WORKER_TIMER_HEAP);
  store<u32>(base, pages == 0 ? 1 : pages << 1, WORKER_TIMER_HEAP_PAGES);
  pages_free(before, pages);
  return true;
}

/** A timer that does not wait takes its place in the heap of its CPU, which has room for it (reserve). */
export function insert(base: usize, timer: usize): void {
  const count = load<u32>(base, WORKER_TIMER_WAITING) + 1;
  put(base, count, timer);
  store<u32>(base, count, WORKER_TIMER_WAITING);
  store<u32>(base, <u32>timer, WORKER_TIMER_MOVING);
  rise(base, count, timer);
}

/** Lets the timer, which does not wait, wait until `expires` (reserve comes first). */
export function enqueue(base: usize, timer: usize, expires: u64): void {
  store<u64>(timer, expires, TIMER_EXPIRES);
  store<u32>(timer, atomic.add<u32>(ROOT, 1, ROOT_TIMER_SEQUENCE), TIMER_SEQUENCE);
  insert(base, timer);
}

/** False if it did not wait. */
export function dequeue(base: usize, timer: usize): bool {
  const place = load<u32>(timer, TIMER_PLACE);
  if (place == 0) return false;
  const count = load<u32>(base, WORKER_TIMER_WAITING);
  const last = <usize>load<u32>(at(base, count));
  store<u32>(base, count - 1, WORKER_TIMER_WAITING);
  store<u32>(timer, 0, TIMER_PLACE);
  store<u32>(base, <u32>last, WORKER_TIMER_MOVING);
  if (last != timer && rise(base, place, last) == place) sink(base, place, last, count - 1);
  return true;
}

/** The timer that is due first on the CPU, 0 if none waits. */
export function firstTimer(base: usize): usize {
  return load<u32>(base, WORKER_TIMER_WAITING) == 0 ? 0 : <usize>load<u32>(at(base, 1));
}

/** Into the list of this CPU. */
export function addTimer(timer: usize): void {
  store<u32>(timer, load<u32>(WORKER, WORKER_CPU), TIMER_HOME);
  word_lock(WORKER + WORKER_TIMER_LIST_LOCK);
  const next = load<u32>(WORKER, WORKER_TIMER_LIST);
  store<u32>(timer, 0, TIMER_PREVIOUS);
  store<u32>(timer, next, TIMER_NEXT);
  if (next != 0) store<u32>(<usize>next, <u32>timer, TIMER_PREVIOUS);
  store<u32>(WORKER, <u32>timer, WORKER_TIMER_LIST);
  word_unlock(WORKER + WORKER_TIMER_LIST_LOCK);
}

/** Out of its list, whose lock is held. */
export function unlink(timer: usize): void {
  const previous = load<u32>(timer, TIMER_PREVIOUS);
  const next = load<u32>(timer, TIMER_NEXT);
  if (previous != 0) store<u32>(<usize>previous, next, TIMER_NEXT);
  else store<u32>(baseOf(load<u32>(timer, TIMER_HOME)), next, WORKER_TIMER_LIST);
  if (next != 0) store<u32>(<usize>next, previous, TIMER_PREVIOUS);
}

export function removeTimer(timer: usize): void {
  const list = baseOf(load<u32>(timer, TIMER_HOME)) + WORKER_TIMER_LIST_LOCK;
  word_lock(list);
  unlink(timer);
  word_unlock(list);
}

/** First of a CPU's list, which stays locked until unlockList. */
export function lockList(cpu: u32): usize {
  word_lock(baseOf(cpu) + WORKER_TIMER_LIST_LOCK);
  return <usize>load<u32>(baseOf(cpu), WORKER_TIMER_LIST);
}

export function unlockList(cpu: u32): void {
  word_unlock(baseOf(cpu) + WORKER_TIMER_LIST_LOCK);
}
