// What an sk_buff is besides its bytes: type, time, ECN, socket and cgroup. net/core/filter.c; include/net/inet_ecn.h.
import {
  SKB_DATA, SKB_DATA_END, SKB_LEN, SKB_MAC_LEN, SKB_NETWORK_HEADER, SKB_PKT_TYPE, SKB_PROTOCOL, SKB_SOCK_COOKIE, SKB_TSTAMP,
  SKB_TSTAMP_TYPE,
} from '../../layout/skb';
import { SOCKET_COOKIE } from '../../layout/object';
import { HOOK_SKB, WORKER_HOOK } from '../../layout/worker';
import { EINVAL, EOPNOTSUPP } from '../errno';
import { socketOf } from '../hooks/context';
import { WORKER } from '../worker';
import { ETH_P_IP, ETH_P_IPV6, isVlan } from '../hooks/skb-buffer';

const PACKET_OTHERHOST: u32 = 3;
/** VLAN_MAX_DEPTH less the one at which the kernel gives up. */
const MAX_TAGS: u32 = 7;
const ECN_CE: u32 = 3;

export function bpf_skb_change_type(ctx: u64, type: u64): i64 {
  if (load<u32>(<usize>ctx, SKB_PKT_TYPE) > PACKET_OTHERHOST || <u32>type > PACKET_OTHERHOST) return EINVAL;
  store<u32>(<usize>ctx, <u32>type, SKB_PKT_TYPE);
  return 0;
}

export function bpf_skb_set_tstamp(ctx: u64, tstamp: u64, type: u64): i64 {
  const protocol = load<u32>(<usize>ctx, SKB_PROTOCOL);
  if (protocol != ETH_P_IP && protocol != ETH_P_IPV6) return EOPNOTSUPP;
  if (<u32>type > 2 || (<u32>type != 0 && tstamp == 0)) return EINVAL;
  store<u64>(<usize>ctx, tstamp, SKB_TSTAMP);
  store<u8>(<usize>ctx, <u8>type, SKB_TSTAMP_TYPE);
  return 0;
}

// The protocol behind all VLAN tags; 0 if they do not end.
function protocolBehindTags(skb: usize): u32 {
  let type = load<u32>(skb, SKB_PROTOCOL);
  const macLength = load<u32>(skb, SKB_MAC_LEN) & 0xffff;
  if (macLength != 0 && macLength < 4) return isVlan(type) ? 0 : type;
  let at = <usize>load<u32>(skb, SKB_DATA) + <usize>(macLength == 0 ? 14 : macLength - 4);
  const end = <usize>load<u32>(skb, SKB_DATA_END);
  for (let depth: u32 = 0; isVlan(type); depth++) {
    if (depth >= MAX_TAGS || at + 4 > end) return 0;
    type = <u32>load<u16>(at, 2);
    at += 4;
  }
  return type;
}

export function bpf_skb_ecn_set_ce(ctx: u64): u64 {
  const skb = <usize>ctx;
  const protocol = protocolBehindTags(skb);
  const header: u32 = protocol == ETH_P_IP ? 20 : protocol == ETH_P_IPV6 ? 40 : 0;
  if (header == 0 || load<u32>(skb, SKB_LEN) < header) return 0;
  const at = <usize>load<u32>(skb, SKB_NETWORK_HEADER);
  if (at + <usize>header > <usize>load<u32>(skb, SKB_DATA_END)) return 0;
  if (protocol == ETH_P_IP) {
    const tos = <u32>load<u8>(at, 1);
    const ecn = (tos + 1) & 3;
    // Not ECN-capable: 0; already marked: 1.
    if ((ecn & 2) == 0) return <u64>(ecn == 0);
    // RFC 1624 for the TOS byte; the sum is folded in one's complement.
    const sum = <u32>load<u16>(at, 10) + 0xfbff + (ecn << 8);
    store<u16>(at, <u16>(sum + (sum >> 16)), 10);
    store<u8>(at, <u8>(tos | ECN_CE), 1);
    return 1;
  }
  const second = <u32>load<u8>(at, 1);
  if ((second & 0x30) == 0) return 0;
  store<u8>(at, <u8>(second | (ECN_CE << 4)), 1);
  return 1;
}

/** Of a packet, of a context's socket, or of a socket itself: by the program type. */
export function bpf_get_socket_cookie(target: u64): u64 {
  if (load<u32>(WORKER, WORKER_HOOK) == HOOK_SKB) return load<u64>(<usize>target, SKB_SOCK_COOKIE);
  const socket: usize = target == 0 ? <usize>0 : socketOf(target);
  return socket == 0 ? 0 : load<u64>(socket, SOCKET_COOKIE);
}

// The modelled socket belongs to root.
export function bpf_get_socket_uid(_ctx: u64): u64 {
  return 0;
}

// No net_cls class is set for the modelled task and socket.
export function bpf_get_cgroup_classid(_ctx: u64): u64 {
  return 0;
}

export function bpf_skb_cgroup_classid(_ctx: u64): u64 {
  return 0;
}

// No route is attached to a packet here.
export function bpf_get_route_realm(_ctx: u64): u64 {
  return 0;
}

// No packet came through IPsec: there is no security path.
export function bpf_skb_get_xfrm_state(_skb: u64, _index: u64, state: u64, size: u64, _flags: u64): i64 {
  memory.fill(<usize>state, 0, <u32>size);
  return EINVAL;
}
