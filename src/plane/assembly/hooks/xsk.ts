// XDP programs over AF_XDP: frames from the RX ring through the program to the TX ring, or back to the fill ring. The rings are the
// kernel's, mapped into this memory; system calls (poll, sendto) are the caller's. Facts from Documentation/networking/af_xdp.rst.
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_DATA_META, FRAME_DESCRIPTOR_SIZE, FRAME_EGRESS_IFINDEX, FRAME_HARD_START, FRAME_HINTS, FRAME_PACKET_ID, FRAME_TRAITS, FRAME_TRAITS_SIDE,
  FRAME_INGRESS_IFINDEX, FRAME_REDIRECT_INDEX, FRAME_REDIRECT_MAP, FRAME_RX_QUEUE_INDEX, FRAME_SIZE_TOTAL, FRAME_TIMESTAMP,
  FRAME_VERDICT, FRAME_WIRE_LENGTH, XDP_FRAME_SIZE,
} from '../../layout/frame';
import {
  XDP_DESC_ADDRESS, XDP_DESC_LENGTH, XDP_DESC_OPTIONS, XDP_DESC_SIZE, XSK_BATCH, XSK_BYTES, XSK_COMPLETION, XSK_COUNT, XSK_FILL,
  XSK_FRAMES, XSK_FREE, XSK_FREE_COUNT, XSK_IFINDEX, XSK_PACKETS, XSK_PASSED_ON, XSK_PASS_TO, XSK_QUEUE, XSK_RING_CONSUMER,
  XSK_RING_ENTRIES, XSK_RING_MASK, XSK_RING_PRODUCER, XSK_RX, XSK_SENT, XSK_TX, XSK_TX_FULL, XSK_UMEM, XSK_UNREACHABLE,
  XSK_VERDICTS, XSK_VERDICT_COUNT,
} from '../../layout/xsk';
import { xdp_run_batch } from './xdp';

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;
const BATCH: u32 = XSK_BATCH;
const CHUNK_MASK: u32 = ~(<u32>XDP_FRAME_SIZE - 1);

/** Entries that the kernel has produced for us and we have not consumed. */
@inline function ready(ring: usize): u32 {
  return atomic.load<u32>(load<u32>(ring, XSK_RING_PRODUCER)) - load<u32>(load<u32>(ring, XSK_RING_CONSUMER));
}

/** Entries that we have produced and the kernel has not consumed. */
@inline function unconsumed(ring: usize): u32 {
  return load<u32>(load<u32>(ring, XSK_RING_PRODUCER)) - atomic.load<u32>(load<u32>(ring, XSK_RING_CONSUMER));
}

@inline function room(ring: usize): u32 {
  return load<u32>(ring, XSK_RING_MASK) + 1 - unconsumed(ring);
}

@inline function count(xsk: usize, counter: usize): void {
  store<u64>(xsk + counter, load<u64>(xsk + counter) + 1);
}

@inline function release(xsk: usize, chunk: u32): void {
  const free = load<u32>(xsk, XSK_FREE_COUNT);
  store<u32>(<usize>load<u32>(xsk, XSK_FREE) + ((<usize>free) << 2), chunk);
  store<u32>(xsk, free + 1, XSK_FREE_COUNT);
}

