/** Clients of a few services with addresses of their own, as a load balancer sees them: requests of all lengths, and errors about the answers. */
import { ethernet } from '../ethernet.ts';
import { type IcmpFields, icmp, icmpv6 } from '../icmp.ts';
import { ipv4 } from '../ipv4.ts';
import { hopByHop, ipv6 } from '../ipv6.ts';
import { type Layer, packet } from '../packet.ts';
import type { Random } from '../random.ts';
import { type TcpFlag, tcp } from '../tcp.ts';
import { udp } from '../udp.ts';
import { vlan } from '../vlan.ts';

const ADDRESSES = {
  4: ['203.0.113.80', '203.0.113.80', '203.0.113.80', '203.0.113.81', '203.0.113.82'],
  6: ['2001:db8:80::80', '2001:db8:80::80', '2001:db8:80::81'],
} as const;
const FLAGS: readonly [readonly TcpFlag[], ...(readonly TcpFlag[])[]] = [
  ['syn'],
  ['ack'],
  ['psh', 'ack'],
  ['fin', 'ack'],
];

interface Ends {
  readonly family: 4 | 6;
  readonly client: string;
  readonly service: string;
  readonly clientPort: number;
  readonly servicePort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** Few enough that connections come again. */
function ends(rng: Random): Ends {
  const family = rng.chance(3, 5) ? 4 : 6;
  const host = 1 + rng.below(60);
  return {
    family,
    client: family === 4 ? `198.51.100.${host}` : `2001:db8:c::${host.toString(16)}`,
    service: family === 4 ? rng.pick(ADDRESSES[4]) : rng.pick(ADDRESSES[6]),
    clientPort: 40000 + rng.below(5),
    servicePort: rng.pick([443, 443, 443, 80, 53]),
    protocol: rng.chance(2, 3) ? 'tcp' : 'udp',
  };
}

function transport({ protocol }: Ends, srcPort: number, dstPort: number, rng: Random): Layer {
  return protocol === 'udp'
    ? udp({ srcPort, dstPort })
    : tcp({ srcPort, dstPort, sequence: rng.u32(), acknowledgment: rng.u32(), flags: rng.pick(FLAGS) });
}

/** What a router or the client says of a packet of ours: too long, no way, time over; or an echo, which is no error. */
function error(from: Ends, rng: Random): Uint8Array {
  const router = from.family === 4 ? `192.0.2.${1 + rng.below(200)}` : `2001:db8:f::${1 + rng.below(200)}`;
  const inner = [transport(from, from.servicePort, from.clientPort, rng), rng.bytes(rng.below(600))];
  if (from.family === 4) {
    const answer = packet(ipv4({ src: from.service, dst: from.client, dontFragment: true }), ...inner);
    const cause = rng.pick<IcmpFields>([
      { type: 3, code: 4, rest: 1400 },
      { type: 3, code: 1 },
      { type: 11 },
      { type: 8, rest: 1 },
    ]);
    return packet(
      ethernet(),
      ipv4({ src: router, dst: from.service }),
      icmp(cause),
      answer.slice(0, rng.pick([28, 28, 548, 20, 40])),
    );
  }
  const answer = packet(ipv6({ src: from.service, dst: from.client }), ...inner);
  const cause = rng.pick<IcmpFields>([
    { type: 2, rest: 1400 },
    { type: 1, code: 0 },
    { type: 3 },
    { type: 128, rest: 1 },
  ]);
  const size = rng.pick([48, 1000, 30, 44]);
  return packet(ethernet(), ipv6({ src: router, dst: from.service }), icmpv6(cause), answer.slice(0, size));
}

export function serviceFrame(rng: Random): Uint8Array {
  const from = ends(rng);
  if (rng.chance(1, 8)) return error(from, rng);
  const link = [ethernet(), ...(rng.chance(1, 20) ? [vlan({ id: 7 })] : [])];
  const tos = rng.pick([0, 0, 1, 2, 0xb8]);
  const network =
    from.family === 4
      ? [
          ipv4({
            src: from.client,
            dst: from.service,
            tos,
            id: rng.below(65536),
            ...(rng.chance(1, 16) ? { options: Uint8Array.of(1, 1, 1, 0) } : {}),
            ...(rng.chance(1, 24) ? { moreFragments: true } : {}),
          }),
        ]
      : [
          ipv6({ src: from.client, dst: from.service, trafficClass: tos, flowLabel: rng.below(0x100000) }),
          ...(rng.chance(1, 16) ? [hopByHop()] : []),
        ];
  const length = rng.pick([0, 0, 7, rng.below(600), 1400 + rng.below(40)]);
  return packet(...link, ...network, transport(from, from.clientPort, from.servicePort, rng), rng.bytes(length));
}
