// Plain requests: those that nothing links, groups, repeats or traces, as most are. They go from where they were written to the kernel's SQ, and from its CQ
// to their program and queue, without the walks that others need. Whatever refers to one makes it a compound one (SLOT_FLAGS), which the rest of the room
// knows how to end; so does what a run has emitted, if that run does more with it than emit it.
import {
  RING_AGAIN, RING_BASE, RING_CLOSING, RING_FLAGS, RING_GROUP_DRAINING, RING_GROUP_FIRST, RING_GROUP_LIVE, RING_GROUPS, RING_HIDDEN, RING_ISSUED, RING_POST,
  RING_PROGRAM_COUNT, RING_READY_FIRST, RING_RUN_FIRST, RING_RUN_TAIL, RING_SQ_LIMIT, RING_SQ_MASK, RING_SQ_OWN_TAIL, RING_SQES, RING_TRACING, SLOT_COMPOUND,
  SLOT_CQE_FLAGS, SLOT_DEPTH, SLOT_FLAGS, SLOT_GROUP, SLOT_ISSUED, SLOT_LEFT, SLOT_RES, SLOT_SQE, SLOT_STATE, SLOT_WAITS,
} from '../../layout/ring';
import {
  IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK, SQE_ADDR, SQE_ADDR3, SQE_BUF_INDEX, SQE_CALLBACK, SQE_CQ, SQE_EXTRA, SQE_FD,
  SQE_FLAGS, SQE_GROUP, SQE_IOPRIO, SQE_LEN, SQE_OFF, SQE_OP_FLAGS, SQE_OPCODE, SQE_POLICY, SQE_SIZE, SQE_USER_DATA,
} from '../../layout/sqe';
import { NO_GROUP } from './chains';
import { conclude, leftOf } from './completion';
import { pumpGroup } from './groups';
import { memoryAllowed, ofProcess, plainShape } from './opcodes';
import { postHere } from './posting';
import { runProgram } from './programs';
import { queueAt } from './queues';
import { appendSlot, giveSlot, handleOf, slotAt, takeSlot } from './slots';

const APART: u32 = IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK;

/** Issues the request at `sqe` if it is plain: its slot. 0: it is not, or cannot be at once. `checked`: memory that it names must be the programs'. */
// @ts-ignore: decorator
@inline
export function startPlain(ring: usize, sqe: usize, depth: u32, checked: bool): usize {
  const flags = <u32>load<u8>(sqe, SQE_FLAGS);
  if (((flags & APART) | <u32>load<u8>(sqe, SQE_POLICY) | <u32>load<u16>(sqe, SQE_GROUP)) != 0) return 0;
  const group: usize = load<u32>(ring, RING_GROUPS);
  const held = load<u32>(ring, RING_READY_FIRST) | load<u32>(group, RING_GROUP_FIRST) | load<u32>(group, RING_GROUP_DRAINING);
  if ((held | (load<u32>(ring, RING_FLAGS) & (RING_TRACING | RING_CLOSING))) != 0) return 0;
  const opcode = <u32>load<u8>(sqe, SQE_OPCODE);
  const shape = plainShape(opcode);
  const queue = <u32>load<u16>(sqe, SQE_CQ);
  const callback = <u32>load<u16>(sqe, SQE_CALLBACK);
  if (shape == 0 || queueAt(ring, queue) == 0 || callback > load<u32>(ring, RING_PROGRAM_COUNT)) return 0;
  const tail = load<u32>(ring, RING_SQ_OWN_TAIL);
  if (tail == load<u32>(ring, RING_SQ_LIMIT)) return 0;
  const addresses = shape & 3;
  if (checked && addresses != 0 && !memoryAllowed(ring, sqe)) return 0;
  const slot = takeSlot(ring);
  if (slot == 0) return 0;

  // Fields as programs have just written them: what is loaded wider than it was stored waits until that has reached the cache.
  const to = <usize>load<u32>(ring, RING_SQES) + <usize>(tail & load<u32>(ring, RING_SQ_MASK)) * SQE_SIZE;
  const first = <u64>opcode | (<u64>load<u16>(sqe, SQE_IOPRIO) << 16) | (<u64>load<u32>(sqe, SQE_FD) << 32);
  store<u64>(slot, first | (<u64>flags << 8), SLOT_SQE);
  store<u64>(to, first | (<u64>(flags & ~IOSQE_CQE_SKIP_SUCCESS) << 8));
  let off = load<u64>(sqe, SQE_OFF);
  let address = load<u64>(sqe, SQE_ADDR);
  store<u64>(slot, off, SLOT_SQE + SQE_OFF);
  store<u64>(slot, address, SLOT_SQE + SQE_ADDR);
  if (addresses != 0) {
    const base = load<u64>(ring, RING_BASE);
    if ((addresses & 1) != 0) address = ofProcess(address, base);
    if ((addresses & 2) != 0) off = ofProcess(off, base);
  }
  store<u64>(to, off, SQE_OFF);
  store<u64>(to, address, SQE_ADDR);
  const length = <u64>load<u32>(sqe, SQE_LEN) | (<u64>load<u32>(sqe, SQE_OP_FLAGS) << 32);
  store<u64>(slot, length, SLOT_SQE + SQE_LEN);
  store<u64>(to, length, SQE_LEN);
  store<u64>(slot, load<u64>(sqe, SQE_USER_DATA), SLOT_SQE + SQE_USER_DATA);
  store<u64>(to, handleOf(slot), SQE_USER_DATA);
  copyWord(slot, to, sqe, SQE_BUF_INDEX);
  copyWord(slot, to, sqe, SQE_ADDR3);
  // No policy, no group.
  store<u64>(slot, <u64>queue | (<u64>callback << 16) | (<u64>load<u8>(sqe, SQE_EXTRA) << 40), SLOT_SQE + SQE_CQ);
  store<u64>(to, 0, SQE_CQ);
  store<u32>(ring, tail + 1, RING_SQ_OWN_TAIL);

  // Its flags with it: none.
  store<u64>(slot, SLOT_ISSUED, SLOT_STATE);
  store<u32>(slot, 0, SLOT_GROUP);
  store<u32>(slot, depth, SLOT_DEPTH);
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) + 1, RING_GROUP_LIVE);
  store<u32>(ring, load<u32>(ring, RING_ISSUED) + 1, RING_ISSUED);
  return slot;
}

