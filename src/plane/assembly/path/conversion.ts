// A frame becomes an sk_buff, as drivers make one of what XDP passed, and an sk_buff a frame, as veth does for XDP. Facts: __xdp_build_skb_from_frame (net/core/xdp.c),
// eth_type_trans (net/ethernet/eth.c), skb_vlan_untag (net/core/skbuff.c), veth_xdp_rcv_skb (drivers/net/veth.c).
import {
  FRAME_DATA, FRAME_DATA_END, FRAME_DATA_META, FRAME_EGRESS_IFINDEX, FRAME_HARD_START, FRAME_HINT_HASH, FRAME_HINT_HASH_TYPE, FRAME_HINT_TIMESTAMP,
  FRAME_HINT_VLAN, FRAME_HINTS, FRAME_INGRESS_IFINDEX, FRAME_PACKET_ID, FRAME_RX_QUEUE_INDEX, FRAME_SIZE_TOTAL, FRAME_TIMESTAMP, FRAME_TRAITS, FRAME_TRAITS_SIDE,
  FRAME_VERDICT, FRAME_WIRE_LENGTH, HINT_HASH, HINT_TIMESTAMP, HINT_VLAN, HINTS_DRIVER, XDP_FRAME_SIZE, XDP_HEADROOM, XDP_MAX_LINEAR,
} from '../../layout/frame';
import { INTERFACE_MAC } from '../../layout/network';
import { ITEM_FRAME, ITEM_FRAME_BUFFER, ITEM_IS_SKB, ITEM_SIDE, ITEM_SKB, ITEM_SKB_BUFFER, PATH_CARRIES_HINTS, PATH_FLAGS } from '../../layout/path';
import {
  SKB_BUFFER_SIZE, SKB_DATA, SKB_DATA_END, SKB_DATA_META, SKB_END, SKB_FLOW_KEYS, SKB_HASH, SKB_HASH_VALID, SKB_HEAD, SKB_HWTSTAMP, SKB_IFINDEX,
  SKB_INGRESS_IFINDEX, SKB_KEYS, SKB_LEN, SKB_LINUX_END, SKB_LINUX_HEADROOM, SKB_MAC_HEADER, SKB_MARK, SKB_NETWORK_HEADER, SKB_PACKET_ID, SKB_PKT_TYPE, SKB_PRIORITY,
  SKB_PROTOCOL, SKB_QUEUE_MAPPING, SKB_SHARED_INFO, SKB_TRAITS, SKB_TSTAMP, SKB_VLAN_PRESENT, SKB_VLAN_PROTO, SKB_VLAN_TCI, SKB_WIRE_LEN,
} from '../../layout/skb';
import { isVlan } from '../hooks/skb-buffer';
import { findInterface, hasNetwork } from '../net/network';
import {
  frame_rx_hash, frame_rx_hash_type, frame_rx_known, frame_rx_timestamp, frame_rx_vlan, frame_store_hash, frame_store_timestamp, frame_store_vlan,
} from '../traits/fixed';
import { traits_to_frame, traits_to_skb } from '../traits/merge';

/** Bytes before the link header in the buffer of an sk_buff on a path: the rest is for what GRO puts behind it. */
const ROOM_IN_FRONT: u32 = 1024;
const ETH_HLEN: u32 = 14;
const VLAN_HLEN: u32 = 4;
const ADDRESSES: u32 = 12;
const DRIVER_BITS: u32 = HINT_TIMESTAMP | HINT_HASH | HINT_VLAN | HINTS_DRIVER;

const PACKET_HOST: u32 = 0;
const PACKET_BROADCAST: u32 = 1;
const PACKET_MULTICAST: u32 = 2;
const PACKET_OTHERHOST: u32 = 3;

/** Lengths of 802.3 are no protocols: raw IPX is known by its checksum, all else is LLC. In the order of the wire. */
function protocolOf(type: u32, payload: usize, end: usize): u32 {
  if (<u32>bswap<u16>(<u16>type) >= 0x600) return type;
  return payload + 2 <= end && load<u16>(payload) == 0xffff ? 0x0100 : 0x0400;
}

