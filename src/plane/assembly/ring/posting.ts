// What reaches completion queues, and the program requests that wait for it.
import {
  CQE_F_ESCALATED, QUEUE_WAITING, RING_DUE_FIRST, RING_RUN_DEPTH, RING_RUNNING, RING_STATS, SLOT_DEPTH, SLOT_DUE, SLOT_NEXT, SLOT_SQE,
  SLOT_STATE, SLOT_WAIT_NR,
} from '../../layout/ring';
import { SQE_USER_DATA } from '../../layout/sqe';
import { ENOMEM } from '../errno';
import { pushCompletion, queueAt, queueCount } from './queues';
import { appendSlot, numberOf, slotAt } from './slots';
import { TRACE_ESCALATE, TRACE_POST } from '../../layout/ring-trace';
import { trace } from './trace';

/** Counters of RING_STATS, by place. */
export const STAT_REQUESTS: usize = 0;
export const STAT_COMPLETIONS: usize = 8;
export const STAT_RUNS: usize = 16;
export const STAT_POSTED: usize = 24;
export const STAT_CANCELLED: usize = 32;
export const STAT_ESCALATED: usize = 40;

// @ts-ignore: decorator
@inline
export function count(ring: usize, counter: usize, more: u32 = 1): void {
  store<u64>(ring + counter, load<u64>(ring + counter, RING_STATS) + <u64>more, RING_STATS);
}

/** A program request is due; the depth says how many runs led to it without the kernel between. */
export function makeDue(ring: usize, slot: usize): void {
  store<u32>(slot, load<u32>(ring, RING_RUNNING) != 0 ? load<u32>(ring, RING_RUN_DEPTH) + 1 : 0, SLOT_DEPTH);
  store<u32>(slot, SLOT_DUE, SLOT_STATE);
  appendSlot(ring, ring + RING_DUE_FIRST, slot);
}

/** A completion for a queue. `limited`: ENOMEM where the queue is full. 0, or a negative errno. */
export function post(ring: usize, queue: usize, userData: u64, res: i32, flags: u32, limited: bool): i64 {
  return postHere(ring, queue, userData, res, flags, limited);
}

/** The same, in the caller's place: for the way that most completions take. */
// @ts-ignore: decorator
@inline
export function postHere(ring: usize, queue: usize, userData: u64, res: i32, flags: u32, limited: bool): i64 {
  if (!pushCompletion(ring, queue, userData, res, flags, limited)) return ENOMEM;
  count(ring, STAT_POSTED);
  trace(ring, TRACE_POST, userData, res, flags, 0);
  const first = load<u32>(queue, QUEUE_WAITING);
  if (first != 0) wakeWaiting(ring, queue, first);
  return 0;
}

function wakeWaiting(ring: usize, queue: usize, first: u32): void {
  const ready = queueCount(queue);
  let before: usize = queue + QUEUE_WAITING;
  let number = first;
  while (number != 0) {
    const slot = slotAt(ring, number);
    const next = load<u32>(slot, SLOT_NEXT);
    if (load<u32>(slot, SLOT_WAIT_NR) <= ready) {
      store<u32>(before, next);
      makeDue(ring, slot);
    } else {
      before = slot + SLOT_NEXT;
    }
    number = next;
  }
}

/** Waits for as many completions in the queue as SLOT_WAIT_NR says. */
export function waitOn(ring: usize, queue: usize, slot: usize): void {
  if (queueCount(queue) >= load<u32>(slot, SLOT_WAIT_NR)) {
    makeDue(ring, slot);
    return;
  }
  store<u32>(slot, load<u32>(queue, QUEUE_WAITING), SLOT_NEXT);
  store<u32>(queue, numberOf(ring, slot), QUEUE_WAITING);
}

/** Tells the user that something did not go as the program had it. Never lost: queue 0 grows. */
export function escalate(ring: usize, slot: usize, reason: u32, res: i32): void {
  escalateTo(ring, load<u64>(slot, SLOT_SQE + SQE_USER_DATA), reason, res);
}

/** The same of what has no slot. */
export function escalateTo(ring: usize, userData: u64, reason: u32, res: i32): void {
  count(ring, STAT_ESCALATED);
  trace(ring, TRACE_ESCALATE, userData, res, reason, 0);
  post(ring, queueAt(ring, 0), userData, res, CQE_F_ESCALATED | (reason << 16), false);
}
