/** Frames of everything that receive-side scaling looks at: tags, extension headers with home and routing addresses, fragments, tunnels; some cut anywhere. */
import { ipv6Bytes } from '../addresses.ts';
import { concat, put16 } from '../bytes.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_QINQ, ethernet } from '../ethernet.ts';
import { icmp, icmpv6 } from '../icmp.ts';
import { IPPROTO_TCP, IPPROTO_UDP, ipv4 } from '../ipv4.ts';
import { authentication, destinationOptions, hopByHop, ipv6, ipv6Fragment, routing } from '../ipv6.ts';
import { type Layer, packet } from '../packet.ts';
import type { Random } from '../random.ts';
import { ETHERTYPE_TEB } from '../rss/headers.ts';
import { IPPROTO_GRE, IPPROTO_IPIP, PORT_GENEVE, PORT_GRE, PORT_VXLAN, PORT_VXLAN_GPE } from '../rss/tunnels.ts';
import { tcp } from '../tcp.ts';
import { udp } from '../udp.ts';
import { vlan } from '../vlan.ts';

type Part = Layer | Uint8Array;

export function steeringFrame(rng: Random): Uint8Array {
  const inside = rng.chance(2, 5) ? tunnelled(rng) : host(rng);
  const frame = packet(...link(rng), ...inside);
  return rng.chance(1, 24) ? frame.slice(0, 14 + rng.below(frame.length - 13)) : frame;
}

function link(rng: Random): Layer[] {
  const tags = rng.pick([0, 0, 0, 0, 1, 1, 2, 2, 3]);
  return [
    ethernet(),
    ...Array.from({ length: tags }, () =>
      vlan({ id: rng.below(4096), ...(rng.chance(1, 3) ? { tpid: ETHERTYPE_QINQ } : {}) }),
    ),
  ];
}

const address4 = (rng: Random) => `10.${rng.below(2)}.0.${1 + rng.below(40)}`;
const address6 = (rng: Random) => `2001:db8:${rng.below(2)}::${(1 + rng.below(40)).toString(16)}`;

/** An IP packet without a tunnel. */
function host(rng: Random): Part[] {
  return rng.chance(1, 2) ? host4(rng) : host6(rng);
}

function transport(rng: Random, version: 4 | 6): Part[] {
  const ports = { srcPort: 1024 + rng.below(64), dstPort: rng.pick([53, 80, 443, 443, 1 + rng.below(65535)]) };
  const payload = rng.bytes(rng.below(48));
  const kind = rng.below(10);
  if (kind < 5) return [tcp({ ...ports, flags: ['ack'] }), payload];
  if (kind < 8) return [udp(ports), payload];
  if (kind === 8) return [version === 4 ? icmp({ type: 8 }) : icmpv6({ type: 128 }), payload];
  return [payload];
}

function host4(rng: Random): Part[] {
  const ends = { src: address4(rng), dst: address4(rng) };
  const options = rng.chance(1, 5) ? { options: new Uint8Array(4 * (1 + rng.below(10))) } : {};
  if (!rng.chance(1, 8)) return [ipv4({ ...ends, ...options }), ...transport(rng, 4)];
  const more = rng.chance(2, 3);
  return [
    ipv4({
      ...ends,
      ...options,
      protocol: rng.pick([IPPROTO_TCP, IPPROTO_UDP]),
      moreFragments: more,
      fragmentOffset: rng.chance(1, 2) || !more ? 1 + rng.below(0x1fff) : 0,
    }),
    rng.bytes(8 * (1 + rng.below(10))),
  ];
}

function host6(rng: Random): Part[] {
  const count = rng.chance(1, 2) ? 0 : rng.pick([1, 1, 1, 2, 2, 3, 4, 6, 10, 11, 12, 14]);
  const extensions = Array.from({ length: count }, () => extension(rng));
  return [ipv6({ src: address6(rng), dst: address6(rng) }), ...extensions, ...transport(rng, 6)];
}

function extension(rng: Random): Layer {
  const kind = rng.below(16);
  if (kind < 3) return hopByHop({ body: new Uint8Array(6 + 8 * rng.below(3)) });
  if (kind < 9) return destinationOptions({ body: options(rng) });
  if (kind < 12)
    return routing({ address: address6(rng), type: rng.pick([2, 2, 2, 0, 3]), segmentsLeft: rng.below(3) });
  if (kind < 14) return authentication({ spi: rng.u32(), sequence: rng.u32(), icv: rng.bytes(4 + 8 * rng.below(3)) });
  return ipv6Fragment({
    id: rng.u32(),
    fragmentOffset: rng.pick([0, 0, 1 + rng.below(0x1fff)]),
    moreFragments: rng.chance(2, 3),
  });
}

