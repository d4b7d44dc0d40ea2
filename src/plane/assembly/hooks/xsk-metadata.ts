// Metadata in front of packets of AF_XDP: on the way in the bytes that a program in the kernel left there, and a seal that says how many; on the way out
// struct xsk_tx_metadata. Facts: Documentation/networking/xsk-tx-metadata.rst, net/xdp/xsk.c.
import {
  FRAME_DATA, FRAME_DATA_META, FRAME_HARD_START, FRAME_HINTS, FRAME_HINT_HASH, FRAME_HINT_HASH_TYPE, FRAME_HINT_TIMESTAMP, FRAME_HINT_VLAN, FRAME_TRAITS,
  FRAME_TRAITS_EPOCH, FRAME_TRAITS_SIDE, HINTS_DRIVER, XDP_FRAME_RESERVED,
} from '../../layout/frame';
import { ROOT, ROOT_TRAIT_PLACEMENT, TRAIT_TABLE } from '../../layout/memory';
import { TRAITS_FRONT, TRAITS_META, TRAITS_META_TAKEN, TRAITS_PRESENT, TRAIT_TABLE_EPOCH } from '../../layout/trait';
import {
  TX_METADATA_CSUM_OFFSET, TX_METADATA_CSUM_START, TX_METADATA_FLAGS, TX_METADATA_LAUNCH_TIME, XDP_TXMD_FLAGS_CHECKSUM, XDP_TX_METADATA, XSK_CHECKSUMS,
  XSK_HINTS_HASH, XSK_HINTS_HASH_TYPE, XSK_HINTS_KNOWN, XSK_HINTS_SIZE, XSK_HINTS_TIMESTAMP, XSK_HINTS_VLAN, XSK_META_FIXED, XSK_META_LOST, XSK_META_READ,
  XSK_META_TRAITS, XSK_SEAL_HINTS, XSK_SEAL_LENGTH, XSK_SEAL_LOST, XSK_SEAL_MAGIC, XSK_SEAL_SIZE, XSK_TX_METADATA,
} from '../../layout/xsk';
import { header_size } from '../traits/codes';
import { trait_layout } from '../traits/areas';
import { count } from './xsk-rings';

/** Sets a received frame's metadata, traits and hints by what lies before its data; `mode` is XSK_METADATA. */
export function read_metadata(xsk: usize, frame: usize, mode: u32): void {
  const data: usize = load<u32>(frame, FRAME_DATA);
  const kind = mode & 0xff;
  if (kind == XSK_META_FIXED) {
    store<u32>(frame, <u32>data - (mode >>> 8), FRAME_DATA_META);
    store<u32>(frame, TRAITS_META_TAKEN, FRAME_TRAITS);
    count(xsk, XSK_META_READ);
    return;
  }
  const seal = data - XSK_SEAL_SIZE;
  if (load<u32>(seal, 4) != XSK_SEAL_MAGIC) return;
  // The chunk comes again, perhaps with a packet that nobody has sealed.
  store<u32>(seal, 0, 4);
  const word = load<u32>(seal);
  if ((word & XSK_SEAL_LOST) != 0) count(xsk, XSK_META_LOST);
  let end = seal;
  if ((word & XSK_SEAL_HINTS) != 0) {
    end -= XSK_HINTS_SIZE;
    read_hints(frame, end);
  }
  const length: usize = word & XSK_SEAL_LENGTH;
  const first = <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED;
  if (length == 0 || (length & 3) != 0 || end < first + length) return;
  count(xsk, XSK_META_READ);
  if (kind != XSK_META_TRAITS) {
    move_up(end - length, data - length, length);
    store<u32>(frame, <u32>(data - length), FRAME_DATA_META);
    store<u32>(frame, TRAITS_META_TAKEN, FRAME_TRAITS);
  } else if (length >= <usize>header_size(trait_layout())) take_traits(frame, end - length, length);
}

/** Traits that lie in [from, from + length) become the frame's, where the runtime's placement has them. */
function take_traits(frame: usize, from: usize, length: usize): void {
  const where = load<u32>(ROOT, ROOT_TRAIT_PLACEMENT);
  if (where == TRAITS_META) {
    const to = <usize>load<u32>(frame, FRAME_DATA) - length;
    move_up(from, to, length);
    store<u32>(frame, <u32>to, FRAME_DATA_META);
  } else if (where == TRAITS_FRONT) {
    move_down(from, <usize>load<u32>(frame, FRAME_HARD_START) + XDP_FRAME_RESERVED, length);
  } else {
    const side: usize = load<u32>(frame, FRAME_TRAITS_SIDE);
    if (side == 0) return;
    move_down(from, side, length);
  }
  store<u32>(frame, TRAITS_PRESENT, FRAME_TRAITS);
  // They came by now: keys that were freed before mean nothing to whoever set them.
  store<u32>(frame, load<u32>(TRAIT_TABLE, TRAIT_TABLE_EPOCH), FRAME_TRAITS_EPOCH);
}

