// Segments of one TCP flow become one sk_buff, as napi_gro_receive makes one of them: traits by the policy of their keys, metadata before the data only where all its bytes are
// equal. Facts: gro_list_prepare (net/core/gro.c), inet_gro_receive, tcp_gro_receive (net/ipv4), inet_gro_flush (include/net/gro.h).
import {
  END_MERGED, GRO_HELD_MAX, ITEM_CPU, ITEM_INTERFACE, ITEM_MERGED_INTO, ITEM_NETWORK, ITEM_PAYLOAD, ITEM_SEGMENTS, ITEM_SEGMENT_SIZE, ITEM_SKB, ITEM_TRANSPORT, NEXT_TC,
  PATH_HELD, PATH_HELD_COUNT, STEP_MERGED,
} from '../../layout/path';
import {
  SKB_DATA, SKB_DATA_END, SKB_DATA_META, SKB_END, SKB_GSO_SEGS, SKB_GSO_SIZE, SKB_GSO_TYPE, SKB_HASH, SKB_LEN, SKB_PROTOCOL, SKB_VLAN_PRESENT, SKB_VLAN_PROTO,
  SKB_VLAN_TCI, SKB_WIRE_LEN,
} from '../../layout/skb';
import { ETH_P_IP, ETH_P_IPV6 } from '../hooks/skb-buffer';
import { skb_traits_merge } from '../traits/merge';
import { end, indexOf, itemAt, makeReady, step } from './items';

const ETH_HLEN: u32 = 14;
const IPPROTO_TCP: u32 = 6;
const FIN: u32 = 0x01;
const SYN: u32 = 0x02;
const RST: u32 = 0x04;
const PSH: u32 = 0x08;
const URG: u32 = 0x20;
const CWR: u32 = 0x80;
const DF: u32 = 0x4000;
const GSO_TCPV4: u32 = 1 << 0;
const GSO_TCPV6: u32 = 1 << 4;
/** Room that stays behind the data, for helpers that make packets longer. */
const ROOM_BEHIND: u32 = 4096;

@inline function u16At(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}

