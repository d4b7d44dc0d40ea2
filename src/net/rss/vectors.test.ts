// Published vectors: Microsoft's RSS verification suite (Intel 82599 datasheet, section 7.1.2.8.3), the kernel selftests that were posted with the tun series.
import { describe, expect, it } from 'vitest';
import { ipv6Bytes } from '../addresses.ts';
import { concat } from '../bytes.ts';
import { ethernet } from '../ethernet.ts';
import { ipv4 } from '../ipv4.ts';
import { destinationOptions, ipv6, routing } from '../ipv6.ts';
import { packet } from '../packet.ts';
import { tcp } from '../tcp.ts';
import { udp } from '../udp.ts';
import { rss } from './compute.ts';
import { verificationKey as key } from './configuration.ts';
import { HASH_TYPES_ALL, hashType, reportNames } from './hash-types.ts';

const table = [0];
const config = (hashTypes: number, with_: object = {}) => ({ hashTypes, key, table, unclassifiedQueue: 9, ...with_ });

const suite = [
  ['66.9.149.187', 2794, '161.142.100.80', 1766, 0x323e8fc2, 0x51ccc178],
  ['199.92.111.2', 14230, '65.69.140.83', 4739, 0xd718262a, 0xc626b0ea],
  ['24.19.198.95', 12898, '12.22.207.184', 38024, 0xd2d0a5de, 0x5c2b394a],
  ['38.27.205.30', 48228, '209.142.163.6', 2217, 0x82989176, 0xafc7327f],
  ['153.39.163.191', 44251, '202.188.127.2', 1303, 0x5d1809c5, 0x10e828a2],
  ['3ffe:2501:200:1fff::7', 2794, '3ffe:2501:200:3::1', 1766, 0x2cc18cd5, 0x40207d3d],
  ['3ffe:501:8::260:97ff:fe40:efab', 14230, 'ff02::1', 4739, 0x0f0c461c, 0xdde51bbf],
  ['3ffe:1900:4545:3:200:f8ff:fe21:67cf', 44251, 'fe80::200:f8ff:fe21:67cf', 38024, 0x4b61e985, 0x02d1feef],
  // The kernel selftest's.
  ['172.17.0.0', 9, '172.17.0.1', 9, 0x6e45d952, 0xfb63539a],
  ['ffff:0:0:0:0:0:ac11:0', 9, 'ffff:0:0:0:0:0:ac11:1', 9, 0xd6eb560f, 0xc2b9f251],
] as const;

describe.each(suite)('%s:%i > %s:%i', (src, srcPort, dst, dstPort, addresses, whole) => {
  const network = () => (src.includes(':') ? ipv6({ src, dst }) : ipv4({ src, dst }));
  const version = src.includes(':') ? 'v6' : 'v4';
  const ports = { srcPort, dstPort };

  it('over addresses', () => {
    const result = rss(packet(ethernet(), network(), udp(ports)), config(hashType.ipv4 | hashType.ipv6));
    expect([result.hash, reportNames[result.report]]).toEqual([addresses, `ip${version}`]);
  });

  it.each([
    ['tcp', tcp(ports)],
    ['udp', udp(ports)],
  ] as const)('over addresses and ports of %s', (name, layer) => {
    const result = rss(packet(ethernet(), network(), layer), config(HASH_TYPES_ALL));
    expect([result.hash, reportNames[result.report]]).toEqual([whole, `${name}${version}`]);
  });
});

it('has a packet whose hash is 0', () => {
  const zero = packet(
    ethernet(),
    ipv4({ src: '66.9.149.187', dst: '161.142.100.80' }),
    tcp({ srcPort: 33915, dstPort: 34347 }),
  );
  expect(rss(zero, config(hashType.tcpv4, { table: [3] }))).toEqual({ hash: 0, report: 2, queue: 3 });
});

describe('extension headers', () => {
  const home = '3ffe:2501:200:1fff::7';
  const dst = '3ffe:2501:200:3::1';
  // PadN of two bytes first.
  const option = concat([Uint8Array.of(1, 2, 0, 0, 0xc9, 16), ipv6Bytes(home)]);
  const ports = { srcPort: 2794, dstPort: 1766 };
  const headers = [ethernet(), ipv6({ src: '2001:db8::1', dst }), destinationOptions({ body: option })] as const;

  it('take the home address', () => {
    const frame = packet(...headers, tcp(ports));
    expect(rss(frame, config(HASH_TYPES_ALL))).toMatchObject({ hash: 0x40207d3d, report: 8 });
    expect(rss(frame, config(hashType.tcpv6Ex))).toMatchObject({ hash: 0x40207d3d, report: 8 });
    expect(rss(frame, config(hashType.ipv6Ex))).toMatchObject({ hash: 0x2cc18cd5, report: 7 });
    expect(rss(packet(...headers, udp(ports)), config(HASH_TYPES_ALL))).toMatchObject({ hash: 0x40207d3d, report: 9 });
  });

  it('are skipped where no such type is enabled', () => {
    const plain = packet(ethernet(), ipv6({ src: '2001:db8::1', dst }), tcp(ports));
    const frame = packet(...headers, tcp(ports));
    const types = hashType.tcpv6 | hashType.ipv6;
    expect(rss(frame, config(types))).toEqual(rss(plain, config(types)));
    expect(rss(plain, config(hashType.tcpv6Ex | hashType.ipv6Ex))).toEqual({ hash: 0, report: 0, queue: 9 });
  });

  it('take the address of a routing header of type 2, whatever segments are left', () => {
    for (const segmentsLeft of [0, 1]) {
      const frame = packet(
        ethernet(),
        ipv6({ src: home, dst: '2001:db8::2' }),
        routing({ address: dst, segmentsLeft }),
        tcp(ports),
      );
      expect(rss(frame, config(HASH_TYPES_ALL))).toMatchObject({ hash: 0x40207d3d, report: 8 });
      const other = packet(
        ethernet(),
        ipv6({ src: home, dst: '2001:db8::2' }),
        routing({ address: dst, type: 3 }),
        tcp(ports),
      );
      expect(rss(other, config(HASH_TYPES_ALL)).hash).not.toBe(0x40207d3d);
    }
  });
});
