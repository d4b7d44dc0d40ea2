// Requests that wait for nothing any more: to the kernel, to the list of programs that are due, or to a queue that must fill first.
import {
  IORING_OP_BPF, RING_CLOSING, RING_FLAGS, RING_PROGRAM_COUNT, RING_START_FIRST, SLOT_ARMED, SLOT_BROKEN, SLOT_FLAGS, SLOT_INTERNAL, SLOT_SQE, SLOT_STATE,
  SLOT_WAIT_IDX, SLOT_WAIT_NR, SLOT_WAITS,
} from '../../layout/ring';
import { SQE_CQ, SQE_LEN, SQE_OFF, SQE_OP_FLAGS, SQE_OPCODE, SQE_USER_DATA } from '../../layout/sqe';
import { ECANCELED, EINVAL } from '../errno';
import { ISSUE, resolveTarget } from './cancel';
import { end, endUnissued, isFinal } from './finish';
import { issue } from './issue';
import { isOpcode, namesRequest } from './opcodes';
import { makeDue, post, waitOn } from './posting';
import { queueAt } from './queues';
import { shiftSlot } from './slots';

/** Waits for completions, as SLOT_WAIT_NR and SLOT_WAIT_IDX say; with nothing to wait for it is due. */
export function arm(ring: usize, slot: usize): void {
  if (load<u32>(slot, SLOT_WAIT_NR) == 0) {
    makeDue(ring, slot);
    return;
  }
  const queue = queueAt(ring, load<u32>(slot, SLOT_WAIT_IDX));
  if (queue == 0) {
    endUnissued(ring, slot, <i32>EINVAL);
    return;
  }
  store<u32>(slot, SLOT_ARMED, SLOT_STATE);
  waitOn(ring, queue, slot);
}

/** A request that its group has let in. */
export function begin(ring: usize, slot: usize): void {
  const opcode = <u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE);
  if (opcode == IORING_OP_BPF) {
    if (load<u64>(slot, SLOT_SQE + SQE_OFF) >= <u64>load<u32>(ring, RING_PROGRAM_COUNT)) {
      endUnissued(ring, slot, <i32>EINVAL);
      return;
    }
    store<u32>(slot, load<u32>(slot, SLOT_SQE + SQE_LEN), SLOT_WAIT_NR);
    store<u32>(slot, load<u32>(slot, SLOT_SQE + SQE_OP_FLAGS), SLOT_WAIT_IDX);
    arm(ring, slot);
    return;
  }
  if (!isOpcode(opcode)) {
    endUnissued(ring, slot, <i32>EINVAL);
    return;
  }
  // What the plane itself asks names the kernel's handle already.
  if (namesRequest(opcode) && !keepsGoing(slot)) {
    const result = resolveTarget(ring, slot);
    if (result != ISSUE) {
      post(ring, queueAt(ring, load<u16>(slot, SLOT_SQE + SQE_CQ)), load<u64>(slot, SLOT_SQE + SQE_USER_DATA), result, 0, false);
      end(ring, slot, result, result < 0);
      return;
    }
  }
  issue(ring, slot);
}

/** Starts what can be, and what can be because of that. */
export function startAll(ring: usize): void {
  let slot = shiftSlot(ring, ring + RING_START_FIRST);
  while (slot != 0) {
    if (load<u32>(slot, SLOT_STATE) == SLOT_WAITS) {
      const broken = (load<u32>(slot, SLOT_FLAGS) & SLOT_BROKEN) != 0 || (load<u32>(ring, RING_FLAGS) & RING_CLOSING) != 0;
      if (broken && !isFinal(slot) && !keepsGoing(slot)) endUnissued(ring, slot, <i32>ECANCELED);
      else begin(ring, slot);
    }
    slot = shiftSlot(ring, ring + RING_START_FIRST);
  }
}

/** What the plane asks of the kernel itself goes on while the ring is being closed. */
function keepsGoing(slot: usize): bool {
  return (load<u32>(slot, SLOT_FLAGS) & SLOT_INTERNAL) != 0;
}