/** Word by word: memory.copy costs more than that for so few. */
function move_up(from: usize, to: usize, length: usize): void {
  for (let at = length; at != 0; at -= 4) store<u32>(to + at - 4, load<u32>(from + at - 4));
}

function move_down(from: usize, to: usize, length: usize): void {
  for (let at: usize = 0; at < length; at += 4) store<u32>(to + at, load<u32>(from + at));
}

function read_hints(frame: usize, from: usize): void {
  store<u64>(frame, load<u64>(from, XSK_HINTS_TIMESTAMP), FRAME_HINT_TIMESTAMP);
  store<u32>(frame, load<u32>(from, XSK_HINTS_HASH), FRAME_HINT_HASH);
  store<u32>(frame, load<u32>(from, XSK_HINTS_HASH_TYPE), FRAME_HINT_HASH_TYPE);
  store<u32>(frame, load<u32>(from, XSK_HINTS_VLAN), FRAME_HINT_VLAN);
  store<u32>(frame, (load<u32>(from, XSK_HINTS_KNOWN) & 7) | HINTS_DRIVER, FRAME_HINTS);
}

const ETH_P_IP: u32 = 0x0008;
const ETH_P_IPV6: u32 = 0xdd86;
const ETH_P_8021Q: u32 = 0x0081;
const ETH_P_8021AD: u32 = 0xa888;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;

/**
 * Asks the kernel (or the device) for the checksum of a TCP or UDP packet: the pseudo header's sum in its place, and where it is. xdp_desc.options; 0
 * where the packet has none to fill in: others, fragments, IPv6 with extension headers, UDP over IPv4 without a checksum.
 */
export function request_checksum(xsk: usize, data: usize, end: usize): u32 {
  let at = data + 12;
  if (at + 2 > end) return 0;
  let type: u32 = load<u16>(at);
  for (let tags = 0; tags < 2 && (type == ETH_P_8021Q || type == ETH_P_8021AD); tags++) {
    at += 4;
    if (at + 2 > end) return 0;
    type = load<u16>(at);
  }
  at += 2;
  let protocol: u32;
  let sum: u32;
  let transport: usize;
  let length: u32;
  if (type == ETH_P_IP) {
    if (at + 20 > end) return 0;
    transport = at + (<usize>(load<u8>(at) & 15) << 2);
    if ((load<u16>(at, 6) & 0xff3f) != 0 || transport < at + 20) return 0;
    protocol = load<u8>(at, 9);
    length = big(at + 2) - <u32>(transport - at);
    sum = sum_of(at + 12, 8);
  } else if (type == ETH_P_IPV6) {
    if (at + 40 > end) return 0;
    transport = at + 40;
    protocol = load<u8>(at, 6);
    length = big(at + 4);
    sum = sum_of(at + 8, 32);
  } else return 0;
  const offset: u32 = protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 0;
  if (offset == 0 || transport + offset + 2 > end || <usize>length > end - transport) return 0;
  if (protocol == IPPROTO_UDP && type == ETH_P_IP && load<u16>(transport, 6) == 0) return 0;
  sum += protocol + (length >>> 16) + (length & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  store<u16>(transport + offset, swap(sum));
  write_request(data - load<u32>(xsk, XSK_TX_METADATA), <u32>(transport - data), offset);
  count(xsk, XSK_CHECKSUMS);
  return XDP_TX_METADATA;
}

function write_request(at: usize, start: u32, offset: u32): void {
  store<u64>(at, XDP_TXMD_FLAGS_CHECKSUM, TX_METADATA_FLAGS);
  store<u16>(at, <u16>start, TX_METADATA_CSUM_START);
  store<u16>(at, <u16>offset, TX_METADATA_CSUM_OFFSET);
  store<u32>(at, 0, TX_METADATA_CSUM_OFFSET + 2);
  store<u64>(at, 0, TX_METADATA_LAUNCH_TIME);
}

@inline function swap(value: u32): u16 {
  return <u16>((value << 8) | ((value >>> 8) & 0xff));
}

@inline function big(at: usize): u32 {
  return <u32>swap(load<u16>(at));
}

/** Of big-endian u16s. */
function sum_of(at: usize, bytes: usize): u32 {
  let sum: u32 = 0;
  for (let i: usize = 0; i < bytes; i += 2) sum += big(at + i);
  return sum;
}
