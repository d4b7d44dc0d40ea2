// VLAN tags of an sk_buff: one in its fields (as devices leave it), more in the packet. skb_vlan_push and skb_vlan_pop in net/core/skbuff.c.
import {
  SKB_DATA, SKB_LEN, SKB_MAC_HEADER, SKB_MAC_LEN, SKB_NETWORK_HEADER, SKB_PROTOCOL, SKB_VLAN_PRESENT, SKB_VLAN_PROTO, SKB_VLAN_TCI,
} from '../../layout/skb';
import { EINVAL, ENOMEM } from '../errno';
import { ETH_P_8021Q, isVlan, macHeaderLength, makeRoom, moveData, networkOffset, skbData } from '../hooks/skb-buffer';

const VLAN_HLEN: i32 = 4;
const VLAN_ETH_HLEN: u32 = 18;
const ETH_HLEN: u32 = 14;
const ADDRESSES: usize = 12;

function putTag(skb: usize, protocol: u32, tci: u32): void {
  store<u32>(skb, protocol, SKB_VLAN_PROTO);
  store<u32>(skb, tci, SKB_VLAN_TCI);
  // The kernel tells a tag by protocol and TCI together being other than 0; the protocol always is.
  store<u32>(skb, 1, SKB_VLAN_PRESENT);
}

export function bpf_skb_vlan_push(ctx: u64, protocol: u64, tci: u64): i64 {
  const skb = <usize>ctx;
  let proto = <u32>protocol & 0xffff;
  if (!isVlan(proto)) proto = ETH_P_8021Q;
  if (load<u32>(skb, SKB_VLAN_PRESENT) != 0) {
    if (load<u32>(skb, SKB_DATA) != load<u32>(skb, SKB_MAC_HEADER)) return EINVAL;
    if (!makeRoom(skb, VLAN_HLEN, 0)) return ENOMEM;
    moveData(skb, -VLAN_HLEN);
    const data = skbData(skb);
    memory.copy(data, data + VLAN_HLEN, ADDRESSES);
    store<u16>(data + ADDRESSES, <u16>load<u32>(skb, SKB_VLAN_PROTO));
    store<u16>(data + ADDRESSES + 2, bswap<u16>(<u16>load<u32>(skb, SKB_VLAN_TCI)));
    store<u32>(skb, load<u32>(skb, SKB_MAC_HEADER) - VLAN_HLEN, SKB_MAC_HEADER);
    store<u32>(skb, load<u32>(skb, SKB_VLAN_PROTO), SKB_PROTOCOL);
    store<u32>(skb, load<u32>(skb, SKB_NETWORK_HEADER) - VLAN_HLEN, SKB_NETWORK_HEADER);
  }
  putTag(skb, proto, <u32>tci & 0xffff);
  store<u32>(skb, macHeaderLength(skb), SKB_MAC_LEN);
  return 0;
}

// Takes the outer tag out of the packet; its TCI, or a negative errno.
function popFromPacket(skb: usize): i64 {
  if (load<u32>(skb, SKB_DATA) != load<u32>(skb, SKB_MAC_HEADER)) return EINVAL;
  if (load<u32>(skb, SKB_LEN) < VLAN_ETH_HLEN) return ENOMEM;
  const data = skbData(skb);
  const tci = <i64>bswap<u16>(load<u16>(data, 14));
  const inner = <u32>load<u16>(data, 16);
  memory.copy(data + VLAN_HLEN, data, ADDRESSES);
  moveData(skb, VLAN_HLEN);
  store<u32>(skb, protocolOf(skb, inner), SKB_PROTOCOL);
  store<u32>(skb, load<u32>(skb, SKB_MAC_HEADER) + VLAN_HLEN, SKB_MAC_HEADER);
  if (networkOffset(skb) < <i32>ETH_HLEN) store<u32>(skb, load<u32>(skb, SKB_DATA) + ETH_HLEN, SKB_NETWORK_HEADER);
  store<u32>(skb, macHeaderLength(skb), SKB_MAC_LEN);
  return tci;
}

// vlan_set_encap_proto: lengths of 802.3 frames are no protocols.
function protocolOf(skb: usize, type: u32): u32 {
  if (<u32>bswap<u16>(<u16>type) >= 0x600) return type;
  if (load<u32>(skb, SKB_LEN) >= 16 && load<u16>(skbData(skb), 14) == 0xffff) return 0x0100;
  return 0x0400;
}

export function bpf_skb_vlan_pop(ctx: u64): i64 {
  const skb = <usize>ctx;
  if (load<u32>(skb, SKB_VLAN_PRESENT) != 0) {
    store<u32>(skb, 0, SKB_VLAN_PRESENT);
    store<u32>(skb, 0, SKB_VLAN_PROTO);
    store<u32>(skb, 0, SKB_VLAN_TCI);
  } else {
    if (!isVlan(load<u32>(skb, SKB_PROTOCOL))) return 0;
    const tci = popFromPacket(skb);
    if (tci < 0) return tci;
  }
  // The next tag moves from the packet to the fields.
  const protocol = load<u32>(skb, SKB_PROTOCOL);
  if (!isVlan(protocol)) return 0;
  const tci = popFromPacket(skb);
  if (tci < 0) return tci;
  putTag(skb, protocol, <u32>tci);
  return 0;
}
