// Room in an sk_buff: head, tail, the space between link and network header, and translation between IP versions. net/core/filter.c.
import {
  SKB_DATA, SKB_ENCAPSULATION, SKB_GSO_SEGS, SKB_GSO_SIZE, SKB_GSO_TYPE, SKB_LEN, SKB_MAC_HEADER, SKB_MAC_LEN, SKB_MAX_LENGTH,
  SKB_NETWORK_HEADER, SKB_PROTOCOL, SKB_TRANSPORT_HEADER,
} from '../../layout/skb';
import { EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP } from '../errno';
import {
  clearHash, ETH_P_IP, ETH_P_IPV6, macHeaderLength, makeRoom, moveData, networkOffset, resetChecksum, setEnd, skbData,
} from '../hooks/skb-buffer';

const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const ETH_HLEN: u32 = 14;

const ADJ_ROOM_NET: u32 = 0;
const ADJ_ROOM_MAC: u32 = 1;
const FIXED_GSO: u64 = 1 << 0;
const ENCAP_L3_IPV4: u64 = 1 << 1;
const ENCAP_L3_IPV6: u64 = 1 << 2;
const ENCAP_L4_GRE: u64 = 1 << 3;
const ENCAP_L4_UDP: u64 = 1 << 4;
const NO_CSUM_RESET: u64 = 1 << 5;
const ENCAP_L2_ETH: u64 = 1 << 6;
const DECAP_L3_IPV4: u64 = 1 << 7;
const DECAP_L3_IPV6: u64 = 1 << 8;
const ENCAP_L2_SHIFT: u64 = 56;
const ENCAP_L2_MASK: u64 = 0xff;
const ENCAP_L3: u64 = ENCAP_L3_IPV4 | ENCAP_L3_IPV6;
const DECAP_L3: u64 = DECAP_L3_IPV4 | DECAP_L3_IPV6;
const ADJ_ROOM_FLAGS: u64 =
  FIXED_GSO | ENCAP_L3 | ENCAP_L4_GRE | ENCAP_L4_UDP | ENCAP_L2_ETH | (ENCAP_L2_MASK << ENCAP_L2_SHIFT) | DECAP_L3 | NO_CSUM_RESET;

const GSO_DODGY: u32 = 1 << 1;
const GSO_TCPV4: u32 = 1 << 0;
const GSO_TCPV6: u32 = 1 << 4;
const GSO_UDP_L4: u32 = 1 << 17;

@inline function isGso(skb: usize): bool {
  return load<u32>(skb, SKB_GSO_SIZE) != 0;
}

export function bpf_skb_change_tail(ctx: u64, size: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  const to = <u32>size;
  let least: i32 = max<i32>(networkOffset(skb), 0);
  const transport = load<u32>(skb, SKB_TRANSPORT_HEADER);
  if (transport != 0) {
    const offset = <i32>(transport - load<u32>(skb, SKB_DATA));
    if (offset > 0) least = offset;
  }
  if (flags != 0 || to > <u32>SKB_MAX_LENGTH || to < <u32>least) return EINVAL;
  if (load<u32>(skb, SKB_ENCAPSULATION) != 0) return ENOTSUPP;
  const from = load<u32>(skb, SKB_LEN);
  if (to > from) {
    if (!makeRoom(skb, 0, to - from)) return ENOMEM;
    memory.fill(skbData(skb) + <usize>from, 0, <usize>(to - from));
  }
  setEnd(skb, to);
  if (isGso(skb)) {
    store<u32>(skb, 0, SKB_GSO_SIZE);
    store<u32>(skb, 0, SKB_GSO_SEGS);
    store<u32>(skb, 0, SKB_GSO_TYPE);
  }
  return 0;
}

export function bpf_skb_change_head(ctx: u64, size: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  const room = <u32>size;
  const length = load<u32>(skb, SKB_LEN);
  const to = length + room;
  if (flags != 0 || <i32>room < 0 || (!isGso(skb) && to > <u32>SKB_MAX_LENGTH) || to < length) return EINVAL;
  if (!makeRoom(skb, room, 0)) return ENOMEM;
  moveData(skb, -<i32>room);
  memory.fill(skbData(skb), 0, <usize>room);
  store<u32>(skb, load<u32>(skb, SKB_DATA), SKB_MAC_HEADER);
  store<u32>(skb, macHeaderLength(skb), SKB_MAC_LEN);
  return 0;
}

