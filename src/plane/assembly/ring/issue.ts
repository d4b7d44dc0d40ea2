// From slots into the kernel's SQ: flags that are ours are taken out, offsets in the memory become addresses of the process, and the handle is the user_data.
import {
  RING_BASE, RING_ISSUED, RING_READY_FIRST, RING_SQ_HEAD, RING_SQ_MASK, RING_SQ_OWN_TAIL, RING_SQ_TAIL, RING_SQES, SLOT_ISSUED, SLOT_READY, SLOT_SQE, SLOT_STATE,
  SLOT_TIMEOUT, SLOT_VECTOR_BYTES,
} from '../../layout/ring';
import { TRACE_ISSUE } from '../../layout/ring-trace';
import {
  IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK, SQE_CQ, SQE_EXTRA, SQE_FLAGS, SQE_OPCODE, SQE_SIZE,
  SQE_USER_DATA,
} from '../../layout/sqe';
import { copySqe } from './copying';
import { seal } from './messages';
import { isVectored, OP_MSG_RING, translate, vectorBytes } from './opcodes';
import { appendSlot, handleOf, shiftSlot, slotAt } from './slots';
import { trace } from './trace';

const OURS: u32 = IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
/** Of a file, or a message to a descriptor, in its user_data there: it names no request of that ring. */
export const MESSAGE: u64 = 0x8000_0000_0000_0000;

/** Of the poll of the eventfd that wakes the ring's thread (thread.ts): the user_data of no request. */
export const WAKE: u64 = 0x7fff_ffff_ffff_ffff;

/** Places that are free in the kernel's SQ. */
function roomOf(ring: usize): u32 {
  const used = load<u32>(ring, RING_SQ_OWN_TAIL) - atomic.load<u32>(<usize>load<u32>(ring, RING_SQ_HEAD));
  return load<u32>(ring, RING_SQ_MASK) + 1 - used;
}

function put(ring: usize, slot: usize, link: u32): void {
  const tail = load<u32>(ring, RING_SQ_OWN_TAIL);
  const sqe = <usize>load<u32>(ring, RING_SQES) + <usize>(tail & load<u32>(ring, RING_SQ_MASK)) * SQE_SIZE;
  copySqe(sqe, slot + SLOT_SQE);
  const handle = handleOf(slot);
  store<u64>(sqe, handle, SQE_USER_DATA);
  store<u64>(sqe, 0, SQE_CQ);
  store<u8>(sqe, <u8>((<u32>load<u8>(sqe, SQE_FLAGS) & ~OURS) | link), SQE_FLAGS);
  if (load<u8>(sqe, SQE_OPCODE) == <u8>OP_MSG_RING) seal(sqe, load<u8>(slot, SLOT_SQE + SQE_EXTRA));
  const base = load<u64>(ring, RING_BASE);
  translate(sqe, base);
  if (isVectored(<u32>load<u8>(sqe, SQE_OPCODE))) store<u32>(slot, vectorBytes(sqe, base), SLOT_VECTOR_BYTES);
  store<u32>(slot, SLOT_ISSUED, SLOT_STATE);
  store<u32>(ring, load<u32>(ring, RING_ISSUED) + 1, RING_ISSUED);
  trace(ring, TRACE_ISSUE, load<u64>(slot, SLOT_SQE + SQE_USER_DATA), 0, <u32>load<u8>(sqe, SQE_OPCODE), handle);
  store<u32>(ring, tail + 1, RING_SQ_OWN_TAIL);
}

/** A request without a slot, as it is; false: there is no room. */
export function putRaw(ring: usize, from: usize): bool {
  if (roomOf(ring) == 0) return false;
  const tail = load<u32>(ring, RING_SQ_OWN_TAIL);
  copySqe(<usize>load<u32>(ring, RING_SQES) + <usize>(tail & load<u32>(ring, RING_SQ_MASK)) * SQE_SIZE, from);
  store<u32>(ring, tail + 1, RING_SQ_OWN_TAIL);
  return true;
}

/** False: there is no room. A request and its LINK_TIMEOUT go together. */
function tryIssue(ring: usize, slot: usize): bool {
  const timeout = load<u32>(slot, SLOT_TIMEOUT);
  if (roomOf(ring) < (timeout != 0 ? 2 : 1)) return false;
  put(ring, slot, timeout != 0 ? IOSQE_IO_LINK : 0);
  if (timeout != 0) put(ring, slotAt(ring, timeout), 0);
  return true;
}

export function issue(ring: usize, slot: usize): void {
  if (load<u32>(ring, RING_READY_FIRST) == 0 && tryIssue(ring, slot)) return;
  store<u32>(slot, SLOT_READY, SLOT_STATE);
  appendSlot(ring, ring + RING_READY_FIRST, slot);
}

/** Moves those that found no room, as far as there is some now. */
export function issueReady(ring: usize): void {
  let first = load<u32>(ring, RING_READY_FIRST);
  while (first != 0 && tryIssue(ring, slotAt(ring, first))) {
    // Issuing has not touched its link in the list.
    shiftSlot(ring, ring + RING_READY_FIRST);
    first = load<u32>(ring, RING_READY_FIRST);
  }
}

/** Shows the kernel what is in its SQ; how many requests an enter would take. */
export function publish(ring: usize): u32 {
  const tail = load<u32>(ring, RING_SQ_OWN_TAIL);
  const word: usize = load<u32>(ring, RING_SQ_TAIL);
  if (load<u32>(word) != tail) atomic.store<u32>(word, tail);
  return tail - atomic.load<u32>(<usize>load<u32>(ring, RING_SQ_HEAD));
}
