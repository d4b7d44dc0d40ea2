// A packet's hash, report and queue by a device's configuration: headers are walked in place, and what is hashed is hashed where it lies. Never reads at `end` or
// behind. The rule stands in src/net/rss/ in its long form; constants in network order are written as a little-endian load gives them.
import {
  RSS_HASH_TYPES, RSS_KEY_TABLE, RSS_KEY_TABLE_STRIDE, RSS_MASK, RSS_TABLE, RSS_TUNNEL_TYPES, RSS_UNCLASSIFIED,
} from '../../layout/steering';
import { fold4, fold8, foldWords } from './toeplitz';
import { tunnelPayload } from './tunnels';

const ETH_P_IP: u32 = 0x0008;
const ETH_P_IPV6: u32 = 0xdd86;
const ETH_P_8021Q: u32 = 0x0081;
const ETH_P_8021AD: u32 = 0xa888;
const ETH_P_TEB: u32 = 0x5865;

const HASH_IPV4: u32 = 0x1;
const HASH_TCPV4: u32 = 0x2;
const HASH_UDPV4: u32 = 0x4;
const HASH_IPV6: u32 = 0x8;
const HASH_TCPV6: u32 = 0x10;
const HASH_UDPV6: u32 = 0x20;
const HASH_IPV6_EX: u32 = 0x40;
const HASH_TCPV6_EX: u32 = 0x80;
const HASH_UDPV6_EX: u32 = 0x100;

const IPPROTO_IPIP: u32 = 4;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_GRE: u32 = 47;
/** No protocol: of fragments, and where a chain of extension headers is cut. */
const PROTOCOL_NONE: u32 = 0x100;

const IPPROTO_ROUTING: u32 = 43;
const IPPROTO_FRAGMENT: u32 = 44;
const IPPROTO_AH: u32 = 51;
const IPPROTO_DSTOPTS: u32 = 60;
const MAX_EXTENSION_HEADERS: u32 = 11;
const MAX_OPTIONS: u32 = 30;

/** A hash with its report above; 0: no hash. */
@inline function result(hash: u32, report: u32): u64 {
  return (<u64>report << 32) | <u64>hash;
}