// Puts `size` zeros after the first `at` bytes; link and network header move down with those.
function pushHeader(skb: usize, at: u32, size: u32): bool {
  if (!makeRoom(skb, size, at)) return false;
  const together = load<u32>(skb, SKB_TRANSPORT_HEADER) == load<u32>(skb, SKB_NETWORK_HEADER);
  moveData(skb, -<i32>size);
  const data = skbData(skb);
  // A packet may be shorter than its headers ought to be: Linux gives what lies behind it, this gives zeros.
  const moved = min<u32>(at, load<u32>(skb, SKB_LEN) - size);
  memory.copy(data, data + <usize>size, <usize>moved);
  memory.fill(data + <usize>moved, 0, <usize>(at + size - moved));
  moveHeaders(skb, -<i32>size, together);
  return true;
}

// Takes `size` bytes out after the first `at`.
function popHeader(skb: usize, at: u32, size: u32): bool {
  if (<u64>at + <u64>size > <u64>load<u32>(skb, SKB_LEN)) return false;
  const together = load<u32>(skb, SKB_TRANSPORT_HEADER) == load<u32>(skb, SKB_NETWORK_HEADER);
  const data = skbData(skb);
  moveData(skb, <i32>size);
  memory.copy(data + <usize>size, data, <usize>at);
  moveHeaders(skb, <i32>size, together);
  return true;
}

function moveHeaders(skb: usize, distance: i32, together: bool): void {
  store<u32>(skb, load<u32>(skb, SKB_MAC_HEADER) + <u32>distance, SKB_MAC_HEADER);
  store<u32>(skb, load<u32>(skb, SKB_NETWORK_HEADER) + <u32>distance, SKB_NETWORK_HEADER);
  if (together) store<u32>(skb, load<u32>(skb, SKB_NETWORK_HEADER), SKB_TRANSPORT_HEADER);
}

export function bpf_skb_change_proto(ctx: u64, proto: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  if (flags != 0) return EINVAL;
  const from = load<u32>(skb, SKB_PROTOCOL);
  const to = <u32>proto & 0xffff;
  const difference = IPV6_HEADER - IPV4_HEADER;
  let gained: u32;
  let lost: u32;
  if (from == ETH_P_IP && to == ETH_P_IPV6) {
    if (!pushHeader(skb, macHeaderLength(skb), difference)) return ENOMEM;
    lost = GSO_TCPV4;
    gained = GSO_TCPV6;
  } else if (from == ETH_P_IPV6 && to == ETH_P_IP) {
    if (!popHeader(skb, macHeaderLength(skb), difference)) return ENOMEM;
    lost = GSO_TCPV6;
    gained = GSO_TCPV4;
  } else {
    return ENOTSUPP;
  }
  if (isGso(skb)) {
    let type = load<u32>(skb, SKB_GSO_TYPE);
    if ((type & lost) != 0) type = (type & ~lost) | gained;
    store<u32>(skb, type | GSO_DODGY, SKB_GSO_TYPE);
  }
  store<u32>(skb, to, SKB_PROTOCOL);
  clearHash(skb);
  return 0;
}

@inline function baseLength(skb: usize): u32 {
  return load<u32>(skb, SKB_PROTOCOL) == ETH_P_IP ? IPV4_HEADER : IPV6_HEADER;
}

// GSO packets that are not TCP: only of UDP, and only with FIXED_GSO.
@inline function refusesGso(skb: usize, flags: u64): bool {
  if (!isGso(skb)) return false;
  const type = load<u32>(skb, SKB_GSO_TYPE);
  if ((type & (GSO_TCPV4 | GSO_TCPV6)) != 0) return false;
  return (type & GSO_UDP_L4) == 0 || (flags & FIXED_GSO) == 0;
}