/** Padding, options of other types, and home addresses: right, short, or cut by the end of the header. */
function options(rng: Random): Uint8Array {
  const one = (): Uint8Array => {
    const kind = rng.below(8);
    if (kind < 2) return new Uint8Array(1 + rng.below(rng.chance(1, 6) ? 40 : 4));
    if (kind < 4) return concat([Uint8Array.of(1, 4), new Uint8Array(4)]);
    if (kind < 7) return concat([Uint8Array.of(0xc9, 16), ipv6Bytes(address6(rng))]);
    return concat([Uint8Array.of(rng.pick([0xc9, 0x05, 0xc2]), rng.pick([2, 15, 17, 200])), rng.bytes(2)]);
  };
  return concat(Array.from({ length: 1 + rng.below(4) }, one));
}

/** A header of which only the bytes matter. */
function bytes(header: Uint8Array, ipProtocol?: number): Layer {
  return { ...(ipProtocol === undefined ? {} : { ipProtocol }), encode: (payload) => concat([header, payload]) };
}

/** Packets in tunnels; some of types, flags and versions that are none. */
function tunnelled(rng: Random): Part[] {
  const over = rng.chance(2, 3)
    ? ipv4({ src: '192.0.2.1', dst: '192.0.2.2' })
    : ipv6({ src: '2001:db8:ffff::1', dst: '2001:db8:ffff::2' });
  return [over, ...rng.pick(tunnels)(rng)];
}

/** What is in a tunnel that says its type: Ethernet, IPv4, IPv6, or something else. */
function inner(rng: Random): { readonly etherType: number; readonly parts: readonly Part[] } {
  const kind = rng.below(8);
  if (kind < 3) return { etherType: ETHERTYPE_IPV4, parts: host4(rng) };
  if (kind < 5) return { etherType: ETHERTYPE_IPV6, parts: host6(rng) };
  if (kind < 7) return { etherType: ETHERTYPE_TEB, parts: [...link(rng), ...host(rng)] };
  return { etherType: 0x8847, parts: [rng.bytes(30)] };
}

function gre(rng: Random): Part[] {
  const { etherType, parts } = inner(rng);
  const flags = rng.pick([0, 0, 0, 0x8000, 0x2000, 0x2000, 0x2000, 0x1000, 0x3000, 0xb000, 0x4000, 0x0001, 0x0400]);
  const words = [0x8000, 0x2000, 0x1000].filter((bit) => (flags & bit) !== 0).length;
  const header = new Uint8Array(4 + 4 * words);
  put16(header, 0, flags);
  put16(header, 2, etherType);
  return [bytes(header, IPPROTO_GRE), ...parts];
}

const tunnels: readonly [(rng: Random) => Part[], ...((rng: Random) => Part[])[]] = [
  (rng) => gre(rng),
  (rng) => gre(rng),
  (rng) => [udp({ srcPort: rng.below(65536), dstPort: PORT_GRE }), ...gre(rng)],
  (rng) => [
    udp({ srcPort: rng.below(65536), dstPort: PORT_VXLAN }),
    Uint8Array.of(rng.pick([8, 8, 8, 0]), 0, 0, 0, 0, 0, 7, 0),
    packet(...link(rng), ...host(rng)),
  ],
  (rng) => {
    const { etherType, parts } = inner(rng);
    const next = { [ETHERTYPE_IPV4]: 1, [ETHERTYPE_IPV6]: 2, [ETHERTYPE_TEB]: 3 }[etherType] ?? 4;
    return [
      udp({ srcPort: rng.below(65536), dstPort: PORT_VXLAN_GPE }),
      Uint8Array.of(rng.pick([0x0c, 0x0c, 0x08, 0x1c]), 0, 0, next, 0, 0, 7, 0),
      packet(...parts),
    ];
  },
  (rng) => {
    const { etherType, parts } = inner(rng);
    const header = new Uint8Array(8 + 4 * rng.below(4));
    header[0] = ((header.length - 8) / 4) | rng.pick([0, 0, 0, 0, 0x40]);
    put16(header, 2, etherType);
    return [udp({ srcPort: rng.below(65536), dstPort: PORT_GENEVE }), concat([header, packet(...parts)])];
  },
  (rng) => [bytes(new Uint8Array(0), IPPROTO_IPIP), packet(...host4(rng))],
];
