// Slots: requests by index, with a generation that tells a handle of an earlier request in the same slot. Indices in memory are index + 1, 0: none.
import {
  EDGE_NEXT, RING_EDGE_FREE, RING_EDGE_SIZE, RING_EDGES, RING_SLOT_COUNT, RING_SLOT_SIZE, RING_SLOT_STACK, RING_SLOTS, RING_SLOTS_USED, SLOT_CHAIN,
  SLOT_CHAIN_LAST, SLOT_EDGES, SLOT_FLAGS, SLOT_FREE, SLOT_INDEX, SLOT_NEXT, SLOT_STATE,
} from '../../layout/ring';
import { clear64 } from './copying';

// @ts-ignore: decorator
@inline
export function slotAt(ring: usize, number: u32): usize {
  return <usize>load<u32>(ring, RING_SLOTS) + <usize>(number - 1) * RING_SLOT_SIZE;
}

// @ts-ignore: decorator
@inline
export function numberOf(ring: usize, slot: usize): u32 {
  return load<u32>(slot, SLOT_INDEX) + 1;
}

/** What programs and the kernel call the request. */
// @ts-ignore: decorator
@inline
export function handleOf(slot: usize): u64 {
  return load<u64>(slot, SLOT_INDEX);
}

/** The slot of a handle, 0 if its request is no more. */
export function slotOfHandle(ring: usize, handle: u64, count: u32): usize {
  const index = <u32>handle;
  if (index >= count) return 0;
  const slot = slotAt(ring, index + 1);
  return handleOf(slot) == handle && load<u32>(slot, SLOT_STATE) != SLOT_FREE ? slot : 0;
}

/** A slot whose compound words are those of a request that is alone; 0 if none is free. The caller writes the others. */
// @ts-ignore: decorator
@inline
export function takeSlot(ring: usize): usize {
  const used = load<u32>(ring, RING_SLOTS_USED);
  if (used == load<u32>(ring, RING_SLOT_COUNT)) return 0;
  store<u32>(ring, used + 1, RING_SLOTS_USED);
  return <usize>load<u32>(<usize>load<u32>(ring, RING_SLOT_STACK) + <usize>used * 4);
}

/** What is written of a slot's third line is that of a request alone in its chain. */
export function makeAlone(slot: usize): void {
  const number = <u64>(load<u32>(slot, SLOT_INDEX) + 1);
  clear64(slot + SLOT_CHAIN);
  store<u64>(slot, number, SLOT_CHAIN);
  store<u64>(slot, number | (<u64>1 << 32), SLOT_CHAIN_LAST);
}

const GENERATION: u64 = 0x1_0000_0000;

// @ts-ignore: decorator
@inline
export function giveSlot(ring: usize, slot: usize): void {
  if (load<u32>(slot, SLOT_FLAGS) != 0) makeAlone(slot);
  // 31 bits, as handles are positive and a set sign bit marks messages of other rings. Written whole, as the next request reads it whole, soon.
  const next = (handleOf(slot) + GENERATION) & 0x7fff_ffff_ffff_ffff;
  store<u64>(slot, next < GENERATION ? next + GENERATION : next, SLOT_INDEX);
  store<u64>(slot, SLOT_FREE, SLOT_STATE);
  const used = load<u32>(ring, RING_SLOTS_USED) - 1;
  store<u32>(ring, used, RING_SLOTS_USED);
  store<u32>(<usize>load<u32>(ring, RING_SLOT_STACK) + <usize>used * 4, <u32>slot);
}

// @ts-ignore: decorator
@inline
export function edgeAt(ring: usize, number: u32): usize {
  return <usize>load<u32>(ring, RING_EDGES) + <usize>(number - 1) * RING_EDGE_SIZE;
}

/** Number of an edge, 0 if there is none left. */
export function takeEdge(ring: usize): u32 {
  const number = load<u32>(ring, RING_EDGE_FREE);
  if (number != 0) store<u32>(ring, load<u32>(edgeAt(ring, number), EDGE_NEXT), RING_EDGE_FREE);
  return number;
}

/** Gives back the edges of a request. */
export function giveEdges(ring: usize, slot: usize): void {
  const first = load<u32>(slot, SLOT_EDGES);
  if (first == 0) return;
  let edge = edgeAt(ring, first);
  while (load<u32>(edge, EDGE_NEXT) != 0) edge = edgeAt(ring, load<u32>(edge, EDGE_NEXT));
  store<u32>(edge, load<u32>(ring, RING_EDGE_FREE), EDGE_NEXT);
  store<u32>(ring, first, RING_EDGE_FREE);
  store<u32>(slot, 0, SLOT_EDGES);
}

/** Lists of slots: `first` is the address of the number of the first, the number of the last stands behind it. */
export function appendSlot(ring: usize, first: usize, slot: usize): void {
  const number = numberOf(ring, slot);
  store<u32>(slot, 0, SLOT_NEXT);
  const last = load<u32>(first, 4);
  if (last == 0) store<u32>(first, number);
  else store<u32>(slotAt(ring, last), number, SLOT_NEXT);
  store<u32>(first, number, 4);
}

/** Takes the first out, 0 if the list is empty. */
export function shiftSlot(ring: usize, first: usize): usize {
  const number = load<u32>(first);
  if (number == 0) return 0;
  const slot = slotAt(ring, number);
  const next = load<u32>(slot, SLOT_NEXT);
  store<u32>(first, next);
  if (next == 0) store<u32>(first, 0, 4);
  return slot;
}

/** Takes a slot out of the middle: cancellation, which is rare. */
export function removeSlot(ring: usize, first: usize, slot: usize): void {
  const number = numberOf(ring, slot);
  const next = load<u32>(slot, SLOT_NEXT);
  let before: u32 = 0;
  let at = load<u32>(first);
  while (at != 0 && at != number) {
    before = at;
    at = load<u32>(slotAt(ring, at), SLOT_NEXT);
  }
  if (at == 0) return;
  if (before == 0) store<u32>(first, next);
  else store<u32>(slotAt(ring, before), next, SLOT_NEXT);
  if (next == 0) store<u32>(first, before, 4);
}
