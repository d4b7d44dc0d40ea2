// Frames spread over CPUs by their hash, as a network card does it: each goes to the CPU of its entry in the indirection table, in lots of up to 64. One flow is one
// queue, one queue one CPU, and an inbox keeps its order: so does a flow.
import { FRAME_DATA, FRAME_DATA_END, FRAME_DESCRIPTOR_SIZE, FRAME_RX_QUEUE_INDEX, FRAME_VERDICT } from '../../layout/frame';
import {
  FRAME_ENDED_CRASH, FRAME_ENDED_REFUSED, LOT_ATTACHMENT, LOT_COUNT, LOT_CPU, LOT_DONE, LOT_FRAMES, LOT_LEFT, LOT_MOVED, LOT_NEXT, LOT_OWNED, LOT_POSITION, LOT_RECORDS, LOT_SENT, LOT_SOURCE,
  LOT_STATE, RECORD_COPIES, RECORD_CPU, RECORD_END, RECORD_ENTRY, RECORD_FRAME, RECORD_HOPS, RECORD_LOT, RECORD_PLACE, RECORD_SIZE, RESULT_COPIES, RESULT_CPU, RESULT_END, RESULT_ENTRY,
  RESULT_PLACE, RESULT_SIZE, SOURCE_ATTACHMENT, SOURCE_DROPPED, SOURCE_DROPS, SOURCE_FLAGS, SOURCE_FRAMES, SOURCE_FRAMES_SENT, SOURCE_FREE, SOURCE_QUEUES,
  SOURCE_REFUSED, SOURCE_RESULTS, SOURCE_RSS, SOURCE_SENT_FIRST, SOURCE_SENT_LAST, SOURCE_SETS_QUEUE, SOURCE_TARGETS, SOURCE_TARGET_SIZE, TARGET_CPU,
  TARGET_FRAMES, TARGET_LOT,
} from '../../layout/frames';
import { CPU_FRAMES } from '../../layout/cpu';
import { WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_INBOX } from '../../layout/worker';
import { STEER_FRAME_CONTEXT, STEER_FRAME_DATA, STEER_FRAME_HEADER, STEER_FRAME_LENGTH, STEER_FRAME_QUEUE, STEER_FRAME_SIZE } from '../../layout/steering';
import { rssResult } from '../steering/rss';
import { cpu_send } from './inbox';

const XDP_DROP: u32 = 1;

@inline function add(at: usize, field: usize, by: u32): void {
  store<u64>(at + field, load<u64>(at + field) + by);
}

@inline function targetAt(source: usize, queue: u32): usize {
  return source + SOURCE_TARGETS + <usize>queue * SOURCE_TARGET_SIZE;
}

/** The lot is listed behind those that were sent before. The CPU that has it does not touch LOT_NEXT. */
function keep(source: usize, lot: usize): void {
  store<u32>(lot, 0, LOT_NEXT);
  const last = <usize>load<u32>(source, SOURCE_SENT_LAST);
  if (last == 0) store<u32>(source, <u32>lot, SOURCE_SENT_FIRST);
  else store<u32>(last, <u32>lot, LOT_NEXT);
  store<u32>(source, <u32>lot, SOURCE_SENT_LAST);
}

/** Nobody ran it: its frames end as dropped. */
function drop(source: usize, lot: usize, how: u32): void {
  const count = load<u32>(lot, LOT_COUNT);
  const end = lot + LOT_RECORDS + <usize>count * RECORD_SIZE;
  for (let record = lot + LOT_RECORDS; record < end; record += RECORD_SIZE) {
    store<u32>(record, how, RECORD_END);
    store<u32>(record, load<u32>(lot, LOT_CPU), RECORD_CPU);
    store<u32>(record, 0, RECORD_ENTRY);
    store<u32>(<usize>load<u32>(record, RECORD_FRAME), XDP_DROP, FRAME_VERDICT);
  }
  add(source, SOURCE_DROPPED, count);
  store<u32>(lot, LOT_DONE, LOT_STATE);
  keep(source, lot);
}

