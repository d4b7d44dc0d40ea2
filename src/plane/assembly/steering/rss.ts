// A packet's hash, report and queue by a device's configuration: headers are walked in place, and what is hashed is hashed where it lies. Never reads at `end` or
// behind. The rule stands in src/net/rss/ in its long form; constants in network order are written as a little-endian load gives them.
import {
  RSS_FLOWS, RSS_HASH_TYPES, RSS_KEY_TABLE, RSS_KEY_TABLE_STRIDE, RSS_MASK, RSS_TABLE, RSS_TUNNEL_TYPES, RSS_UNCLASSIFIED,
} from '../../layout/steering';
import { automaticQueue } from './flows';
import { fold4, fold8, foldWords } from './toeplitz';
import { grePayload, ipipPayload, tunnelPayload, udpPayload } from './tunnels';

export const ETH_P_IP: u32 = 0x0008;
export const ETH_P_IPV6: u32 = 0xdd86;
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

@inline export function isVlan(type: u32): bool {
  return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/** Extension headers whose next one can be found: hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, Shim6. */
@inline function isExtension(protocol: u32): bool {
  const low: u64 = (1 << 0) | (<u64>1 << 43) | (<u64>1 << 44) | (<u64>1 << 51) | (<u64>1 << 60);
  return protocol < 64 ? ((low >> protocol) & 1) != 0 : protocol == 135 || protocol == 139 || protocol == 140;
}

/** Where the header behind the extension headers of IPv6 begins, and its protocol above; 0: it is a fragment, or cut. `at`: a whole IPv6 header. */
export function transportOf(at: usize, end: usize): u64 {
  let protocol = <u32>load<u8>(at, 6);
  at += 40;
  for (let left = MAX_EXTENSION_HEADERS; isExtension(protocol); left--) {
    if (left == 0 || protocol == IPPROTO_FRAGMENT || at + 8 > end) return 0;
    const units = <usize>load<u8>(at, 1);
    const next = at + 8 + (protocol == IPPROTO_AH ? units << 2 : units << 3);
    if (next > end) return 0;
    protocol = <u32>load<u8>(at);
    at = next;
  }
  return (<u64>protocol << 32) | <u64>at;
}

// Address in the first home address option of [at, to), 0: none.
@inline function homeAddress(at: usize, to: usize): usize {
  for (let count: u32 = 0; count < MAX_OPTIONS; count++) {
    if (at >= to) break;
    const type = load<u8>(at);
    if (type == 0) {
      at++;
      continue;
    }
    if (at + 2 > to) break;
    const next = at + 2 + <usize>load<u8>(at, 1);
    if (next > to) break;
    if (type == 0xc9) {
      if (next == at + 18) return at + 2;
    }
    at = next;
  }
  return 0;
}

/** Addresses of IPv4 in 8 bytes of input, with the ports behind them if they are asked for. */
@inline function hash4(table: usize, addresses: usize, transport: usize): u32 {
  return foldWords(table, addresses, addresses + 8) ^ fold4(table + 8 * RSS_KEY_TABLE_STRIDE, transport);
}

@inline function hash6(table: usize, source: usize, destination: usize): u32 {
  return foldWords(table, source, source + 16) ^ foldWords(table + 16 * RSS_KEY_TABLE_STRIDE, destination, destination + 16);
}

/**
 * Report in bits 32 and above, hash below; 0: no hash. `at` is that of an Ethernet header. One function without calls, but for the headers of tunnels: what is in a tunnel goes
 * through the same loop, with no tunnels enabled.
 */
@inline export function packetHash(configuration: usize, at: usize, end: usize): u64 {
  const types = load<u32>(configuration, RSS_HASH_TYPES);
  const table = <usize>load<u32>(configuration, RSS_KEY_TABLE);
  let tunnels = load<u32>(configuration, RSS_TUNNEL_TYPES);
  let type = ETH_P_TEB;
  for (;;) {
    if (type == ETH_P_TEB) {
      if (at + 14 > end) return 0;
      type = <u32>load<u16>(at, 12);
      at += 14;
      if (type != ETH_P_IP) {
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
      }
    }
    let payload: u64 = 0;
    if (type == ETH_P_IP) {
      if (at + 20 > end) return 0;
      // Version 4, and a header of 5 to 15 words.
      const words = <u32>load<u8>(at) - 0x45;
      if (words > 10) return 0;
      // No fragment: neither more of them nor an offset.
      if ((load<u16>(at, 6) & 0xff3f) == 0) {
        const protocol = <u32>load<u8>(at, 9);
        const transport = at + 20 + (words << 2);
        let report: u32 = 0;
        if (protocol == IPPROTO_TCP) {
          report = types & HASH_TCPV4;
        } else if (protocol == IPPROTO_UDP) {
          if (tunnels != 0) payload = udpPayload(transport, end, 4, tunnels);
          if ((types & HASH_UDPV4) != 0) report = 3;
        } else if (tunnels != 0) {
          if (protocol == IPPROTO_GRE) payload = grePayload(transport, end, 4, tunnels);
          else if (protocol == IPPROTO_IPIP) payload = ipipPayload(transport, tunnels);
        }
        if (payload == 0) {
          if (report != 0) {
            if (transport + 4 <= end) return result(hash4(table, at + 12, transport), report);
          }
        }
      }
      if (payload == 0) return (types & HASH_IPV4) != 0 ? result(foldWords(table, at + 12, at + 20), 1) : 0;
    } else if (type == ETH_P_IPV6) {
      if (at + 40 > end || load<u8>(at) >> 4 != 6) return 0;
      let protocol = <u32>load<u8>(at, 6);
      let transport = at + 40;
      let extended = false;
      if (protocol != IPPROTO_TCP) {
        if (protocol != IPPROTO_UDP) extended = isExtension(protocol);
      }
      if (!extended) {
        if (tunnels != 0 && (protocol == IPPROTO_UDP || protocol == IPPROTO_GRE))
          payload = tunnelPayload(transport, end, protocol, 6, tunnels);
        if (payload == 0) {
          let report: u32 = 0;
          if (transport + 4 <= end) {
            if (protocol == IPPROTO_TCP) {
              if ((types & HASH_TCPV6) != 0) report = 5;
            } else if (protocol == IPPROTO_UDP) {
              if ((types & HASH_UDPV6) != 0) report = 6;
            }
          }
          // What is hashed lies in a row: addresses, and ports.
          if (report != 0) return result(foldWords(table, at + 8, at + 44), report);
          return (types & HASH_IPV6) != 0 ? result(foldWords(table, at + 8, at + 40), 4) : 0;
        }
      } else {
        let home: usize = 0;
        let routed: usize = 0;
        let left = MAX_EXTENSION_HEADERS;
        do {
          // The chain is cut behind a fragment header, and where the packet or the count ends.
          let units: usize = 0;
          let next = end + 1;
          if (protocol != IPPROTO_FRAGMENT) {
            if (transport + 8 <= end) {
              units = <usize>load<u8>(transport, 1);
              next = transport + 8 + (units << 3);
              if (protocol == IPPROTO_AH) next = transport + 8 + (units << 2);
            }
          }
          if (next > end) {
            protocol = PROTOCOL_NONE;
            break;
          }
          if (protocol == IPPROTO_DSTOPTS) {
            if (home == 0) home = homeAddress(transport + 2, next);
          } else if (protocol == IPPROTO_ROUTING) {
            if (routed == 0) {
              // Type 2 with one address.
              if ((load<u32>(transport) & 0xffff00) == 0x20200) routed = transport + 8;
            }
          }
          protocol = <u32>load<u8>(transport);
          transport = next;
          if (--left == 0) {
            if (isExtension(protocol)) protocol = PROTOCOL_NONE;
            break;
          }
        } while (isExtension(protocol));
        if (tunnels != 0 && (protocol == IPPROTO_UDP || protocol == IPPROTO_GRE))
          payload = tunnelPayload(transport, end, protocol, 6, tunnels);
        if (payload == 0) {
          const ports = transport + 4 <= end;
          const tcp = ports && protocol == IPPROTO_TCP;
          const udp = ports && protocol == IPPROTO_UDP;
          let report: u32 = 0;
          if (tcp && (types & HASH_TCPV6_EX) != 0) report = 8;
          else if (udp && (types & HASH_UDPV6_EX) != 0) report = 9;
          else if ((types & HASH_IPV6_EX) != 0) report = 7;
          else {
            // The plain types do not know the other addresses.
            home = 0;
            routed = 0;
            if (tcp && (types & HASH_TCPV6) != 0) report = 5;
            else if (udp && (types & HASH_UDPV6) != 0) report = 6;
            else if ((types & HASH_IPV6) != 0) report = 4;
            else return 0;
          }
          const hash = hash6(table, home == 0 ? at + 8 : home, routed == 0 ? at + 24 : routed);
          return result(report == 7 || report == 4 ? hash : hash ^ fold4(table + 32 * RSS_KEY_TABLE_STRIDE, transport), report);
        }
      }
    } else return 0;
    at = <usize>payload;
    type = <u32>(payload >> 32) & 0xffff;
    tunnels = 0;
  }
  return 0;
}

/** The queue of a hash. */
@inline export function rssQueue(configuration: usize, hash: u64): u32 {
  if (hash == 0) return load<u32>(configuration, RSS_UNCLASSIFIED);
  const entry = <usize>(<u32>hash & load<u32>(configuration, RSS_MASK));
  return <u32>load<u16>(<usize>load<u32>(configuration, RSS_TABLE) + (entry << 1));
}

/** packetHash, and the queue in bits 48 and above. */
export function rssResult(configuration: usize, at: usize, end: usize): u64 {
  const hash = packetHash(configuration, at, end);
  const flows = <usize>load<u32>(configuration, RSS_FLOWS);
  const queue = flows == 0 ? rssQueue(configuration, hash) : automaticQueue(configuration, flows, hash, at, end);
  return hash | (<u64>queue << 48);
}

/** Writes u32 hash, u16 report and u16 queue (struct bpf_vnet_rss). */
export function rss_compute(configuration: usize, at: usize, end: usize, to: usize): void {
  store<u64>(to, rssResult(configuration, at, end));
}
