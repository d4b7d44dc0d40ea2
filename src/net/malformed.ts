/** Spoiling frames for the generator: every way of lying about lengths, and cuts at every layer. */
import { get16, put16 } from './bytes.ts';
import { dissect } from './dissect.ts';
import { ethernet } from './ethernet.ts';
import { ipv4 } from './ipv4.ts';
import { destinationOptions, ipv6, ipv6Fragment } from './ipv6.ts';
import { packet } from './packet.ts';
import type { Random } from './random.ts';
import { udp } from './udp.ts';
import { vlan } from './vlan.ts';

/** A frame made from a well-formed one (which is left alone); `minimumLength` bounds how short a cut may be. */
export function spoil(frame: Uint8Array, rng: Random, minimumLength: number): Uint8Array {
  const way = rng.below(4);
  if (way === 0) return cut(frame, rng, minimumLength);
  if (way === 1) return hostile(rng);
  const { networkOffset, transportOffset, tuple } = dissect(frame);
  if (networkOffset === undefined || tuple === undefined) return cut(frame, rng, minimumLength);
  const bytes = frame.slice();
  if (way === 2 || transportOffset === undefined) {
    if (tuple.family === 4) spoilIpv4(bytes, networkOffset, rng);
    else spoilIpv6(bytes, networkOffset, rng);
  } else spoilTransport(bytes, transportOffset, tuple.protocol, rng);
  return bytes;
}

/** Ends in or right behind a header, or anywhere. */
function cut(frame: Uint8Array, rng: Random, minimumLength: number): Uint8Array {
  const { networkOffset, transportOffset } = dissect(frame);
  const network = networkOffset ?? 14;
  const transport = transportOffset ?? network + 20;
  const length = rng.pick([
    rng.below(15),
    14 + rng.below(Math.max(1, network - 13)),
    network + rng.below(Math.max(1, transport - network + 1)),
    transport + rng.below(21),
    rng.below(frame.length + 1),
  ]);
  return frame.slice(0, Math.min(frame.length, Math.max(length, minimumLength)));
}

function spoilIpv4(bytes: Uint8Array, at: number, rng: Random): void {
  const length = get16(bytes, at + 2);
  const spoilers: readonly [() => void, ...(() => void)[]] = [
    () => {
      bytes[at] = 0x40 | rng.below(5); // header length below the minimum
    },
    () => {
      bytes[at] = 0x4f; // options that may not be there
    },
    () => {
      bytes[at] = (rng.below(16) << 4) | 5;
    },
    () => put16(bytes, at + 2, rng.below(20)),
    () => put16(bytes, at + 2, Math.min(0xffff, length + 1 + rng.below(2000))),
    () => put16(bytes, at + 2, Math.max(20, length - 1 - rng.below(40))),
    () => put16(bytes, at + 10, rng.below(65536)),
    () => put16(bytes, at + 6, 0x3fff), // last possible fragment offset, with more to come
  ];
  rng.pick(spoilers)();
}

function spoilIpv6(bytes: Uint8Array, at: number, rng: Random): void {
  const length = get16(bytes, at + 4);
  const spoilers: readonly [() => void, ...(() => void)[]] = [
    () => {
      bytes[at] = (rng.below(16) << 4) | (bytes[at]! & 0xf);
    },
    () => put16(bytes, at + 4, rng.below(8)),
    () => put16(bytes, at + 4, Math.min(0xffff, length + 1 + rng.below(2000))),
    () => put16(bytes, at + 4, Math.max(0, length - 1 - rng.below(40))),
    () => {
      bytes[at + 6] = rng.pick([0, 43, 44, 51, 60]); // payload read as an extension header
    },
    () => {
      if (at + 41 < bytes.length) bytes[at + 41] = 255; // first extension header longer than the packet
    },
  ];
  rng.pick(spoilers)();
}

function spoilTransport(bytes: Uint8Array, at: number, protocol: number, rng: Random): void {
  if (protocol === 6 && at + 20 <= bytes.length) {
    if (rng.chance(2, 3)) bytes[at + 12] = rng.below(16) << 4;
    else put16(bytes, at + 16, rng.below(65536));
    bytes[at + 13] = rng.pick([bytes[at + 13]!, 0, 0x3f, 0x29]); // null and Christmas tree scans
  } else if (protocol === 17 && at + 8 <= bytes.length) {
    if (rng.chance(2, 3)) put16(bytes, at + 4, rng.pick([0, 7, rng.below(65536)]));
    else put16(bytes, at + 6, rng.below(65536));
  } else if (at + 4 <= bytes.length) put16(bytes, at + 2, rng.below(65536));
}

/** Frames that are hostile from the start. */
function hostile(rng: Random): Uint8Array {
  const v4 = { src: '203.0.113.66', dst: '10.0.0.1' };
  const v6 = { src: '2001:db8:bad::66', dst: 'fd00::1' };
  const ports = { srcPort: 1 + rng.below(65535), dstPort: rng.pick([7, 53, 443]) };
  const many = (count: number) => Array.from({ length: count }, () => destinationOptions());
  const makers: readonly [() => Uint8Array, ...(() => Uint8Array)[]] = [
    // More tags and more extension headers than any program walks.
    () =>
      packet(
        ethernet(),
        ...Array.from({ length: 3 + rng.below(4) }, () => vlan({ id: rng.below(4096) })),
        ipv4(v4),
        udp(ports),
      ),
    () => packet(ethernet(), ipv6(v6), ...many(5 + rng.below(30)), udp(ports)),
    // An extension header that claims 2048 bytes.
    () => packet(ethernet(), ipv6(v6), destinationOptions({ length: 255 }), udp(ports)),
    // A fragment header chain, and a fragment so short that the UDP header is cut in two.
    () =>
      packet(
        ethernet(),
        ipv6(v6),
        ipv6Fragment({ id: 1, moreFragments: true }),
        ipv6Fragment({ id: 2, moreFragments: true }),
        udp(ports),
      ),
    () => packet(ethernet(), ipv4({ ...v4, moreFragments: true, protocol: 17 }), rng.bytes(4)),
    // Land attack: from itself to itself.
    () => packet(ethernet(), ipv4({ src: '10.0.0.1', dst: '10.0.0.1' }), udp({ srcPort: 7, dstPort: 7 })),
    // The ethertype says one version, the header the other.
    () => packet(ethernet({ etherType: 0x86dd }), ipv4(v4), udp(ports), rng.bytes(20)),
    () => packet(ethernet({ etherType: 0x0800 }), ipv6(v6), udp(ports)),
    // Lengths as types (802.3), and nothing behind a tag.
    () => packet(ethernet({ etherType: 46 }), rng.bytes(46)),
    () => packet(ethernet(), vlan({ id: 1, etherType: 0x8100 })),
    () => rng.bytes(14 + rng.below(100)),
  ];
  return rng.pick(makers)();
}
