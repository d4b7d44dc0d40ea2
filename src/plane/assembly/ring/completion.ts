// A completion of the kernel: which request it is of, whether that goes on, what runs, who is told.
import {
  CQE_F_MESSAGE, LINK_EOF_OK, LINK_MASK, LINK_RETRY_REST, RING_AGAIN, RING_BREAK, RING_CLOSING, RING_FLAGS, RING_HIDDEN, RING_ISSUED, RING_POST, RING_SHARED, RING_WATCHED,
  SLOT_CANCELLING, SLOT_CHAIN_ENDED, SLOT_COMPOUND, SLOT_CQE_FLAGS, SLOT_DONE, SLOT_FLAGS, SLOT_INTERNAL, SLOT_ISSUED, SLOT_LEFT, SLOT_RES, SLOT_SQE, SLOT_STATE, SLOT_TIMEOUT,
  SLOT_VECTOR_BYTES, RING_SLOT_COUNT, VECTORS_UNKNOWN,
} from '../../layout/ring';
import { TRACE_COMPLETE } from '../../layout/ring-trace';
import {
  CQE_F_MORE, IOSQE_BUFFER_SELECT, IOSQE_CQE_SKIP_SUCCESS, SQE_CALLBACK, SQE_CQ, SQE_EXTRA, SQE_FLAGS, SQE_LEN, SQE_OPCODE, SQE_POLICY,
  SQE_USER_DATA,
} from '../../layout/sqe';
import { ENOENT } from '../errno';
import { askAgain } from './cancel';
import { chainOf } from './chains';
import { end } from './finish';
import { issue, MESSAGE, WAKE } from './issue';
import { deliver, deliverMarked } from './messages';
import { advance, isTransfer, isVectored, namesRequest } from './opcodes';
import { post } from './posting';
import { runProgram } from './programs';
import { queueAt } from './queues';
import { slotOfHandle } from './slots';
import { trace } from './trace';

const EINTR: i32 = -4;

/** A short transfer whose rest is to be done as well: what is left of it becomes the request. True: it is on its way again. */
function goOn(ring: usize, slot: usize, res: i32): bool {
  const policy = <u32>load<u8>(slot, SLOT_SQE + SQE_POLICY) & LINK_MASK;
  if ((policy != LINK_RETRY_REST && policy != LINK_EOF_OK) || load<u32>(slot, SLOT_TIMEOUT) != 0) return false;
  // Cut short because it is to end.
  if ((load<u32>(slot, SLOT_FLAGS) & SLOT_CANCELLING) != 0) return false;
  const opcode = <u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE);
  // Each part would take a buffer of its own, and the completion names one.
  if (!isTransfer(opcode) || (<u32>load<u8>(slot, SLOT_SQE + SQE_FLAGS) & IOSQE_BUFFER_SELECT) != 0) return false;
  const length = load<u32>(slot, SLOT_SQE + SQE_LEN);
  if (res != EINTR && (res <= 0 || <u32>res >= length)) return false;
  if (res > 0) {
    store<u32>(slot, load<u32>(slot, SLOT_DONE) + <u32>res, SLOT_DONE);
    advance(slot + SLOT_SQE, opcode, <u32>res);
  }
  issue(ring, slot);
  return true;
}

/** The result that is told: the sum where a transfer went in parts, what was done before an error, cancellations here and there. */
function totalOf(slot: usize, res: i32): i32 {
  const done = load<u32>(slot, SLOT_DONE);
  if (done == 0) return res;
  if (namesRequest(<u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE))) {
    return res == <i32>ENOENT ? <i32>done : res < 0 ? res : res + <i32>done;
  }
  return res < 0 ? <i32>done : <i32>done + res;
}

/** Bytes of its transfer; another number where it is none. */
function lengthOf(slot: usize): u32 {
  if (!isVectored(<u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE))) return load<u32>(slot, SLOT_SQE + SQE_LEN);
  const bytes = load<u32>(slot, SLOT_VECTOR_BYTES);
  return bytes == VECTORS_UNKNOWN ? 0 : bytes;
}

