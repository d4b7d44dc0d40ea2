// Packets of a queue in the forms that consumers take many at once: struct mmsghdr for sendmmsg(2), blocks of a pcapng file, frames of an AF_XDP socket, frame records.
import {
  STEER_FRAME_DATA, STEER_FRAME_HASH, STEER_FRAME_HEADER, STEER_FRAME_LENGTH, STEER_FRAME_QUEUE, STEER_FRAME_REPORT, STEER_FRAME_SIZE,
} from '../../layout/steering';
import {
  TAP_BASE, TAP_BUFFER_COUNT, TAP_BUFFER_SIZE, TAP_BUFFERS, TAP_ENTRY_BUFFER, TAP_ENTRY_HASH, TAP_ENTRY_LENGTH, TAP_ENTRY_REPORT, TAP_ENTRY_SIZE, TAP_ENTRY_START, TAP_HEADER_SIZE,
  TAP_QUEUE_ENTRIES, TAP_QUEUE_HEAD, TAP_QUEUE_SIZE, TAP_QUEUE_TAIL, TAP_QUEUES,
} from '../../layout/steering-tap';
import { xsk_send } from '../hooks/xsk-rings';

/** struct mmsghdr: struct msghdr (name, namelen, iov, iovlen, control, controllen, flags) and u32 length; struct iovec. x86-64 and arm64. */
const MMSGHDR: usize = 64;
const MSG_IOV: usize = 16;
const MSG_IOVLEN: usize = 24;
const IOVEC: usize = 16;

const ENHANCED_PACKET: u32 = 6;
/** Type, length, interface, time in two halves, captured length, wire length. */
const BLOCK_FIXED: usize = 28;
/** epb_hash (5 bytes: Toeplitz, then the hash in network order), epb_queue (u32), end of options, length again. */
const EPB_HASH: u32 = 3;
const EPB_QUEUE: u32 = 6;
const HASH_TOEPLITZ: u8 = 5;
const BLOCK_END: usize = 12 + 8 + 4 + 4;

@inline function queueOf(tap: usize, queue: u32): usize {
  return <usize>load<u32>(tap, TAP_QUEUES) + <usize>queue * TAP_QUEUE_SIZE;
}

@inline function entryOf(tap: usize, queue: usize, position: u32): usize {
  const mask = load<u32>(tap, TAP_BUFFER_COUNT) - 1;
  return <usize>load<u32>(queue, TAP_QUEUE_ENTRIES) + <usize>(position & mask) * TAP_ENTRY_SIZE;
}

@inline function packetAt(tap: usize, entry: usize): usize {
  return <usize>load<u32>(tap, TAP_BUFFERS) + <usize>load<u32>(entry, TAP_ENTRY_BUFFER) * load<u32>(tap, TAP_BUFFER_SIZE) + load<u16>(entry, TAP_ENTRY_START);
}

@inline function waiting(queue: usize, limit: u32): u32 {
  return min<u32>(load<u32>(queue, TAP_QUEUE_TAIL) - load<u32>(queue, TAP_QUEUE_HEAD), limit);
}

/** Writes struct mmsghdr of the queue's oldest packets, headers included, to `at`, and their struct iovec behind `limit` of them. Returns how many. */
export function tap_messages(tap: usize, index: u32, at: usize, limit: u32): u32 {
  const queue = queueOf(tap, index);
  const packets = waiting(queue, limit);
  const head = load<u32>(queue, TAP_QUEUE_HEAD);
  const base = load<u64>(tap, TAP_BASE);
  let vector = at + <usize>limit * MMSGHDR;
  for (let i: u32 = 0; i < packets; i++) {
    const entry = entryOf(tap, queue, head + i);
    for (let word: usize = 0; word < MMSGHDR; word += 8) store<u64>(at + word, 0);
    store<u64>(at, base + <u64>vector, MSG_IOV);
    store<u64>(at, 1, MSG_IOVLEN);
    store<u64>(vector, base + <u64>packetAt(tap, entry));
    store<u64>(vector, load<u32>(entry, TAP_ENTRY_LENGTH), 8);
    at += MMSGHDR;
    vector += IOVEC;
  }
  return packets;
}

