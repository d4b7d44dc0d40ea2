/** TCP as a server under a SYN flood sees it: SYNs with every kind of options, ACKs that belong to nothing, and the rest of conversations. */
import { concat, put32 } from '../bytes.ts';
import { ethernet } from '../ethernet.ts';
import { ipv4 } from '../ipv4.ts';
import { ipv6 } from '../ipv6.ts';
import { packet } from '../packet.ts';
import type { Random } from '../random.ts';
import { type TcpFlag, tcp } from '../tcp.ts';
import { udp } from '../udp.ts';
import { vlan } from '../vlan.ts';

const FLAGS: readonly [readonly TcpFlag[], ...(readonly TcpFlag[])[]] = [
  ['ack'],
  ['ack'],
  ['psh', 'ack'],
  ['fin', 'ack'],
  ['rst'],
  ['rst', 'ack'],
  ['syn', 'ack'],
  ['syn', 'fin'],
  [],
];

/** Options in the orders that systems use, and such as none would send. At most 40 bytes. */
function options(rng: Random): Uint8Array {
  const mss = () => Uint8Array.of(2, 4, rng.below(32), rng.below(256));
  const scale = () => Uint8Array.of(3, 3, rng.below(17));
  const sack = () => Uint8Array.of(4, 2);
  const nop = () => Uint8Array.of(1);
  const stamps = () => {
    const bytes = new Uint8Array(10);
    bytes.set([8, 10]);
    put32(bytes, 2, rng.u32());
    return bytes;
  };
  const made = rng.pick<() => Uint8Array[]>([
    () => [mss(), sack(), stamps(), nop(), scale()], // Linux
    () => [mss(), nop(), scale(), nop(), nop(), sack()], // Windows
    () => [mss(), nop(), scale(), nop(), nop(), stamps(), sack(), Uint8Array.of(0, 0)], // Apple
    () => [mss()],
    () => [],
    () => [stamps()],
    () => [Uint8Array.of(0), stamps()],
    () => [Uint8Array.of(30, 2 + rng.below(12)), rng.bytes(8)],
    () => [mss(), Uint8Array.of(8, rng.pick([0, 1, 9, 10, 40])), rng.bytes(rng.below(8))],
    () => [rng.bytes(4 * rng.below(11))],
    () => Array.from({ length: 8 }, () => rng.pick([mss, scale, sack, nop, stamps])()),
  ])();
  return concat(made).slice(0, 40);
}

export function handshakeFrame(rng: Random): Uint8Array {
  const link = [ethernet(), ...(rng.chance(1, 8) ? [vlan({ id: 7 })] : [])];
  const host = 1 + rng.below(30);
  const network = rng.chance(3, 5)
    ? ipv4({
        src: `192.0.2.${host}`,
        dst: '10.0.0.80',
        tos: rng.pick([0, 0, 0x10, 2]),
        id: rng.below(65536),
        dontFragment: rng.chance(1, 2),
        ttl: rng.pick([64, 57, 128, 1]),
        ...(rng.chance(1, 16) ? { options: Uint8Array.of(1, 1, 1, 0) } : {}),
        ...(rng.chance(1, 24) ? { moreFragments: true } : {}),
      })
    : ipv6({ src: `2001:db8::${host}`, dst: 'fd00::80', hopLimit: rng.pick([64, 3]), flowLabel: rng.below(0x100000) });
  const ports = { srcPort: 1024 + rng.below(rng.pick([4, 60000])), dstPort: rng.pick([80, 443, 443, 443, 22]) };
  if (rng.chance(1, 20)) return packet(...link, network, udp(ports), rng.bytes(rng.below(40)));
  const syn = rng.chance(1, 2);
  return packet(
    ...link,
    network,
    tcp({
      ...ports,
      sequence: rng.u32(),
      acknowledgment: syn ? 0 : rng.u32(),
      flags: syn
        ? rng.pick<readonly TcpFlag[]>([['syn'], ['syn'], ['syn', 'ece', 'cwr'], ['syn', 'psh']])
        : rng.pick(FLAGS),
      window: rng.below(65536),
      options: syn || rng.chance(1, 2) ? options(rng) : new Uint8Array(0),
    }),
    rng.bytes(rng.pick([0, 0, 0, 7, 600])),
  );
}
