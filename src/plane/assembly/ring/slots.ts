// Slots: requests by index, with a generation that tells a handle of an earlier request in the same slot. Indices in memory are index + 1, 0: none.
import {
  RING_EDGE_FREE, RING_EDGE_SIZE, RING_EDGES, RING_SLOT_FREE, RING_SLOT_SIZE, RING_SLOTS, RING_SLOTS_USED, SLOT_EDGES,
  SLOT_FREE, SLOT_GENERATION, SLOT_NEXT, SLOT_NUMBER, SLOT_RES, SLOT_STATE, EDGE_NEXT,
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
  return load<u32>(slot, SLOT_NUMBER);
}

/** What programs and the kernel call the request. */
export function handleOf(ring: usize, slot: usize): u64 {
  return (<u64>load<u32>(slot, SLOT_GENERATION) << 32) | <u64>(numberOf(ring, slot) - 1);
}

/** The slot of a handle, 0 if its request is no more. */
export function slotOfHandle(ring: usize, handle: u64, count: u32): usize {
  const index = <u32>handle;
  if (index >= count) return 0;
  const slot = slotAt(ring, index + 1);
  return load<u32>(slot, SLOT_GENERATION) == <u32>(handle >> 32) && load<u32>(slot, SLOT_STATE) != SLOT_FREE ? slot : 0;
}

/** A slot whose words behind the SQE are zero, but for its generation; 0 if none is free. */
export function takeSlot(ring: usize): usize {
  const number = load<u32>(ring, RING_SLOT_FREE);
  if (number == 0) return 0;
  const slot = slotAt(ring, number);
  store<u32>(ring, load<u32>(slot, SLOT_NEXT), RING_SLOT_FREE);
  store<u32>(ring, load<u32>(ring, RING_SLOTS_USED) + 1, RING_SLOTS_USED);
  // What is behind the generation: 88 bytes.
  clear64(slot + SLOT_RES);
  store<u64>(slot, 0, SLOT_RES + 64);
  store<u64>(slot, 0, SLOT_RES + 72);
  store<u64>(slot, 0, SLOT_RES + 80);
  return slot;
}

export function giveSlot(ring: usize, slot: usize): void {
  store<u32>(slot, SLOT_FREE, SLOT_STATE);
  // 31 bits, as handles are positive and a set sign bit marks messages of other rings.
  const generation = (load<u32>(slot, SLOT_GENERATION) + 1) & 0x7fff_ffff;
  store<u32>(slot, generation == 0 ? 1 : generation, SLOT_GENERATION);
  store<u32>(slot, load<u32>(ring, RING_SLOT_FREE), SLOT_NEXT);
  store<u32>(ring, numberOf(ring, slot), RING_SLOT_FREE);
  store<u32>(ring, load<u32>(ring, RING_SLOTS_USED) - 1, RING_SLOTS_USED);
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
