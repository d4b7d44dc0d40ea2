/** A packet's hash input and report, by the hash types that are enabled: the rule of the specification. */
import { concat } from '../bytes.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../ipv4.ts';
import { type HashTypeName, hashType, reportOf } from './hash-types.ts';
import { ETHERTYPE_TEB, type IpHeaders, ipHeaders, linkPayload } from './headers.ts';
import { type Tunnel, tunnelOf } from './tunnels.ts';

export interface RssFields {
  /** Type whose rule applied, and its `hash_report`. */
  readonly type: HashTypeName;
  readonly report: number;
  /** What is hashed: addresses and ports in network order; 8, 12, 32 or 36 bytes. */
  readonly input: Uint8Array;
  /** Headers that it was taken from: the inner ones of a tunnel. */
  readonly headers: IpHeaders;
  readonly tunnel: Tunnel | undefined;
  /** Where in the packet the input's parts come from; `ports`: 4 bytes, undefined where only addresses are hashed. */
  readonly source: number;
  readonly destination: number;
  readonly ports: number | undefined;
}

/** Headers that the hash is of, undefined where there are none. */
export function hashedHeaders(
  packet: Uint8Array,
  tunnelTypes: number,
): { readonly headers: IpHeaders; readonly tunnel: Tunnel | undefined } | undefined {
  const link = linkPayload(packet);
  const outer = link === undefined ? undefined : ipHeaders(packet, link.offset, link.etherType);
  if (outer === undefined) return undefined;
  const tunnel = tunnelOf(packet, outer);
  if (tunnel === undefined || (tunnel.types & tunnelTypes) === 0) return { headers: outer, tunnel: undefined };
  const payload = tunnel.etherType === ETHERTYPE_TEB ? linkPayload(packet, tunnel.offset) : tunnel;
  const headers = payload === undefined ? undefined : ipHeaders(packet, payload.offset, payload.etherType);
  return headers === undefined ? undefined : { headers, tunnel };
}

/** Undefined: the packet has no hash. `packet` begins with an Ethernet header. */
export function rssFields(packet: Uint8Array, hashTypes: number, tunnelTypes = 0): RssFields | undefined {
  const found = hashedHeaders(packet, tunnelTypes);
  if (found === undefined) return undefined;
  const { headers, tunnel } = found;
  const type = typeFor(headers, packet.length, hashTypes);
  if (type === undefined) return undefined;
  const size = headers.version === 4 ? 4 : 16;
  const extended = type.endsWith('Ex');
  const source = extended ? (headers.homeAddress ?? headers.source) : headers.source;
  const destination = extended ? (headers.routingAddress ?? headers.destination) : headers.destination;
  const ports = /^(tcp|udp)/.test(type) ? headers.transportOffset : undefined;
  const part = (at: number, length: number) => packet.subarray(at, at + length);
  return {
    type,
    report: reportOf(type),
    input: concat([part(source, size), part(destination, size), ...(ports === undefined ? [] : [part(ports, 4)])]),
    headers,
    tunnel,
    source,
    destination,
    ports,
  };
}

/** The first type in the order of the specification that is enabled and fits. */
function typeFor(headers: IpHeaders, length: number, hashTypes: number): HashTypeName | undefined {
  const { version, protocol, transportOffset } = headers;
  const ports = transportOffset !== undefined && transportOffset + 4 <= length;
  const transport = !ports ? '' : protocol === IPPROTO_TCP ? 'tcp' : protocol === IPPROTO_UDP ? 'udp' : '';
  const candidates: HashTypeName[] = [];
  if (headers.extensions) {
    if (transport !== '') candidates.push(`${transport}v6Ex`);
    candidates.push('ipv6Ex');
  }
  if (transport !== '') candidates.push(`${transport}v${version}`);
  candidates.push(`ipv${version}`);
  return candidates.find((name) => (hashTypes & hashType[name]) !== 0);
}
