// Queues that several rings post to, for one consumer: completions of a ring's queue go on at the end of each of its turns. What finds no room stays there, in order, and goes
// with a later turn.
import {
  QUEUE_NEXT, QUEUE_TO, RING_BACKLOG, RING_CONTEXT, RING_CTX_RING, RING_FORWARDS, SHARED_ENTRIES, SHARED_ENTRY_CQE, SHARED_ENTRY_RING, SHARED_ENTRY_SEQUENCE, SHARED_ENTRY_SIZE,
  SHARED_MASK, SHARED_POSTED, SHARED_STARVED, SHARED_TAIL,
} from '../../layout/ring';
import { WASM_PAGE } from '../../layout/memory';
import { pages_alloc, pages_free } from '../pages';
import { queueCount, shiftCompletion } from './queues';

function pagesOf(entries: u32): u32 {
  return (<u32>SHARED_ENTRIES + entries * <u32>SHARED_ENTRY_SIZE + <u32>WASM_PAGE - 1) / <u32>WASM_PAGE;
}

/** Address of a queue of so many entries, a power of two; 0 if there is no memory. */
export function ring_shared_create(entries: u32): usize {
  const queue = pages_alloc(pagesOf(entries));
  if (queue == 0) return 0;
  memory.fill(queue, 0, <usize>pagesOf(entries) * WASM_PAGE);
  store<u32>(queue, entries - 1, SHARED_MASK);
  for (let i: u32 = 0; i < entries; i++) store<u32>(entryAt(queue, i), i, SHARED_ENTRY_SEQUENCE);
  return queue;
}

/** No ring posts to it any more. */
export function ring_shared_free(queue: usize): void {
  pages_free(queue, pagesOf(load<u32>(queue, SHARED_MASK) + 1));
}

// @ts-ignore: decorator
@inline
function entryAt(queue: usize, position: u32): usize {
  return queue + SHARED_ENTRIES + <usize>(position & load<u32>(queue, SHARED_MASK)) * SHARED_ENTRY_SIZE;
}

/** Takes one completion out of a queue of the ring, which has some. False: there is no room. */
function pass(ring: usize, from: usize, to: usize): bool {
  let position = atomic.load<u32>(to, SHARED_TAIL);
  let entry = entryAt(to, position);
  while (atomic.load<u32>(entry, SHARED_ENTRY_SEQUENCE) != position || atomic.cmpxchg<u32>(to, position, position + 1, SHARED_TAIL) != position) {
    // Filled a round ago: full. Else another ring was faster.
    if (<i32>(atomic.load<u32>(entry, SHARED_ENTRY_SEQUENCE) - position) < 0) return false;
    position = atomic.load<u32>(to, SHARED_TAIL);
    entry = entryAt(to, position);
  }
  // No loop and no call from here on: a thread that is ended does not leave the place half taken.
  shiftCompletion(from, entry + SHARED_ENTRY_CQE);
  store<u32>(entry, load<u32>(ring + RING_CONTEXT, RING_CTX_RING), SHARED_ENTRY_RING);
  atomic.store<u32>(entry, position + 1, SHARED_ENTRY_SEQUENCE);
  return true;
}

/** Sends on what the ring's queues hold for shared ones. RING_BACKLOG says whether some of it found no room. How much went. */
export function ring_forward(ring: usize): u32 {
  let from: usize = load<u32>(ring, RING_FORWARDS);
  let backlog: u32 = 0;
  let all: u32 = 0;
  while (from != 0) {
    const to: usize = load<u32>(from, QUEUE_TO);
    let passed: u32 = 0;
    let isFull = false;
    while (queueCount(from) != 0) {
      if (pass(ring, from, to)) {
        passed++;
        isFull = false;
      } else if (isFull) {
        backlog = 1;
        break;
      } else {
        // The consumer looks at this after it has taken; what it took before is found by one more try.
        isFull = true;
        atomic.store<u32>(to, 1, SHARED_STARVED);
      }
    }
    if (passed != 0) {
      atomic.add<u32>(to, 1, SHARED_POSTED);
      atomic.notify(to + SHARED_POSTED, -1);
      all += passed;
    }
    from = load<u32>(from, QUEUE_NEXT);
  }
  store<u32>(ring, backlog, RING_BACKLOG);
  return all;
}
