// A TAP's packets from the kernel's completion queue to the queues of their consumers, and their buffers back. One block (layout/steering-tap.ts) belongs to one
// thread; system calls are the caller's. Between tap_take and tap_sort the caller has the frame records computed (steering/batch.ts).
import {
  STEER_FRAME_CONTEXT, STEER_FRAME_DATA, STEER_FRAME_HASH, STEER_FRAME_HEADER, STEER_FRAME_LENGTH, STEER_FRAME_QUEUE, STEER_FRAME_REPORT, STEER_FRAME_SIZE,
} from '../../layout/steering';
import {
  TAP_AVAILABLE, TAP_BASE, TAP_ENTRY_START, TAP_HEADROOM, TAP_BATCH, TAP_BUFFER_COUNT, TAP_BUFFER_SIZE, TAP_BUFFERS, TAP_BYTES, TAP_CQ_HEAD, TAP_CQ_MASK, TAP_CQ_TAIL, TAP_CQES,
  TAP_ENTRY_BUFFER, TAP_ENTRY_HASH, TAP_ENTRY_LENGTH, TAP_ENTRY_REPORT, TAP_ENDING, TAP_ENTRY_SIZE, TAP_ERROR, TAP_EXHAUSTED, TAP_FRAMES, TAP_HEADER_SIZE, TAP_PACKETS,
  TAP_PROVIDED, TAP_PROVIDED_TAIL, TAP_QUEUE_BYTES, TAP_QUEUE_COUNT, TAP_QUEUE_DROPPED, TAP_QUEUE_ENTRIES, TAP_QUEUE_FAILED, TAP_QUEUE_HEAD, TAP_QUEUE_PACKETS,
  TAP_QUEUE_READY, TAP_QUEUE_SIZE, TAP_QUEUE_TAIL, TAP_QUEUE_UNHASHED, TAP_QUEUE_WRITES, TAP_QUEUES, TAP_RUNTS, TAP_SOURCE_ARMED, TAP_SOURCE_COUNT, TAP_SOURCE_FD,
  TAP_SOURCE_SIZE, TAP_SOURCES, TAP_SQ_HEAD, TAP_SQ_MASK, TAP_SQ_TAIL, TAP_SQES,
  TAP_STAGED, TAP_TAG_CANCEL, TAP_TAG_POLL, TAP_TAG_QUEUE_SHIFT, TAP_TAG_READ, TAP_TAG_WRITE,
} from '../../layout/steering-tap';
import {
  CQE_F_BUFFER, CQE_F_MORE, CQE_FLAGS, CQE_RES, CQE_SIZE, CQE_USER_DATA, IOSQE_BUFFER_SELECT, SQE_ADDR, SQE_FD, SQE_FLAGS, SQE_LEN, SQE_OFF, SQE_OP_FLAGS, SQE_OPCODE,
  SQE_SIZE, SQE_USER_DATA,
} from '../../layout/sqe';

const OP_POLL_ADD: u8 = 6;
const OP_ASYNC_CANCEL: u8 = 14;
const CANCEL_ALL: u32 = 1;
const CANCEL_ANY: u32 = 4;
const OP_WRITE: u8 = 23;
const OP_READ_MULTISHOT: u8 = 49;
const POLLOUT: u32 = 4;
const ENOBUFS: i32 = -105;
const ECANCELED: i32 = -125;
const ETHERNET_HEADER: i32 = 14;
const BUFFER_ENTRY: usize = 16;
const BUFFER_ENTRY_ADDRESS: usize = 0;
const BUFFER_ENTRY_LENGTH: usize = 8;
const BUFFER_ENTRY_NUMBER: usize = 12;
const BUFFER_RING_TAIL: usize = 14;

@inline export function count(at: usize, by: u64): void {
  store<u64>(at, load<u64>(at) + by);
}

@inline export function queueOf(tap: usize, queue: u32): usize {
  return <usize>load<u32>(tap, TAP_QUEUES) + <usize>queue * TAP_QUEUE_SIZE;
}

@inline function entryOf(tap: usize, queue: usize, position: u32): usize {
  const mask = load<u32>(tap, TAP_BUFFER_COUNT) - 1;
  return <usize>load<u32>(queue, TAP_QUEUE_ENTRIES) + <usize>(position & mask) * TAP_ENTRY_SIZE;
}