// @ts-ignore: decorator
@inline
function copyWord(slot: usize, to: usize, sqe: usize, at: usize): void {
  const word = load<u64>(sqe + at);
  store<u64>(slot + at, word, SLOT_SQE);
  store<u64>(to + at, word);
}

/** The running program does more with what it has emitted: it is as if that had not been issued yet, and begins when the run is over. */
export function withdrawEmitted(ring: usize): void {
  const start = load<u32>(ring, RING_RUN_TAIL);
  const tail = load<u32>(ring, RING_SQ_OWN_TAIL);
  if (start == tail) return;
  const group: usize = load<u32>(ring, RING_GROUPS);
  for (let at = start; at != tail; at++) {
    const sqe = <usize>load<u32>(ring, RING_SQES) + <usize>(at & load<u32>(ring, RING_SQ_MASK)) * SQE_SIZE;
    const slot = slotAt(ring, <u32>load<u64>(sqe, SQE_USER_DATA) + 1);
    store<u32>(slot, SLOT_WAITS, SLOT_STATE);
    store<u32>(slot, SLOT_COMPOUND, SLOT_FLAGS);
    store<u64>(slot, 0, SLOT_RES);
    store<u32>(slot, NO_GROUP, SLOT_GROUP);
    appendSlot(ring, ring + RING_RUN_FIRST, slot);
  }
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) - (tail - start), RING_GROUP_LIVE);
  store<u32>(ring, load<u32>(ring, RING_ISSUED) - (tail - start), RING_ISSUED);
  store<u32>(ring, start, RING_SQ_OWN_TAIL);
}

/** The completion of a plain request, which is its last. */
// @ts-ignore: decorator
@inline
export function completePlain(ring: usize, slot: usize, res: i32, flags: u32): void {
  store<u32>(ring, load<u32>(ring, RING_ISSUED) - 1, RING_ISSUED);
  const given = load<u64>(slot, SLOT_SQE + SQE_USER_DATA);
  const callback = <u32>load<u16>(slot, SLOT_SQE + SQE_CALLBACK);
  if (callback != 0) {
    const length = load<u32>(slot, SLOT_SQE + SQE_LEN);
    const verdict = runProgram(ring, slot, callback, res, flags, 1);
    if (load<u32>(slot, SLOT_FLAGS) != 0 || (verdict & RING_AGAIN) != 0) {
      store<u32>(slot, flags, SLOT_CQE_FLAGS);
      store<u32>(slot, leftOf(length, res), SLOT_LEFT);
      conclude(ring, slot, given, res, flags, verdict, false);
      return;
    }
    if ((verdict & RING_POST) == 0) {
      endPlain(ring, slot);
      return;
    }
  }
  const quiet = res >= 0 && (<u32>load<u8>(slot, SLOT_SQE + SQE_FLAGS) & IOSQE_CQE_SKIP_SUCCESS) != 0;
  if (!quiet && (load<u8>(slot, SLOT_SQE + SQE_EXTRA) & RING_HIDDEN) == 0) {
    const queue = queueAt(ring, load<u16>(slot, SLOT_SQE + SQE_CQ));
    postHere(ring, queue != 0 ? queue : queueAt(ring, 0), given, res, flags, false);
  }
  endPlain(ring, slot);
}

// @ts-ignore: decorator
@inline
function endPlain(ring: usize, slot: usize): void {
  const group: usize = load<u32>(ring, RING_GROUPS);
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) - 1, RING_GROUP_LIVE);
  if ((load<u32>(group, RING_GROUP_FIRST) | load<u32>(group, RING_GROUP_DRAINING)) != 0) pumpGroup(ring, 0);
  giveSlot(ring, slot);
}
