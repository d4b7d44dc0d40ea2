// Inboxes of CPUs: bounded queues with many producers and one consumer, after Dmitry Vyukov's: an item's sequence number says whose turn it is, so that
// neither side waits for the other. What a producer does between its turn and the number behind it is straight-line code: a thread is not stopped there.
import { WORKER } from '../worker';
import { has_map_frames } from './map-frames';
import {
  CPU_NOTHING, INBOX_DOORBELL, INBOX_HEAD, INBOX_ITEMS, INBOX_REFUSED, INBOX_ROOM, INBOX_SLEEPING, INBOX_TAIL, ITEM_A, ITEM_B, ITEM_BYTES, ITEM_C, ITEM_D, ITEM_KIND,
  ITEM_SEQUENCE, ITEM_SHIFT,
} from '../../layout/cpu';
import { ROOT, ROOT_CPU_COUNT, WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_INBOX, WORKER_ITEM } from '../../layout/worker';

// @ts-ignore: decorator
@inline
export function item_at(inbox: usize, number: u32): usize {
  return inbox + INBOX_ITEMS + (<usize>(number & <u32>(INBOX_ROOM - 1)) << ITEM_SHIFT);
}

/** Makes the page at `inbox` an inbox. */
export function inbox_init(inbox: usize): void {
  memory.fill(inbox, 0, INBOX_ITEMS + INBOX_ROOM * ITEM_BYTES);
  for (let i: u32 = 0; i < <u32>INBOX_ROOM; i++) store<u32>(item_at(inbox, i), i, ITEM_SEQUENCE);
}

/** Wakes the CPU if it sleeps. */
export function wake(inbox: usize): void {
  if (atomic.load<u32>(inbox, INBOX_SLEEPING) == 0) return;
  atomic.store<u32>(inbox, 0, INBOX_SLEEPING);
  atomic.add<u32>(inbox, 1, INBOX_DOORBELL);
  atomic.notify(inbox + INBOX_DOORBELL, 1);
}

/** 1, or 0 where no thread runs the CPU, or its inbox is full. */
export function cpu_send(cpu: u32, kind: u32, a: u32, b: u32, c: u32, d: u32): u32 {
  if (cpu >= load<u32>(ROOT, ROOT_CPU_COUNT)) return 0;
  const inbox = <usize>atomic.load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_INBOX);
  if (inbox == 0) return 0;
  while (true) {
    const tail = atomic.load<u32>(inbox, INBOX_TAIL);
    const item = item_at(inbox, tail);
    const turn = <i32>(atomic.load<u32>(item, ITEM_SEQUENCE) - tail);
    if (turn < 0) {
      atomic.add<u64>(inbox, 1, INBOX_REFUSED);
      return 0;
    }
    if (turn > 0 || atomic.cmpxchg<u32>(inbox, tail, tail + 1, INBOX_TAIL) != tail) continue;
    store<u32>(item, kind, ITEM_KIND);
    store<u32>(item, a, ITEM_A);
    store<u32>(item, b, ITEM_B);
    store<u32>(item, c, ITEM_C);
    store<u32>(item, d, ITEM_D);
    atomic.store<u32>(item, tail + 1, ITEM_SEQUENCE);
    wake(inbox);
    return 1;
  }
}

/** The next item of this CPU's inbox, which stays there until item_done; 0: none. */
export function item_next(): usize {
  const inbox = <usize>load<u32>(WORKER, WORKER_INBOX);
  const head = load<u32>(inbox, INBOX_HEAD);
  const item = item_at(inbox, head);
  return atomic.load<u32>(item, ITEM_SEQUENCE) == head + 1 ? item : 0;
}

// @ts-ignore: decorator
@inline
function head_done(inbox: usize): void {
  const head = load<u32>(inbox, INBOX_HEAD);
  atomic.store<u32>(inbox, head + 1, INBOX_HEAD);
  atomic.store<u32>(item_at(inbox, head), head + <u32>INBOX_ROOM, ITEM_SEQUENCE);
}

/** The item that is under way is done with. One step: an item is never done twice. */
// @ts-ignore: decorator
@inline
export function item_done(): void {
  head_done(<usize>load<u32>(WORKER, WORKER_INBOX));
  store<u32>(WORKER, 0, WORKER_ITEM);
}

/** In one step with what tells the sender of the item that is under way that it has ended: from then on the item says nothing of what is the sender's again. */
// @ts-ignore: decorator
@inline
export function item_ends(): void {
  const item = <usize>load<u32>(WORKER, WORKER_ITEM);
  if (item != 0) store<u32>(item, CPU_NOTHING, ITEM_KIND);
}

/** For the thread that starts CPUs: the first item of a CPU that no thread runs is done with, and lies at `item`, where there is one. */
export function item_take(inbox: usize, item: usize): bool {
  const head = load<u32>(inbox, INBOX_HEAD);
  const first = item_at(inbox, head);
  if (atomic.load<u32>(first, ITEM_SEQUENCE) != head + 1) return false;
  store<u32>(item, load<u32>(first, ITEM_KIND), ITEM_KIND);
  store<u32>(item, load<u32>(first, ITEM_A), ITEM_A);
  head_done(inbox);
  return true;
}

/** Items that lie in an inbox. */
export function inbox_count(inbox: usize): u32 {
  const head = load<u32>(inbox, INBOX_HEAD);
  let count: u32 = 0;
  while (count < <u32>INBOX_ROOM && atomic.load<u32>(item_at(inbox, head + count), ITEM_SEQUENCE) == head + count + 1) count++;
  return count;
}

/** Before the CPU sleeps on INBOX_DOORBELL, whose value it has read before; 0: there is something to do. cpu_wakes afterwards. */
export function cpu_sleeps(): u32 {
  const inbox = <usize>load<u32>(WORKER, WORKER_INBOX);
  atomic.store<u32>(inbox, 1, INBOX_SLEEPING);
  return item_next() == 0 && !has_map_frames() ? 1 : 0;
}

export function cpu_wakes(): void {
  atomic.store<u32>(<usize>load<u32>(WORKER, WORKER_INBOX), 0, INBOX_SLEEPING);
}