@inline export function bufferAt(tap: usize, buffer: u32): usize {
  return <usize>load<u32>(tap, TAP_BUFFERS) + <usize>buffer * load<u32>(tap, TAP_BUFFER_SIZE);
}

/** Gives a buffer to the kernel; it sees it after `publish`. */
@inline export function give(tap: usize, buffer: u32): void {
  const tail = load<u32>(tap, TAP_PROVIDED_TAIL);
  const at = <usize>load<u32>(tap, TAP_PROVIDED) + <usize>(tail & (load<u32>(tap, TAP_BUFFER_COUNT) - 1)) * BUFFER_ENTRY;
  const headroom = load<u32>(tap, TAP_HEADROOM);
  store<u64>(at, load<u64>(tap, TAP_BASE) + <u64>(bufferAt(tap, buffer) + headroom), BUFFER_ENTRY_ADDRESS);
  store<u32>(at, load<u32>(tap, TAP_BUFFER_SIZE) - headroom, BUFFER_ENTRY_LENGTH);
  // Not the word behind it: in the first entry it is the tail.
  store<u16>(at, <u16>buffer, BUFFER_ENTRY_NUMBER);
  store<u32>(tap, tail + 1, TAP_PROVIDED_TAIL);
  store<u32>(tap, load<u32>(tap, TAP_AVAILABLE) + 1, TAP_AVAILABLE);
}

@inline export function publish(tap: usize): void {
  atomic.store<u16>(<usize>load<u32>(tap, TAP_PROVIDED) + BUFFER_RING_TAIL, <u16>load<u32>(tap, TAP_PROVIDED_TAIL));
}

/** Gives all buffers to the kernel. Once, at the beginning. */
export function tap_provide(tap: usize): void {
  const buffers = load<u32>(tap, TAP_BUFFER_COUNT);
  for (let i: u32 = 0; i < buffers; i++) give(tap, i);
  publish(tap);
}

/** A zeroed SQE in the kernel's SQ, 0: it is full, the kernel must be entered. */
function nextSqe(tap: usize): usize {
  const word = <usize>load<u32>(tap, TAP_SQ_TAIL);
  const tail = load<u32>(word);
  const mask = load<u32>(tap, TAP_SQ_MASK);
  if (tail - atomic.load<u32>(<usize>load<u32>(tap, TAP_SQ_HEAD)) > mask) return 0;
  const at = <usize>load<u32>(tap, TAP_SQES) + <usize>(tail & mask) * SQE_SIZE;
  for (let i: usize = 0; i < <usize>SQE_SIZE; i += 8) store<u64>(at + i, 0);
  return at;
}

@inline function stage(tap: usize): void {
  const word = <usize>load<u32>(tap, TAP_SQ_TAIL);
  atomic.store<u32>(word, load<u32>(word) + 1);
  store<u32>(tap, load<u32>(tap, TAP_STAGED) + 1, TAP_STAGED);
}

@inline function sourceOf(tap: usize, source: u32): usize {
  return <usize>load<u32>(tap, TAP_SOURCES) + <usize>source * TAP_SOURCE_SIZE;
}

/** Stages the multishot reads that are not under way, if there are buffers for them. */
export function tap_arm(tap: usize): void {
  if (load<u32>(tap, TAP_AVAILABLE) == 0 || load<u32>(tap, TAP_ENDING) != 0) return;
  const sources = load<u32>(tap, TAP_SOURCE_COUNT);
  for (let i: u32 = 0; i < sources; i++) {
    const source = sourceOf(tap, i);
    if (load<u32>(source, TAP_SOURCE_ARMED) != 0) continue;
    const sqe = nextSqe(tap);
    if (sqe == 0) return;
    store<u8>(sqe, OP_READ_MULTISHOT, SQE_OPCODE);
    store<u8>(sqe, IOSQE_BUFFER_SELECT, SQE_FLAGS);
    store<u32>(sqe, load<u32>(source, TAP_SOURCE_FD), SQE_FD);
    store<u64>(sqe, ~<u64>0, SQE_OFF);
    store<u64>(sqe, (<u64>TAP_TAG_READ << 32) | <u64>i, SQE_USER_DATA);
    stage(tap);
    store<u32>(source, 1, TAP_SOURCE_ARMED);
  }
}