/** By the destination address, and that of the interface: loopback's is zero where no network is modelled. */
function packetType(mac: usize, ifindex: u32): u32 {
  const low = load<u32>(mac);
  const high = <u32>load<u16>(mac, 4);
  const own = hasNetwork() ? findInterface(ifindex) : 0;
  const ownLow = own == 0 ? 0 : load<u32>(own, INTERFACE_MAC);
  const ownHigh = own == 0 ? 0 : <u32>load<u16>(own, INTERFACE_MAC + 4);
  if (low == ownLow && high == ownHigh) return PACKET_HOST;
  if ((low & 1) == 0) return PACKET_OTHERHOST;
  return low == 0xffff_ffff && high == 0xffff ? PACKET_BROADCAST : PACKET_MULTICAST;
}

/** What the driver knows is its own: it does not go along with a frame that is sent on. */
export function leaveDriver(path: usize, frame: usize): void {
  const driver = load<u32>(frame, FRAME_HINTS) & DRIVER_BITS;
  if ((load<u32>(path, PATH_FLAGS) & PATH_CARRIES_HINTS) != 0) {
    if ((driver & HINT_HASH) != 0) frame_store_hash(frame, frame_rx_hash(frame), frame_rx_hash_type(frame));
    if ((driver & HINT_TIMESTAMP) != 0) frame_store_timestamp(frame, frame_rx_timestamp(frame));
    if ((driver & HINT_VLAN) != 0) frame_store_vlan(frame, frame_rx_vlan(frame));
  }
  store<u32>(frame, load<u32>(frame, FRAME_HINTS) & ~DRIVER_BITS, FRAME_HINTS);
}

/** Makes the item's sk_buff, as it arrives on interface `ifindex`. `again`: it was one before, and keeps mark and priority. */
export function toSkb(item: usize, ifindex: u32, again: bool): void {
  const frame = <usize>load<u32>(item, ITEM_FRAME);
  const skb = <usize>load<u32>(item, ITEM_SKB);
  const buffer = load<u32>(item, ITEM_SKB_BUFFER);
  const mark = load<u32>(skb, SKB_MARK);
  const priority = load<u32>(skb, SKB_PRIORITY);
  memory.fill(skb, 0, SKB_TRAITS);
  if (again) {
    store<u32>(skb, mark, SKB_MARK);
    store<u32>(skb, priority, SKB_PRIORITY);
  }
  const data = <usize>load<u32>(frame, FRAME_DATA);
  const end = <usize>load<u32>(frame, FRAME_DATA_END);
  const meta = <u32>data - load<u32>(frame, FRAME_DATA_META);
  const known = frame_rx_known(frame);
  let type = <u32>load<u16>(data, ADDRESSES);
  let tag: u32 = 0;
  let taken: u32 = 0;
  if ((known & HINT_VLAN) != 0) tag = frame_rx_vlan(frame);
  else if (isVlan(type) && <u32>(end - data) >= ETH_HLEN + VLAN_HLEN) {
    tag = type | (<u32>bswap<u16>(load<u16>(data, 14)) << 16);
    type = <u32>load<u16>(data, 16);
    taken = VLAN_HLEN;
  }
  const mac = <usize>(buffer + ROOM_IN_FRONT);
  memory.copy(mac - meta, data - meta, meta);
  memory.copy(mac, data, ADDRESSES);
  memory.copy(mac + ADDRESSES, data + ADDRESSES + taken, end - data - ADDRESSES - taken);
  const length = <u32>(end - data) - taken;
  store<u32>(skb, length, SKB_LEN);
  store<u32>(skb, packetType(mac, ifindex), SKB_PKT_TYPE);
  store<u32>(skb, protocolOf(type, mac + ETH_HLEN, mac + length), SKB_PROTOCOL);
  if (tag != 0) {
    store<u32>(skb, 1, SKB_VLAN_PRESENT);
    store<u32>(skb, tag & 0xffff, SKB_VLAN_PROTO);
    store<u32>(skb, tag >> 16, SKB_VLAN_TCI);
  }
  store<u32>(skb, ifindex, SKB_INGRESS_IFINDEX);
  store<u32>(skb, ifindex, SKB_IFINDEX);
  store<u32>(skb, load<u32>(frame, FRAME_RX_QUEUE_INDEX) + 1, SKB_QUEUE_MAPPING);
  if ((known & HINT_HASH) != 0) {
    store<u32>(skb, frame_rx_hash(frame), SKB_HASH);
    store<u32>(skb, 1, SKB_HASH_VALID);
  }
  if ((known & HINT_TIMESTAMP) != 0) store<u64>(skb, frame_rx_timestamp(frame), SKB_HWTSTAMP);
  store<u32>(skb, <u32>mac, SKB_DATA);
  store<u32>(skb, <u32>mac + length, SKB_DATA_END);
  store<u32>(skb, <u32>mac - meta, SKB_DATA_META);
  store<u64>(skb, <u64>(skb + SKB_KEYS), SKB_FLOW_KEYS);
  // qdisc_skb_cb's pkt_len is taken before the link header is put back for tc.
  store<u32>(skb, length - ETH_HLEN, SKB_WIRE_LEN);
  store<u32>(skb, buffer, SKB_HEAD);
  store<u32>(skb, buffer + SKB_BUFFER_SIZE, SKB_END);
  store<u32>(skb, <u32>mac, SKB_MAC_HEADER);
  store<u32>(skb, <u32>mac + ETH_HLEN, SKB_NETWORK_HEADER);
  store<u32>(skb, <u32>data - load<u32>(frame, FRAME_HARD_START) + taken, SKB_LINUX_HEADROOM);
  store<u32>(skb, load<u32>(frame, FRAME_SIZE_TOTAL) - SKB_SHARED_INFO, SKB_LINUX_END);
  store<u64>(skb, load<u64>(frame, FRAME_TIMESTAMP), SKB_TSTAMP);
  store<u64>(skb, load<u64>(frame, FRAME_PACKET_ID), SKB_PACKET_ID);
  traits_to_skb(frame, skb);
  store<u32>(item, 1, ITEM_IS_SKB);
}

