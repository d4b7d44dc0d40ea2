/** plane/assembly/ring: io_uring as the plane drives it: slots, chains, groups, completion queues and the programs that run on completions. */
// This file: a ring's memory, from creation to the end.
import {
  EDGE_NEXT, RING_BUDGET_DEPTH, RING_BUDGET_FUEL, RING_BUDGET_REQUESTS, RING_BUDGET_RUNS, RING_CLOSING, RING_CONTROL_SIZE, RING_EDGE_COUNT, RING_EDGE_FREE,
  RING_EDGE_SIZE, RING_EDGES, RING_FLAGS, RING_GROUP_COUNT, RING_GROUP_PARALLEL, RING_GROUP_SIZE, RING_GROUPS, RING_HELD, RING_PAGES, RING_PAUSE, RING_PROGRAM_SIZE,
  RING_PROGRAMS, RING_QUEUE_COUNT, RING_QUEUES, RING_REGION_SIZE, RING_REGIONS, RING_RUNNING, RING_SCRATCH, RING_SLOT_COUNT, RING_SLOT_SIZE, RING_SLOT_STACK, RING_SLOTS,
  RING_STAGE, RING_STAGE_MASK, SLOT_GENERATION, SLOT_INDEX,
} from '../../layout/ring';
import { SQE_FD, SQE_OP_FLAGS, SQE_OPCODE, SQE_SIZE, SQE_USER_DATA } from '../../layout/sqe';
import { WASM_PAGE } from '../../layout/memory';
import { ECANCELED } from '../errno';
import { pages_alloc, pages_free } from '../pages';
import { giveAllBlocks } from './blocks';
import { CANCEL_ALL, CANCEL_ANY, cancelByUserData, cancelHere } from './cancel';
import { MESSAGE, putRaw } from './issue';
import { OP_ASYNC_CANCEL } from './opcodes';
import { withdrawEmitted } from './plain';
import { edgeAt, makeAlone, slotAt } from './slots';
import { startAll } from './start';
import { endQueue, queueAt, giveQueue } from './queues';

const DEFAULT_RUNS: u32 = 65536;
const DEFAULT_REQUESTS: u32 = 1024;
const DEFAULT_DEPTH: u32 = 100_000;
const DEFAULT_FUEL: u32 = 10_000_000;
/** Longer than what a worker of the kernel needs to begin, and seldom enough for one that does not end. */
const PAUSE_NS: u64 = 1_000_000;

function round(bytes: u32): u32 {
  return (bytes + 63) & ~63;
}