/** Stages the cancellation of all that is under way, and reads nothing any more. False: the SQ is full. */
export function tap_cancel(tap: usize): bool {
  const sqe = nextSqe(tap);
  if (sqe == 0) return false;
  store<u32>(tap, 1, TAP_ENDING);
  store<u8>(sqe, OP_ASYNC_CANCEL, SQE_OPCODE);
  store<i32>(sqe, -1, SQE_FD);
  store<u32>(sqe, CANCEL_ALL | CANCEL_ANY, SQE_OP_FLAGS);
  store<u64>(sqe, <u64>TAP_TAG_CANCEL << 32, SQE_USER_DATA);
  stage(tap);
  return true;
}

/** Reads and writes that are under way. */
export function tap_live(tap: usize): u32 {
  let live: u32 = 0;
  const sources = load<u32>(tap, TAP_SOURCE_COUNT);
  for (let i: u32 = 0; i < sources; i++) live += load<u32>(sourceOf(tap, i), TAP_SOURCE_ARMED);
  const queues = load<u32>(tap, TAP_QUEUE_COUNT);
  for (let i: u32 = 0; i <= queues; i++) live += load<u32>(queueOf(tap, i), TAP_QUEUE_WRITES);
  return live;
}

/** Stages a request that completes when `fd` can be written to: TAP_QUEUE_READY of the queue. False: the SQ is full. */
export function tap_await(tap: usize, index: u32, fd: i32): bool {
  const sqe = nextSqe(tap);
  if (sqe == 0) return false;
  store<u8>(sqe, OP_POLL_ADD, SQE_OPCODE);
  store<i32>(sqe, fd, SQE_FD);
  store<u32>(sqe, POLLOUT, SQE_OP_FLAGS);
  store<u64>(sqe, (<u64>TAP_TAG_POLL << 32) | <u64>index, SQE_USER_DATA);
  stage(tap);
  store<u32>(queueOf(tap, index), 0, TAP_QUEUE_READY);
  return true;
}

/** The end of a write: its buffer goes back. */
@inline function written(tap: usize, queue: u32, buffer: u32, res: i32): void {
  const at = queueOf(tap, queue);
  store<u32>(at, load<u32>(at, TAP_QUEUE_WRITES) - 1, TAP_QUEUE_WRITES);
  if (res < 0) {
    count(at + TAP_QUEUE_FAILED, 1);
    count(at + TAP_QUEUE_DROPPED, 1);
  }
  give(tap, buffer);
}

/**
 * Takes completions: makes frame records of what was read, at most TAP_BATCH, and takes back buffers that were written. Returns the number of records. What is
 * too short for an Ethernet header is counted and goes back.
 */