/** Makes the item's frame of its sk_buff, as it arrives on `ifindex`; metadata before the data stays behind, as with veth. False: it is too long. */
export function toFrame(item: usize, ifindex: u32): bool {
  const frame = <usize>load<u32>(item, ITEM_FRAME);
  const skb = <usize>load<u32>(item, ITEM_SKB);
  const buffer = load<u32>(item, ITEM_FRAME_BUFFER);
  const length = load<u32>(skb, SKB_LEN);
  if (length > <u32>XDP_MAX_LINEAR) return false;
  const data = buffer + XDP_HEADROOM;
  memory.fill(<usize>buffer, 0, XDP_HEADROOM);
  memory.copy(<usize>data, <usize>load<u32>(skb, SKB_DATA), <usize>length);
  store<u32>(frame, data, FRAME_DATA);
  store<u32>(frame, data + length, FRAME_DATA_END);
  store<u32>(frame, data, FRAME_DATA_META);
  store<u32>(frame, ifindex, FRAME_INGRESS_IFINDEX);
  store<u32>(frame, 0, FRAME_RX_QUEUE_INDEX);
  store<u32>(frame, 0, FRAME_EGRESS_IFINDEX);
  store<u32>(frame, buffer, FRAME_HARD_START);
  store<u32>(frame, XDP_FRAME_SIZE, FRAME_SIZE_TOTAL);
  store<u32>(frame, 0, FRAME_VERDICT);
  store<u32>(frame, 0, FRAME_TRAITS);
  store<u32>(frame, load<u32>(item, ITEM_SIDE), FRAME_TRAITS_SIDE);
  store<u64>(frame, load<u64>(skb, SKB_TSTAMP), FRAME_TIMESTAMP);
  store<u64>(frame, load<u64>(skb, SKB_PACKET_ID), FRAME_PACKET_ID);
  store<u32>(frame, length, FRAME_WIRE_LENGTH);
  let hints: u32 = HINTS_DRIVER | HINT_TIMESTAMP;
  store<u64>(frame, load<u64>(skb, SKB_HWTSTAMP), FRAME_HINT_TIMESTAMP);
  if (load<u32>(skb, SKB_HASH_VALID) != 0) {
    hints |= HINT_HASH;
    store<u32>(frame, load<u32>(skb, SKB_HASH), FRAME_HINT_HASH);
    store<u32>(frame, 0, FRAME_HINT_HASH_TYPE);
  }
  if (load<u32>(skb, SKB_VLAN_PRESENT) != 0) {
    hints |= HINT_VLAN;
    store<u32>(frame, load<u32>(skb, SKB_VLAN_PROTO) | (load<u32>(skb, SKB_VLAN_TCI) << 16), FRAME_HINT_VLAN);
  }
  store<u32>(frame, hints, FRAME_HINTS);
  traits_to_frame(skb, frame);
  store<u32>(item, 0, ITEM_IS_SKB);
  return true;
}
