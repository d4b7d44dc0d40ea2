// XDP programs over AF_XDP: frames from the RX ring through the program to a TX ring, or back to the fill ring. System calls (poll, sendto) are
// the caller's.
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_DATA_META, FRAME_DESCRIPTOR_SIZE, FRAME_EGRESS_IFINDEX, FRAME_HARD_START, FRAME_HINTS, FRAME_PACKET_ID, FRAME_TRAITS, FRAME_TRAITS_EPOCH, FRAME_TRAITS_SIDE,
  FRAME_INGRESS_IFINDEX, FRAME_RX_QUEUE_INDEX, FRAME_SIZE_TOTAL, FRAME_TIMESTAMP, FRAME_VERDICT, FRAME_WIRE_LENGTH, XDP_FRAME_SIZE,
} from '../../layout/frame';
import { TRAIT_TABLE } from '../../layout/memory';
import { TRAITS_SIDE_SIZE, TRAIT_TABLE_EPOCH } from '../../layout/trait';
import {
  XDP_DESC_ADDRESS, XDP_DESC_LENGTH, XDP_DESC_SIZE, XSK_BATCH, XSK_BYTES, XSK_COUNT, XSK_FRAMES, XSK_IFINDEX, XSK_METADATA, XSK_PACKETS,
  XSK_PASSED_ON, XSK_PASS_TO, XSK_QUEUE, XSK_RING_CONSUMER, XSK_RING_ENTRIES, XSK_RING_MASK, XSK_RX, XSK_SENT, XSK_SIDES, XSK_TX, XSK_TX_FULL,
  XSK_TX_METADATA, XSK_UMEM, XSK_VERDICTS, XSK_VERDICT_COUNT,
} from '../../layout/xsk';
import { xdp_run_batch } from './xdp';
import { read_metadata, request_checksum } from './xsk-metadata';
import { count, ready, reclaim, refill, release, room, transmit, unconsumed } from './xsk-rings';
import { reclaim_targets, redirect_frame, xsk_wanted } from './xsk-targets';

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;
const BATCH: u32 = XSK_BATCH;
const CHUNK_MASK: u32 = ~(<u32>XDP_FRAME_SIZE - 1);

/** Sends a frame, whose chunk belongs to the kernel then, or gives its chunk back. `counter`: where a sent one is counted. */
export function send_frame(xsk: usize, through: usize, frame: usize, counter: usize): void {
  const umem = load<u32>(xsk, XSK_UMEM);
  const data = load<u32>(frame, FRAME_DATA);
  const options = load<u32>(xsk, XSK_TX_METADATA) == 0 ? 0 : request_checksum(xsk, data, load<u32>(frame, FRAME_DATA_END));
  if (transmit(through, data - umem, load<u32>(frame, FRAME_DATA_END) - data, options)) {
    count(xsk, counter);
  } else {
    count(xsk, XSK_TX_FULL);
    release(xsk, load<u32>(frame, FRAME_HARD_START) - umem);
  }
}

/** Makes frame descriptors of what has arrived, at most XSK_BATCH; returns their number. Every fetch is followed by a dispose. */
export function xsk_fetch(xsk: usize): u32 {
  reclaim(xsk, xsk);
  const pass: usize = load<u32>(xsk, XSK_PASS_TO);
  if (pass != 0) reclaim(xsk, pass);
  reclaim_targets(xsk);
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
  const metadata = load<u32>(xsk, XSK_METADATA);
  let side = load<u32>(xsk, XSK_SIDES);
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
    store<u32>(frame, side, FRAME_TRAITS_SIDE);
    store<u32>(frame, load<u32>(TRAIT_TABLE, TRAIT_TABLE_EPOCH), FRAME_TRAITS_EPOCH);
    store<u64>(frame, 0, FRAME_PACKET_ID);
    if (side != 0) side += TRAITS_SIDE_SIZE;
    if (metadata != 0) read_metadata(xsk, frame, metadata);
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
    if (verdict == XDP_TX) send_frame(xsk, xsk, frame, XSK_SENT);
    else if (verdict == XDP_PASS && pass != 0) send_frame(xsk, pass, frame, XSK_PASSED_ON);
    else if (verdict == XDP_REDIRECT) redirect_frame(xsk, frame);
    else release(xsk, load<u32>(frame, FRAME_HARD_START) - umem);
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
 * Fetches, runs and disposes until nothing is waiting, `limit` packets are reached, a TX ring could not take another batch, or a batch has a redirect to
 * an interface without a target (xsk_wanted): that batch is not disposed. Returns the number of packets.
 */
export function xsk_run(xsk: usize, entry: u32, limit: u32): u32 {
  const pass: usize = load<u32>(xsk, XSK_PASS_TO);
  const frames: usize = load<u32>(xsk, XSK_FRAMES);
  let done: u32 = 0;
  while (done < limit) {
    const taken = xsk_fetch(xsk);
    if (taken == 0) break;
    xdp_run_batch(entry, frames, taken);
    done += taken;
    if (xsk_wanted(xsk) != 0) break;
    xsk_dispose(xsk);
    if (room(xsk + XSK_TX) < BATCH || (pass != 0 && room(pass + XSK_TX) < BATCH)) break;
  }
  return done;
}