export function tap_take(tap: usize): u32 {
  const word = <usize>load<u32>(tap, TAP_CQ_HEAD);
  const tail = atomic.load<u32>(<usize>load<u32>(tap, TAP_CQ_TAIL));
  let head = load<u32>(word);
  if (head == tail) return 0;
  const cqes: usize = load<u32>(tap, TAP_CQES);
  const mask = load<u32>(tap, TAP_CQ_MASK);
  const header = load<u32>(tap, TAP_HEADER_SIZE);
  const frames: usize = load<u32>(tap, TAP_FRAMES);
  let record = frames;
  const last = frames + TAP_BATCH * STEER_FRAME_SIZE;
  let bytes: u64 = 0;
  for (; head != tail && record != last; head++) {
    const cqe = cqes + <usize>(head & mask) * CQE_SIZE;
    const data = load<u64>(cqe, CQE_USER_DATA);
    const res = load<i32>(cqe, CQE_RES);
    const flags = load<u32>(cqe, CQE_FLAGS);
    const tag = <u32>(data >> 32);
    if (tag == TAP_TAG_READ) {
      if ((flags & CQE_F_MORE) == 0) {
        store<u32>(sourceOf(tap, <u32>data), 0, TAP_SOURCE_ARMED);
        if (res == ENOBUFS) count(tap + TAP_EXHAUSTED, 1);
        else if (res < 0 && res != ECANCELED) store<i32>(tap, res, TAP_ERROR);
      }
      if ((flags & CQE_F_BUFFER) == 0) continue;
      const buffer = flags >> 16;
      const length = res - <i32>header;
      if (length < ETHERNET_HEADER) {
        count(tap + TAP_RUNTS, 1);
        store<u32>(tap, load<u32>(tap, TAP_AVAILABLE) - 1, TAP_AVAILABLE);
        give(tap, buffer);
        continue;
      }
      const at = bufferAt(tap, buffer) + load<u32>(tap, TAP_HEADROOM);
      store<u32>(record, <u32>at + header, STEER_FRAME_DATA);
      store<u32>(record, <u32>length, STEER_FRAME_LENGTH);
      store<u32>(record, <u32>at, STEER_FRAME_HEADER);
      store<u32>(record, 0, STEER_FRAME_CONTEXT);
      store<u32>(record, 0, STEER_FRAME_HASH);
      store<u16>(record, 0, STEER_FRAME_REPORT);
      store<u16>(record, <u16>data, STEER_FRAME_QUEUE);
      bytes += <u64>length;
      record += STEER_FRAME_SIZE;
    } else if ((tag & 0xff) == TAP_TAG_WRITE) {
      written(tap, tag >> TAP_TAG_QUEUE_SHIFT, <u32>data, res);
    } else if (tag == TAP_TAG_POLL) {
      store<u32>(queueOf(tap, <u32>data), 1, TAP_QUEUE_READY);
    }
  }
  atomic.store<u32>(word, head);
  publish(tap);
  const made = <u32>(record - frames) / STEER_FRAME_SIZE;
  store<u32>(tap, load<u32>(tap, TAP_AVAILABLE) - made, TAP_AVAILABLE);
  count(tap + TAP_PACKETS, <u64>made);
  count(tap + TAP_BYTES, bytes);
  return made;
}

/** Puts a packet into the list of a queue's consumer: `start` of the buffer is where its header begins, `length` counts from there. */
@inline export function append(tap: usize, queue: usize, buffer: u32, start: u32, length: u32, hash: u32, report: u32): void {
  const tail = load<u32>(queue, TAP_QUEUE_TAIL);
  const entry = entryOf(tap, queue, tail);
  store<u32>(entry, buffer, TAP_ENTRY_BUFFER);
  store<u32>(entry, length, TAP_ENTRY_LENGTH);
  store<u32>(entry, hash, TAP_ENTRY_HASH);
  store<u16>(entry, <u16>report, TAP_ENTRY_REPORT);
  store<u16>(entry, <u16>start, TAP_ENTRY_START);
  store<u32>(queue, tail + 1, TAP_QUEUE_TAIL);
}

/** Counts a packet that was steered to a queue. */
@inline export function countSteered(queue: usize, length: u32, report: u32): void {
  count(queue + TAP_QUEUE_PACKETS, 1);
  count(queue + TAP_QUEUE_BYTES, <u64>length);
  if (report == 0) count(queue + TAP_QUEUE_UNHASHED, 1);
}

/** Puts the batch's packets into their queues, in order. A queue beyond the last is one of those that are there, as on a TAP: modulo. */
export function tap_sort(tap: usize, packets: u32): void {
  const queues = load<u32>(tap, TAP_QUEUE_COUNT);
  const buffers = load<u32>(tap, TAP_BUFFERS);
  const size = load<u32>(tap, TAP_BUFFER_SIZE);
  const header = load<u32>(tap, TAP_HEADER_SIZE);
  let record: usize = load<u32>(tap, TAP_FRAMES);
  for (let i: u32 = 0; i < packets; i++) {
    let index = <u32>load<u16>(record, STEER_FRAME_QUEUE);
    if (index >= queues) index %= queues;
    const queue = queueOf(tap, index);
    const length = load<u32>(record, STEER_FRAME_LENGTH);
    const report = <u32>load<u16>(record, STEER_FRAME_REPORT);
    const place = load<u32>(record, STEER_FRAME_HEADER) - buffers;
    append(tap, queue, place / size, place % size, length + header, load<u32>(record, STEER_FRAME_HASH), report);
    countSteered(queue, length, report);
    record += STEER_FRAME_SIZE;
  }
}

