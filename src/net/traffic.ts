/** Flows for the generator: who talks to whom through which headers, and the next well-formed packet of each. */
import { formatIpv6 } from './addresses.ts';
import { concat, put16, put32 } from './bytes.ts';
import { ETHERTYPE_QINQ, ethernet } from './ethernet.ts';
import { icmp, icmpv6 } from './icmp.ts';
import { ipv4 } from './ipv4.ts';
import { authentication, destinationOptions, hopByHop, ipv6, ipv6Fragment, routing } from './ipv6.ts';
import { type Layer, packet } from './packet.ts';
import type { Random } from './random.ts';
import { type TcpFlag, tcp } from './tcp.ts';
import { udp } from './udp.ts';
import { vlan } from './vlan.ts';

export type Transport = 'tcp' | 'udp' | 'icmp' | 'other';

/** One conversation; `sent` and the sequence numbers change as packets are taken from it. */
export interface Flow {
  readonly link: readonly Layer[];
  readonly reverseLink: readonly Layer[];
  readonly family: 4 | 6;
  readonly client: string;
  readonly server: string;
  readonly transport: Transport;
  readonly clientPort: number;
  readonly serverPort: number;
  /** Number for transport 'other': GRE, ESP, SCTP, … */
  readonly protocol: number;
  readonly ttl: number;
  /** IPv4 options in each packet; empty for none. */
  readonly options: Uint8Array;
  /** Which IPv6 extension headers each packet carries, in order. */
  readonly extensions: readonly ExtensionName[];
  /** Last hop of a routing header. */
  readonly via: string;
  sent: number;
  clientSequence: number;
  serverSequence: number;
}

export type ExtensionName = 'hopByHop' | 'routing' | 'destinationOptions' | 'authentication' | 'atomicFragment';

const EXTENSION_CHAINS = [
  ['hopByHop'],
  ['destinationOptions'],
  ['routing'],
  ['atomicFragment'],
  ['authentication'],
  ['hopByHop', 'routing', 'destinationOptions'],
  ['hopByHop', 'destinationOptions', 'routing', 'atomicFragment', 'authentication', 'destinationOptions'],
] as const satisfies readonly (readonly ExtensionName[])[];

/** Destination ports with their transport: web, DNS, QUIC, echo (7), NTP, SSH, and any. */
const SERVICES = [
  ['tcp', 443],
  ['tcp', 443],
  ['tcp', 80],
  ['tcp', 22],
  ['udp', 53],
  ['udp', 443],
  ['udp', 7],
  ['udp', 123],
  ['tcp', 0],
  ['udp', 0],
  ['icmp', 0],
  ['other', 0],
] as const satisfies readonly (readonly [Transport, number])[];

/** IPv4 options: none mostly, record route, timestamp, router alert (RFC 2113), and the longest header. */
function ipv4Options(rng: Random): Uint8Array {
  if (!rng.chance(1, 8)) return new Uint8Array(0);
  return rng.pick([
    Uint8Array.of(0x94, 4, 0, 0),
    Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    concat([Uint8Array.of(68, 36, 5, 0), new Uint8Array(36)]),
    Uint8Array.of(1, 1, 1, 0),
  ]);
}

/** Client address: a private one, or one from outside, every fourth of which lies in a blocklist range. */
function outsideIpv4(rng: Random): string {
  if (!rng.chance(1, 4)) return `${20 + rng.below(150)}.${rng.below(256)}.${rng.below(256)}.${1 + rng.below(254)}`;
  return `${rng.pick(['198.51.100', '203.0.113'])}.${rng.below(256)}`;
}

function outsideIpv6(rng: Random): string {
  const bytes = rng.bytes(16);
  bytes.set(rng.chance(1, 4) ? [0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad] : [0x2a, 0x02, 0x0f, rng.below(256), 0, 0]);
  if (rng.chance(1, 2)) bytes.fill(0, 6, 14);
  return formatIpv6(bytes);
}

