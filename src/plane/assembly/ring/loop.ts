// loop_step of Linux 7.1: a program in place of io_uring_enter (io_uring/loop.c, io_uring/bpf-ops.c). It reads the kernel's completions itself, and writes
// requests from the first of its SQ region on, as with IORING_SETUP_SQ_REWIND; here they are copied into the kernel's SQ.
import {
  RING_BASE, RING_BUDGET_FUEL, RING_LOOP_ENTER, RING_LOOP_ENTRIES, RING_LOOP_PARAMS, RING_LOOP_REGION, RING_LOOP_REGION_SIZE, RING_LOOP_RINGS,
  RING_LOOP_RINGS_SIZE, RING_LOOP_SQES, RING_SCRATCH,
} from '../../layout/ring';
import { SQE_SIZE } from '../../layout/sqe';
import { WORKER_FUEL } from '../../layout/worker';
import { EBUSY } from '../errno';
import { WORKER } from '../worker';
import { publish, putRaw } from './issue';
import { translate } from './opcodes';
import { ring_function } from './programs';

const REGION_MEM: u32 = 0;
const REGION_CQ: u32 = 1;
const REGION_SQ: u32 = 2;

/** Runs one step (function-table index of the program); what it returned. */
export function ring_loop_step(ring: usize, entry: u32): u32 {
  const args = ring + RING_SCRATCH;
  store<u64>(args, <u64>ring);
  store<u64>(args, <u64>load<u32>(ring, RING_LOOP_PARAMS), 8);
  store<u32>(WORKER, load<u32>(ring, RING_BUDGET_FUEL), WORKER_FUEL);
  return <u32>call_indirect<u64>(entry, <u64>args);
}

/** How many of the region's first requests went, fewer where the kernel takes no more; EBUSY: none. */
export function bpf_io_uring_submit_sqes(ctx: u64, count: u64): i64 {
  const ring = <usize>ctx;
  const base = load<u64>(ring, RING_BASE);
  const wanted = min(<u32>count, load<u32>(ring, RING_LOOP_ENTRIES));
  let sqe: usize = load<u32>(ring, RING_LOOP_SQES);
  for (let i: u32 = 0; i < wanted; i++) {
    translate(sqe, base);
    // A full SQ is handed over at once.
    if (!putRaw(ring, sqe) && (ring_function(load<u32>(ring, RING_LOOP_ENTER), publish(ring)) == 0 || !putRaw(ring, sqe)))
      return i == 0 && wanted != 0 ? EBUSY : <i64>i;
    sqe += SQE_SIZE;
  }
  publish(ring);
  return <i64>wanted;
}

export function bpf_io_uring_get_region(ctx: u64, region: u64, size: u64): u64 {
  const ring = <usize>ctx;
  let start: u32 = 0;
  let bytes: u32 = 0;
  if (<u32>region == REGION_MEM) {
    start = load<u32>(ring, RING_LOOP_REGION);
    bytes = load<u32>(ring, RING_LOOP_REGION_SIZE);
  } else if (<u32>region == REGION_CQ) {
    start = load<u32>(ring, RING_LOOP_RINGS);
    bytes = load<u32>(ring, RING_LOOP_RINGS_SIZE);
  } else if (<u32>region == REGION_SQ) {
    start = load<u32>(ring, RING_LOOP_SQES);
    bytes = load<u32>(ring, RING_LOOP_ENTRIES) * SQE_SIZE;
  }
  return size <= <u64>bytes ? <u64>start : 0;
}