@inline function u32At(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

/** One's complement sum of 16-bit words in the order of the wire, `seed` added; an odd byte counts as a word's first. */
function sum(at: usize, size: u32, seed: u64): u32 {
  let total = seed;
  const last = at + (size & ~1);
  while (at < last) {
    total += <u64>u16At(at);
    at += 2;
  }
  if ((size & 1) != 0) total += <u64>load<u8>(at) << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return <u32>total;
}

/** Sum of the pseudo header of `length` bytes of TCP. */
function pseudo(network: usize, v4: bool, length: u32): u64 {
  const addresses = v4 ? sum(network + 12, 8, 0) : sum(network + 8, 32, 0);
  return <u64>addresses + IPPROTO_TCP + length;
}

@inline function flagsOf(tcp: usize): u32 {
  return <u32>load<u8>(tcp, 13);
}

@inline function headerLength(tcp: usize): u32 {
  return (<u32>load<u8>(tcp, 12) >> 4) << 2;
}

/** Finds the headers of a segment that may be merged: one of TCP, without IP options, fragments or a wrong checksum. False: GRO has nothing to do with it. */
function dissect(item: usize, skb: usize): bool {
  const data = <usize>load<u32>(skb, SKB_DATA);
  const length = load<u32>(skb, SKB_LEN);
  const protocol = load<u32>(skb, SKB_PROTOCOL);
  const network = data + ETH_HLEN;
  const v4 = protocol == ETH_P_IP;
  const header: u32 = v4 ? 20 : 40;
  if ((!v4 && protocol != ETH_P_IPV6) || length < ETH_HLEN + header + 20) return false;
  let total: u32;
  if (v4) {
    if (load<u8>(network) != 0x45 || (u16At(network + 6) & 0x3fff) != 0 || sum(network, 20, 0) != 0xffff) return false;
    if (<u32>load<u8>(network, 9) != IPPROTO_TCP) return false;
    total = u16At(network + 2);
  } else {
    if (load<u8>(network) >> 4 != 6 || <u32>load<u8>(network, 6) != IPPROTO_TCP) return false;
    total = u16At(network + 4) + 40;
  }
  if (total < header + 20 || total > length - ETH_HLEN) return false;
  const tcp = network + header;
  const segment = total - header;
  const own = headerLength(tcp);
  if (own < 20 || own > segment || sum(tcp, segment, pseudo(network, v4, segment)) != 0xffff) return false;
  store<u32>(item, ETH_HLEN, ITEM_NETWORK);
  store<u32>(item, ETH_HLEN + header, ITEM_TRANSPORT);
  // Padding behind the packet: it ends what is held of its flow, and goes on by itself.
  store<u32>(item, total == length - ETH_HLEN ? segment - own : 0, ITEM_PAYLOAD);
  return true;
}

/** Both have the same link header, tag, hash, interface and metadata, and are of one flow. */
function isSameFlow(a: usize, b: usize): bool {
  const x = <usize>load<u32>(a, ITEM_SKB);
  const y = <usize>load<u32>(b, ITEM_SKB);
  // Each CPU that a cpumap sends to holds its own.
  if (load<u32>(a, ITEM_CPU) != load<u32>(b, ITEM_CPU)) return false;
  if (load<u32>(a, ITEM_INTERFACE) != load<u32>(b, ITEM_INTERFACE) || load<u32>(x, SKB_HASH) != load<u32>(y, SKB_HASH)) return false;
  if (load<u32>(x, SKB_PROTOCOL) != load<u32>(y, SKB_PROTOCOL) || load<u32>(x, SKB_VLAN_PRESENT) != load<u32>(y, SKB_VLAN_PRESENT)) return false;
  if (load<u32>(x, SKB_VLAN_TCI) != load<u32>(y, SKB_VLAN_TCI) || load<u32>(x, SKB_VLAN_PROTO) != load<u32>(y, SKB_VLAN_PROTO)) return false;
  const p = <usize>load<u32>(x, SKB_DATA);
  const q = <usize>load<u32>(y, SKB_DATA);
  const meta = <u32>p - load<u32>(x, SKB_DATA_META);
  if (meta != <u32>q - load<u32>(y, SKB_DATA_META) || memory.compare(p - meta, q - meta, meta) != 0) return false;
  if (memory.compare(p, q, ETH_HLEN) != 0) return false;
  const v4 = load<u32>(x, SKB_PROTOCOL) == ETH_P_IP;
  const at: usize = ETH_HLEN + (v4 ? 12 : 8);
  if (memory.compare(p + at, q + at, v4 ? 8 : 32) != 0) return false;
  return load<u32>(p + load<u32>(a, ITEM_TRANSPORT)) == load<u32>(q + load<u32>(b, ITEM_TRANSPORT));
}

/** Whether what the IP headers say apart from lengths and checksums lets `item` go behind the `count` segments of `held`. */
function networkContinues(held: usize, item: usize, p: usize, q: usize, v4: bool): bool {
  if (!v4) return ((load<u32>(p) ^ load<u32>(q)) & 0x0000_f00f) == 0 && load<u8>(p, 7) == load<u8>(q, 7);
  const df = u16At(p + 6) & DF;
  if (load<u8>(p, 8) != load<u8>(q, 8) || load<u8>(p, 1) != load<u8>(q, 1) || df != (u16At(q + 6) & DF)) return false;
  const distance = (u16At(q + 4) - u16At(p + 4)) & 0xffff;
  const count = load<u32>(held, ITEM_SEGMENTS);
  // Numbers go up by one, or, where the packets may not be fragmented, stay: the second segment decides which.
  if (df != 0 && distance == 0) return count == 1 || isFixed(held);
  return distance == count && !(count > 1 && isFixed(held));
}

const FIXED: u32 = 0x8000_0000;

@inline function isFixed(held: usize): bool {
  return (load<u32>(held, ITEM_NETWORK) & FIXED) != 0;
}

/** Puts the payload of `item` behind that of `held`. False: it does not continue it. */
function append(held: usize, item: usize): bool {
  const x = <usize>load<u32>(held, ITEM_SKB);
  const y = <usize>load<u32>(item, ITEM_SKB);
  const p = <usize>load<u32>(x, SKB_DATA);
  const q = <usize>load<u32>(y, SKB_DATA);
  const mine = p + load<u32>(held, ITEM_TRANSPORT);
  const other = q + load<u32>(item, ITEM_TRANSPORT);
  const size = load<u32>(item, ITEM_PAYLOAD);
  const options = headerLength(mine);
  if ((flagsOf(other) & CWR) != 0 || ((flagsOf(mine) ^ flagsOf(other)) & ~(CWR | FIN | PSH)) != 0) return false;
  // The low half of byte 12 goes with the flags.
  if (load<u8>(mine, 12) != load<u8>(other, 12) || load<u32>(mine, 8) != load<u32>(other, 8)) return false;
  if (memory.compare(mine + 20, other + 20, options - 20) != 0) return false;
  const v4 = load<u32>(x, SKB_PROTOCOL) == ETH_P_IP;
  if (!networkContinues(held, item, p + ETH_HLEN, q + ETH_HLEN, v4)) return false;
  if (size == 0 || size > load<u32>(held, ITEM_SEGMENT_SIZE)) return false;
  if (u32At(mine + 4) + load<u32>(held, ITEM_PAYLOAD) != u32At(other + 4)) return false;
  const end = load<u32>(x, SKB_DATA_END);
  if (end + size + ROOM_BEHIND > load<u32>(x, SKB_END)) return false;
  if (!skb_traits_merge(x, y)) return false;
  if (v4 && load<u32>(held, ITEM_SEGMENTS) == 1 && load<u16>(p, ETH_HLEN + 4) == load<u16>(q, ETH_HLEN + 4))
    store<u32>(held, load<u32>(held, ITEM_NETWORK) | FIXED, ITEM_NETWORK);
  memory.copy(<usize>end, other + options, size);
  store<u8>(mine, <u8>(flagsOf(mine) | (flagsOf(other) & (FIN | PSH))), 13);
  store<u32>(x, end + size, SKB_DATA_END);
  store<u32>(x, load<u32>(x, SKB_LEN) + size, SKB_LEN);
  store<u32>(x, load<u32>(x, SKB_WIRE_LEN) + size, SKB_WIRE_LEN);
  store<u32>(held, load<u32>(held, ITEM_PAYLOAD) + size, ITEM_PAYLOAD);
  store<u32>(held, load<u32>(held, ITEM_SEGMENTS) + 1, ITEM_SEGMENTS);
  return true;
}

/** Headers of several segments say what they are now; the checksum of TCP is that of the pseudo header alone, as for a device that is to complete it. */
function complete(item: usize): void {
  const count = load<u32>(item, ITEM_SEGMENTS);
  if (count < 2) return;
  const skb = <usize>load<u32>(item, ITEM_SKB);
  const network = <usize>load<u32>(skb, SKB_DATA) + ETH_HLEN;
  const tcp = <usize>load<u32>(skb, SKB_DATA) + load<u32>(item, ITEM_TRANSPORT);
  const length = load<u32>(skb, SKB_LEN) - ETH_HLEN;
  const v4 = load<u32>(skb, SKB_PROTOCOL) == ETH_P_IP;
  if (v4) {
    store<u16>(network, bswap<u16>(<u16>length), 2);
    store<u16>(network, 0, 10);
    store<u16>(network, bswap<u16>(<u16>~sum(network, 20, 0)), 10);
  } else store<u16>(network, bswap<u16>(<u16>(length - 40)), 4);
  const segment = length - (v4 ? 20 : 40);
  store<u16>(tcp, bswap<u16>(<u16>sum(tcp, 0, pseudo(network, v4, segment))), 16);
  store<u32>(skb, load<u32>(item, ITEM_SEGMENT_SIZE), SKB_GSO_SIZE);
  store<u32>(skb, count, SKB_GSO_SEGS);
  store<u32>(skb, v4 ? GSO_TCPV4 : GSO_TCPV6, SKB_GSO_TYPE);
}

@inline function heldAt(path: usize, place: u32): usize {
  return itemAt(path, load<u32>(path + PATH_HELD + (<usize>place << 2)));
}

/** Lets the held item at a place go on. */
function release(path: usize, place: u32): void {
  const item = heldAt(path, place);
  const count = load<u32>(path, PATH_HELD_COUNT) - 1;
  store<u32>(path, count, PATH_HELD_COUNT);
  for (let i = place; i < count; i++) {
    const at = path + PATH_HELD + (<usize>i << 2);
    store<u32>(at, load<u32>(at, 4));
  }
  complete(item);
  makeReady(path, item, NEXT_TC);
}

/** The one that has waited longest goes on. */
export function releaseOldest(path: usize): void {
  release(path, 0);
}

/** True: the item, an sk_buff now, waits for more of its flow, is a part of another, or stands in the list of those that go on. False: it goes on now. */
export function hold(path: usize, item: usize): bool {
  const skb = <usize>load<u32>(item, ITEM_SKB);
  if (!dissect(item, skb)) return false;
  const flags = flagsOf(<usize>load<u32>(skb, SKB_DATA) + load<u32>(item, ITEM_TRANSPORT));
  const size = load<u32>(item, ITEM_PAYLOAD);
  const special = (flags & (URG | PSH | RST | SYN | FIN)) != 0;
  const count = load<u32>(path, PATH_HELD_COUNT);
  for (let place: u32 = 0; place < count; place++) {
    const held = heldAt(path, place);
    if (!isSameFlow(held, item)) continue;
    if (append(held, item)) {
      store<u32>(item, indexOf(path, held) + 1, ITEM_MERGED_INTO);
      end(item, END_MERGED);
      step(held, STEP_MERGED, indexOf(path, item), 0, 0);
      if (special || size < load<u32>(held, ITEM_SEGMENT_SIZE)) release(path, place);
      return true;
    }
    release(path, place);
    break;
  }
  if (size == 0 || special || (flags & CWR) != 0) {
    // Behind what was released, if anything was.
    makeReady(path, item, NEXT_TC);
    return true;
  }
  if (load<u32>(path, PATH_HELD_COUNT) == GRO_HELD_MAX) releaseOldest(path);
  store<u32>(item, size, ITEM_SEGMENT_SIZE);
  const last = load<u32>(path, PATH_HELD_COUNT);
  store<u32>(path + PATH_HELD + (<usize>last << 2), indexOf(path, item));
  store<u32>(path, last + 1, PATH_HELD_COUNT);
  return true;
}