export function createFlow(rng: Random): Flow {
  const family = rng.chance(2, 5) ? 6 : 4;
  const [transport, port] = rng.pick(SERVICES);
  const macs = { near: '02:00:5e:00:00:01', far: `02:00:5e:10:00:${(rng.below(16) + 16).toString(16)}` };
  const tags = rng.pick([
    [],
    [],
    [],
    [{ id: rng.below(4096) }],
    [{ id: rng.below(4096), tpid: ETHERTYPE_QINQ }, { id: rng.below(4096) }],
    [{ id: 100, priority: 5 }],
  ]);
  const inside =
    family === 4 ? `10.0.${rng.below(4)}.${1 + rng.below(254)}` : `fd00::${(1 + rng.below(0xffff)).toString(16)}`;
  const outside = family === 4 ? outsideIpv4(rng) : outsideIpv6(rng);
  return {
    link: [ethernet({ src: macs.far, dst: macs.near }), ...tags.map(vlan)],
    reverseLink: [ethernet({ src: macs.near, dst: macs.far }), ...tags.map(vlan)],
    family,
    client: outside,
    server: inside,
    transport,
    clientPort: 1024 + rng.below(64512),
    serverPort: port || 1 + rng.below(65535),
    protocol: rng.pick([4, 41, 47, 50, 132, 253]),
    ttl: rng.pick([64, 64, 64, 64, 64, 63, 57, 128, 128, 255, 250, 30, 2, 1, 0, 64]),
    options: family === 4 ? ipv4Options(rng) : new Uint8Array(0),
    extensions: family === 6 && rng.chance(1, 3) ? rng.pick<readonly ExtensionName[]>(EXTENSION_CHAINS) : [],
    via: outsideIpv6(rng),
    sent: 0,
    clientSequence: rng.u32(),
    serverSequence: rng.u32(),
  };
}

/** A DNS query for one name (RFC 1035 section 4): header, labels, type, class. */
function dnsQuery(rng: Random): Uint8Array {
  const header = new Uint8Array(12);
  put16(header, 0, rng.below(0x10000));
  put16(header, 2, 0x0100);
  put16(header, 4, 1);
  const labels = Array.from({ length: 1 + rng.below(3) }, () => {
    const letters = Uint8Array.from({ length: 1 + rng.below(20) }, () => 97 + rng.below(26));
    return concat([Uint8Array.of(letters.length), letters]);
  });
  return concat([header, ...labels, Uint8Array.of(4, 116, 101, 115, 116, 0, 0, rng.pick([1, 28]), 0, 1)]);
}

/** A TLS record (RFC 8446 section 5.1) with random content: handshake first, application data later. */
function tlsRecord(rng: Random, first: boolean, length: number): Uint8Array {
  const body = rng.bytes(Math.max(1, length - 5));
  const header = Uint8Array.of(first ? 22 : 23, 3, first ? 1 : 3, 0, 0);
  put16(header, 3, body.length);
  if (first) body[0] = 1;
  return concat([header, body]);
}

/** Payload of about `length` bytes in the style of the service. */
function payloadOf(flow: Flow, rng: Random, length: number): Uint8Array {
  if (flow.serverPort === 53) return dnsQuery(rng);
  if (flow.serverPort === 443 && length > 5) return tlsRecord(rng, flow.sent <= 3, length);
  return rng.bytes(length);
}

/** Bytes of payload: often none or little, often as much as fits into 1500. */
function payloadLength(rng: Random, room: number): number {
  const kind = rng.below(10);
  if (kind < 2) return 0;
  if (kind < 6) return rng.below(64);
  if (kind < 8) return rng.below(Math.min(600, room));
  return kind === 8 ? room : rng.below(room);
}

function extensionLayers(flow: Flow, rng: Random): Layer[] {
  const make: Record<ExtensionName, () => Layer> = {
    hopByHop: () => hopByHop({ body: Uint8Array.of(5, 2, 0, 0, 1, 0) }),
    destinationOptions: () => destinationOptions({ body: new Uint8Array(6 + 8 * rng.below(3)) }),
    // No segments left: the packet has arrived, so that the pseudo header has the destination that is in the header.
    routing: () => routing({ address: flow.via, segmentsLeft: 0 }),
    authentication: () => authentication({ spi: rng.u32(), sequence: flow.sent, icv: rng.bytes(12) }),
    atomicFragment: () => ipv6Fragment({ id: rng.u32() }),
  };
  return flow.extensions.map((name) => make[name]());
}

