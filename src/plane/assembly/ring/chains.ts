// Requests that follow from each other: a chain is the set of requests that edges connect. Its slots stay until the last has ended, so that programs can
// read the results of all. An edge says when the request behind it goes on.
import {
  EDGE_NEXT, EDGE_POLICY, EDGE_TO, LINK_ALWAYS, LINK_EOF_OK, LINK_EXACT, LINK_MASK, LINK_PASS_FD, LINK_PASS_LENGTH,
  LINK_PASS_OFFSET, LINK_PROGRAM, LINK_RETRY_REST, LINK_SHORT_OK, RING_START_FIRST, SLOT_BROKEN, SLOT_CANCELLED, SLOT_CHAIN,
  SLOT_CHAIN_ENDED, SLOT_CHAIN_LAST, SLOT_CHAIN_LIVE, SLOT_CHAIN_NEXT, SLOT_CHAIN_OPEN, SLOT_COMPOUND, SLOT_DEPTH, SLOT_EDGES, SLOT_ENDED, SLOT_FLAGS, SLOT_GROUP,
  SLOT_HOLDS, SLOT_LEFT, SLOT_NEXT, SLOT_PENDING, SLOT_RES, SLOT_SQE, SLOT_STATE, SLOT_VECTOR_BYTES, SLOT_WAITS,
} from '../../layout/ring';
import { IOSQE_IO_HARDLINK, IOSQE_IO_LINK, SQE_FD, SQE_FLAGS, SQE_LEN, SQE_OFF, SQE_POLICY } from '../../layout/sqe';
import { ECANCELED } from '../errno';
import { copySqe } from './copying';
import { linkGoesOn } from './opcodes';
import { appendSlot, edgeAt, giveEdges, giveSlot, numberOf, slotAt, takeEdge, takeSlot } from './slots';

export const NO_GROUP: u32 = 0xffff_ffff;
export const LINKED: u32 = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;

/** A request, alone in its chain, that waits for its group; 0 if no slot is free. */
export function newRequest(ring: usize, sqe: usize, depth: u32): usize {
  const slot = takeSlot(ring);
  if (slot == 0) return 0;
  copySqe(slot + SLOT_SQE, sqe);
  store<u32>(slot, SLOT_WAITS, SLOT_STATE);
  store<u32>(slot, SLOT_COMPOUND, SLOT_FLAGS);
  store<u64>(slot, 0, SLOT_RES);
  store<u32>(slot, 0, SLOT_NEXT);
  store<u32>(slot, NO_GROUP, SLOT_GROUP);
  store<u32>(slot, depth, SLOT_DEPTH);
  return slot;
}

// @ts-ignore: decorator
@inline
export function chainOf(ring: usize, slot: usize): usize {
  return slotAt(ring, load<u32>(slot, SLOT_CHAIN));
}

/** Makes one chain of those of two requests. */
export function joinChains(ring: usize, slot: usize, other: usize): void {
  const head = chainOf(ring, slot);
  const gone = chainOf(ring, other);
  if (head == gone) return;
  const number = numberOf(ring, head);
  let member = numberOf(ring, gone);
  store<u32>(slotAt(ring, load<u32>(head, SLOT_CHAIN_LAST)), member, SLOT_CHAIN_NEXT);
  store<u32>(head, load<u32>(gone, SLOT_CHAIN_LAST), SLOT_CHAIN_LAST);
  store<u32>(head, load<u32>(head, SLOT_CHAIN_LIVE) + load<u32>(gone, SLOT_CHAIN_LIVE), SLOT_CHAIN_LIVE);
  store<u32>(head, load<u32>(head, SLOT_CHAIN_ENDED) + load<u32>(gone, SLOT_CHAIN_ENDED), SLOT_CHAIN_ENDED);
  store<u32>(head, load<u32>(head, SLOT_CHAIN_OPEN) | load<u32>(gone, SLOT_CHAIN_OPEN), SLOT_CHAIN_OPEN);
  store<u32>(head, load<u32>(head, SLOT_HOLDS) + load<u32>(gone, SLOT_HOLDS), SLOT_HOLDS);
  while (member != 0) {
    const at = slotAt(ring, member);
    store<u32>(at, number, SLOT_CHAIN);
    member = load<u32>(at, SLOT_CHAIN_NEXT);
  }
}

/** What the flags and the policy of a request say about the one behind it. */
export function policyOf(slot: usize): u32 {
  const policy = <u32>load<u8>(slot, SLOT_SQE + SQE_POLICY);
  if ((policy & LINK_MASK) != 0 || (<u32>load<u8>(slot, SLOT_SQE + SQE_FLAGS) & IOSQE_IO_HARDLINK) == 0) return policy;
  return policy | LINK_ALWAYS;
}

/** `to` waits for `from`; both must not have ended. False: no edge is left. */
export function connect(ring: usize, from: usize, to: usize, policy: u32): bool {
  const number = takeEdge(ring);
  if (number == 0) return false;
  const edge = edgeAt(ring, number);
  store<u32>(edge, numberOf(ring, to), EDGE_TO);
  store<u32>(edge, policy, EDGE_POLICY);
  store<u32>(edge, load<u32>(from, SLOT_EDGES), EDGE_NEXT);
  store<u32>(from, number, SLOT_EDGES);
  store<u32>(to, load<u32>(to, SLOT_PENDING) + 1, SLOT_PENDING);
  joinChains(ring, from, to);
  return true;
}

