// Frames on many CPUs: lots of up to 64 that one CPU runs a program over (layout/frames.ts).
// The program is read once a lot, within the epoch: each frame goes through one program, and after a grace period none goes through one that was replaced.
import { FRAME_VERDICT } from '../../layout/frame';
import {
  COUNT_LOTS, COUNT_MOVED, COUNT_STOPPED, COUNT_VERDICT_KINDS, COUNT_VERDICTS, FRAME_ENDED_CRASH, FRAME_ENDED_VERDICT, FRAMES_COUNTER_SIZE, FRAMES_COUNTERS, FRAMES_ENTRY, FRAMES_FLAGS, FRAMES_FOLLOW,
  LOT_ATTACHMENT, LOT_COUNT, LOT_CPU, LOT_DONE, LOT_LEFT, LOT_MOVED, LOT_POSITION, LOT_RECORDS, LOT_SOURCE, LOT_STATE, RECORD_CPU, RECORD_END, RECORD_ENTRY, RECORD_FRAME,
  RECORD_SIZE, SOURCE_DOORBELL, SOURCE_WAITING,
} from '../../layout/frames';
import { HOOK_XDP, WORKER_CPU, WORKER_FRAME, WORKER_FUEL, WORKER_HOOK, WORKER_MOVED, WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_MAP } from '../../layout/worker';
import { xdp_run } from '../hooks/xdp';
import { WORKER } from '../worker';
import { item_ends } from './inbox';
import { followRedirect } from './redirect';

const XDP_ABORTED: u32 = 0;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

@inline function countersOf(attachment: usize): usize {
  return attachment + FRAMES_COUNTERS + <usize>load<u32>(WORKER, WORKER_CPU) * FRAMES_COUNTER_SIZE;
}

@inline function count(at: usize): void {
  store<u64>(at, load<u64>(at) + 1);
}

/**
 * `ended` frames of the lot have: the last of them makes it the source's again. Nothing of it may be touched afterwards. Straight-line with what stands before it in the
 * caller, where a thread does not end.
 */
@inline export function endFrames(lot: usize, ended: u32): void {
  const source = <usize>load<u32>(lot, LOT_SOURCE);
  if (ended != 0 && atomic.sub<u32>(lot + LOT_LEFT, ended) == ended) {
    atomic.store<u32>(lot + LOT_STATE, LOT_DONE);
    // The source stays as long as this CPU is within its epoch.
    atomic.add<u32>(source + SOURCE_DOORBELL, 1);
    if (atomic.load<u32>(source + SOURCE_WAITING) != 0) atomic.notify(source + SOURCE_DOORBELL, -1);
  }
}

/** Runs a program over the frame of a record, which is this CPU's; its verdict. What an earlier program asked for does not count. */
@inline export function runRecord(record: usize, entry: u32, fuel: u32): u32 {
  store<u32>(record, load<u32>(WORKER, WORKER_CPU), RECORD_CPU);
  store<u32>(record, entry, RECORD_ENTRY);
  const frame = <usize>load<u32>(record, RECORD_FRAME);
  if (entry == 0) {
    store<u32>(frame, XDP_PASS, FRAME_VERDICT);
    return XDP_PASS;
  }
  if (fuel != 0) store<u32>(WORKER, fuel, WORKER_FUEL);
  store<u64>(WORKER, 0, WORKER_REDIRECT_MAP);
  store<u32>(WORKER, 0, WORKER_REDIRECT_FLAGS);
  return <u32>xdp_run(entry, frame);
}

/** What is left of a frame whose program was stopped: it is aborted. */
export function abortRecord(record: usize, how: u32): void {
  store<u32>(WORKER, 0, WORKER_FRAME);
  store<u32>(WORKER, HOOK_XDP, WORKER_HOOK);
  store<u32>(<usize>load<u32>(record, RECORD_FRAME), XDP_ABORTED, FRAME_VERDICT);
  store<u32>(record, how, RECORD_END);
}

/** CPU_FRAMES: runs the attached program over the lot's frames, from LOT_POSITION on; verdicts stay in the descriptors. A fault leaves it: frames_stopped, then this again. */
export function frames_run(lot: usize): void {
  const attachment = <usize>load<u32>(lot, LOT_ATTACHMENT);
  const program = atomic.load<u64>(attachment + FRAMES_ENTRY);
  const entry = <u32>program;
  const fuel = <u32>(program >> 32);
  const counters = countersOf(attachment);
  const follows = (load<u32>(attachment, FRAMES_FLAGS) & FRAMES_FOLLOW) != 0;
  const frames = load<u32>(lot, LOT_COUNT);
  let position = load<u32>(lot, LOT_POSITION);
  let record = lot + LOT_RECORDS + <usize>position * RECORD_SIZE;
  while (position < frames) {
    const verdict = runRecord(record, entry, fuel);
    count(counters + COUNT_VERDICTS + (<usize>min<u32>(verdict, COUNT_VERDICT_KINDS - 1) << 3));
    if (verdict == XDP_REDIRECT && follows) {
      // Another CPU's from then on, where it does not end here.
      if (!followRedirect(record)) {
        store<u32>(lot, load<u32>(lot, LOT_MOVED) + 1, LOT_MOVED);
        count(counters + COUNT_MOVED);
        store<u32>(WORKER, 0, WORKER_MOVED);
      }
    } else store<u32>(record, FRAME_ENDED_VERDICT, RECORD_END);
    store<u32>(lot, ++position, LOT_POSITION);
    record += RECORD_SIZE;
  }
  count(counters + COUNT_LOTS);
  const ended = frames - load<u32>(lot, LOT_MOVED);
  item_ends();
  endFrames(lot, ended);
}

/** Whether the record is another CPU's already; asked once. */
export function hasMoved(record: usize): bool {
  const moved = record != 0 && load<u32>(WORKER, WORKER_MOVED) == <u32>record;
  store<u32>(WORKER, 0, WORKER_MOVED);
  return moved;
}

/** Ends the frame whose program was stopped, FRAME_ENDED_ `how`. 0: none was under way. */
export function frames_stopped(lot: usize, how: u32): u32 {
  const position = load<u32>(lot, LOT_POSITION);
  if (position >= load<u32>(lot, LOT_COUNT)) return 0;
  const record = lot + LOT_RECORDS + <usize>position * RECORD_SIZE;
  if (hasMoved(record)) {
    store<u32>(lot, load<u32>(lot, LOT_MOVED) + 1, LOT_MOVED);
    store<u32>(lot, position + 1, LOT_POSITION);
    return 1;
  }
  abortRecord(record, how);
  count(countersOf(<usize>load<u32>(lot, LOT_ATTACHMENT)) + COUNT_STOPPED);
  store<u32>(lot, position + 1, LOT_POSITION);
  return 1;
}

/** The frames of a lot whose CPU has ended, from the one that was run on. */
export function abandonLot(lot: usize): void {
  const count = load<u32>(lot, LOT_COUNT);
  for (let position = load<u32>(lot, LOT_POSITION); position < count; position++) {
    const record = lot + LOT_RECORDS + <usize>position * RECORD_SIZE;
    store<u32>(record, load<u32>(lot, LOT_CPU), RECORD_CPU);
    abortRecord(record, FRAME_ENDED_CRASH);
  }
  endFrames(lot, count - load<u32>(lot, LOT_MOVED));
}
