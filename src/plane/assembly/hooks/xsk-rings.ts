// The rings of an AF_XDP socket, mapped into this memory, and the chunks of its UMEM. Facts from Documentation/networking/af_xdp.rst.
import { XDP_FRAME_SIZE } from '../../layout/frame';
import {
  XDP_DESC_ADDRESS, XDP_DESC_LENGTH, XDP_DESC_OPTIONS, XDP_DESC_SIZE, XSK_COMPLETION, XSK_FILL, XSK_FREE, XSK_FREE_COUNT, XSK_RING_CONSUMER,
  XSK_RING_ENTRIES, XSK_RING_MASK, XSK_RING_PRODUCER, XSK_SPARE, XSK_SPARE_COUNT, XSK_SPARE_FROM, XSK_TX, XSK_UMEM,
} from '../../layout/xsk';

const CHUNK_MASK: u32 = ~(<u32>XDP_FRAME_SIZE - 1);

/** Entries that the kernel has produced for us and we have not consumed. */
@inline export function ready(ring: usize): u32 {
  return atomic.load<u32>(load<u32>(ring, XSK_RING_PRODUCER)) - load<u32>(load<u32>(ring, XSK_RING_CONSUMER));
}

/** Entries that we have produced and the kernel has not consumed. */
@inline export function unconsumed(ring: usize): u32 {
  return load<u32>(load<u32>(ring, XSK_RING_PRODUCER)) - atomic.load<u32>(load<u32>(ring, XSK_RING_CONSUMER));
}

@inline export function room(ring: usize): u32 {
  return load<u32>(ring, XSK_RING_MASK) + 1 - unconsumed(ring);
}

@inline export function count(xsk: usize, counter: usize): void {
  store<u64>(xsk + counter, load<u64>(xsk + counter) + 1);
}

/** Gives a chunk back to those that it is one of. */
@inline export function release(xsk: usize, chunk: u32): void {
  if (chunk >= load<u32>(xsk, XSK_SPARE_FROM)) return release_spare(xsk, chunk);
  const free = load<u32>(xsk, XSK_FREE_COUNT);
  store<u32>(<usize>load<u32>(xsk, XSK_FREE) + ((<usize>free) << 2), chunk);
  store<u32>(xsk, free + 1, XSK_FREE_COUNT);
}

function release_spare(xsk: usize, chunk: u32): void {
  const spare = load<u32>(xsk, XSK_SPARE_COUNT);
  store<u32>(<usize>load<u32>(xsk, XSK_SPARE) + ((<usize>spare) << 2), chunk);
  store<u32>(xsk, spare + 1, XSK_SPARE_COUNT);
}

/** A chunk that was not received, u32.MAX_VALUE: there is none now. */
export function xsk_take_spare(xsk: usize): u32 {
  const spare = load<u32>(xsk, XSK_SPARE_COUNT);
  if (spare == 0) return u32.MAX_VALUE;
  store<u32>(xsk, spare - 1, XSK_SPARE_COUNT);
  return load<u32>(<usize>load<u32>(xsk, XSK_SPARE) + ((<usize>spare - 1) << 2));
}

/** Takes frames back that the kernel has sent, from the completion ring of `from` to the free frames of `xsk`. */
export function reclaim(xsk: usize, from: usize): void {
  const ring = from + XSK_COMPLETION;
  const waiting = ready(ring);
  if (waiting == 0) return;
  const entries: usize = load<u32>(ring, XSK_RING_ENTRIES);
  const mask = load<u32>(ring, XSK_RING_MASK);
  const consumer: usize = load<u32>(ring, XSK_RING_CONSUMER);
  const start = load<u32>(consumer);
  for (let i: u32 = 0; i < waiting; i++) {
    release(xsk, <u32>load<u64>(entries + ((<usize>((start + i) & mask)) << 3)) & CHUNK_MASK);
  }
  atomic.store<u32>(consumer, start + waiting);
}

/** Gives all free frames that the fill ring has room for to the kernel. */
export function refill(xsk: usize): void {
  const ring = xsk + XSK_FILL;
  const free = load<u32>(xsk, XSK_FREE_COUNT);
  const given = min<u32>(free, room(ring));
  if (given == 0) return;
  const entries: usize = load<u32>(ring, XSK_RING_ENTRIES);
  const mask = load<u32>(ring, XSK_RING_MASK);
  const producer: usize = load<u32>(ring, XSK_RING_PRODUCER);
  const start = load<u32>(producer);
  const stack: usize = load<u32>(xsk, XSK_FREE);
  for (let i: u32 = 0; i < given; i++) {
    const chunk: u64 = load<u32>(stack + ((<usize>(free - 1 - i)) << 2));
    store<u64>(entries + ((<usize>((start + i) & mask)) << 3), chunk);
  }
  store<u32>(xsk, free - given, XSK_FREE_COUNT);
  atomic.store<u32>(producer, start + given);
}

/** Puts `length` bytes at `offset` of the UMEM into the TX ring of `through`, with xdp_desc.options; false if that is full. */
export function transmit(through: usize, offset: u32, length: u32, options: u32): bool {
  const ring = through + XSK_TX;
  if (room(ring) == 0) return false;
  const producer: usize = load<u32>(ring, XSK_RING_PRODUCER);
  const at = load<u32>(producer);
  const entry = <usize>load<u32>(ring, XSK_RING_ENTRIES) + <usize>(at & load<u32>(ring, XSK_RING_MASK)) * XDP_DESC_SIZE;
  store<u64>(entry, <u64>offset, XDP_DESC_ADDRESS);
  store<u32>(entry, length, XDP_DESC_LENGTH);
  store<u32>(entry, options, XDP_DESC_OPTIONS);
  atomic.store<u32>(producer, at + 1);
  return true;
}

/**
 * Copies `length` bytes into a free frame and puts it into the TX ring. False: there is no frame or no place in the ring; sendto(2) and the kernel make some. A
 * frame longer than a chunk is the caller's mistake.
 */
export function xsk_send(xsk: usize, from: usize, length: u32): bool {
  if (load<u32>(xsk, XSK_FREE_COUNT) == 0) reclaim(xsk, xsk);
  const free = load<u32>(xsk, XSK_FREE_COUNT);
  if (free == 0 || length > <u32>XDP_FRAME_SIZE) return false;
  const chunk = load<u32>(<usize>load<u32>(xsk, XSK_FREE) + ((<usize>(free - 1)) << 2));
  memory.copy(<usize>load<u32>(xsk, XSK_UMEM) + <usize>chunk, from, length);
  if (!transmit(xsk, chunk, length, 0)) return false;
  store<u32>(xsk, free - 1, XSK_FREE_COUNT);
  return true;
}
