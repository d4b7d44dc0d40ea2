// The end of a request: those that follow it are let go, its group and its chain know, and its slot is given back with its chain.
import {
  RING_FINALLY, RING_HIDDEN, RING_QUIET_CANCEL, SLOT_CANCELLED, SLOT_CHAIN_ENDED, SLOT_CHAIN_LIVE, SLOT_CHAIN_NEXT, SLOT_CHAIN_OPEN, SLOT_COMPOUND, SLOT_CQE_FLAGS, SLOT_EDGES, SLOT_ENDED,
  SLOT_FLAGS, SLOT_HOLDS,
  SLOT_INTERNAL, SLOT_PENDING, SLOT_RES, SLOT_SQE, SLOT_STATE, SLOT_TIMEOUT,
} from '../../layout/ring';
import { TRACE_CANCEL, TRACE_END } from '../../layout/ring-trace';
import { SQE_CQ, SQE_EXTRA, SQE_USER_DATA } from '../../layout/sqe';
import { ECANCELED } from '../errno';
import { chainOf, forgetChain, releaseFollowers } from './chains';
import { leaveGroup } from './groups';
import { count, post, STAT_CANCELLED } from './posting';
import { queueAt } from './queues';
import { giveSlot, handleOf, slotAt } from './slots';
import { trace } from './trace';

/** `broken`: those linked to it do not go on. */
export function end(ring: usize, slot: usize, res: i32, broken: bool): void {
  store<u32>(slot, SLOT_ENDED, SLOT_STATE);
  store<i32>(slot, res, SLOT_RES);
  trace(ring, TRACE_END, load<u64>(slot, SLOT_SQE + SQE_USER_DATA), res, <u32>broken, handleOf(slot));
  // What was cancelled while those before it still run lets go only once they have ended: a finaliser behind it must not overtake them.
  if (load<u32>(slot, SLOT_EDGES) != 0 && load<u32>(slot, SLOT_PENDING) == 0) releaseFollowers(ring, slot, broken);
  leaveGroup(ring, slot);
  const head = chainOf(ring, slot);
  if (head == slot && load<u32>(slot, SLOT_CHAIN_NEXT) == 0 && load<u32>(slot, SLOT_CHAIN_OPEN) == 0 && load<u32>(slot, SLOT_HOLDS) == 0) {
    // Alone, as most are.
    giveSlot(ring, slot);
    return;
  }
  store<u32>(head, load<u32>(head, SLOT_CHAIN_LIVE) - 1, SLOT_CHAIN_LIVE);
  store<u32>(head, load<u32>(head, SLOT_CHAIN_ENDED) + 1, SLOT_CHAIN_ENDED);
  forgetChain(ring, head);
}

// @ts-ignore: decorator
@inline
export function isFinal(slot: usize): bool {
  return (load<u8>(slot, SLOT_SQE + SQE_EXTRA) & RING_FINALLY) != 0;
}

/** Ends a request that the kernel has never had, with a negative errno. */
export function endUnissued(ring: usize, slot: usize, res: i32): void {
  const userData = load<u64>(slot, SLOT_SQE + SQE_USER_DATA);
  store<u32>(slot, load<u32>(slot, SLOT_FLAGS) | SLOT_COMPOUND, SLOT_FLAGS);
  store<u32>(slot, <u32>-res, SLOT_CANCELLED);
  store<u32>(slot, 0, SLOT_CQE_FLAGS);
  count(ring, STAT_CANCELLED);
  trace(ring, TRACE_CANCEL, userData, res, 0, handleOf(slot));
  const quiet = RING_HIDDEN | (res == <i32>ECANCELED ? RING_QUIET_CANCEL : 0);
  if ((load<u8>(slot, SLOT_SQE + SQE_EXTRA) & quiet) == 0 && (load<u32>(slot, SLOT_FLAGS) & SLOT_INTERNAL) == 0) {
    const queue = queueAt(ring, load<u16>(slot, SLOT_SQE + SQE_CQ));
    post(ring, queue != 0 ? queue : queueAt(ring, 0), userData, res, 0, false);
  }
  const timeout = load<u32>(slot, SLOT_TIMEOUT);
  store<u32>(slot, 0, SLOT_TIMEOUT);
  end(ring, slot, res, true);
  if (timeout != 0) endUnissued(ring, slotAt(ring, timeout), <i32>ECANCELED);
}