/** Takes the edge away; false if there is none. The request behind it goes on by itself once nothing holds it any more. */
export function disconnect(ring: usize, from: usize, to: usize): bool {
  const wanted = numberOf(ring, to);
  let before: usize = from + SLOT_EDGES;
  let number = load<u32>(before);
  while (number != 0) {
    const edge = edgeAt(ring, number);
    if (load<u32>(edge, EDGE_TO) == wanted) {
      store<u32>(before, load<u32>(edge, EDGE_NEXT));
      // As the only edge of a request it goes back to the free ones.
      store<u32>(edge, 0, EDGE_NEXT);
      const rest = load<u32>(from, SLOT_EDGES);
      store<u32>(from, number, SLOT_EDGES);
      giveEdges(ring, from);
      store<u32>(from, rest, SLOT_EDGES);
      release(ring, to);
      return true;
    }
    before = edge + EDGE_NEXT;
    number = load<u32>(before);
  }
  return false;
}

/** One less to wait for. Requests that their group has not let in yet are started by it; those that have been cancelled meanwhile let go of their followers. */
export function release(ring: usize, slot: usize): void {
  const pending = load<u32>(slot, SLOT_PENDING) - 1;
  store<u32>(slot, pending, SLOT_PENDING);
  if (pending != 0) return;
  const state = load<u32>(slot, SLOT_STATE);
  if (state == SLOT_WAITS) {
    if (load<u32>(slot, SLOT_GROUP) != NO_GROUP) appendSlot(ring, ring + RING_START_FIRST, slot);
  } else if (state == SLOT_ENDED && load<u32>(slot, SLOT_EDGES) != 0) releaseFollowers(ring, slot, true);
}

/** Whether the request behind an edge goes on after `res` of this one. */
function goesOn(slot: usize, res: i32, policy: u32, broken: bool): bool {
  switch (policy & LINK_MASK) {
    case LINK_ALWAYS:
      return load<u32>(slot, SLOT_CANCELLED) != <u32>-(<i32>ECANCELED);
    case LINK_PROGRAM:
      return !broken;
    case LINK_EXACT:
    case LINK_RETRY_REST:
      return !broken && res >= 0 && load<u32>(slot, SLOT_LEFT) == 0;
    case LINK_SHORT_OK:
    case LINK_EOF_OK:
      return !broken && res >= 0;
    default:
      return !broken && linkGoesOn(slot + SLOT_SQE, res, load<u32>(slot, SLOT_VECTOR_BYTES));
  }
}

/** Lets those go on that wait for a request that has ended. `broken`: they are to be cancelled, unless they go on whatever the result. */
export function releaseFollowers(ring: usize, slot: usize, broken: bool): void {
  let number = load<u32>(slot, SLOT_EDGES);
  if (number == 0) return;
  const res = load<i32>(slot, SLOT_RES);
  while (number != 0) {
    const edge = edgeAt(ring, number);
    const to = slotAt(ring, load<u32>(edge, EDGE_TO));
    const policy = load<u32>(edge, EDGE_POLICY);
    if (!goesOn(slot, res, policy, broken)) {
      store<u32>(to, load<u32>(to, SLOT_FLAGS) | SLOT_BROKEN, SLOT_FLAGS);
    } else if (res >= 0) {
      if ((policy & LINK_PASS_LENGTH) != 0) store<u32>(to, <u32>res, SLOT_SQE + SQE_LEN);
      if ((policy & LINK_PASS_OFFSET) != 0) store<u64>(to, load<u64>(to, SLOT_SQE + SQE_OFF) + <u64>res, SLOT_SQE + SQE_OFF);
      if ((policy & LINK_PASS_FD) != 0) store<i32>(to, res, SLOT_SQE + SQE_FD);
    }
    release(ring, to);
    number = load<u32>(edge, EDGE_NEXT);
  }
  giveEdges(ring, slot);
}

/** Gives the slots of a chain back once nothing of it lives and nobody holds it. */
export function forgetChain(ring: usize, head: usize): void {
  if (load<u32>(head, SLOT_CHAIN_LIVE) != 0 || load<u32>(head, SLOT_CHAIN_OPEN) != 0 || load<u32>(head, SLOT_HOLDS) != 0) return;
  let number = numberOf(ring, head);
  while (number != 0) {
    const slot = slotAt(ring, number);
    number = load<u32>(slot, SLOT_CHAIN_NEXT);
    giveSlot(ring, slot);
  }
}

/** The n-th request of a chain that has ended, in the order in which they joined it; 0 if there is none. */
export function endedMember(ring: usize, slot: usize, index: u32, ended: u32): usize {
  let number = load<u32>(slot, SLOT_CHAIN);
  let at: u32 = 0;
  while (number != 0) {
    const member = slotAt(ring, number);
    if (load<u32>(member, SLOT_STATE) == ended) {
      if (at == index) return member;
      at++;
    }
    number = load<u32>(member, SLOT_CHAIN_NEXT);
  }
  return 0;
}
