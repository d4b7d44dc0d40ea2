// bpf_fib_lookup over the modelled network: bpf_ipv4_fib_lookup and bpf_ipv6_fib_lookup of net/core/filter.c.
import {
  INTERFACE_FORWARDS, INTERFACE_INDEX, INTERFACE_IPV4, INTERFACE_IPV6, INTERFACE_MAC, INTERFACE_MTU, NEIGHBOUR_MAC, ROUTE_GATEWAY,
  ROUTE_GATEWAY_FAMILY, ROUTE_HAS_SOURCE, ROUTE_INTERFACE, ROUTE_METRIC, ROUTE_MTU, ROUTE_SOURCE, ROUTE_TYPE, RTN_BLACKHOLE, RTN_PROHIBIT,
  RTN_UNICAST, RTN_UNREACHABLE, TABLE_MAIN,
} from '../../layout/network';
import { SKB_LEN } from '../../layout/skb';
import { HOOK_SKB, WORKER_HOOK } from '../../layout/worker';
import { EAFNOSUPPORT, EINVAL, ENODEV } from '../errno';
import { AF_INET, AF_INET6, findInterface, findNeighbour, findRoute, findRouteByRules, hasNetwork } from '../net/network';
import { WORKER } from '../worker';

const DIRECT: u32 = 1;
const OUTPUT: u32 = 2;
const SKIP_NEIGHBOUR: u32 = 4;
const TABLE: u32 = 8;
const SOURCE: u32 = 16;
const FLAGS: u32 = 63;

const BLACKHOLE: i64 = 1;
const UNREACHABLE: i64 = 2;
const PROHIBIT: i64 = 3;
const NOT_FORWARDED: i64 = 4;
const FORWARDING_DISABLED: i64 = 5;
const NO_NEIGHBOUR: i64 = 7;
const FRAGMENTATION_NEEDED: i64 = 8;
const NO_SOURCE: i64 = 9;

/** struct bpf_fib_lookup. */
const PARAMS_SIZE: u32 = 64;
const FAMILY = 0;
const LENGTH = 6;
const INDEX = 8;
const METRIC = 12;
const SRC = 16;
const DST = 32;
const VLAN = 48;
const SOURCE_MAC = 52;
const TARGET_MAC = 58;

const ETHERNET_HEADER: u32 = 14;
const VLAN_HEADER: u32 = 4;

export function bpf_fib_lookup(ctx: u64, pointer: u64, size: u64, flags: u64): i64 {
  const params = <usize>pointer;
  if (<u32>size < PARAMS_SIZE || (<u32>flags & ~FLAGS) != 0) return EINVAL;
  const family = <u32>load<u8>(params, FAMILY);
  if (family != AF_INET && family != AF_INET6) return EAFNOSUPPORT;
  const skb = load<u32>(WORKER, WORKER_HOOK) == HOOK_SKB;
  const checked = load<u16>(params, LENGTH) != 0;
  const result = lookUp(params, family, <u32>flags, checked || !skb);
  if (result != 0 || !skb || checked) return result;
  const mtu = load<u32>(findInterface(load<u32>(params, INDEX)), INTERFACE_MTU);
  store<u16>(params, <u16>mtu, LENGTH);
  return load<u32>(<usize>ctx, SKB_LEN) > mtu + ETHERNET_HEADER + VLAN_HEADER ? FRAGMENTATION_NEEDED : 0;
}

function lookUp(params: usize, family: u32, flags: u32, checkMtu: bool): i64 {
  const index = load<u32>(params, INDEX);
  const incoming = findInterface(index);
  // Without a network there is loopback, which forwards nothing.
  if (incoming == 0) return !hasNetwork() && index == 1 ? FORWARDING_DISABLED : ENODEV;
  if (load<u8>(incoming, INTERFACE_FORWARDS) == 0) return FORWARDING_DISABLED;
  const out = (flags & OUTPUT) != 0 ? index : 0;
  let route: usize;
  if ((flags & DIRECT) != 0) {
    let table: u32 = TABLE_MAIN;
    if ((flags & TABLE) != 0) {
      table = load<u32>(params, VLAN);
      store<u32>(params, 0, VLAN);
    }
    route = findRoute(family, params + DST, table, out);
  } else route = findRouteByRules(family, params + DST, out);
  if (route == 0) return NOT_FORWARDED;
  const type = load<u8>(route, ROUTE_TYPE);
  if (type == RTN_BLACKHOLE) return BLACKHOLE;
  if (type == RTN_UNREACHABLE) return UNREACHABLE;
  if (type == RTN_PROHIBIT) return PROHIBIT;
  if (type != RTN_UNICAST) return NOT_FORWARDED;
  const device = findInterface(load<u32>(route, ROUTE_INTERFACE));
  let mtu: u32 = 0;
  if (checkMtu) {
    mtu = load<u32>(route, ROUTE_MTU);
    if (mtu == 0) mtu = load<u32>(device, INTERFACE_MTU);
    if (<u32>load<u16>(params, LENGTH) > mtu) {
      store<u16>(params, <u16>mtu, LENGTH);
      return FRAGMENTATION_NEEDED;
    }
  }
  store<u32>(params, load<u32>(route, ROUTE_METRIC), METRIC);
  store<u32>(params, load<u32>(device, INTERFACE_INDEX), INDEX);
  if ((flags & SOURCE) != 0 && !chooseSource(params, family, route, device)) return NO_SOURCE;
  const gateway = <u32>load<u8>(route, ROUTE_GATEWAY_FAMILY);
  if (gateway == AF_INET) store<u32>(params, load<u32>(route, ROUTE_GATEWAY), DST);
  else if (gateway == AF_INET6) {
    store<u8>(params, <u8>AF_INET6, FAMILY);
    memory.copy(params + DST, route + ROUTE_GATEWAY, 16);
  }
  if ((flags & SKIP_NEIGHBOUR) == 0) {
    const neighbour = findNeighbour(load<u32>(params, INDEX), <u32>load<u8>(params, FAMILY), params + DST);
    if (neighbour == 0) return NO_NEIGHBOUR;
    memory.copy(params + TARGET_MAC, neighbour + NEIGHBOUR_MAC, 6);
    memory.copy(params + SOURCE_MAC, device + INTERFACE_MAC, 6);
  }
  store<u32>(params, 0, VLAN);
  if (mtu != 0) store<u16>(params, <u16>mtu, LENGTH);
  return 0;
}

/** The route's, or else the interface's; false if that has none, which only IPv6 minds. */
function chooseSource(params: usize, family: u32, route: usize, device: usize): bool {
  const own = load<u8>(route, ROUTE_HAS_SOURCE) != 0;
  if (family == AF_INET) {
    store<u32>(params, own ? load<u32>(route, ROUTE_SOURCE) : load<u32>(device, INTERFACE_IPV4), SRC);
    return true;
  }
  const from = own ? route + ROUTE_SOURCE : device + INTERFACE_IPV6;
  if (load<u64>(from) == 0 && load<u64>(from, 8) == 0) return false;
  memory.copy(params + SRC, from, 16);
  return true;
}
