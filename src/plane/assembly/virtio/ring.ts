// Split virtqueues from the device's side (virtio 1.3, 2.7): chains are taken, checked, and given back. The driver may write any of it at any time: each field is
// read once, and what was read is what is checked and used.
import {
  VQ_AVAIL, VQ_CHAINS, VQ_CHAIN_COUNT, VQ_DESC, VQ_ENTRIES, VQ_ERROR, VQ_ERROR_ADDRESS, VQ_ERROR_CHAIN, VQ_ERROR_DESCRIPTOR, VQ_ERROR_DIRECTION,
  VQ_ERROR_INDEX, VQ_EVENT_IDX, VQ_FLAGS, VQ_MAX_CHAINS, VQ_MAX_SEGMENTS, VQ_MEMORY, VQ_NEXT, VQ_SEGMENTS, VQ_SEGMENT_COUNT, VQ_SIGNALLED,
  VQ_UNSIGNALLED, VQ_USED, VQ_USED_NEXT, VQ_WRITABLE_FROM,
} from '../../layout/virtio';
import { guest_physical } from './memory';

const DESC_SIZE: usize = 16;
const DESC_LENGTH: usize = 8;
const DESC_FLAGS: usize = 12;
const DESC_NEXT: usize = 14;
const NEXT: u32 = 1;
const WRITE: u32 = 2;
const INDIRECT: u32 = 4;
const RING: usize = 4;
/** VIRTQ_AVAIL_F_NO_INTERRUPT. */
const NO_INTERRUPT: u32 = 1;
/** Besides 0 and WRITE: what the device may only read comes first, what it may write behind it. */
const BOTH: u32 = 1;

/** The queue stands still from here on. */
export function fail(queue: usize, error: u32): bool {
  store<u32>(queue, error, VQ_ERROR);
  return false;
}

/** Forgets what was taken. */
@inline export function takeNothing(queue: usize): void {
  store<u64>(queue, 0, VQ_SEGMENT_COUNT);
}

@inline export function chainCount(queue: usize): u32 {
  return load<u32>(queue, VQ_CHAIN_COUNT);
}

// Adds the segments of a list of descriptors; an indirect one goes on in a table of its own, once.
function walk(queue: usize, table: usize, entries: u32, first: u32, writable: u32, direct: bool): bool {
  let index = first;
  for (let steps: u32 = 0; steps < entries; steps++) {
    if (index >= entries) return fail(queue, VQ_ERROR_DESCRIPTOR);
    const descriptor = table + <usize>index * DESC_SIZE;
    const address = load<u64>(descriptor);
    const length = load<u32>(descriptor + DESC_LENGTH);
    const flags = <u32>load<u16>(descriptor + DESC_FLAGS);
    const next = <u32>load<u16>(descriptor + DESC_NEXT);
    if ((flags & INDIRECT) != 0) {
      // Not within a table, and not with another behind it (2.7.5.3.1).
      if (!direct || (flags & NEXT) != 0) return fail(queue, VQ_ERROR_CHAIN);
      const inner = length / <u32>DESC_SIZE;
      if (inner == 0 || length % <u32>DESC_SIZE != 0) return fail(queue, VQ_ERROR_CHAIN);
      const at = guest_physical(load<u32>(queue, VQ_MEMORY), address, length);
      if (at == 0) return fail(queue, VQ_ERROR_ADDRESS);
      return walk(queue, at, inner, 0, writable, false);
    }
    const count = load<u32>(queue, VQ_SEGMENT_COUNT);
    if (writable != BOTH) {
      if ((flags & WRITE) != writable) return fail(queue, VQ_ERROR_DIRECTION);
    } else if ((flags & WRITE) == 0) {
      if (load<u32>(queue, VQ_WRITABLE_FROM) != count) return fail(queue, VQ_ERROR_DIRECTION);
      store<u32>(queue, count + 1, VQ_WRITABLE_FROM);
    }
    if (count == VQ_MAX_SEGMENTS) return fail(queue, VQ_ERROR_CHAIN);
    const at = guest_physical(load<u32>(queue, VQ_MEMORY), address, length);
    if (at == 0 && length != 0) return fail(queue, VQ_ERROR_ADDRESS);
    const segment = queue + VQ_SEGMENTS + (<usize>count << 3);
    store<u32>(segment, <u32>at);
    store<u32>(segment, length, 4);
    store<u32>(queue, count + 1, VQ_SEGMENT_COUNT);
    if ((flags & NEXT) == 0) return true;
    index = next;
  }
  return fail(queue, VQ_ERROR_CHAIN);
}

/**
 * Takes the next chain behind those taken before, all of whose buffers the device may write (or only read). False: none is available, as many as can be are taken, or the
 * driver broke the rules (VQ_ERROR).
 */
export function take(queue: usize, writable: bool): bool {
  return next(queue, writable ? WRITE : 0);
}

/** Takes one chain of both directions. */
export function virtq_take(queue: usize): bool {
  takeNothing(queue);
  store<u32>(queue, 0, VQ_WRITABLE_FROM);
  return next(queue, BOTH);
}

