// Ending requests before their time: those that the kernel has are cancelled there, others here, at once.
import {
  QUEUE_WAITING, RING_DUE_FIRST, RING_GROUP_FIRST, RING_PAUSE, RING_READY_FIRST, RING_RUN_FIRST, RING_SCRATCH, RING_SLOT_COUNT, RING_START_FIRST, SLOT_ARMED,
  RING_CANCELS_WANTED, RING_SLOTS_USED, SLOT_CANCEL_WANTED, SLOT_CANCELLING, SLOT_CHAIN, SLOT_CHAIN_NEXT, SLOT_COMPOUND, SLOT_DONE, SLOT_DUE, SLOT_ENDED, SLOT_FLAGS, SLOT_FREE, SLOT_GROUP, SLOT_GROUPED, SLOT_INTERNAL, SLOT_ISSUED, SLOT_NEXT,
  SLOT_READY, SLOT_SQE, SLOT_STATE, SLOT_WAIT_IDX, SLOT_WAITS,
} from '../../layout/ring';
import { IOSQE_FIXED_FILE, SQE_ADDR, SQE_FD, SQE_FLAGS, SQE_GROUP, SQE_LEN, SQE_OFF, SQE_OP_FLAGS, SQE_OPCODE, SQE_USER_DATA, SQE_SIZE } from '../../layout/sqe';
import { EALREADY, EBUSY, ECANCELED, ENOENT } from '../errno';
import { joinGroup, groupAt, pumpGroup } from './groups';
import { NO_GROUP, newRequest } from './chains';
import { endUnissued } from './finish';
import { issue } from './issue';
import { OP_ASYNC_CANCEL, OP_POLL_ADD, OP_POLL_REMOVE, OP_TIMEOUT } from './opcodes';
import { queueAt } from './queues';
import { handleOf, numberOf, removeSlot, slotAt, slotOfHandle } from './slots';

export const CANCEL_ALL: u32 = 1;
export const CANCEL_FD: u32 = 2;
export const CANCEL_ANY: u32 = 4;
const CANCEL_FD_FIXED: u32 = 8;
const CANCEL_USERDATA: u32 = 16;
const CANCEL_OP: u32 = 32;
const POLL_UPDATE_EVENTS: u32 = 2;
const POLL_UPDATE_USER_DATA: u32 = 4;

function forgetWaiting(ring: usize, slot: usize): void {
  const number = numberOf(ring, slot);
  let at: usize = queueAt(ring, load<u32>(slot, SLOT_WAIT_IDX)) + QUEUE_WAITING;
  while (load<u32>(at) != 0 && load<u32>(at) != number) at = slotAt(ring, load<u32>(at)) + SLOT_NEXT;
  if (load<u32>(at) == number) store<u32>(at, load<u32>(slot, SLOT_NEXT));
}

/** Ends a request that the kernel does not have; false if it has it, or it has ended. */
export function cancelHere(ring: usize, slot: usize, res: i32): bool {
  const state = load<u32>(slot, SLOT_STATE);
  if (state == SLOT_ISSUED || state == SLOT_ENDED || state == SLOT_FREE) return false;
  if (state == SLOT_READY) removeSlot(ring, ring + RING_READY_FIRST, slot);
  else if (state == SLOT_DUE) removeSlot(ring, ring + RING_DUE_FIRST, slot);
  else if (state == SLOT_ARMED) forgetWaiting(ring, slot);
  else if (state == SLOT_GROUPED) removeSlot(ring, groupAt(ring, load<u16>(slot, SLOT_SQE + SQE_GROUP)) + RING_GROUP_FIRST, slot);
  else {
    removeSlot(ring, ring + RING_START_FIRST, slot);
    removeSlot(ring, ring + RING_RUN_FIRST, slot);
  }
  const group = <u32>load<u16>(slot, SLOT_SQE + SQE_GROUP);
  const apart = load<u32>(slot, SLOT_GROUP) == NO_GROUP && load<u32>(slot, SLOT_CHAIN) == numberOf(ring, slot);
  if (apart) letRestIn(ring, slot, group);
  endUnissued(ring, slot, res);
  if (state == SLOT_GROUPED) pumpGroup(ring, group);
  return true;
}

/** The chain of a head that goes before its group let it in: the others are in at once, to be cancelled or to finish. */
function letRestIn(ring: usize, head: usize, group: u32): void {
  store<u32>(head, SLOT_WAITS, SLOT_STATE);
  let number = load<u32>(head, SLOT_CHAIN);
  while (number != 0) {
    const member = slotAt(ring, number);
    if (member != head && load<u32>(member, SLOT_GROUP) == NO_GROUP && load<u32>(member, SLOT_STATE) == SLOT_WAITS)
      joinGroup(ring, member, group);
    number = load<u32>(member, SLOT_CHAIN_NEXT);
  }
}