/**
 * Writes enhanced packet blocks of the queue's oldest packets, as long as they fit into `room` bytes at `at`: hash and queue as options, no virtio header. `high`
 * and `low` are the time. Bytes in the lower half, packets in the upper one.
 */
export function tap_blocks(tap: usize, index: u32, at: usize, room: u32, high: u32, low: u32): u64 {
  const queue = queueOf(tap, index);
  const packets = waiting(queue, 0xffff_ffff);
  const head = load<u32>(queue, TAP_QUEUE_HEAD);
  const header: usize = load<u32>(tap, TAP_HEADER_SIZE);
  const start = at;
  let done: u32 = 0;
  for (; done < packets; done++) {
    const entry = entryOf(tap, queue, head + done);
    const length = load<u32>(entry, TAP_ENTRY_LENGTH) - <u32>header;
    const padded = (length + 3) & ~3;
    const size = <u32>(BLOCK_FIXED + BLOCK_END) + padded;
    if (<u32>(at - start) + size > room) break;
    store<u32>(at, ENHANCED_PACKET);
    store<u32>(at, size, 4);
    store<u32>(at, 0, 8);
    store<u32>(at, high, 12);
    store<u32>(at, low, 16);
    store<u32>(at, length, 20);
    store<u32>(at, length, 24);
    const data = at + BLOCK_FIXED;
    store<u32>(data + padded - 4, 0);
    memory.copy(data, packetAt(tap, entry) + header, length);
    let option = data + padded;
    if (load<u16>(entry, TAP_ENTRY_REPORT) != 0) {
      store<u32>(option, EPB_HASH | (5 << 16));
      store<u64>(option, <u64>HASH_TOEPLITZ | (<u64>bswap<u32>(load<u32>(entry, TAP_ENTRY_HASH)) << 8), 4);
      option += 12;
    }
    store<u32>(option, EPB_QUEUE | (4 << 16));
    store<u32>(option, index, 4);
    store<u32>(option, 0, 8);
    option += 12;
    const whole = <u32>(option - at) + 4;
    store<u32>(option, whole);
    store<u32>(at, whole, 4);
    at += whole;
  }
  return (<u64>done << 32) | <u64>(at - start);
}

/** Copies the queue's oldest packets, without their headers, into an AF_XDP socket's frames and its TX ring. Returns how many; the rest finds no room. */
export function tap_transmit(tap: usize, index: u32, xsk: usize): u32 {
  const queue = queueOf(tap, index);
  const packets = waiting(queue, 0xffff_ffff);
  const head = load<u32>(queue, TAP_QUEUE_HEAD);
  const header: usize = load<u32>(tap, TAP_HEADER_SIZE);
  let done: u32 = 0;
  for (; done < packets; done++) {
    const entry = entryOf(tap, queue, head + done);
    const length = load<u32>(entry, TAP_ENTRY_LENGTH) - <u32>header;
    if (!xsk_send(xsk, packetAt(tap, entry) + header, length)) break;
  }
  return done;
}

/** Writes frame records of the queue's oldest packets to `at`, at most `limit`, as they were steered. Returns how many. */
export function tap_frames(tap: usize, index: u32, at: usize, limit: u32): u32 {
  const queue = queueOf(tap, index);
  const packets = waiting(queue, limit);
  const head = load<u32>(queue, TAP_QUEUE_HEAD);
  const header = load<u32>(tap, TAP_HEADER_SIZE);
  for (let i: u32 = 0; i < packets; i++, at += STEER_FRAME_SIZE) {
    const entry = entryOf(tap, queue, head + i);
    const packet = <u32>packetAt(tap, entry);
    store<u32>(at, packet + header, STEER_FRAME_DATA);
    store<u32>(at, load<u32>(entry, TAP_ENTRY_LENGTH) - header, STEER_FRAME_LENGTH);
    store<u32>(at, packet, STEER_FRAME_HEADER);
    store<u32>(at, load<u32>(entry, TAP_ENTRY_HASH), STEER_FRAME_HASH);
    store<u16>(at, load<u16>(entry, TAP_ENTRY_REPORT), STEER_FRAME_REPORT);
    store<u16>(at, <u16>index, STEER_FRAME_QUEUE);
  }
  return packets;
}
