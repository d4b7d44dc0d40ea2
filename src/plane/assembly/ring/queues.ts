// Completion queues of a ring: any number, made at run time. Queue 0 is the user's. Positions run freely and entries are CQEs.
import {
  QUEUE_BLOCK, QUEUE_BLOCK_BEFORE, QUEUE_BLOCK_BYTES, QUEUE_BLOCK_ENTRIES, QUEUE_BLOCK_MASK, QUEUE_FLAGS, QUEUE_HEAD, QUEUE_LAST, QUEUE_LIMIT,
  QUEUE_SIZE, QUEUE_TAIL, QUEUE_VISIBLE, RING_FLAGS, RING_POSTED, RING_QUEUE_COUNT, RING_QUEUES, RING_SHARED,
} from '../../layout/ring';
import { CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA } from '../../layout/sqe';
import { EINVAL, ENOENT, ENOMEM } from '../errno';
import { copyCqe } from './copying';
import { giveBlock, takeBlock } from './blocks';

const MOST_QUEUES: u32 = 65535;
const MOST_ENTRIES: u32 = 1 << 20;

/** Address of a queue, 0 if there is none of that number. */
// @ts-ignore: decorator
@inline
export function queueAt(ring: usize, index: u32): usize {
  if (index >= load<u32>(ring, RING_QUEUE_COUNT)) return 0;
  return <usize>load<u32>(<usize>load<u32>(ring, RING_QUEUES) + <usize>index * 4);
}

// @ts-ignore: decorator
@inline
export function queueCount(queue: usize): u32 {
  return load<u32>(queue, QUEUE_TAIL) - atomic.load<u32>(queue, QUEUE_HEAD);
}

function blockOf(ring: usize, entries: u32, before: usize): usize {
  const bytes = <u32>QUEUE_BLOCK_ENTRIES + entries * <u32>CQE_SIZE;
  const block = takeBlock(ring, bytes);
  if (block == 0) return 0;
  store<u32>(block, entries - 1, QUEUE_BLOCK_MASK);
  store<u32>(block, <u32>before, QUEUE_BLOCK_BEFORE);
  store<u32>(block, bytes, QUEUE_BLOCK_BYTES);
  return block;
}

/** Number of a place in the table that is free, 0xffff_ffff if there is no memory. */
function freeIndex(ring: usize): u32 {
  const count = load<u32>(ring, RING_QUEUE_COUNT);
  const table: usize = load<u32>(ring, RING_QUEUES);
  for (let i: u32 = 1; i < count; i++) if (load<u32>(table + <usize>i * 4) == 0) return i;
  const wider = count == 0 ? 64 : min(count * 2, MOST_QUEUES);
  if (wider == count) return 0xffff_ffff;
  const fresh = takeBlock(ring, wider * 4);
  if (fresh == 0) return 0xffff_ffff;
  if (count != 0) {
    memory.copy(fresh, table, <usize>count * 4);
    giveBlock(ring, table, count * 4);
  }
  store<u32>(ring, <u32>fresh, RING_QUEUES);
  store<u32>(ring, wider, RING_QUEUE_COUNT);
  return count;
}

/** The table's last place, which the others' numbers need not count. */
function lastIndex(ring: usize): u32 {
  const last = load<u32>(ring, RING_QUEUE_COUNT) - 1;
  return queueAt(ring, last) == 0 ? last : freeIndex(ring);
}

/**
 * Number of a new queue for at least `entries` completions, or a negative errno. The first is queue 0. `how`: bits QUEUE_VISIBLE, QUEUE_LAST.
 */
export function ring_queue_create(ring: usize, entries: u32, how: u32): i32 {
  if (entries == 0 || entries > MOST_ENTRIES) return <i32>EINVAL;
  const capacity = max<u32>(4, entries == 1 ? 1 : <u32>1 << (32 - <u32>clz<u32>(entries - 1)));
  const index = (how & QUEUE_LAST) != 0 ? lastIndex(ring) : freeIndex(ring);
  if (index == 0xffff_ffff) return <i32>ENOMEM;
  const queue = newQueue(ring, capacity, how & QUEUE_VISIBLE);
  if (queue == 0) return <i32>ENOMEM;
  store<u32>(<usize>load<u32>(ring, RING_QUEUES) + <usize>index * 4, <u32>queue);
  return <i32>index;
}