/** Asks the kernel to cancel what it has: a request of ours, of whose end nobody is told. It asks until it is done: see askAgain. */
function cancelThere(ring: usize, slot: usize): i64 {
  if ((load<u32>(slot, SLOT_FLAGS) & SLOT_CANCELLING) != 0) return 0;
  const sqe = ring + RING_SCRATCH;
  memory.fill(sqe, 0, SQE_SIZE);
  store<u8>(sqe, <u8>OP_ASYNC_CANCEL, SQE_OPCODE);
  store<i32>(sqe, -1, SQE_FD);
  store<u64>(sqe, handleOf(slot), SQE_ADDR);
  store<u64>(sqe, handleOf(slot), SQE_USER_DATA);
  const request = newRequest(ring, sqe, 0);
  if (request == 0) {
    store<u32>(slot, load<u32>(slot, SLOT_FLAGS) | SLOT_CANCEL_WANTED, SLOT_FLAGS);
    store<u32>(ring, 1, RING_CANCELS_WANTED);
    return EBUSY;
  }
  store<u32>(request, SLOT_COMPOUND | SLOT_INTERNAL, SLOT_FLAGS);
  store<u32>(slot, load<u32>(slot, SLOT_FLAGS) | SLOT_CANCELLING, SLOT_FLAGS);
  joinGroup(ring, request, 0);
  return 0;
}

/** Asks for those that found no slot to ask with, as far as there are some now. */
export function cancelWanted(ring: usize): void {
  if (load<u32>(ring, RING_SLOTS_USED) == load<u32>(ring, RING_SLOT_COUNT)) return;
  store<u32>(ring, 0, RING_CANCELS_WANTED);
  const slots = load<u32>(ring, RING_SLOT_COUNT);
  for (let i: u32 = 1; i <= slots; i++) {
    const slot = slotAt(ring, i);
    if ((load<u32>(slot, SLOT_FLAGS) & SLOT_CANCEL_WANTED) == 0 || load<u32>(slot, SLOT_STATE) != SLOT_ISSUED) continue;
    // For want of a slot it sets both again.
    store<u32>(slot, load<u32>(slot, SLOT_FLAGS) & ~SLOT_CANCEL_WANTED, SLOT_FLAGS);
    cancelThere(ring, slot);
  }
}

/**
 * What a worker of the kernel has begun (EALREADY), or tries just now (ENOENT), may be about to wait for ever: poll, accept, receive. So the request that asked
 * for its end rests, and asks again, until that has ended. True: it goes on.
 */
export function askAgain(ring: usize, request: usize, res: i32): bool {
  const asked = <u32>load<u8>(request, SLOT_SQE + SQE_OPCODE) == OP_ASYNC_CANCEL;
  const handle = load<u64>(request, SLOT_SQE + SQE_USER_DATA);
  const target = slotOfHandle(ring, handle, load<u32>(ring, RING_SLOT_COUNT));
  if ((asked && res == 0) || target == 0 || load<u32>(target, SLOT_STATE) == SLOT_ENDED) return false;
  store<u8>(request, <u8>(asked ? OP_TIMEOUT : OP_ASYNC_CANCEL), SLOT_SQE + SQE_OPCODE);
  store<u64>(request, asked ? <u64>(ring + RING_PAUSE) : handle, SLOT_SQE + SQE_ADDR);
  store<u32>(request, asked ? 1 : 0, SLOT_SQE + SQE_LEN);
  issue(ring, request);
  return true;
}

/** 0: it has ended; EALREADY: the kernel was asked; ENOENT: it had ended; EBUSY: no slot is free to ask with. */
export function cancelSlot(ring: usize, slot: usize): i64 {
  if (cancelHere(ring, slot, <i32>ECANCELED)) return 0;
  if (load<u32>(slot, SLOT_STATE) != SLOT_ISSUED) return ENOENT;
  const asked = cancelThere(ring, slot);
  return asked == 0 ? EALREADY : asked;
}

function liveByUserData(ring: usize, userData: u64, but: usize): usize {
  const slots = load<u32>(ring, RING_SLOT_COUNT);
  for (let i: u32 = 1; i <= slots; i++) {
    const slot = slotAt(ring, i);
    const state = load<u32>(slot, SLOT_STATE);
    if (state != SLOT_FREE && state != SLOT_ENDED && slot != but && load<u64>(slot, SLOT_SQE + SQE_USER_DATA) == userData &&
        (load<u32>(slot, SLOT_FLAGS) & SLOT_INTERNAL) == 0) return slot;
  }
  return 0;
}

/** The first live request with this user_data in this queue is cancelled; results as of cancelSlot. */
export function cancelByUserData(ring: usize, userData: u64): i64 {
  const slot = liveByUserData(ring, userData, 0);
  return slot == 0 ? ENOENT : cancelSlot(ring, slot);
}