@inline function isVlan(type: u32): bool {
  return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/** Report in bits 32 and above, hash below; 0: no hash. `at` is that of an Ethernet header. */
@inline function packetHash(configuration: usize, at: usize, end: usize): u64 {
  return linkHash(configuration, at, end, load<u32>(configuration, RSS_TUNNEL_TYPES));
}

/** The same with the queue in bits 48 and above. */
@inline export function rssResult(configuration: usize, at: usize, end: usize): u64 {
  const hash = packetHash(configuration, at, end);
  const entry = <usize>(<u32>hash & load<u32>(configuration, RSS_MASK));
  const queue = hash == 0
    ? load<u32>(configuration, RSS_UNCLASSIFIED)
    : <u32>load<u16>(<usize>load<u32>(configuration, RSS_TABLE) + (entry << 1));
  return hash | (<u64>queue << 48);
}

/** Writes u32 hash, u16 report and u16 queue (struct bpf_vnet_rss). */
export function rss_compute(configuration: usize, at: usize, end: usize, to: usize): void {
  store<u64>(to, rssResult(configuration, at, end));
}

function linkHash(configuration: usize, at: usize, end: usize, tunnels: u32): u64 {
  if (at + 14 > end) return 0;
  let type = <u32>load<u16>(at, 12);
  at += 14;
  if (isVlan(type)) {
    if (at + 4 > end) return 0;
    type = <u32>load<u16>(at, 2);
    at += 4;
    if (isVlan(type)) {
      if (at + 4 > end) return 0;
      type = <u32>load<u16>(at, 2);
      at += 4;
    }
  }
  if (type == ETH_P_IP) return ipv4Hash(configuration, at, end, tunnels);
  return type == ETH_P_IPV6 ? ipv6Hash(configuration, at, end, tunnels) : 0;
}

// The hash of what is in a tunnel; `payload` as tunnelPayload gives it.
function innerHash(configuration: usize, payload: u64, end: usize): u64 {
  const at = <usize>payload;
  const type = <u32>(payload >> 32) & 0xffff;
  if (type == ETH_P_TEB) return linkHash(configuration, at, end, 0);
  if (type == ETH_P_IP) return ipv4Hash(configuration, at, end, 0);
  return type == ETH_P_IPV6 ? ipv6Hash(configuration, at, end, 0) : 0;
}

function ipv4Hash(configuration: usize, at: usize, end: usize, tunnels: u32): u64 {
  if (at + 20 > end) return 0;
  const first = <u32>load<u8>(at);
  if (first >> 4 != 4 || (first & 15) < 5) return 0;
  const types = load<u32>(configuration, RSS_HASH_TYPES);
  const table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  // No fragment: neither more of them nor an offset.
  if ((load<u16>(at, 6) & 0xff3f) == 0) {
    const protocol = <u32>load<u8>(at, 9);
    const transport = at + ((first & 15) << 2);
    if (tunnels != 0 && (protocol == IPPROTO_UDP || protocol == IPPROTO_GRE || protocol == IPPROTO_IPIP)) {
      const payload = tunnelPayload(transport, end, protocol, 4, tunnels);
      if (payload != 0) return innerHash(configuration, payload, end);
    }
    if (transport + 4 <= end) {
      if (protocol == IPPROTO_TCP && (types & HASH_TCPV4) != 0)
        return result(fold8(table, at + 12) ^ fold4(table + 8 * RSS_KEY_TABLE_STRIDE, transport), 2);
      if (protocol == IPPROTO_UDP && (types & HASH_UDPV4) != 0)
        return result(fold8(table, at + 12) ^ fold4(table + 8 * RSS_KEY_TABLE_STRIDE, transport), 3);
    }
  }
  return (types & HASH_IPV4) != 0 ? result(foldWords(table, at + 12, at + 20), 1) : 0;
}

/** Extension headers whose next one can be found: hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, Shim6. */
@inline function isExtension(protocol: u32): bool {
  const low: u64 = (1 << 0) | (<u64>1 << 43) | (<u64>1 << 44) | (<u64>1 << 51) | (<u64>1 << 60);
  return protocol < 64 ? ((low >> protocol) & 1) != 0 : protocol == 135 || protocol == 139 || protocol == 140;
}

// Address in the first home address option of [at, to), 0: none.
function homeAddress(at: usize, to: usize): usize {
  for (let count: u32 = 0; count < MAX_OPTIONS && at < to; count++) {
    const type = load<u8>(at);
    if (type == 0) {
      at++;
      continue;
    }
    if (at + 2 > to) return 0;
    const next = at + 2 + <usize>load<u8>(at, 1);
    if (next > to) return 0;
    if (type == 0xc9 && next == at + 18) return at + 2;
    at = next;
  }
  return 0;
}

@inline function hash6(table: usize, source: usize, destination: usize): u32 {
  return foldWords(table, source, source + 16) ^ foldWords(table + 16 * RSS_KEY_TABLE_STRIDE, destination, destination + 16);
}

function ipv6Hash(configuration: usize, at: usize, end: usize, tunnels: u32): u64 {
  if (at + 40 > end || load<u8>(at) >> 4 != 6) return 0;
  const types = load<u32>(configuration, RSS_HASH_TYPES);
  const table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  let protocol = <u32>load<u8>(at, 6);
  let transport = at + 40;
  if (isExtension(protocol)) return extendedHash(configuration, at, end, tunnels);
  if (tunnels != 0 && (protocol == IPPROTO_UDP || protocol == IPPROTO_GRE)) {
    const payload = tunnelPayload(transport, end, protocol, 6, tunnels);
    if (payload != 0) return innerHash(configuration, payload, end);
  }
  if (transport + 4 <= end) {
    if (protocol == IPPROTO_TCP && (types & HASH_TCPV6) != 0)
      return result(foldWords(table, at + 8, at + 40) ^ fold4(table + 32 * RSS_KEY_TABLE_STRIDE, transport), 5);
    if (protocol == IPPROTO_UDP && (types & HASH_UDPV6) != 0)
      return result(foldWords(table, at + 8, at + 40) ^ fold4(table + 32 * RSS_KEY_TABLE_STRIDE, transport), 6);
  }
  return (types & HASH_IPV6) != 0 ? result(foldWords(table, at + 8, at + 40), 4) : 0;
}

// IPv6 with extension headers. All types of IPv6 end in the same sum, over addresses that differ.
function extendedHash(configuration: usize, at: usize, end: usize, tunnels: u32): u64 {
  const types = load<u32>(configuration, RSS_HASH_TYPES);
  let protocol = <u32>load<u8>(at, 6);
  let transport = at + 40;
  let home: usize = 0;
  let routed: usize = 0;
  for (let count: u32 = 0; isExtension(protocol); count++) {
    if (count == MAX_EXTENSION_HEADERS || transport + 8 > end || protocol == IPPROTO_FRAGMENT) {
      protocol = PROTOCOL_NONE;
      break;
    }
    const units = <usize>load<u8>(transport, 1);
    const next = transport + (protocol == IPPROTO_AH ? (units + 2) << 2 : (units + 1) << 3);
    if (next > end) {
      protocol = PROTOCOL_NONE;
      break;
    }
    if (protocol == IPPROTO_DSTOPTS) {
      if (home == 0) home = homeAddress(transport + 2, next);
    } else if (protocol == IPPROTO_ROUTING) {
      if (routed == 0 && load<u8>(transport, 2) == 2 && units == 2) routed = transport + 8;
    }
    protocol = <u32>load<u8>(transport);
    transport = next;
  }
  if (tunnels != 0 && (protocol == IPPROTO_UDP || protocol == IPPROTO_GRE)) {
    const payload = tunnelPayload(transport, end, protocol, 6, tunnels);
    if (payload != 0) return innerHash(configuration, payload, end);
  }
  const ports = transport + 4 <= end;
  const tcp = ports && protocol == IPPROTO_TCP;
  const udp = ports && protocol == IPPROTO_UDP;
  let report: u32 = 0;
  if (tcp && (types & HASH_TCPV6_EX) != 0) report = 8;
  else if (udp && (types & HASH_UDPV6_EX) != 0) report = 9;
  else if ((types & HASH_IPV6_EX) != 0) report = 7;
  else {
    home = 0;
    routed = 0;
    if (tcp && (types & HASH_TCPV6) != 0) report = 5;
    else if (udp && (types & HASH_UDPV6) != 0) report = 6;
    else if ((types & HASH_IPV6) != 0) report = 4;
    else return 0;
  }
  const table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  const hash = hash6(table, home == 0 ? at + 8 : home, routed == 0 ? at + 24 : routed);
  return result(report == 7 || report == 4 ? hash : hash ^ fold4(table + 32 * RSS_KEY_TABLE_STRIDE, transport), report);
}
