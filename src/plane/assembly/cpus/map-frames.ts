// Frames that cpumaps have sent to this CPU: the element's program runs over them, and they pass to the stack, are dropped or redirected on. Facts: kernel/bpf/cpumap.c
// (cpu_map_bpf_prog_run_xdp): the program sees rx_queue_index 0; what the driver knew is gone; XDP_TX is no verdict there.
import {
  FRAME_HINTS, FRAME_RX_QUEUE_INDEX, FRAME_VERDICT, HINT_HASH, HINT_TIMESTAMP, HINT_VLAN, HINTS_DRIVER,
} from '../../layout/frame';
import {
  FRAME_ENDED_CRASH, FRAME_ENDED_PASSED, FRAME_ENDED_VERDICT, FRAMES_FUEL, LOT_ATTACHMENT, RECORD_END, RECORD_FRAME, RECORD_LOT,
} from '../../layout/frames';
import {
  CPUMAP_QUEUE_CLOSED, CPUMAP_QUEUE_DROPPED, CPUMAP_QUEUE_HEAD, CPUMAP_QUEUE_LIMIT, CPUMAP_QUEUE_NEXT, CPUMAP_QUEUE_PASSED, CPUMAP_QUEUE_PROGRAM,
  CPUMAP_QUEUE_REDIRECTED, CPUMAP_QUEUE_SCHEDULED, CPUMAP_QUEUE_STATE, CPUMAP_QUEUE_STOPPED,
} from '../../layout/map-target';
import { WORKER_MAP_QUEUE, WORKER_MAP_QUEUES, WORKER_MAP_RECORD, WORKER_MAP_TAKEN, WORKER_MOVED } from '../../layout/worker';
import { WORKER } from '../worker';
import { abortRecord, endFrames, hasMoved, runRecord } from './frames';
import { cellAt, queue_free, queue_schedule } from './map-queue';
import { followRedirect } from './redirect';

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;
const DRIVER_BITS: u32 = HINT_TIMESTAMP | HINT_HASH | HINT_VLAN | HINTS_DRIVER;

@inline function count(queue: usize, field: usize): void {
  store<u64>(queue + field, load<u64>(queue + field) + 1);
}

/** The next record of the queue, 0: none. */
@inline function take(queue: usize): usize {
  const head = load<u32>(queue, CPUMAP_QUEUE_HEAD);
  const cell = cellAt(queue, head);
  if (atomic.load<u32>(cell) != head + 1) return 0;
  const record = <usize>load<u32>(cell, 4);
  store<u32>(WORKER, <u32>record, WORKER_MAP_RECORD);
  atomic.store<u32>(queue + CPUMAP_QUEUE_HEAD, head + 1);
  return record;
}

function run(queue: usize, record: usize): void {
  const frame = <usize>load<u32>(record, RECORD_FRAME);
  const lot = <usize>load<u32>(record, RECORD_LOT);
  const fuel = load<u32>(<usize>load<u32>(lot, LOT_ATTACHMENT), FRAMES_FUEL);
  store<u32>(frame, 0, FRAME_RX_QUEUE_INDEX);
  store<u32>(frame, load<u32>(frame, FRAME_HINTS) & ~DRIVER_BITS, FRAME_HINTS);
  const verdict = runRecord(record, load<u32>(queue, CPUMAP_QUEUE_PROGRAM), fuel == 0 ? 0xffff_ffff : fuel);
  if (verdict == XDP_REDIRECT) {
    count(queue, CPUMAP_QUEUE_REDIRECTED);
    const ended = followRedirect(record);
    store<u32>(WORKER, 0, WORKER_MAP_RECORD);
    store<u32>(WORKER, 0, WORKER_MOVED);
    if (!ended) return;
  } else if (verdict == XDP_PASS) {
    count(queue, CPUMAP_QUEUE_PASSED);
    store<u32>(record, FRAME_ENDED_PASSED, RECORD_END);
  } else {
    count(queue, CPUMAP_QUEUE_DROPPED);
    if (verdict == XDP_TX) store<u32>(frame, XDP_DROP, FRAME_VERDICT);
    store<u32>(record, FRAME_ENDED_VERDICT, RECORD_END);
  }
  store<u32>(WORKER, 0, WORKER_MAP_RECORD);
  endFrames(lot, 1);
}

/** Runs what was there when it began, at most. */
function drain(queue: usize): void {
  let left = load<u32>(queue, CPUMAP_QUEUE_LIMIT);
  for (; left != 0; left--) {
    const record = take(queue);
    if (record == 0) break;
    run(queue, record);
  }
  if (left == 0) queue_schedule(queue);
}

/** Cpumaps have sent frames here, or a fault has left some. */
@inline export function has_map_frames(): bool {
  return atomic.load<u32>(WORKER + WORKER_MAP_QUEUES) != 0 || load<u32>(WORKER, WORKER_MAP_TAKEN) != 0;
}

export function map_frames_run(): void {
  let queue = <usize>load<u32>(WORKER, WORKER_MAP_TAKEN);
  if (queue == 0) {
    queue = <usize>atomic.xchg<u32>(WORKER + WORKER_MAP_QUEUES, 0);
    store<u32>(WORKER, <u32>queue, WORKER_MAP_TAKEN);
  }
  while (queue != 0) {
    const next = load<u32>(queue, CPUMAP_QUEUE_NEXT);
    store<u32>(WORKER, <u32>queue, WORKER_MAP_QUEUE);
    store<u32>(WORKER, next, WORKER_MAP_TAKEN);
    // Who puts a frame in from here on schedules it anew.
    const state = atomic.and<u32>(queue + CPUMAP_QUEUE_STATE, ~<u32>CPUMAP_QUEUE_SCHEDULED);
    drain(queue);
    // A closed one gets no more frames: it is empty now, as it holds no more than drain takes; then it is scheduled once more.
    if ((state & CPUMAP_QUEUE_CLOSED) != 0 && (atomic.load<u32>(queue + CPUMAP_QUEUE_STATE) & CPUMAP_QUEUE_SCHEDULED) == 0) queue_free(queue);
    store<u32>(WORKER, 0, WORKER_MAP_QUEUE);
    queue = next;
  }
}

/** Ends the frame whose program was stopped, FRAME_ENDED_ `how`; the others of the queue follow with the next turn. 0: no frame's was. */
export function map_frames_stopped(how: u32): u32 {
  const queue = <usize>load<u32>(WORKER, WORKER_MAP_QUEUE);
  const record = <usize>load<u32>(WORKER, WORKER_MAP_RECORD);
  if (queue == 0) return 0;
  const ends = !hasMoved(record) && record != 0;
  if (ends) abortRecord(record, how);
  store<u32>(WORKER, 0, WORKER_MAP_RECORD);
  if (ends) {
    count(queue, CPUMAP_QUEUE_STOPPED);
    endFrames(<usize>load<u32>(record, RECORD_LOT), 1);
  }
  // Where it was stopped between two frames, nobody has said that there are more.
  queue_schedule(queue);
  store<u32>(WORKER, 0, WORKER_MAP_QUEUE);
  return ends ? 1 : 0;
}

/** No thread runs the queue's CPU: its frames end. */
export function abandonQueue(queue: usize): void {
  for (let record = take(queue); record != 0; record = take(queue)) {
    abortRecord(record, FRAME_ENDED_CRASH);
    endFrames(<usize>load<u32>(record, RECORD_LOT), 1);
  }
  store<u32>(WORKER, 0, WORKER_MAP_RECORD);
}
