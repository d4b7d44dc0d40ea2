import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { arp } from './arp.ts';
import { writePcap } from './capture.ts';
import { fold16, internetChecksum, sum16, updateChecksum } from './checksum.ts';
import { describePacket, dissect, fiveTuple } from './dissect.ts';
import { ETHERTYPE_QINQ, ethernet } from './ethernet.ts';
import { icmp, icmpv6 } from './icmp.ts';
import { fragmentIpv4, ipv4 } from './ipv4.ts';
import { authentication, destinationOptions, hopByHop, ipv6, ipv6Fragment, routing } from './ipv6.ts';
import { packet, padded } from './packet.ts';
import { tcp } from './tcp.ts';
import { udp } from './udp.ts';
import { vlan } from './vlan.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const v4 = { src: '192.0.2.1', dst: '198.51.100.7' };
const v6 = { src: '2001:db8::1', dst: '2001:db8::2' };
const ports = { srcPort: 4000, dstPort: 53 };
const text = (value: string) => new TextEncoder().encode(value);

describe('checksum', () => {
  it('gives the example of RFC 1071', () => {
    expect(fold16(sum16(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)))).toBe(0xddf2);
  });

  it('updates to what the whole sum gives', () => {
    // Headers are never all zero: there RFC 1624's update gives the other zero.
    const data = fc.uint8Array({ minLength: 20, maxLength: 20 }).filter((bytes) => bytes.some((byte) => byte !== 0));
    fc.assert(
      fc.property(data, fc.nat(9), fc.nat(0xffff), (bytes, word, value) => {
        const before = internetChecksum(bytes);
        const old = (bytes[2 * word]! << 8) | bytes[2 * word + 1]!;
        const changed = bytes.slice();
        changed.set([value >> 8, value & 0xff], 2 * word);
        fc.pre(changed.some((byte) => byte !== 0));
        expect(updateChecksum(before, old, value)).toBe(internetChecksum(changed));
      }),
    );
  });
});

describe('packet', () => {
  it('fills in lengths, types and checksums', () => {
    const frame = packet(ethernet(), vlan({ id: 5, priority: 3 }), ipv4({ ...v4, id: 1 }), udp(ports), text('hi'));
    expect(hex(frame)).toBe(
      '020000000002' +
        '020000000001' +
        '8100' +
        '6005' +
        '0800' +
        '4500001e000100004011' +
        '8e92' +
        'c0000201' +
        'c6336407' +
        '0fa00035000a' +
        '9b5f' +
        '6869',
    );
  });

  it('never sends a UDP checksum of 0, and none without an IP header', () => {
    // 0xffff - 0x8 - 0x8 - … : a payload word that makes the sum come out as 0xffff.
    const plain = packet(ipv4(v4), udp(ports), Uint8Array.of(0, 0));
    const sum = (plain[26]! << 8) | plain[27]!;
    const frame = packet(ipv4(v4), udp(ports), Uint8Array.of(sum >> 8, sum & 0xff));
    expect(hex(frame.subarray(26, 28))).toBe('ffff');
    expect(hex(packet(udp(ports)))).toBe('0fa0003500080000');
  });

  it('keeps what the caller insists on', () => {
    const frame = packet(
      ipv4({ ...v4, ihl: 3, totalLength: 7, version: 5, checksum: 0xabcd, protocol: 99 }),
      tcp({ ...ports, dataOffset: 1, checksum: 0x1234 }),
    );
    expect(frame[0]).toBe(0x53);
    expect(hex(frame.subarray(2, 4))).toBe('0007');
    expect(frame[9]).toBe(99);
    expect(hex(frame.subarray(10, 12))).toBe('abcd');
    expect(frame[32]! >> 4).toBe(1);
    expect(hex(frame.subarray(36, 38))).toBe('1234');
  });

  it('cuts into fragments that put together give the payload', () => {
    const payload = Uint8Array.from({ length: 1000 }, (_, i) => i);
    const whole = packet(ethernet(), ipv4({ ...v4, options: Uint8Array.of(0x94, 4, 0, 0) }), payload);
    const parts = fragmentIpv4(whole, 14, 304);
    expect(parts.map((p) => dissect(p).text)).toEqual([
      '192.0.2.1 > 198.51.100.7 protocol 253 length 304 frag 0:0+',
      '192.0.2.1 > 198.51.100.7 protocol 253 length 304 frag 0:304+',
      '192.0.2.1 > 198.51.100.7 protocol 253 length 304 frag 0:608+',
      '192.0.2.1 > 198.51.100.7 protocol 253 length 88 frag 0:912',
    ]);
    expect(Buffer.concat(parts.map((p) => p.subarray(14 + 24)))).toEqual(Buffer.from(payload));
    for (const part of parts) expect(internetChecksum(part.subarray(14, 38))).toBe(0);
  });

  it('refuses headers that cannot be', () => {
    expect(() => ipv4({ ...v4, options: new Uint8Array(41) })).toThrow(InputError);
    expect(() => tcp({ ...ports, options: new Uint8Array(44) })).toThrow(InputError);
    expect(() => ipv6({ ...v6, src: '192.0.2.1' })).toThrow(InputError);
    expect(() => hopByHop({ body: new Uint8Array(2048) })).toThrow(InputError);
  });
});