function grow(skb: usize, at: u32, size: u32, flags: u64): i64 {
  if (refusesGso(skb, flags)) return ENOTSUPP;
  if (!makeRoom(skb, size, 0)) return ENOMEM;
  const encapsulates = (flags & ENCAP_L3) != 0;
  const protocol = load<u32>(skb, SKB_PROTOCOL);
  const innerMac = <u32>(flags >> ENCAP_L2_SHIFT);
  if (encapsulates) {
    if ((flags & ENCAP_L3) == ENCAP_L3) return EINVAL;
    if ((flags & (ENCAP_L4_GRE | ENCAP_L4_UDP)) == (ENCAP_L4_GRE | ENCAP_L4_UDP)) return EINVAL;
    if ((flags & ENCAP_L2_ETH) != 0 && innerMac < ETH_HLEN) return EINVAL;
    if (load<u32>(skb, SKB_ENCAPSULATION) != 0) return EALREADY;
    if (innerMac > size) return EINVAL;
  }
  const macLength = macHeaderLength(skb);
  if (!pushHeader(skb, at, size)) return ENOMEM;
  if (encapsulates) {
    store<u32>(skb, 1, SKB_ENCAPSULATION);
    store<u32>(skb, load<u32>(skb, SKB_DATA) + macLength, SKB_NETWORK_HEADER);
    if ((flags & (ENCAP_L4_GRE | ENCAP_L4_UDP)) != 0) {
      const header = (flags & ENCAP_L3_IPV6) != 0 ? IPV6_HEADER : IPV4_HEADER;
      store<u32>(skb, load<u32>(skb, SKB_DATA) + macLength + header, SKB_TRANSPORT_HEADER);
    }
    if (protocol == ETH_P_IP && (flags & ENCAP_L3_IPV6) != 0) store<u32>(skb, ETH_P_IPV6, SKB_PROTOCOL);
    else if (protocol == ETH_P_IPV6 && (flags & ENCAP_L3_IPV4) != 0) store<u32>(skb, ETH_P_IP, SKB_PROTOCOL);
  }
  return 0;
}

function shrink(skb: usize, at: u32, size: u32, flags: u64): i64 {
  if ((flags & ~(FIXED_GSO | DECAP_L3 | NO_CSUM_RESET)) != 0) return EINVAL;
  if (refusesGso(skb, flags)) return ENOTSUPP;
  if (!popHeader(skb, at, size)) return ENOMEM;
  const protocol = load<u32>(skb, SKB_PROTOCOL);
  if (protocol == ETH_P_IP && (flags & DECAP_L3_IPV6) != 0) store<u32>(skb, ETH_P_IPV6, SKB_PROTOCOL);
  else if (protocol == ETH_P_IPV6 && (flags & DECAP_L3_IPV4) != 0) store<u32>(skb, ETH_P_IP, SKB_PROTOCOL);
  return 0;
}

export function bpf_skb_adjust_room(ctx: u64, difference: u64, mode: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  const by = <i32>difference;
  const size = <u32>(by < 0 ? -by : by);
  if ((flags & ~ADJ_ROOM_FLAGS) != 0) return EINVAL;
  if (size > 0xfff) return EFAULT;
  const protocol = load<u32>(skb, SKB_PROTOCOL);
  if (protocol != ETH_P_IP && protocol != ETH_P_IPV6) return ENOTSUPP;
  let at = macHeaderLength(skb);
  if (<u32>mode == ADJ_ROOM_NET) at += baseLength(skb);
  else if (<u32>mode != ADJ_ROOM_MAC) return ENOTSUPP;
  let least = baseLength(skb);
  if ((flags & DECAP_L3) != 0) {
    if (by >= 0 || (flags & DECAP_L3) == DECAP_L3) return EINVAL;
    least = (flags & DECAP_L3_IPV4) != 0 ? IPV4_HEADER : IPV6_HEADER;
  }
  const length = load<u32>(skb, SKB_LEN);
  const current = length - <u32>networkOffset(skb);
  if (by < 0) {
    if (size >= current || current - size < least) return ENOTSUPP;
  } else if (length + size > <u32>SKB_MAX_LENGTH && !isGso(skb)) {
    return ENOTSUPP;
  }
  const result = by < 0 ? shrink(skb, at, size, flags) : grow(skb, at, size, flags);
  if (result == 0 && (flags & NO_CSUM_RESET) == 0) resetChecksum(skb);
  return result;
}
