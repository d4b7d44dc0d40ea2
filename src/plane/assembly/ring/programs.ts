// Running a program, or a function of JavaScript, for a completion or for a program request.
import {
  ESCALATE_REQUESTS, RING_BUDGET_FUEL, RING_CONTEXT, RING_CTX_CHAIN, RING_CTX_FLAGS, RING_CTX_OPCODE, RING_CTX_PROGRAM,
  RING_CTX_REQUEST, RING_CTX_RES, RING_CTX_USER_DATA, RING_CTX_WAIT_NR, RING_PROGRAM_ENTRY, RING_PROGRAM_FUNCTION,
  RING_PROGRAM_SIZE, RING_PROGRAMS, RING_RUN_DEPTH, RING_RUN_EXCEEDED, RING_RUN_FIRST, RING_RUN_REQUESTS, RING_RUN_TAIL, RING_RUNNING,
  RING_RUNS_LEFT, RING_SQ_OWN_TAIL, SLOT_CHAIN_NEXT, SLOT_DEPTH, SLOT_ENDED, SLOT_GROUP, SLOT_PENDING, SLOT_SQE, SLOT_STATE, SLOT_WAITS,
} from '../../layout/ring';
import { TRACE_RETURN, TRACE_RUN } from '../../layout/ring-trace';
import { SQE_CQ, SQE_GROUP, SQE_OPCODE, SQE_USER_DATA } from '../../layout/sqe';
import { WORKER_FUEL } from '../../layout/worker';
import { E2BIG } from '../errno';
import { WORKER } from '../worker';
import { chainOf, NO_GROUP } from './chains';
import { admit, enterAlone, joinGroup } from './groups';
import { escalate } from './posting';
import { handleOf, numberOf, shiftSlot } from './slots';
import { begin } from './start';
import { trace } from './trace';

/** A function of JavaScript that takes the place of a program: its number, and the address of the context. */
@external("env", "ring_function") export declare function ring_function(number: u32, context: usize): u32;

/** Runs a program, by index from 1; what it returned. `res` and `flags` are those of the completion, `ended` how many of the chain have ended. */
// @ts-ignore: decorator
@inline
export function runProgram(ring: usize, slot: usize, index: u32, res: i32, flags: u32, ended: u32): u32 {
  const program = <usize>load<u32>(ring, RING_PROGRAMS) + <usize>(index - 1) * RING_PROGRAM_SIZE;
  const context = ring + RING_CONTEXT;
  const userData = load<u64>(slot, SLOT_SQE + SQE_USER_DATA);
  const handle = handleOf(slot);
  // In words of 8 bytes, which are no wider than what programs read, nor narrower.
  store<u64>(context, userData, RING_CTX_USER_DATA);
  store<u64>(context, 0, RING_CTX_WAIT_NR);
  store<i32>(context, res, RING_CTX_RES);
  store<u32>(context, flags, RING_CTX_FLAGS);
  store<u32>(context, <u32>load<u8>(slot, SLOT_SQE + SQE_OPCODE), RING_CTX_OPCODE);
  store<u32>(context, ended, RING_CTX_CHAIN);
  store<u64>(context, handle, RING_CTX_REQUEST);
  store<u64>(context, <u64>(index - 1) | (<u64>load<u16>(slot, SLOT_SQE + SQE_CQ) << 32), RING_CTX_PROGRAM);

  store<u64>(ring, <u64>numberOf(ring, slot) | (<u64>index << 32), RING_RUNNING);
  // RING_RUN_REQUESTS and RING_RUN_LINK.
  store<u64>(ring, 0, RING_RUN_REQUESTS);
  store<u32>(ring, 0, RING_RUN_EXCEEDED);
  store<u32>(ring, load<u32>(slot, SLOT_DEPTH), RING_RUN_DEPTH);
  store<u32>(ring, load<u32>(ring, RING_SQ_OWN_TAIL), RING_RUN_TAIL);
  store<u32>(ring, load<u32>(ring, RING_RUNS_LEFT) - 1, RING_RUNS_LEFT);
  trace(ring, TRACE_RUN, userData, res, index - 1, handle);

  const entry = load<u32>(program, RING_PROGRAM_ENTRY);
  let verdict: u32;
  if (entry != 0) {
    store<u32>(WORKER, load<u32>(ring, RING_BUDGET_FUEL), WORKER_FUEL);
    verdict = <u32>call_indirect<u64>(entry, <u64>context);
  } else {
    verdict = ring_function(load<u32>(program, RING_PROGRAM_FUNCTION), context);
  }
  trace(ring, TRACE_RETURN, userData, <i32>verdict, index - 1, handle);
  if (load<u32>(ring, RING_RUN_FIRST) != 0) admitEmitted(ring);
  store<u32>(ring, 0, RING_RUNNING);
  if (load<u32>(ring, RING_RUN_EXCEEDED) != 0) escalate(ring, slot, ESCALATE_REQUESTS, <i32>E2BIG);
  return verdict;
}

/** What the run has emitted begins once it is over, so that it could link it in any order. */
export function admitEmitted(ring: usize): void {
  let slot = shiftSlot(ring, ring + RING_RUN_FIRST);
  while (slot != 0) {
    if (load<u32>(slot, SLOT_STATE) == SLOT_WAITS && load<u32>(slot, SLOT_GROUP) == NO_GROUP) {
      const head = chainOf(ring, slot);
      if (head == slot) {
        if (load<u32>(slot, SLOT_CHAIN_NEXT) == 0 && load<u32>(slot, SLOT_PENDING) == 0 && enterAlone(ring, slot)) begin(ring, slot);
        else admit(ring, slot);
      }
      // Linked to a request of before, whose chain is in its group already.
      else if (load<u32>(head, SLOT_STATE) == SLOT_ENDED || load<u32>(head, SLOT_GROUP) != NO_GROUP)
        joinGroup(ring, slot, <u32>load<u16>(head, SLOT_SQE + SQE_GROUP));
    }
    slot = shiftSlot(ring, ring + RING_RUN_FIRST);
  }
}