/** Sends the lot that is being filled for a target; false: its CPU has no room, and the lot stays. */
function send(source: usize, target: usize, lot: usize): bool {
  const count = load<u32>(lot, LOT_COUNT);
  const cpu = load<u32>(target, TARGET_CPU);
  store<u32>(lot, cpu, LOT_CPU);
  store<u32>(lot, count, LOT_LEFT);
  store<u32>(lot, 0, LOT_POSITION);
  store<u32>(lot, 0, LOT_MOVED);
  store<u32>(lot, load<u32>(source, SOURCE_ATTACHMENT), LOT_ATTACHMENT);

  store<u32>(lot, LOT_SENT, LOT_STATE);
  if (cpu_send(cpu, CPU_FRAMES, <u32>lot, 0, 0, 0) == 0) {
    store<u32>(lot, LOT_OWNED, LOT_STATE);
    add(source, SOURCE_REFUSED, count);
    const isThere = atomic.load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_INBOX) != 0;
    if (isThere && (load<u32>(source, SOURCE_FLAGS) & SOURCE_DROPS) == 0) return false;
    drop(source, lot, isThere ? FRAME_ENDED_REFUSED : FRAME_ENDED_CRASH);
  } else {
    add(source, SOURCE_FRAMES_SENT, count);
    add(target, TARGET_FRAMES, count);
    keep(source, lot);
  }
  store<u32>(target, 0, TARGET_LOT);
  return true;
}

/** Sends what is being filled; returns the number of lots that found no room and stay. */
export function spread_flush(source: usize): u32 {
  let left: u32 = 0;
  for (let queue: u32 = 0; queue < load<u32>(source, SOURCE_QUEUES); queue++) {
    const target = targetAt(source, queue);
    const lot = <usize>load<u32>(target, TARGET_LOT);
    if (lot != 0 && !send(source, target, lot)) left++;
  }
  return left;
}

function takeLot(source: usize): usize {
  const lot = <usize>load<u32>(source, SOURCE_FREE);
  if (lot == 0) return 0;
  store<u32>(source, load<u32>(lot, LOT_NEXT), SOURCE_FREE);
  store<u32>(lot, <u32>source, LOT_SOURCE);
  store<u32>(lot, 0, LOT_COUNT);
  return lot;
}

/** Puts a lot among those that are free. */
export function spread_free(source: usize, lot: usize): void {
  store<u32>(lot, LOT_OWNED, LOT_STATE);
  store<u32>(lot, load<u32>(source, SOURCE_FREE), LOT_NEXT);
  store<u32>(source, <u32>lot, SOURCE_FREE);
}

/** Puts a frame into the lot that is being filled for a target, and sends it when it is full. False: there is no room for it, and it stays with the caller. */
export function spreadFrame(source: usize, frame: usize, number: u32): bool {
  const target = targetAt(source, number);
  let lot = <usize>load<u32>(target, TARGET_LOT);
  if (lot != 0 && load<u32>(lot, LOT_COUNT) == LOT_FRAMES) {
    if (!send(source, target, lot)) return false;
    lot = 0;
  }
  if (lot == 0) {
    lot = takeLot(source);
    if (lot == 0) return false;
    store<u32>(target, <u32>lot, TARGET_LOT);
  }
  const index = load<u32>(lot, LOT_COUNT);
  const record = lot + LOT_RECORDS + <usize>index * RECORD_SIZE;
  store<u32>(record, <u32>frame, RECORD_FRAME);
  store<u32>(record, <u32>lot, RECORD_LOT);
  store<u32>(record, 0, RECORD_END);
  store<u32>(record, 0, RECORD_PLACE);
  store<u32>(record, 0, RECORD_HOPS);
  store<u32>(record, 0, RECORD_COPIES);
  store<u32>(lot, index + 1, LOT_COUNT);
  return true;
}