/** A ring with room for so many requests, staged requests (a power of two), programs, groups and regions; 0 if there is no memory. */
export function ring_create(slots: u32, staged: u32, programs: u32, groups: u32, regions: u32): usize {
  const edges = slots * 4;
  const sizes =
    <u32>RING_CONTROL_SIZE + round(slots * RING_SLOT_SIZE) + round(slots * 4) + round(staged * SQE_SIZE) + round(edges * RING_EDGE_SIZE) +
    round(programs * RING_PROGRAM_SIZE) + round(groups * RING_GROUP_SIZE) + round(regions * RING_REGION_SIZE);
  const pages = (sizes + <u32>WASM_PAGE - 1) / <u32>WASM_PAGE;
  const ring = pages_alloc(pages);
  if (ring == 0) return 0;
  memory.fill(ring, 0, <usize>pages * WASM_PAGE);
  store<u32>(ring, pages, RING_PAGES);
  let at = <u32>ring + <u32>RING_CONTROL_SIZE;
  store<u32>(ring, at, RING_SLOTS);
  at += round(slots * RING_SLOT_SIZE);
  store<u32>(ring, at, RING_SLOT_STACK);
  at += round(slots * 4);
  store<u32>(ring, at, RING_STAGE);
  at += round(staged * SQE_SIZE);
  store<u32>(ring, at, RING_EDGES);
  at += round(edges * RING_EDGE_SIZE);
  store<u32>(ring, at, RING_PROGRAMS);
  at += round(programs * RING_PROGRAM_SIZE);
  store<u32>(ring, at, RING_GROUPS);
  at += round(groups * RING_GROUP_SIZE);
  store<u32>(ring, at, RING_REGIONS);
  store<u32>(ring, slots, RING_SLOT_COUNT);
  store<u32>(ring, staged - 1, RING_STAGE_MASK);
  store<u32>(ring, edges, RING_EDGE_COUNT);
  store<u32>(ring, groups, RING_GROUP_COUNT);
  store<u32>(ring, DEFAULT_RUNS, RING_BUDGET_RUNS);
  store<u32>(ring, DEFAULT_REQUESTS, RING_BUDGET_REQUESTS);
  store<u32>(ring, DEFAULT_DEPTH, RING_BUDGET_DEPTH);
  store<u32>(ring, DEFAULT_FUEL, RING_BUDGET_FUEL);
  store<u64>(ring, PAUSE_NS, RING_PAUSE + 8);
  store<u32>(<usize>load<u32>(ring, RING_GROUPS), 1, RING_GROUP_PARALLEL);
  for (let i: u32 = 0; i < slots; i++) {
    const slot = slotAt(ring, i + 1);
    store<u32>(slot, i, SLOT_INDEX);
    store<u32>(slot, 1, SLOT_GENERATION);
    makeAlone(slot);
    store<u32>(<usize>load<u32>(ring, RING_SLOT_STACK) + <usize>i * 4, <u32>slot);
  }
  for (let i: u32 = 1; i <= edges; i++) store<u32>(edgeAt(ring, i), i == edges ? 0 : i + 1, EDGE_NEXT);
  store<u32>(ring, 1, RING_EDGE_FREE);
  return ring;
}

/** From now on no program runs; what the kernel does not have ends with ECANCELED. What it has must end before ring_free. */
export function ring_close(ring: usize): void {
  store<u32>(ring, load<u32>(ring, RING_FLAGS) | RING_CLOSING, RING_FLAGS);
  const slots = load<u32>(ring, RING_SLOT_COUNT);
  for (let i: u32 = 1; i <= slots; i++) cancelHere(ring, slotAt(ring, i), <i32>ECANCELED);
  startAll(ring);
}

/** Asks the kernel to cancel all that it has, without a slot of ours. False: its SQ is full. */
export function ring_cancel_all(ring: usize): u32 {
  const sqe = ring + RING_SCRATCH;
  memory.fill(sqe, 0, SQE_SIZE);
  store<u8>(sqe, <u8>OP_ASYNC_CANCEL, SQE_OPCODE);
  store<i32>(sqe, -1, SQE_FD);
  store<u32>(sqe, CANCEL_ALL | CANCEL_ANY, SQE_OP_FLAGS);
  store<u64>(sqe, MESSAGE, SQE_USER_DATA);
  return <u32>putRaw(ring, sqe);
}

/** Gives the memory back. Nothing may be with the kernel any more. */
export function ring_free(ring: usize): void {
  const queues = load<u32>(ring, RING_QUEUE_COUNT);
  for (let i: u32 = 0; i < queues; i++) if (queueAt(ring, i) != 0) giveQueue(ring, i);
  if (load<u32>(ring, RING_HELD) != 0) endQueue(ring, load<u32>(ring, RING_HELD));
  giveAllBlocks(ring);
  pages_free(ring, load<u32>(ring, RING_PAGES));
}

/** Cancels the first live request with this user_data (two halves). 0: it has ended; EALREADY: the kernel was asked; ENOENT; EBUSY: try again. */
export function ring_cancel(ring: usize, low: u32, high: u32): i32 {
  // A function on completions may ask, in the middle of its run.
  if (load<u32>(ring, RING_RUNNING) != 0) withdrawEmitted(ring);
  return <i32>cancelByUserData(ring, <u64>low | (<u64>high << 32));
}