/** Whether a cancellation means this request. The kernel compares files instead of descriptors. */
function isMeant(slot: usize, flags: u32, request: usize): bool {
  if (slot == request || (load<u32>(slot, SLOT_FLAGS) & SLOT_INTERNAL) != 0) return false;
  if ((flags & CANCEL_ANY) != 0) return true;
  if ((flags & CANCEL_FD) != 0) {
    const fixed = (<u32>load<u8>(slot, SLOT_SQE + SQE_FLAGS) & IOSQE_FIXED_FILE) != 0;
    if (fixed != ((flags & CANCEL_FD_FIXED) != 0) || load<i32>(slot, SLOT_SQE + SQE_FD) != load<i32>(request, SLOT_SQE + SQE_FD)) return false;
  }
  if ((flags & CANCEL_OP) != 0 && <u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE) != load<u32>(request, SLOT_SQE + SQE_LEN)) return false;
  const named = (flags & CANCEL_USERDATA) != 0 || (flags & (CANCEL_FD | CANCEL_OP)) == 0;
  return !named || load<u64>(slot, SLOT_SQE + SQE_USER_DATA) == load<u64>(request, SLOT_SQE + SQE_ADDR);
}

/** Cancels here those that the kernel does not have; how many there were. */
function cancelMatching(ring: usize, flags: u32, request: usize): u32 {
  const slots = load<u32>(ring, RING_SLOT_COUNT);
  let cancelled: u32 = 0;
  for (let i: u32 = 1; i <= slots; i++) {
    const slot = slotAt(ring, i);
    if (isMeant(slot, flags, request) && cancelHere(ring, slot, <i32>ECANCELED)) {
      cancelled++;
      if ((flags & (CANCEL_ALL | CANCEL_ANY)) == 0) return cancelled;
    }
  }
  return cancelled;
}

/** The kernel has to be asked. */
export const ISSUE: i32 = i32.MAX_VALUE;

/**
 * A request that names another by its user_data is to be issued: the kernel is to be told our handle. ISSUE, or its result where that is at hand.
 * How many were cancelled here besides: SLOT_DONE of the request.
 */
export function resolveTarget(ring: usize, request: usize): i32 {
  const opcode = <u32>load<u8>(request, SLOT_SQE + SQE_OPCODE);
  if (opcode == OP_ASYNC_CANCEL) {
    const flags = load<u32>(request, SLOT_SQE + SQE_OP_FLAGS);
    const byFile = (flags & (CANCEL_FD | CANCEL_ANY | CANCEL_OP)) != 0;
    if (byFile && (flags & CANCEL_USERDATA) == 0) {
      const cancelled = cancelMatching(ring, flags, request);
      store<u32>(request, cancelled, SLOT_DONE);
      return cancelled != 0 && (flags & (CANCEL_ALL | CANCEL_ANY)) == 0 ? 0 : ISSUE;
    }
    // The kernel knows handles, which differ: it is asked for each.
    if (byFile || (flags & CANCEL_ALL) != 0) return cancelNamed(ring, flags, request);
  }
  const target = liveByUserData(ring, load<u64>(request, SLOT_SQE + SQE_ADDR), request);
  if (target == 0) return <i32>ENOENT;
  if (opcode == OP_ASYNC_CANCEL && cancelHere(ring, target, <i32>ECANCELED)) return 0;
  if (opcode == OP_POLL_REMOVE) {
    const flags = load<u32>(request, SLOT_SQE + SQE_LEN);
    if ((flags & POLL_UPDATE_USER_DATA) != 0) {
      if (<u32>load<u8>(target, SLOT_SQE + SQE_OPCODE) != OP_POLL_ADD) return <i32>ENOENT;
      // The kernel goes on calling it by its handle.
      store<u64>(target, load<u64>(request, SLOT_SQE + SQE_OFF), SLOT_SQE + SQE_USER_DATA);
      if ((flags & POLL_UPDATE_EVENTS) == 0) return 0;
      store<u64>(request, 0, SLOT_SQE + SQE_OFF);
      store<u32>(request, flags & ~POLL_UPDATE_USER_DATA, SLOT_SQE + SQE_LEN);
    }
  }
  store<u64>(request, handleOf(target), SLOT_SQE + SQE_ADDR);
  return ISSUE;
}

/** Result: how many were found, with ALL; else as of one. */
function cancelNamed(ring: usize, flags: u32, request: usize): i32 {
  const slots = load<u32>(ring, RING_SLOT_COUNT);
  let found: i32 = 0;
  for (let i: u32 = 1; i <= slots; i++) {
    const slot = slotAt(ring, i);
    if (load<u32>(slot, SLOT_STATE) == SLOT_FREE || !isMeant(slot, flags, request)) continue;
    const result = cancelSlot(ring, slot);
    if (result != 0 && result != EALREADY) continue;
    if ((flags & CANCEL_ALL) == 0) return 0;
    found++;
  }
  return found == 0 && (flags & CANCEL_ALL) == 0 ? <i32>ENOENT : found;
}