/** Takes frames back that the kernel has sent, from the completion ring of `from` to the free frames of `xsk`. */
function reclaim(xsk: usize, from: usize): void {
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
function refill(xsk: usize): void {
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

/** Puts a frame into the TX ring of `through`; false if that is full. */
function transmit(umem: u32, through: usize, frame: usize): bool {
  const ring = through + XSK_TX;
  if (room(ring) == 0) return false;
  const producer: usize = load<u32>(ring, XSK_RING_PRODUCER);
  const at = load<u32>(producer);
  const entry = <usize>load<u32>(ring, XSK_RING_ENTRIES) + <usize>(at & load<u32>(ring, XSK_RING_MASK)) * XDP_DESC_SIZE;
  const data = load<u32>(frame, FRAME_DATA);
  store<u64>(entry, <u64>(data - umem), XDP_DESC_ADDRESS);
  store<u32>(entry, load<u32>(frame, FRAME_DATA_END) - data, XDP_DESC_LENGTH);
  store<u32>(entry, 0, XDP_DESC_OPTIONS);
  atomic.store<u32>(producer, at + 1);
  return true;
}

/** Makes frame descriptors of what has arrived, at most XSK_BATCH; returns their number. Every fetch is followed by a dispose. */
export function xsk_fetch(xsk: usize): u32 {
  reclaim(xsk, xsk);
  const pass: usize = load<u32>(xsk, XSK_PASS_TO);
  if (pass != 0) reclaim(xsk, pass);
  refill(xsk);
  const ring = xsk + XSK_RX;
  const taken = min<u32>(ready(ring), BATCH);
  if (taken == 0) return 0;
  const entries: usize = load<u32>(ring, XSK_RING_ENTRIES);
  const mask = load<u32>(ring, XSK_RING_MASK);
  const consumer: usize = load<u32>(ring, XSK_RING_CONSUMER);
  const start = load<u32>(consumer);
  const umem = load<u32>(xsk, XSK_UMEM);
  const ifindex = load<u32>(xsk, XSK_IFINDEX);
  const queue = load<u32>(xsk, XSK_QUEUE);
  let frame: usize = load<u32>(xsk, XSK_FRAMES);
  let bytes: u64 = 0;
  for (let i: u32 = 0; i < taken; i++) {
    const entry = entries + <usize>((start + i) & mask) * XDP_DESC_SIZE;
    const offset = <u32>load<u64>(entry, XDP_DESC_ADDRESS);
    const length = load<u32>(entry, XDP_DESC_LENGTH);
    const data = umem + offset;
    store<u32>(frame, data, FRAME_DATA);
    store<u32>(frame, data + length, FRAME_DATA_END);
    store<u32>(frame, data, FRAME_DATA_META);
    store<u32>(frame, ifindex, FRAME_INGRESS_IFINDEX);
    store<u32>(frame, queue, FRAME_RX_QUEUE_INDEX);
    store<u32>(frame, 0, FRAME_EGRESS_IFINDEX);
    store<u32>(frame, umem + (offset & CHUNK_MASK), FRAME_HARD_START);
    store<u32>(frame, XDP_FRAME_SIZE, FRAME_SIZE_TOTAL);
    // XDP_ABORTED: what a frame is whose program was stopped.
    store<u32>(frame, 0, FRAME_VERDICT);
    store<u64>(frame, 0, FRAME_TIMESTAMP);
    store<u32>(frame, length, FRAME_WIRE_LENGTH);
    store<u32>(frame, 0, FRAME_HINTS);
    store<u32>(frame, 0, FRAME_TRAITS);
    store<u32>(frame, 0, FRAME_TRAITS_SIDE);
    store<u64>(frame, 0, FRAME_PACKET_ID);
    frame += FRAME_DESCRIPTOR_SIZE;
    bytes += length;
  }
  atomic.store<u32>(consumer, start + taken);
  store<u32>(xsk, taken, XSK_COUNT);
  store<u64>(xsk, load<u64>(xsk, XSK_PACKETS) + taken, XSK_PACKETS);
  store<u64>(xsk, load<u64>(xsk, XSK_BYTES) + bytes, XSK_BYTES);
  return taken;
}

/** Does with the fetched frames what their verdicts say, and gives what is free to the kernel. */
export function xsk_dispose(xsk: usize): void {
  const umem = load<u32>(xsk, XSK_UMEM);
  const pass: usize = load<u32>(xsk, XSK_PASS_TO);
  const frames = load<u32>(xsk, XSK_COUNT);
  let frame: usize = load<u32>(xsk, XSK_FRAMES);
  for (let i: u32 = 0; i < frames; i++) {
    const verdict = load<u32>(frame, FRAME_VERDICT);
    count(xsk, <usize>XSK_VERDICTS + (<usize>min<u32>(verdict, XSK_VERDICT_COUNT - 1) << 3));
    let through: usize = 0;
    if (verdict == XDP_TX) {
      through = xsk;
    } else if (verdict == XDP_PASS) {
      through = pass;
    } else if (verdict == XDP_REDIRECT) {
      const home = load<u32>(frame, FRAME_REDIRECT_MAP) == 0
        && load<u32>(frame, FRAME_REDIRECT_INDEX) == load<u32>(xsk, XSK_IFINDEX);
      if (home) through = xsk;
      else count(xsk, XSK_UNREACHABLE);
    }
    if (through == 0) {
      release(xsk, (load<u32>(frame, FRAME_HARD_START) - umem));
    } else if (transmit(umem, through, frame)) {
      count(xsk, through == xsk ? XSK_SENT : XSK_PASSED_ON);
    } else {
      count(xsk, XSK_TX_FULL);
      release(xsk, (load<u32>(frame, FRAME_HARD_START) - umem));
    }
    frame += FRAME_DESCRIPTOR_SIZE;
  }
  store<u32>(xsk, 0, XSK_COUNT);
  refill(xsk);
}

/** Frames in the TX ring that the kernel has not taken yet: sendto(2) makes it. */
export function xsk_unsent(xsk: usize): u32 {
  return unconsumed(xsk + XSK_TX);
}

/**
 * Fetches, runs and disposes until nothing is waiting, `limit` packets are reached, or a TX ring could not take another batch. Returns
 * the number of packets.
 */
export function xsk_run(xsk: usize, entry: u32, limit: u32): u32 {
  const pass: usize = load<u32>(xsk, XSK_PASS_TO);
  const frames: usize = load<u32>(xsk, XSK_FRAMES);
  let done: u32 = 0;
  while (done < limit) {
    const taken = xsk_fetch(xsk);
    if (taken == 0) break;
    xdp_run_batch(entry, frames, taken);
    xsk_dispose(xsk);
    done += taken;
    if (room(xsk + XSK_TX) < BATCH || (pass != 0 && room(pass + XSK_TX) < BATCH)) break;
  }
  return done;
}
