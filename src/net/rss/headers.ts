/**
 * What receive-side scaling reads of a packet: addresses, ports, and what stands between them. Only bytes that are there count; lengths of IP headers are
 * not asked, because devices see frames before the stack has cut their padding.
 */
import { get16 } from '../bytes.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_QINQ, ETHERTYPE_VLAN } from '../ethernet.ts';
import { IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_ROUTING } from '../ipv6.ts';

/** Tags in front of the network header; a packet with more is of no type. */
export const MAX_VLAN_TAGS = 2;
/** Extension headers that are walked, and options in each; what is behind is not seen. As in QEMU's steering program. */
export const MAX_EXTENSION_HEADERS = 11;
export const MAX_OPTIONS = 30;

export const ETHERTYPE_TEB = 0x6558;
/** RFC 6275, 7401, 5533: of the same form as hop-by-hop options. */
const IPPROTO_MOBILITY = 135;
const IPPROTO_HIP = 139;
const IPPROTO_SHIM6 = 140;
const OPTION_PAD1 = 0;
const OPTION_HOME_ADDRESS = 0xc9;
const ROUTING_TYPE_2 = 2;

/** Offsets are bytes from the start of the packet. */
export interface IpHeaders {
  readonly version: 4 | 6;
  readonly networkOffset: number;
  /** Of the addresses: 4 or 16 bytes each. */
  readonly source: number;
  readonly destination: number;
  /** Of the address in a home address option, and in a routing header of type 2, where one was seen. */
  readonly homeAddress: number | undefined;
  readonly routingAddress: number | undefined;
  /** IPv6 with any extension header, whole or cut. */
  readonly extensions: boolean;
  /** Any fragment, the first one too: its ports are not looked at, so that all fragments of a packet have one hash. */
  readonly fragment: boolean;
  /** Of the header behind all extension headers; undefined in fragments, and where the chain is cut. */
  readonly protocol: number | undefined;
  /** Where that header begins; it may lie behind the end of the packet. */
  readonly transportOffset: number | undefined;
}

/** The network header of an Ethernet frame that begins at `at`: its offset and EtherType; undefined where the frame is cut before. */
export function linkPayload(
  packet: Uint8Array,
  at = 0,
): { readonly offset: number; readonly etherType: number } | undefined {
  if (packet.length < at + 14) return undefined;
  let offset = at + 14;
  let etherType = get16(packet, at + 12);
  for (let tags = 0; tags < MAX_VLAN_TAGS && (etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ); tags++) {
    if (packet.length < offset + 4) return undefined;
    etherType = get16(packet, offset + 2);
    offset += 4;
  }
  return { offset, etherType };
}

/** Headers of what follows a link header or is in a tunnel; undefined where it is not IP, or no whole IP header. */
export function ipHeaders(packet: Uint8Array, offset: number, etherType: number): IpHeaders | undefined {
  if (etherType === ETHERTYPE_IPV4) return ipv4Headers(packet, offset);
  return etherType === ETHERTYPE_IPV6 ? ipv6Headers(packet, offset) : undefined;
}

function ipv4Headers(packet: Uint8Array, at: number): IpHeaders | undefined {
  if (packet.length < at + 20 || packet[at]! >> 4 !== 4) return undefined;
  const words = packet[at]! & 0xf;
  if (words < 5) return undefined;
  const fragment = (get16(packet, at + 6) & 0x3fff) !== 0;
  return {
    version: 4,
    networkOffset: at,
    source: at + 12,
    destination: at + 16,
    homeAddress: undefined,
    routingAddress: undefined,
    extensions: false,
    fragment,
    protocol: fragment ? undefined : packet[at + 9]!,
    transportOffset: fragment ? undefined : at + words * 4,
  };
}

const optionHeaders: readonly number[] = [
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  IPPROTO_DSTOPTS,
  IPPROTO_MOBILITY,
  IPPROTO_HIP,
  IPPROTO_SHIM6,
];

/** Extension headers whose next one can be found. ESP is none of them: what is behind it cannot be read. */
export function isExtensionHeader(protocol: number): boolean {
  return protocol === IPPROTO_FRAGMENT || protocol === IPPROTO_AH || optionHeaders.includes(protocol);
}

function ipv6Headers(packet: Uint8Array, network: number): IpHeaders | undefined {
  if (packet.length < network + 40 || packet[network]! >> 4 !== 6) return undefined;
  let protocol: number | undefined = packet[network + 6]!;
  let at = network + 40;
  let homeAddress: number | undefined;
  let routingAddress: number | undefined;
  let fragment = false;
  const extensions = isExtensionHeader(protocol);
  for (let count = 0; protocol !== undefined && isExtensionHeader(protocol); count++) {
    const size: number =
      count === MAX_EXTENSION_HEADERS || packet.length < at + 8
        ? Number.POSITIVE_INFINITY
        : protocol === IPPROTO_FRAGMENT
          ? 8
          : protocol === IPPROTO_AH
            ? (packet[at + 1]! + 2) * 4
            : (packet[at + 1]! + 1) * 8;
    if (packet.length < at + size) protocol = undefined;
    else if (protocol === IPPROTO_FRAGMENT) {
      // What is behind belongs to the original packet, and is there in its first fragment alone.
      fragment = true;
      protocol = undefined;
    } else {
      if (protocol === IPPROTO_DSTOPTS) homeAddress ??= homeAddressIn(packet, at + 2, at + size);
      // RFC 6275, section 6.4: one address, 24 bytes. Segments left are not asked for by virtio.
      if (protocol === IPPROTO_ROUTING && packet[at + 2] === ROUTING_TYPE_2 && size === 24) routingAddress ??= at + 8;
      protocol = packet[at]!;
      at += size;
    }
  }
  return {
    version: 6,
    networkOffset: network,
    source: network + 8,
    destination: network + 24,
    homeAddress,
    routingAddress,
    extensions,
    fragment,
    protocol,
    transportOffset: protocol === undefined ? undefined : at,
  };
}

/** Offset of the address in the first home address option (RFC 6275, section 6.3) of [from, to). */
function homeAddressIn(packet: Uint8Array, from: number, to: number): number | undefined {
  let at = from;
  for (let count = 0; count < MAX_OPTIONS && at < to; count++) {
    const type = packet[at]!;
    if (type === OPTION_PAD1) {
      at++;
      continue;
    }
    if (at + 2 > to) return undefined;
    const length = packet[at + 1]!;
    if (at + 2 + length > to) return undefined;
    if (type === OPTION_HOME_ADDRESS && length === 16) return at + 2;
    at += 2 + length;
  }
  return undefined;
}
