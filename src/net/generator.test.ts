import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './addresses.ts';
import { writePcap } from './capture.ts';
import { dissect } from './dissect.ts';
import { generateCapture } from './generator.ts';
import { random } from './random.ts';
import { scenarioNames } from './scenarios/index.ts';

describe('random', () => {
  it('is sfc32: the sequence never changes', () => {
    const rng = random(42);
    expect(Array.from({ length: 4 }, () => rng.u32())).toMatchInlineSnapshot(`
      [
        1959603763,
        2423114712,
        2466933512,
        4144396390,
      ]
    `);
  });

  it('stays below its bound and reaches every value', () => {
    const rng = random(1);
    const seen = new Set(Array.from({ length: 1000 }, () => rng.below(7)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('generator', () => {
  const packets = generateCapture({ seed: 1, count: 5000 });
  const dissections = packets.map(({ data }) => dissect(data));

  it('gives the same bytes for a seed, on every machine', () => {
    const hash = createHash('sha256').update(writePcap(packets)).digest('hex');
    expect(hash).toMatchInlineSnapshot(`"cbb8411469b2c10be5656f36db9ee67081838c0f06a23efa8f1b5268621da4c5"`);
    expect(writePcap(generateCapture({ seed: 2, count: 100 }))).not.toEqual(writePcap(packets.slice(0, 100)));
  });

  it.each(scenarioNames)('gives the same %s traffic for a seed, of every kind that it promises', (traffic) => {
    const frames = generateCapture({ seed: 1, count: 2000, traffic });
    const again = generateCapture({ seed: 1, count: 2000, traffic });
    expect(writePcap(again)).toEqual(writePcap(frames));
    const seen = frames.map(({ data }) => dissect(data));
    const families = new Set(seen.map(({ tuple }) => tuple?.family));
    expect(families).toEqual(new Set([4, 6, undefined]));
    expect(seen.filter(({ malformed }) => malformed !== undefined).length).toBeGreaterThan(40);
    expect(seen.filter(({ malformed }) => malformed === undefined).length).toBeGreaterThan(1600);
  });

  it('gives a prefix for a smaller count when the flows are as many', () => {
    const few = generateCapture({ seed: 9, count: 50, flows: 32 });
    expect(generateCapture({ seed: 9, count: 80, flows: 32 }).slice(0, 50)).toEqual(few);
  });

  it('covers every kind of traffic', () => {
    const texts = dissections.map(({ text }) => text);
    const kinds = [
      /^\d[^ ]* > [^ ]* TCP syn seq/,
      /TCP syn,ack/,
      /TCP .*psh/,
      /TCP fin/,
      /^\[.* TCP/,
      /^\d.* UDP/,
      /^\[.* UDP/,
      / ICMP echo request/,
      / ICMP echo reply/,
      / ICMP unreachable/,
      / ICMPv6 echo request/,
      / ICMPv6 unreachable/,
      /^vlan \d+ \d/,
      /^qinq \d+ vlan \d+ /,
      /ARP who-has/,
      /ARP .* is-at/,
      /hopopts/,
      /routing/,
      /dstopts/,
      / ah/,
      /^\d.* frag \d+:0\+/,
      /^\d.* frag \d+:[1-9]\d*\+/,
      /^\d.* frag \d+:[1-9]\d*$/,
      /^[0-9a-f[].*::.* frag \d+:0\+/,
      /::.* frag \d+:[1-9]\d*\+/,
      /::.* frag \d+:[1-9]\d*$/,
      /protocol 47/,
      /protocol 50/,
      /:7 UDP/,
      /:53 UDP/,
      /:443 TCP/,
      /802\.3 frame/,
      /cut in Ethernet|cut in VLAN tag/,
      /cut in IPv4 header/,
      /cut in IPv6 header/,
      /cut in IPv4 packet/,
      /cut in IPv6 packet/,
      /cut in TCP header/,
      /cut in UDP header/,
      /cut in extension header/,
      /too many extension headers/,
      /too many VLAN tags/,
      /IPv4 header length/,
      /IPv4 total length/,
      /IP version/,
      /UDP length 0|UDP length 7/,
      /TCP header length/,
    ];
    expect(kinds.filter((kind) => !texts.some((line) => kind.test(line)))).toEqual([]);
  });

  it('keeps to the shares that it promises', () => {
    const malformed = dissections.filter((d) => d.malformed !== undefined).length / packets.length;
    expect(malformed).toBeGreaterThan(0.03);
    expect(malformed).toBeLessThan(0.1);
    const blocked = dissections.filter(({ tuple }) =>
      /^(198\.51\.100|203\.0\.113)\.|^2001:db8:bad:/.test(`${tuple?.src}`),
    ).length;
    expect(blocked / packets.length).toBeGreaterThan(0.05);
    expect(blocked / packets.length).toBeLessThan(0.35);
    const lengths = packets.map(({ data }) => data.length);
    expect(Math.min(...lengths)).toBe(14);
    expect(Math.max(...lengths)).toBeGreaterThan(1400);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1522);
    // Zipf: the first flow has far more than its share.
    const counts = new Map<string, number>();
    for (const { tuple } of dissections)
      if (tuple) {
        const ends = [tuple.src, tuple.dst].sort().join();
        counts.set(ends, (counts.get(ends) ?? 0) + 1);
      }
    expect(Math.max(...counts.values())).toBeGreaterThan(packets.length / 20);
  });

  it('is well-formed but for the malformed share', () => {
    const clean = generateCapture({ seed: 3, count: 2000, malformedPercent: 0 });
    const bad = clean
      .map(({ data }) => dissect(data))
      .filter(({ malformed, text }) => malformed !== undefined && !text.includes('frag'));
    expect(bad.map(({ text }) => text)).toEqual([]);
  });

  it('writes addresses as it reads them', () => {
    for (const { tuple } of dissections) {
      if (tuple?.family === 4) expect(formatIpv4(parseIpv4(tuple.src))).toBe(tuple.src);
      else if (tuple?.family === 6) expect(formatIpv6(parseIpv6(tuple.src))).toBe(tuple.src);
    }
  });

  it('keeps the lengths asked for, and refuses nonsense', () => {
    expect(
      Math.min(...generateCapture({ seed: 1, count: 5000, minimumLength: 0 }).map((p) => p.data.length)),
    ).toBeLessThan(14);
    expect(generateCapture({ seed: 1, count: 0 })).toEqual([]);
    for (const options of [
      { seed: 0.5, count: 1 },
      { seed: 1, count: -1 },
      { seed: 1, count: 1, flows: 0 },
    ])
      expect(() => generateCapture(options)).toThrow(InputError);
  });
});