/** Gives the chain that was taken back, of which so many bytes were written. */
export function virtq_give(queue: usize, written: u32): void {
  complete(queue, 0, written);
  publish(queue);
}

function next(queue: usize, writable: u32): bool {
  const entries = load<u32>(queue, VQ_ENTRIES);
  if (entries == 0 || load<u32>(queue, VQ_ERROR) != 0) return false;
  const chains = load<u32>(queue, VQ_CHAIN_COUNT);
  const place = load<u32>(queue, VQ_NEXT) + chains;
  const avail = <usize>load<u32>(queue, VQ_AVAIL);
  const ready = (<u32>atomic.load<u16>(avail, 2) - place) & 0xffff;
  if (ready == 0 || chains == VQ_MAX_CHAINS) return false;
  if (ready > entries) return fail(queue, VQ_ERROR_INDEX);
  const head = <u32>load<u16>(avail + RING + (<usize>(place & (entries - 1)) << 1));
  const chain = queue + VQ_CHAINS + (<usize>chains << 3);
  store<u32>(chain, head);
  store<u32>(chain, load<u32>(queue, VQ_SEGMENT_COUNT), 4);
  if (!walk(queue, load<u32>(queue, VQ_DESC), entries, head, writable, true)) return false;
  store<u32>(queue, chains + 1, VQ_CHAIN_COUNT);
  return true;
}

/** Bytes of the segments from number `first` on. */
export function capacity(queue: usize, first: u32): u64 {
  const end = load<u32>(queue, VQ_SEGMENT_COUNT);
  let sum: u64 = 0;
  for (let at = first; at < end; at++) sum += load<u32>(queue + VQ_SEGMENTS + (<usize>at << 3), 4);
  return sum;
}

/** Number of the first segment behind chain `index`. */
@inline export function segmentsEnd(queue: usize, index: u32): u32 {
  return index + 1 < chainCount(queue) ? load<u32>(queue + VQ_CHAINS + (<usize>(index + 1) << 3), 4) : load<u32>(queue, VQ_SEGMENT_COUNT);
}

/** Writes the used element of chain `index`, of which `written` bytes were; the driver sees it with `publish`. */
export function complete(queue: usize, index: u32, written: u32): void {
  const entries = load<u32>(queue, VQ_ENTRIES);
  const place = (load<u32>(queue, VQ_USED_NEXT) + index) & (entries - 1);
  const element = <usize>load<u32>(queue, VQ_USED) + RING + (<usize>place << 3);
  store<u32>(element, load<u32>(queue + VQ_CHAINS + (<usize>index << 3)));
  store<u32>(element, written, 4);
}

/** Gives all chains that were taken back to the driver. */
export function publish(queue: usize): void {
  const chains = chainCount(queue);
  const used = (load<u32>(queue, VQ_USED_NEXT) + chains) & 0xffff;
  store<u32>(queue, used, VQ_USED_NEXT);
  store<u32>(queue, (load<u32>(queue, VQ_NEXT) + chains) & 0xffff, VQ_NEXT);
  // Sequentially consistent: what was written before is there, and what the driver wants is read after it.
  atomic.store<u16>(<usize>load<u32>(queue, VQ_USED), <u16>used, 2);
  store<u32>(queue, 1, VQ_UNSIGNALLED);
  takeNothing(queue);
}

/** Whether the driver wants a signal for what was published since the last one; asked once. */
export function virtq_signal(queue: usize): bool {
  if (load<u32>(queue, VQ_UNSIGNALLED) == 0) return false;
  store<u32>(queue, 0, VQ_UNSIGNALLED);
  const used = load<u32>(queue, VQ_USED_NEXT);
  const before = load<u32>(queue, VQ_SIGNALLED);
  store<u32>(queue, used, VQ_SIGNALLED);
  const avail = <usize>load<u32>(queue, VQ_AVAIL);
  if ((load<u32>(queue, VQ_FLAGS) & VQ_EVENT_IDX) == 0) return (<u32>atomic.load<u16>(avail) & NO_INTERRUPT) == 0;
  const event = <u32>atomic.load<u16>(avail + RING + (<usize>load<u32>(queue, VQ_ENTRIES) << 1));
  return ((used - event - 1) & 0xffff) < ((used - before) & 0xffff);
}

/** Asks the driver for a kick at its next buffer. False: one is there already, and nobody will kick for it. */
export function virtq_await(queue: usize): bool {
  const entries = load<u32>(queue, VQ_ENTRIES);
  if (entries == 0 || load<u32>(queue, VQ_ERROR) != 0) return true;
  const next = load<u32>(queue, VQ_NEXT);
  const used = <usize>load<u32>(queue, VQ_USED);
  if ((load<u32>(queue, VQ_FLAGS) & VQ_EVENT_IDX) != 0) atomic.store<u16>(used + RING + (<usize>entries << 3), <u16>next);
  else atomic.store<u16>(used, 0);
  return <u32>atomic.load<u16>(<usize>load<u32>(queue, VQ_AVAIL), 2) == (next & 0xffff);
}