/**
 * Gives frames, whose descriptors lie in a row, to the CPUs of their queues, and sends what is filled. Returns how many it took, in order: it stops at the first that
 * finds no room, which stays with the caller. `records`: those of a steering device, which has said the queues (spread_records, steer_batch); 0: the source's configuration says.
 */
export function spread(source: usize, frames: usize, count: u32, records: usize): u32 {
  const configuration = <usize>load<u32>(source, SOURCE_RSS);
  const queues = load<u32>(source, SOURCE_QUEUES);
  const flags = load<u32>(source, SOURCE_FLAGS);
  let taken: u32 = 0;
  for (; taken < count; taken++, frames += FRAME_DESCRIPTOR_SIZE) {
    let queue = records == 0
      ? <u32>(rssResult(configuration, <usize>load<u32>(frames, FRAME_DATA), <usize>load<u32>(frames, FRAME_DATA_END)) >> 48)
      : <u32>load<u16>(records + <usize>taken * STEER_FRAME_SIZE, STEER_FRAME_QUEUE);
    if (queue >= queues) queue %= queues;
    if (!spreadFrame(source, frames, queue)) break;
    if ((flags & SOURCE_SETS_QUEUE) != 0) store<u32>(frames, queue, FRAME_RX_QUEUE_INDEX);
  }
  spread_flush(source);
  return taken;
}

/** Makes records for a steering device of frames in a row. */
export function spread_records(frames: usize, count: u32, records: usize): void {
  for (; count != 0; count--, frames += FRAME_DESCRIPTOR_SIZE, records += STEER_FRAME_SIZE) {
    const data = load<u32>(frames, FRAME_DATA);
    store<u32>(records, data, STEER_FRAME_DATA);
    store<u32>(records, load<u32>(frames, FRAME_DATA_END) - data, STEER_FRAME_LENGTH);
    store<u32>(records, 0, STEER_FRAME_HEADER);
    store<u32>(records, 0, STEER_FRAME_CONTEXT);
  }
}

/** A lot whose frames have all ended, the oldest first; it is the caller's until spread_free. 0: none has. */
export function spread_take(source: usize): usize {
  let before: usize = 0;
  let lot = <usize>load<u32>(source, SOURCE_SENT_FIRST);
  while (lot != 0 && atomic.load<u32>(lot + LOT_STATE) != LOT_DONE) {
    before = lot;
    lot = load<u32>(lot, LOT_NEXT);
  }
  if (lot == 0) return 0;
  const next = load<u32>(lot, LOT_NEXT);
  if (before == 0) store<u32>(source, next, SOURCE_SENT_FIRST);
  else store<u32>(before, next, LOT_NEXT);
  if (next == 0) store<u32>(source, <u32>before, SOURCE_SENT_LAST);
  return lot;
}

/** Takes all lots that are done, writes each frame's result to its place and frees them; returns the number of frames. */
export function spread_collect(source: usize): u32 {
  const first = load<u32>(source, SOURCE_FRAMES);
  const results = <usize>load<u32>(source, SOURCE_RESULTS);
  let collected: u32 = 0;
  for (let lot = spread_take(source); lot != 0; lot = spread_take(source)) {
    const count = load<u32>(lot, LOT_COUNT);
    const end = lot + LOT_RECORDS + <usize>count * RECORD_SIZE;
    for (let record = lot + LOT_RECORDS; record < end; record += RECORD_SIZE) {
      const to = results + <usize>((load<u32>(record, RECORD_FRAME) - first) / FRAME_DESCRIPTOR_SIZE) * RESULT_SIZE;
      store<u32>(to, load<u32>(record, RECORD_CPU) + 1, RESULT_CPU);
      store<u32>(to, load<u32>(record, RECORD_END), RESULT_END);
      store<u32>(to, load<u32>(record, RECORD_PLACE), RESULT_PLACE);
      store<u32>(to, load<u32>(record, RECORD_ENTRY), RESULT_ENTRY);
      store<u32>(to, load<u32>(record, RECORD_COPIES), RESULT_COPIES);
    }
    collected += count;
    spread_free(source, lot);
  }
  return collected;
}