describe('dissect', () => {
  const chain = [
    hopByHop(),
    routing({ address: '::5', segmentsLeft: 0 }),
    destinationOptions({ body: new Uint8Array(20) }),
  ];
  const ah = authentication({ spi: 1, sequence: 2 });
  it('tells a packet in one line', () => {
    const lines: [Uint8Array, string][] = [
      [
        packet(ethernet(), vlan({ id: 7 }), ipv4(v4), udp(ports), text('abc')),
        'vlan 7 192.0.2.1:4000 > 198.51.100.7:53 UDP length 3',
      ],
      [
        packet(
          ethernet(),
          vlan({ id: 1, tpid: ETHERTYPE_QINQ }),
          vlan({ id: 2 }),
          ipv6(v6),
          tcp({ ...ports, flags: ['syn', 'ack'], sequence: 9, acknowledgment: 8 }),
        ),
        'qinq 1 vlan 2 [2001:db8::1]:4000 > [2001:db8::2]:53 TCP syn,ack seq 9 ack 8 length 0',
      ],
      [
        packet(ethernet(), ipv6(v6), ...chain, ah, icmpv6({ type: 128 })),
        '2001:db8::1 > 2001:db8::2 ICMPv6 echo request length 8 hopopts routing dstopts ah',
      ],
      [
        packet(ethernet(), ipv6(v6), ipv6Fragment({ id: 3, fragmentOffset: 2, nextHeader: 17 }), text('rest')),
        '2001:db8::1 > 2001:db8::2 UDP length 4 frag 3:16',
      ],
      [
        packet(ethernet(), ipv4(v4), icmp({ type: 3, code: 1 })),
        '192.0.2.1 > 198.51.100.7 ICMP unreachable code 1 length 8',
      ],
      [
        packet(
          ethernet(),
          arp({ operation: 'request', senderMac: '02:00:00:00:00:01', senderIp: '10.0.0.1', targetIp: '10.0.0.2' }),
        ),
        'ARP who-has 10.0.0.2 tell 10.0.0.1',
      ],
      [packet(ethernet(), text('x')), '02:00:00:00:00:01 > 02:00:00:00:00:02 ethertype 0x88b5 length 1'],
      [
        packet(ethernet(), ipv4(v4), udp({ ...ports, length: 99 })),
        '192.0.2.1:4000 > 198.51.100.7:53 UDP length 91 [malformed: cut in UDP datagram]',
      ],
      [
        packet(ethernet(), ipv4({ ...v4, ihl: 4 }), udp(ports)),
        '192.0.2.1 > 198.51.100.7 IPv4 [malformed: IPv4 header length 16]',
      ],
    ];
    for (const [frame, line] of lines) expect(describePacket(frame)).toBe(line);
  });

  it('sees padding as padding', () => {
    expect(describePacket(padded(packet(ethernet(), ipv4(v4), tcp(ports))))).toMatch(/length 0$/);
  });

  it('gives the 5-tuple of raw IP too', () => {
    const tuple = { family: 6, protocol: 6, src: '2001:db8::1', dst: '2001:db8::2', srcPort: 4000, dstPort: 53 };
    expect(fiveTuple(packet(ipv6(v6), ...chain, tcp(ports)), 101)).toEqual(tuple);
    expect(fiveTuple(packet(ethernet(), text('abc')))).toBeUndefined();
  });

  it('says of every cut that it is one', () => {
    const whole = packet(ethernet(), vlan({ id: 1 }), ipv6(v6), ...chain, tcp(ports));
    expect(dissect(whole).malformed).toBeUndefined();
    for (let length = 0; length < whole.length; length++)
      expect(dissect(whole.subarray(0, length)).malformed).toMatch(/^cut in /);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        expect(dissect(bytes).text).not.toBe('');
      }),
    );
    const typed = fc.tuple(fc.constantFrom(0x0800, 0x86dd, 0x8100, 0x0806), fc.uint8Array({ maxLength: 120 }));
    fc.assert(
      fc.property(typed, ([etherType, rest]) => {
        expect(dissect(packet(ethernet({ etherType }), rest)).text).not.toBe('');
      }),
    );
  });
});

const tcpdump = spawnSync('tcpdump', ['--version']).status === 0;

it.skipIf(!tcpdump)(`tcpdump finds every checksum correct${tcpdump ? '' : ' (skipped: no tcpdump)'}`, () => {
  const data = fc.uint8Array({ maxLength: 40 });
  const payloads = fc.sample(data, { numRuns: 20, seed: 7 });
  const frames = payloads.flatMap((body) => [
    packet(ethernet(), ipv4({ ...v4, options: Uint8Array.of(1, 1) }), tcp({ ...ports, flags: ['ack'] }), body),
    packet(ethernet(), ipv4(v4), udp({ srcPort: 1, dstPort: 2 }), body),
    packet(ethernet(), ipv4(v4), icmp({ type: 8, rest: 0x10002 }), body),
    packet(ethernet(), vlan({ id: 3 }), ipv6(v6), destinationOptions(), tcp({ ...ports, flags: ['syn'] }), body),
    packet(ethernet(), ipv6(v6), hopByHop(), udp({ srcPort: 1, dstPort: 2 }), body),
    packet(ethernet(), ipv6(v6), icmpv6({ type: 128 }), body),
  ]);
  const check = (list: Uint8Array[]) =>
    spawnSync('tcpdump', ['-r', '-', '-nn', '-vv', '-t'], {
      input: writePcap(
        list.map((frame) => ({ data: frame, timestampNs: 0n, wireLength: frame.length, interfaceId: 0, linkType: 1 })),
      ),
      encoding: 'utf8',
    }).stdout;
  const wrong = /incorrect|bad (udp )?cksum|wrong icmp cksum|bad icmp6 cksum/;
  const out = check(frames);
  expect(out.match(/\(correct\)|udp sum ok|icmp6 sum ok|ICMP echo request/g)).toHaveLength(frames.length);
  expect(out).not.toMatch(wrong);
  // And would find a wrong one.
  const spoilt = frames[0]!.slice();
  spoilt[spoilt.length - 1]! ^= 1;
  expect(check([spoilt])).toMatch(wrong);
});
