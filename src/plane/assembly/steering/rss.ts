// A packet's hash, report and queue by a device's configuration: headers are walked in place, and what is hashed is hashed where it lies. Never reads at `end` or
// behind. The rule stands in src/net/rss/ in its long form; constants in network order are written as a little-endian load gives them.
import {
  RSS_FLOWS, RSS_HASH_TYPES, RSS_KEY_TABLE, RSS_KEY_TABLE_STRIDE, RSS_MASK, RSS_TABLE, RSS_TUNNEL_TYPES, RSS_UNCLASSIFIED,
} from '../../layout/steering';
import {
  EXTENSION_AUTHENTICATION, EXTENSION_FRAGMENT, EXTENSION_OPTIONS, EXTENSION_ROUTING, MAX_EXTENSION_HEADERS, extensionOf, homeAddress, routedAddress,
} from './extension-headers';
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

/** A hash with its report above; 0: no hash. */
@inline function result(hash: u32, report: u32): u64 {
  return (<u64>report << 32) | <u64>hash;
}

@inline export function isVlan(type: u32): bool {
  return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/** Addresses of IPv4 in 8 bytes of input, with the ports behind them if they are asked for. */
@inline function hash4(table: usize, addresses: usize, transport: usize): u32 {
  return fold8(table, addresses) ^ fold4(table + 8 * RSS_KEY_TABLE_STRIDE, transport);
}

@inline function hash6(table: usize, source: usize, destination: usize): u32 {
  return foldWords(table + 16 * RSS_KEY_TABLE_STRIDE, destination, 16, foldWords(table, source, 16, 0));
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
        const ports = transport + 4 <= end;
        if (protocol == IPPROTO_TCP) {
          if ((types & HASH_TCPV4) != 0) {
            if (ports) return result(hash4(table, at + 12, transport), 2);
          }
        } else if (protocol == IPPROTO_UDP) {
          if (tunnels != 0) payload = udpPayload(transport, end, 4, tunnels);
          if (payload == 0) {
            if ((types & HASH_UDPV4) != 0) {
              if (ports) return result(hash4(table, at + 12, transport), 3);
            }
          }
        } else if (tunnels != 0) {
          if (protocol == IPPROTO_GRE) payload = grePayload(transport, end, 4, tunnels);
          else if (protocol == IPPROTO_IPIP) payload = ipipPayload(transport, tunnels);
        }
      }
      if (payload == 0) return (types & HASH_IPV4) != 0 ? result(fold8(table, at + 12), 1) : 0;
    } else if (type == ETH_P_IPV6) {
      if (at + 40 > end) return 0;
      if (load<u8>(at) >> 4 != 6) return 0;
      let protocol = <u32>load<u8>(at, 6);
      let transport = at + 40;
      let kind = extensionOf(protocol);
      if (kind == 0) {
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
          if (report != 0) return result(foldWords(table, at + 8, 36, 0), report);
          return (types & HASH_IPV6) != 0 ? result(foldWords(table, at + 8, 32, 0), 4) : 0;
        }
      } else {
        let home: usize = 0;
        let routed: usize = 0;
        let left = MAX_EXTENSION_HEADERS;
        do {
          // The chain is cut behind a fragment header, and where the packet or the count ends.
          let next = transport + 8;
          if (next > end) {
            protocol = PROTOCOL_NONE;
            break;
          }
          const units = <usize>load<u8>(transport, 1);
          if (kind < EXTENSION_AUTHENTICATION) {
            next += units << 3;
          } else {
            if (kind == EXTENSION_FRAGMENT) {
              protocol = PROTOCOL_NONE;
              break;
            }
            next += units << 2;
          }
          if (next > end) {
            protocol = PROTOCOL_NONE;
            break;
          }
          if (kind == EXTENSION_OPTIONS) {
            if (home == 0) home = homeAddress(transport + 2, next);
          } else if (kind == EXTENSION_ROUTING) {
            if (routed == 0) routed = routedAddress(transport);
          }
          protocol = <u32>load<u8>(transport);
          transport = next;
          kind = extensionOf(protocol);
          if (--left == 0) {
            if (kind != 0) protocol = PROTOCOL_NONE;
            break;
          }
        } while (kind != 0);
        if (tunnels != 0 && (protocol == IPPROTO_UDP || protocol == IPPROTO_GRE))
          payload = tunnelPayload(transport, end, protocol, 6, tunnels);
        if (payload == 0) {
          let report: u32 = 0;
          let ports = false;
          if (transport + 4 <= end) {
            if (protocol == IPPROTO_TCP) {
              ports = true;
              if ((types & HASH_TCPV6_EX) != 0) report = 8;
            } else if (protocol == IPPROTO_UDP) {
              ports = true;
              if ((types & HASH_UDPV6_EX) != 0) report = 9;
            }
          }
          if (report == 0) {
            if ((types & HASH_IPV6_EX) != 0) {
              report = 7;
              ports = false;
            } else {
              // The plain types do not know the other addresses.
              home = 0;
              routed = 0;
              if (ports && protocol == IPPROTO_TCP && (types & HASH_TCPV6) != 0) report = 5;
              else if (ports && protocol == IPPROTO_UDP && (types & HASH_UDPV6) != 0) report = 6;
              else if ((types & HASH_IPV6) != 0) {
                report = 4;
                ports = false;
              } else return 0;
            }
          }
          const hash = hash6(table, home == 0 ? at + 8 : home, routed == 0 ? at + 24 : routed);
          return result(ports ? hash ^ fold4(table + 32 * RSS_KEY_TABLE_STRIDE, transport) : hash, report);
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