/** Gives the oldest `packets` of a queue back to the kernel, delivered or `dropped`. */
export function tap_release(tap: usize, index: u32, packets: u32, dropped: bool): void {
  const queue = queueOf(tap, index);
  const head = load<u32>(queue, TAP_QUEUE_HEAD);
  for (let i: u32 = 0; i < packets; i++) give(tap, load<u32>(entryOf(tap, queue, head + i), TAP_ENTRY_BUFFER));
  store<u32>(queue, head + packets, TAP_QUEUE_HEAD);
  if (dropped) count(queue + TAP_QUEUE_DROPPED, <u64>packets);
  publish(tap);
}

/** Stages a write of each packet that waits in the queue, header included, to `fd`. Returns how many; the rest finds the SQ full. Buffers come back by tap_take. */
export function tap_write(tap: usize, index: u32, fd: i32): u32 {
  const queue = queueOf(tap, index);
  const start = load<u32>(queue, TAP_QUEUE_HEAD);
  const tail = load<u32>(queue, TAP_QUEUE_TAIL);
  const base = load<u64>(tap, TAP_BASE);
  let head = start;
  for (; head != tail; head++) {
    const sqe = nextSqe(tap);
    if (sqe == 0) break;
    const entry = entryOf(tap, queue, head);
    const buffer = load<u32>(entry, TAP_ENTRY_BUFFER);
    store<u8>(sqe, OP_WRITE, SQE_OPCODE);
    store<i32>(sqe, fd, SQE_FD);
    store<u64>(sqe, ~<u64>0, SQE_OFF);
    store<u64>(sqe, base + <u64>(bufferAt(tap, buffer) + load<u16>(entry, TAP_ENTRY_START)), SQE_ADDR);
    store<u32>(sqe, load<u32>(entry, TAP_ENTRY_LENGTH), SQE_LEN);
    store<u64>(sqe, (<u64>(TAP_TAG_WRITE | (index << TAP_TAG_QUEUE_SHIFT)) << 32) | <u64>buffer, SQE_USER_DATA);
    stage(tap);
  }
  const given = head - start;
  store<u32>(queue, head, TAP_QUEUE_HEAD);
  store<u32>(queue, load<u32>(queue, TAP_QUEUE_WRITES) + given, TAP_QUEUE_WRITES);
  return given;
}

/** Stages a write of each frame, whose records lie in a row, with the header in front of it, to `fd`. Returns how many; the rest finds the SQ full. */
export function tap_stage(tap: usize, fd: i32, frames: usize, count: u32): u32 {
  const header = load<u32>(tap, TAP_HEADER_SIZE);
  const base = load<u64>(tap, TAP_BASE);
  for (let i: u32 = 0; i < count; i++, frames += STEER_FRAME_SIZE) {
    const sqe = nextSqe(tap);
    if (sqe == 0) return i;
    store<u8>(sqe, OP_WRITE, SQE_OPCODE);
    store<i32>(sqe, fd, SQE_FD);
    store<u64>(sqe, ~<u64>0, SQE_OFF);
    store<u64>(sqe, base + <u64>(load<u32>(frames, STEER_FRAME_DATA) - header), SQE_ADDR);
    store<u32>(sqe, load<u32>(frames, STEER_FRAME_LENGTH) + header, SQE_LEN);
    stage(tap);
  }
  return count;
}

/** Takes the completions of such writes: how many in the lower half, those that failed in the upper one. */
export function tap_staged_done(tap: usize): u64 {
  const word = <usize>load<u32>(tap, TAP_CQ_HEAD);
  const tail = atomic.load<u32>(<usize>load<u32>(tap, TAP_CQ_TAIL));
  const start = load<u32>(word);
  const cqes: usize = load<u32>(tap, TAP_CQES);
  const mask = load<u32>(tap, TAP_CQ_MASK);
  let failed: u32 = 0;
  for (let head = start; head != tail; head++)
    if (load<i32>(cqes + <usize>(head & mask) * CQE_SIZE, CQE_RES) < 0) failed++;
  atomic.store<u32>(word, tail);
  return (<u64>failed << 32) | <u64>(tail - start);
}