/** A queue without a number, 0 if there is no memory. `capacity` is a power of two. */
export function newQueue(ring: usize, capacity: u32, flags: u32): usize {
  const queue = takeBlock(ring, QUEUE_SIZE);
  if (queue == 0) return 0;
  const block = blockOf(ring, capacity, 0);
  if (block == 0) {
    giveBlock(ring, queue, QUEUE_SIZE);
    return 0;
  }
  store<u32>(queue, <u32>block, QUEUE_BLOCK);
  store<u32>(queue, capacity, QUEUE_LIMIT);
  store<u32>(queue, flags, QUEUE_FLAGS);
  return queue;
}

function giveBlocks(ring: usize, queue: usize): void {
  let block: usize = load<u32>(queue, QUEUE_BLOCK);
  while (block != 0) {
    const before: usize = load<u32>(block, QUEUE_BLOCK_BEFORE);
    giveBlock(ring, block, load<u32>(block, QUEUE_BLOCK_BYTES));
    block = before;
  }
}

/** Forgets a queue and what is in it. */
export function giveQueue(ring: usize, index: u32): void {
  const queue = queueAt(ring, index);
  store<u32>(<usize>load<u32>(ring, RING_QUEUES) + <usize>index * 4, 0);
  endQueue(ring, queue);
}

export function endQueue(ring: usize, queue: usize): void {
  giveBlocks(ring, queue);
  giveBlock(ring, queue, QUEUE_SIZE);
}

function grow(ring: usize, queue: usize): bool {
  const block: usize = load<u32>(queue, QUEUE_BLOCK);
  const mask = load<u32>(block, QUEUE_BLOCK_MASK);
  const wider = blockOf(ring, (mask + 1) * 2, block);
  if (wider == 0) return false;
  const tail = load<u32>(queue, QUEUE_TAIL);
  for (let at = load<u32>(queue, QUEUE_HEAD); at != tail; at++) {
    memory.copy(entryOf(wider, at), entryOf(block, at), CQE_SIZE);
  }
  atomic.store<u32>(queue, <u32>wider, QUEUE_BLOCK);
  return true;
}

// @ts-ignore: decorator
@inline
function entryOf(block: usize, position: u32): usize {
  return block + QUEUE_BLOCK_ENTRIES + <usize>(position & load<u32>(block, QUEUE_BLOCK_MASK)) * CQE_SIZE;
}

/** Adds a completion; `limited`: not beyond what the queue was made for. False: there is no room. */
// @ts-ignore: decorator
@inline
export function pushCompletion(ring: usize, queue: usize, userData: u64, res: i32, flags: u32, limited: bool): bool {
  const count = queueCount(queue);
  if (limited && count >= load<u32>(queue, QUEUE_LIMIT)) return false;
  if (count > load<u32>(<usize>load<u32>(queue, QUEUE_BLOCK), QUEUE_BLOCK_MASK) && !grow(ring, queue)) return false;
  const tail = load<u32>(queue, QUEUE_TAIL);
  const entry = entryOf(<usize>load<u32>(queue, QUEUE_BLOCK), tail);
  store<u64>(entry, userData, CQE_USER_DATA);
  store<i32>(entry, res, CQE_RES);
  store<u32>(entry, flags, CQE_FLAGS);
  if ((load<u32>(ring, RING_FLAGS) & RING_SHARED) != 0) {
    atomic.store<u32>(queue, tail + 1, QUEUE_TAIL);
    if ((load<u32>(queue, QUEUE_FLAGS) & QUEUE_VISIBLE) != 0) atomic.add<u32>(ring, 1, RING_POSTED);
  } else {
    store<u32>(queue, tail + 1, QUEUE_TAIL);
  }
  return true;
}

/** Takes the oldest completion into `to`, which is zeroed if there is none: ENOENT. */
export function reapCompletion(ring: usize, index: u32, to: usize): i64 {
  const queue = queueAt(ring, index);
  if (queue == 0 || queueCount(queue) == 0) {
    memory.fill(to, 0, CQE_SIZE);
    return queue == 0 ? EINVAL : ENOENT;
  }
  shiftCompletion(queue, to);
  return 0;
}

/** Takes the oldest completion of a queue that is not empty, and that user space does not read. */
// @ts-ignore: decorator
@inline
export function shiftCompletion(queue: usize, to: usize): void {
  const head = load<u32>(queue, QUEUE_HEAD);
  copyCqe(to, entryOf(<usize>load<u32>(queue, QUEUE_BLOCK), head));
  store<u32>(queue, head + 1, QUEUE_HEAD);
}
