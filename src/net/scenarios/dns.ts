/** DNS over UDP as a server sees it: names under a few domains, and queries that are wrong in every way RFC 1035 leaves open. */
import { concat } from '../bytes.ts';
import { dns, dnsName } from '../dns.ts';
import { ethernet } from '../ethernet.ts';
import { ipv4 } from '../ipv4.ts';
import { ipv6 } from '../ipv6.ts';
import { type Layer, packet } from '../packet.ts';
import type { Random } from '../random.ts';
import { tcp } from '../tcp.ts';
import { udp } from '../udp.ts';
import { vlan } from '../vlan.ts';

/** Domains that names are under; the first three are those that examples block. */
const DOMAINS = [
  'ads.example',
  'tracker.test',
  'bad.ads.example',
  'example.com',
  'example.org',
  'ok.ads.example',
  'co.test',
] as const;
const TYPES = [1, 1, 1, 28, 28, 15, 16, 2, 6, 33, 65, 255] as const;

function word(rng: Random, longest: number): string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789-_';
  return Array.from({ length: 1 + rng.below(longest) }, () => letters[rng.below(letters.length)]).join('');
}

function name(rng: Random): string {
  const domain = rng.pick(DOMAINS);
  // Resolvers that mix cases against forgery (0x20) do so per letter.
  const cased = rng.chance(1, 3)
    ? [...domain].map((c) => (rng.chance(1, 2) ? c.toUpperCase() : c)).join('')
    : (domain as string);
  const labels = Array.from({ length: rng.pick([0, 1, 1, 2, 3, 20]) }, () => word(rng, 9));
  return [...labels, cased].join('.');
}

/** Bytes in the place of a name that are none. */
function brokenName(rng: Random): Uint8Array {
  const makers: readonly [() => Uint8Array, ...(() => Uint8Array)[]] = [
    () => Uint8Array.of(0xc0, 12),
    () => concat([Uint8Array.of(3, 119, 119, 119), Uint8Array.of(0xc0, rng.below(256))]),
    () => concat([Uint8Array.of(0x41), rng.bytes(4)]),
    () => concat([Uint8Array.of(0x80 | rng.below(64)), rng.bytes(4)]),
    () => dnsName(Array.from({ length: 127 + rng.below(3) }, () => 'x').join('.')),
    () => dnsName(Array.from({ length: 4 }, () => word(rng, 1).repeat(63)).join('.')),
    // No end in sight.
    () => rng.bytes(1 + rng.below(20)).map((octet) => (octet & 0x3f) | 1),
    () => dnsName(Array.from({ length: 100 }, () => 'y').join('.')),
  ];
  return rng.pick(makers)();
}

function message(rng: Random): Layer | Uint8Array {
  const id = rng.below(0x10000);
  const type = rng.pick(TYPES);
  const edns = rng.chance(1, 2) ? { edns: rng.pick([512, 1232, 4096]) } : {};
  switch (rng.below(12)) {
    case 0:
    case 1:
      return dns({ name: brokenName(rng), id, type, ...edns });
    case 2:
      // Responses, updates, and counts that are not those of a query.
      return dns({
        name: name(rng),
        id,
        ...rng.pick([{ flags: 0x8180 }, { flags: 0x2800 }, { questions: 0 }, { questions: 2 }, { answers: 1 }]),
      });
    case 3: {
      const query = packet(dns({ name: name(rng), id, type }));
      return query.slice(0, rng.below(query.length));
    }
    default:
      return dns({
        name: name(rng),
        id,
        type,
        flags: rng.pick([0x0100, 0x0100, 0x0110, 0x0000, 0x0120]),
        ...edns,
      });
  }
}

export function dnsFrame(rng: Random): Uint8Array {
  const four = rng.chance(2, 3);
  const link = [ethernet(), ...(rng.chance(1, 6) ? [vlan({ id: 7 })] : [])];
  const ttl = rng.pick([64, 63, 57, 255, 1]);
  const network: Layer = four
    ? ipv4({
        src: `192.0.2.${1 + rng.below(20)}`,
        dst: '10.0.0.53',
        ttl,
        ...(rng.chance(1, 10) ? { options: Uint8Array.of(1, 1, 1, 0) } : {}),
        ...(rng.chance(1, 30) ? { moreFragments: true } : {}),
      })
    : ipv6({ src: `2001:db8:${rng.below(4)}:${rng.below(4)}::${1 + rng.below(9)}`, dst: 'fd00::53', hopLimit: ttl });
  const ports = { srcPort: 1024 + rng.below(60000), dstPort: rng.chance(1, 12) ? rng.pick([443, 5353, 54]) : 53 };
  if (rng.chance(1, 16)) return packet(...link, network, tcp({ ...ports, flags: ['psh', 'ack'] }), message(rng));
  return packet(
    ...link,
    network,
    udp({ ...ports, ...(four && rng.chance(1, 8) ? { checksum: 0 } : {}) }),
    message(rng),
  );
}