function tcpOptions(syn: boolean, rng: Random): Uint8Array {
  // MSS 1460, SACK permitted, window scale 7 in a SYN; timestamps later.
  if (syn) return Uint8Array.of(2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 1, 1);
  if (rng.chance(1, 2)) return new Uint8Array(0);
  const stamps = new Uint8Array(12);
  stamps.set([1, 1, 8, 10]);
  put32(stamps, 4, rng.u32());
  return stamps;
}

function transportLayers(flow: Flow, fromClient: boolean, rng: Random, room: number): (Layer | Uint8Array)[] {
  const length = payloadLength(rng, room);
  const ports = fromClient
    ? { srcPort: flow.clientPort, dstPort: flow.serverPort }
    : { srcPort: flow.serverPort, dstPort: flow.clientPort };
  switch (flow.transport) {
    case 'udp':
      return [
        udp({ ...ports, ...(flow.family === 4 && rng.chance(1, 16) ? { checksum: 0 } : {}) }),
        payloadOf(flow, rng, length),
      ];
    case 'tcp': {
      const syn = flow.sent < 2;
      const flags: readonly TcpFlag[] =
        flow.sent === 0
          ? ['syn']
          : syn
            ? ['syn', 'ack']
            : rng.chance(1, 24)
              ? ['fin', 'ack']
              : rng.chance(1, 48)
                ? ['rst']
                : ['psh', 'ack'];
      const body = syn ? new Uint8Array(0) : payloadOf(flow, rng, length);
      const [sequence, acknowledgment] = fromClient
        ? [flow.clientSequence, flow.serverSequence]
        : [flow.serverSequence, flow.clientSequence];
      if (fromClient) flow.clientSequence = (flow.clientSequence + body.length + (syn ? 1 : 0)) >>> 0;
      else flow.serverSequence = (flow.serverSequence + body.length + (syn ? 1 : 0)) >>> 0;
      return [
        tcp({
          ...ports,
          sequence,
          acknowledgment: flow.sent === 0 ? 0 : acknowledgment,
          flags,
          options: tcpOptions(syn, rng),
          window: rng.below(65536),
        }),
        body,
      ];
    }
    case 'icmp': {
      const rest = ((flow.clientPort << 16) | (flow.sent & 0xffff)) >>> 0;
      const unreachable = rng.chance(1, 6);
      const type =
        flow.family === 4 ? (unreachable ? 3 : fromClient ? 8 : 0) : unreachable ? 1 : fromClient ? 128 : 129;
      return [(flow.family === 4 ? icmp : icmpv6)({ type, code: unreachable ? 3 : 0, rest }), rng.bytes(length)];
    }
    case 'other':
      return [rng.bytes(length)];
  }
}

/** The next frame of a flow, without padding; at most 1514 bytes behind the VLAN tags' 4 each. `maxPayload` beyond that for what is fragmented later. */
export function nextFrame(flow: Flow, rng: Random, maxPayload?: number): Uint8Array {
  // A SYN comes from the client and its answer from the server; after that two of three packets come from the client.
  const fromClient = flow.transport === 'tcp' && flow.sent < 2 ? flow.sent === 0 : rng.chance(2, 3);
  const [src, dst] = fromClient ? [flow.client, flow.server] : [flow.server, flow.client];
  const protocol = flow.transport === 'other' ? flow.protocol : undefined;
  const network: Layer[] =
    flow.family === 4
      ? [
          ipv4({
            src,
            dst,
            ttl: flow.ttl,
            id: rng.below(65536),
            tos: rng.pick([0, 0, 0, 0x10, 0xb8, 1]),
            dontFragment: rng.chance(1, 2),
            options: flow.options,
            ...(protocol === undefined ? {} : { protocol }),
          }),
        ]
      : [
          ipv6({
            src,
            dst,
            hopLimit: flow.ttl,
            trafficClass: rng.pick([0, 0, 0xb8]),
            flowLabel: rng.below(0x100000),
            ...(protocol === undefined || flow.extensions.length > 0 ? {} : { nextHeader: protocol }),
          }),
          ...extensionLayers(flow, rng),
        ];
  const headers = packet(...network).length + 20 + 12;
  const frame = packet(
    ...(fromClient ? flow.link : flow.reverseLink),
    ...network,
    ...transportLayers(flow, fromClient, rng, maxPayload ?? 1500 - headers),
  );
  flow.sent++;
  return frame;
}