export function complete(ring: usize, userData: u64, res: i32, flags: u32): void {
  if ((flags & CQE_F_MESSAGE) != 0) {
    deliver(ring, userData, res, flags);
    return;
  }
  const slot = slotOfHandle(ring, userData, load<u32>(ring, RING_SLOT_COUNT));
  if (slot == 0 || load<u32>(slot, SLOT_STATE) != SLOT_ISSUED) {
    // From another ring, by MSG_RING; or of what ring_cancel_all asked.
    if (userData == MESSAGE && (load<u32>(ring, RING_FLAGS) & RING_CLOSING) != 0) return;
    if (userData == WAKE && (load<u32>(ring, RING_FLAGS) & RING_SHARED) != 0) {
      if ((flags & CQE_F_MORE) == 0) store<u32>(ring, 0, RING_WATCHED);
      return;
    }
    deliverMarked(ring, userData & ~MESSAGE, res, flags);
    return;
  }
  const given = load<u64>(slot, SLOT_SQE + SQE_USER_DATA);
  trace(ring, TRACE_COMPLETE, given, res, flags, userData);
  store<u32>(slot, load<u32>(slot, SLOT_FLAGS) | SLOT_COMPOUND, SLOT_FLAGS);
  const more = (flags & CQE_F_MORE) != 0;
  if (!more) store<u32>(ring, load<u32>(ring, RING_ISSUED) - 1, RING_ISSUED);
  const closing = (load<u32>(ring, RING_FLAGS) & RING_CLOSING) != 0;
  if (!more && !closing && ((load<u32>(slot, SLOT_FLAGS) & SLOT_INTERNAL) != 0 ? askAgain(ring, slot, res) : goOn(ring, slot, res))) return;

  const length = lengthOf(slot);
  store<u32>(slot, leftOf(length, res), SLOT_LEFT);
  const total = totalOf(slot, res);
  store<i32>(slot, total, SLOT_RES);
  store<u32>(slot, flags, SLOT_CQE_FLAGS);
  const callback = <u32>load<u16>(slot, SLOT_SQE + SQE_CALLBACK);
  let verdict: u32 = RING_POST;
  if (callback != 0 && !closing) {
    const ended = load<u32>(chainOf(ring, slot), SLOT_CHAIN_ENDED) + (more ? 0 : 1);
    verdict = runProgram(ring, slot, callback, total, flags, ended);
  }
  conclude(ring, slot, given, total, flags, verdict, res < 0 && total >= 0 && callback == 0);
}

/** What is left of `length` bytes after a result. */
// @ts-ignore: decorator
@inline
export function leftOf(length: u32, res: i32): u32 {
  return res < 0 ? length : length > <u32>res ? length - <u32>res : 0;
}

/**
 * What follows once the program, if there is one, has returned `verdict`. `given` is the user_data from before it ran. `cut`: an error after a part was done,
 * which shows as a short result, and breaks the chain all the same.
 */
export function conclude(ring: usize, slot: usize, given: u64, total: i32, flags: u32, verdict: u32, cut: bool): void {
  store<u32>(slot, load<u32>(slot, SLOT_FLAGS) | SLOT_COMPOUND, SLOT_FLAGS);
  const more = (flags & CQE_F_MORE) != 0;
  if ((verdict & RING_AGAIN) != 0 && !more) {
    // Who cancels it now means the new one.
    store<u32>(slot, load<u32>(slot, SLOT_FLAGS) & ~SLOT_CANCELLING, SLOT_FLAGS);
    issue(ring, slot);
    return;
  }
  const quiet = total >= 0 && (<u32>load<u8>(slot, SLOT_SQE + SQE_FLAGS) & IOSQE_CQE_SKIP_SUCCESS) != 0;
  const hidden = (load<u8>(slot, SLOT_SQE + SQE_EXTRA) & RING_HIDDEN) != 0 || (load<u32>(slot, SLOT_FLAGS) & SLOT_INTERNAL) != 0;
  if ((verdict & RING_POST) != 0 && !quiet && !hidden) {
    const queue = queueAt(ring, load<u16>(slot, SLOT_SQE + SQE_CQ));
    post(ring, queue != 0 ? queue : queueAt(ring, 0), given, total, flags, false);
  }
  if (!more) end(ring, slot, total, (verdict & RING_BREAK) != 0 || cut);
}
