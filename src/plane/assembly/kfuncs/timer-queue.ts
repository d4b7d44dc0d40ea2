// The timers that wait: a binary heap of their addresses by time, in pages of its own that grow. All under one lock. See layout/timer.ts.
import {
  ROOT, ROOT_TIMERS, ROOT_TIMER_HEAP, ROOT_TIMER_HEAP_PAGES, ROOT_TIMER_LOCK, ROOT_TIMER_SEQUENCE, ROOT_TIMER_WAITING, WASM_PAGE,
} from '../../layout/memory';
import { TIMER_EXPIRES, TIMER_NEXT, TIMER_PLACE, TIMER_PREVIOUS, TIMER_SEQUENCE } from '../../layout/timer';
import { word_lock, word_unlock } from '../locks/word';
import { pages_alloc, pages_free } from '../pages';

export function lockTimers(): void {
  word_lock(ROOT + ROOT_TIMER_LOCK);
}

export function unlockTimers(): void {
  word_unlock(ROOT + ROOT_TIMER_LOCK);
}

@inline function at(place: u32): usize {
  return <usize>load<u32>(ROOT, ROOT_TIMER_HEAP) + (<usize>(place - 1) << 2);
}

@inline function put(place: u32, timer: usize): void {
  store<u32>(at(place), <u32>timer);
  store<u32>(timer, place, TIMER_PLACE);
}

@inline function isBefore(a: usize, b: usize): bool {
  const x = load<u64>(a, TIMER_EXPIRES);
  const y = load<u64>(b, TIMER_EXPIRES);
  return x < y || (x == y && load<u32>(a, TIMER_SEQUENCE) < load<u32>(b, TIMER_SEQUENCE));
}

function rise(place: u32, timer: usize): u32 {
  while (place > 1) {
    const parent = <usize>load<u32>(at(place >> 1));
    if (!isBefore(timer, parent)) break;
    put(place, parent);
    place >>= 1;
  }
  put(place, timer);
  return place;
}

function sink(place: u32, timer: usize, count: u32): void {
  while (place << 1 <= count) {
    let child = place << 1;
    if (child < count && isBefore(<usize>load<u32>(at(child + 1)), <usize>load<u32>(at(child)))) child++;
    const other = <usize>load<u32>(at(child));
    if (!isBefore(other, timer)) break;
    put(place, other);
    place = child;
  }
  put(place, timer);
}

function grow(pages: u32): bool {
  const heap = pages_alloc(pages << 1);
  if (heap == 0) return false;
  if (pages != 0) {
    memory.copy(heap, <usize>load<u32>(ROOT, ROOT_TIMER_HEAP), <usize>pages * WASM_PAGE);
    pages_free(<usize>load<u32>(ROOT, ROOT_TIMER_HEAP), pages);
  }
  store<u32>(ROOT, <u32>heap, ROOT_TIMER_HEAP);
  store<u32>(ROOT, pages << 1, ROOT_TIMER_HEAP_PAGES);
  return true;
}

/** Lets the timer, which does not wait, wait until `expires`. False: no memory. */
export function enqueue(timer: usize, expires: u64): bool {
  const count = load<u32>(ROOT, ROOT_TIMER_WAITING) + 1;
  const pages = load<u32>(ROOT, ROOT_TIMER_HEAP_PAGES);
  if (pages == 0) {
    const heap = pages_alloc(1);
    if (heap == 0) return false;
    store<u32>(ROOT, <u32>heap, ROOT_TIMER_HEAP);
    store<u32>(ROOT, 1, ROOT_TIMER_HEAP_PAGES);
  } else if (<usize>count << 2 > <usize>pages * WASM_PAGE && !grow(pages)) return false;
  const sequence = load<u32>(ROOT, ROOT_TIMER_SEQUENCE) + 1;
  store<u32>(ROOT, sequence, ROOT_TIMER_SEQUENCE);
  store<u64>(timer, expires, TIMER_EXPIRES);
  store<u32>(timer, sequence, TIMER_SEQUENCE);
  store<u32>(ROOT, count, ROOT_TIMER_WAITING);
  rise(count, timer);
  return true;
}

/** False if it did not wait. */
export function dequeue(timer: usize): bool {
  const place = load<u32>(timer, TIMER_PLACE);
  if (place == 0) return false;
  const count = load<u32>(ROOT, ROOT_TIMER_WAITING);
  const last = <usize>load<u32>(at(count));
  store<u32>(ROOT, count - 1, ROOT_TIMER_WAITING);
  store<u32>(timer, 0, TIMER_PLACE);
  if (last != timer && rise(place, last) == place) sink(place, last, count - 1);
  return true;
}

/** The timer that is due first, 0 if none waits. */
export function firstTimer(): usize {
  return load<u32>(ROOT, ROOT_TIMER_WAITING) == 0 ? 0 : <usize>load<u32>(at(1));
}

export function addTimer(timer: usize): void {
  const next = load<u32>(ROOT, ROOT_TIMERS);
  store<u32>(timer, next, TIMER_NEXT);
  if (next != 0) store<u32>(<usize>next, <u32>timer, TIMER_PREVIOUS);
  store<u32>(ROOT, <u32>timer, ROOT_TIMERS);
}

export function removeTimer(timer: usize): void {
  const previous = load<u32>(timer, TIMER_PREVIOUS);
  const next = load<u32>(timer, TIMER_NEXT);
  if (previous != 0) store<u32>(<usize>previous, next, TIMER_NEXT);
  else store<u32>(ROOT, next, ROOT_TIMERS);
  if (next != 0) store<u32>(<usize>next, previous, TIMER_PREVIOUS);
}
