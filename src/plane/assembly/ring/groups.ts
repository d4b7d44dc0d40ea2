// Groups: requests that follow each other without being linked. In a serial group one chain goes after the other; in a parallel one, and among all requests
// without a group (group 0), only a drain waits for those before it and holds up those behind.
import {
  RING_GROUP_COUNT, RING_GROUP_DRAINING, RING_GROUP_FIRST, RING_GROUP_LIVE, RING_GROUP_PARALLEL, RING_GROUP_SIZE, RING_GROUPS,
  RING_START_FIRST, SLOT_CHAIN_NEXT, SLOT_GROUP, SLOT_GROUPED, SLOT_PENDING, SLOT_SQE, SLOT_STATE, SLOT_WAITS,
} from '../../layout/ring';
import { IOSQE_IO_DRAIN, SQE_FLAGS, SQE_GROUP } from '../../layout/sqe';
import { NO_GROUP } from './chains';
import { appendSlot, numberOf, shiftSlot, slotAt } from './slots';

// @ts-ignore: decorator
@inline
export function groupAt(ring: usize, index: u32): usize {
  return <usize>load<u32>(ring, RING_GROUPS) + <usize>index * RING_GROUP_SIZE;
}

export function isGroup(ring: usize, index: u32): bool {
  return index < load<u32>(ring, RING_GROUP_COUNT);
}

function drains(head: usize): bool {
  return (<u32>load<u8>(head, SLOT_SQE + SQE_FLAGS) & IOSQE_IO_DRAIN) != 0;
}

function mayEnter(group: usize, index: u32, head: usize): bool {
  if (load<u32>(group, RING_GROUP_DRAINING) != 0) return false;
  if (load<u32>(group, RING_GROUP_LIVE) == 0) return true;
  return !drains(head) && (index == 0 || load<u32>(group, RING_GROUP_PARALLEL) != 0);
}

/** One more request of a chain that is in already. */
export function joinGroup(ring: usize, slot: usize, index: u32): void {
  const group = groupAt(ring, index);
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) + 1, RING_GROUP_LIVE);
  store<u32>(slot, index, SLOT_GROUP);
  if (load<u32>(slot, SLOT_PENDING) == 0) appendSlot(ring, ring + RING_START_FIRST, slot);
}

function enter(ring: usize, index: u32, head: usize): void {
  if (drains(head)) store<u32>(groupAt(ring, index), 1, RING_GROUP_DRAINING);
  store<u32>(head, SLOT_WAITS, SLOT_STATE);
  let number = numberOf(ring, head);
  while (number != 0) {
    const member = slotAt(ring, number);
    if (load<u32>(member, SLOT_GROUP) == NO_GROUP && load<u32>(member, SLOT_STATE) == SLOT_WAITS) joinGroup(ring, member, index);
    number = load<u32>(member, SLOT_CHAIN_NEXT);
  }
}

/** Lets a request in that is alone in its chain and waits for nothing, if its group would at once; false: `admit` it. */
export function enterAlone(ring: usize, slot: usize): bool {
  const index = <u32>load<u16>(slot, SLOT_SQE + SQE_GROUP);
  const group = groupAt(ring, index);
  if (load<u32>(group, RING_GROUP_FIRST) != 0 || !mayEnter(group, index, slot)) return false;
  if (drains(slot)) store<u32>(group, 1, RING_GROUP_DRAINING);
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) + 1, RING_GROUP_LIVE);
  store<u32>(slot, index, SLOT_GROUP);
  return true;
}

/** Lets a chain go on, or keeps it until its group does. */
export function admit(ring: usize, head: usize): void {
  const index = <u32>load<u16>(head, SLOT_SQE + SQE_GROUP);
  const group = groupAt(ring, index);
  if (load<u32>(group, RING_GROUP_FIRST) == 0 && mayEnter(group, index, head)) {
    enter(ring, index, head);
    return;
  }
  store<u32>(head, SLOT_GROUPED, SLOT_STATE);
  appendSlot(ring, group + RING_GROUP_FIRST, head);
}

/** A request of the group has ended, or a chain that waited for it has gone: those behind may go on. */
export function pumpGroup(ring: usize, index: u32): void {
  const group = groupAt(ring, index);
  if (load<u32>(group, RING_GROUP_LIVE) == 0) store<u32>(group, 0, RING_GROUP_DRAINING);
  let first = load<u32>(group, RING_GROUP_FIRST);
  while (first != 0 && mayEnter(group, index, slotAt(ring, first))) {
    enter(ring, index, shiftSlot(ring, group + RING_GROUP_FIRST));
    first = load<u32>(group, RING_GROUP_FIRST);
  }
}

export function leaveGroup(ring: usize, slot: usize): void {
  const index = load<u32>(slot, SLOT_GROUP);
  if (index == NO_GROUP) return;
  store<u32>(slot, NO_GROUP, SLOT_GROUP);
  const group = groupAt(ring, index);
  store<u32>(group, load<u32>(group, RING_GROUP_LIVE) - 1, RING_GROUP_LIVE);
  if (load<u32>(group, RING_GROUP_FIRST) != 0 || load<u32>(group, RING_GROUP_DRAINING) != 0) pumpGroup(ring, index);
}
