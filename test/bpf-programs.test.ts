// The programs of bpf/ that steer traffic: exact packets, on each engine and in the kernel. Expected packets are built from nothing with
// their checksums summed up in full.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { generateInputs } from '../src/cli/inputs.ts';
import { InternalError, SluiceError } from '../src/errors.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { parseIpv4, parseIpv6 } from '../src/net/addresses.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { icmp } from '../src/net/icmp.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { ipv6 } from '../src/net/ipv6.ts';
import { packet } from '../src/net/packet.ts';
import { random } from '../src/net/random.ts';
import { tcp } from '../src/net/tcp.ts';
import { udp } from '../src/net/udp.ts';
import { vlan } from '../src/net/vlan.ts';
import { mapInputFromJson } from '../src/runtime/json-value.ts';
import { loadForTest, type TestLoadOptions, type TestObject, type TestRun } from '../src/testing/test-object.ts';

const path = (name: string) => fileURLToPath(new URL(`../bpf/${name}`, import.meta.url));
const example = (name: string) =>
  mapInputFromJson(JSON.parse(readFileSync(path(`examples/${name}.maps.json`), 'utf8')), name);
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');

const refusal = bpfRefusal();
const engines = [
  { engine: 'jit' },
  { engine: 'interpreter' },
  { engine: 'linux', reason: refusal },
] as const satisfies readonly { engine: string; reason?: string | undefined }[];

async function open(name: string, options: TestLoadOptions): Promise<TestObject> {
  const object = await loadForTest(path(`objects/${name}.bpf.o`), options);
  onTestFinished(() => object.close());
  return object;
}

/** Sum over the CPUs of the first word of a per-CPU value. */
function counted(object: TestObject, map: string, index: number): number {
  const value = object.maps[map]!.raw.lookup(Uint8Array.from(new Uint8Array(Uint32Array.of(index).buffer)))!;
  const size = (object.maps[map]!.spec.valueSize + 7) & ~7;
  let sum = 0n;
  for (let at = 0; at < value.length; at += size) sum += Buffer.from(value).readBigUInt64LE(at);
  return Number(sum);
}

/** Outcomes that the packets of `sluice diff linux` bring about with the example's maps: none of the paths stays untried. */
const paths = [
  { object: 'xdp_rate_limit', program: 'xdp_rate_limit', maps: 'rate_limit', traffic: 'mix', outcomes: [0, 1, 2, 3] },
  { object: 'tc_nat', program: 'tc_nat_egress', maps: 'nat', traffic: 'mix', outcomes: [0, 1, 2, 3] },
  { object: 'tc_nat', program: 'tc_nat_ingress', maps: 'nat', traffic: 'mix', outcomes: [5, 6, 7, 8] },
  {
    object: 'xdp_load_balancer',
    program: 'xdp_load_balancer',
    maps: 'load_balancer',
    traffic: 'services',
    outcomes: [0, 1, 3, 4, 5, 6],
  },
  {
    object: 'xdp_dns_filter',
    program: 'xdp_dns_filter',
    maps: 'dns_filter',
    traffic: 'dns',
    outcomes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  },
] as const;

describe.skipIf(refusal !== undefined)(
  `as in the kernel${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    it.each(paths)('$program over generated traffic', async ({ object, program, maps, traffic, outcomes }) => {
      const options = { program, maps: example(maps) };
      const sides = await Promise.all(engines.map(({ engine }) => open(object, { ...options, engine })));
      const type = sides[0]!.programs[program]!.type;
      for (const input of generateInputs(type, 1, 2000, traffic)) {
        const [first, ...others] = sides.map((side) => {
          try {
            const { returnValue, data, context } = side.programs[program]!.run(input);
            return { returnValue, data: hex(data), context: hex(context) };
          } catch (error) {
            // Frames that a test run does not take, all refuse alike.
            if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
            return { refused: /\bE[A-Z]{3,}\b/.exec(error.message)?.[0] };
          }
        });
        for (const other of others) expect(other).toEqual(first);
      }
      for (const outcome of outcomes) {
        const counts = sides.map((side) => counted(side, 'counters', outcome));
        expect(counts, `outcome ${outcome}`).toEqual(sides.map(() => counts[0]));
        expect(counts[0], `outcome ${outcome}`).toBeGreaterThan(0);
      }
    });
  },
);

const macs = { src: '02:00:00:00:00:0a', dst: '02:00:00:00:00:0b' } as const;
const result = (run: TestRun) => ({ verdict: run.verdict, packet: hex(run.data) });

for (const { engine, reason } of engines.map((each) => ({ reason: undefined, ...each }))) {
  describe.skipIf(reason !== undefined)(`${engine}${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
    describe('xdp_rate_limit', () => {
      const from = (src: string, length = 0) =>
        packet(ethernet(macs), ipv4({ src, dst: '10.0.0.1' }), udp({ srcPort: 1, dstPort: 2 }), new Uint8Array(length));
      const config = (rate: number, burst: number, by_bytes = false) => ({
        '.data': { config: { rate, burst, by_bytes } },
      });

      it('lets a burst through for each source, and no more without a refill', async () => {
        const object = await open('xdp_rate_limit', { engine, maps: config(0, 3) });
        const verdicts = ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map(
          (src) => object.run(from(src)).verdict,
        );
        expect(verdicts).toEqual(['XDP_PASS', 'XDP_PASS', 'XDP_PASS', 'XDP_PASS', 'XDP_DROP', 'XDP_PASS']);
        const key = { address: Uint8Array.of(192, 0, 2, 1, 0, 0, 0, 0), family: 4 };
        expect(object.maps['buckets']!.get(key)).toMatchObject({ tokens: 0n, refilled: 0n, allowed: 3n, limited: 1n });
        expect([0, 1, 2, 3].map((outcome) => counted(object, 'counters', outcome))).toEqual([5, 1, 0, 0]);
      });

      it('counts bytes, and all of an IPv6 /64 as one', async () => {
        const object = await open('xdp_rate_limit', { engine, maps: config(0, 150, true) });
        const six = (src: string) =>
          packet(ethernet(macs), vlan({ id: 5 }), ipv6({ src, dst: 'fd00::1' }), udp({ srcPort: 1, dstPort: 2 }));
        // 66 bytes each
        expect(
          ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::3'].map((src) => object.run(six(src)).verdict),
        ).toEqual(['XDP_PASS', 'XDP_PASS', 'XDP_DROP', 'XDP_PASS']);
        const key = { address: parseIpv6('2001:db8::').slice(0, 8), family: 6 };
        expect(object.maps['buckets']!.get(key)).toMatchObject({ tokens: 18_000_000_000n, allowed: 2n, limited: 1n });
      });

      it.skipIf(engine === 'linux')(
        `refills by the clock, to a part of a token${engine === 'linux' ? " (skipped: the kernel's clock runs)" : ''}`,
        async () => {
          // Each packet after the first reads the clock once: 0.4 tokens later each.
          const object = await open('xdp_rate_limit', {
            engine,
            maps: config(4_000_000, 2),
            clock: { at: 1_000_000n, step: 100 },
          });
          const verdicts = Array.from({ length: 9 }, () => object.run(from('192.0.2.9')).verdict === 'XDP_PASS');
          // Tokens before each packet: 2, 1.4, 0.8, 1.2, 0.6, 1, 0.4, 0.8, 1.2
          expect(verdicts).toEqual([true, true, false, true, false, true, false, false, true]);
          const key = { address: Uint8Array.of(192, 0, 2, 9, 0, 0, 0, 0), family: 4 };
          expect(object.maps['buckets']!.get(key)).toMatchObject({ tokens: 200_000_000n, allowed: 5n, limited: 4n });
        },
      );

      it('drops what is cut in the IP header, passes what is not IP', async () => {
        const object = await open('xdp_rate_limit', { engine, maps: config(0, 0) });
        expect(object.run(from('192.0.2.1').slice(0, 33)).verdict).toBe('XDP_DROP');
        expect(object.run(packet(ethernet({ ...macs, etherType: 0x0806 }), new Uint8Array(28))).verdict).toBe(
          'XDP_PASS',
        );
        expect([0, 1, 2, 3].map((outcome) => counted(object, 'counters', outcome))).toEqual([0, 0, 1, 1]);
      });
    });

    describe('tc_nat', () => {
      type Ends = { src: string; dst: string; sport: number; dport: number };
      const transports = {
        tcp: (ends: Ends, payload: Uint8Array) =>
          packet(
            ethernet(macs),
            ipv4(ends),
            tcp({ srcPort: ends.sport, dstPort: ends.dport, flags: ['ack'] }),
            payload,
          ),
        udp: (ends: Ends, payload: Uint8Array) =>
          packet(
            ethernet(macs),
            vlan({ id: 9 }),
            ipv4(ends),
            udp({ srcPort: ends.sport, dstPort: ends.dport }),
            payload,
          ),
      };
      const rule = (address: string, port: number, protocol: number, direction: number, to: string, toPort: number) => [
        { address: parseIpv4(address), port, protocol, direction },
        { address: parseIpv4(to), port: toPort, zero: 0, packets: 0, bytes: 0 },
      ];
      const maps = {
        translations: [
          rule('192.168.1.2', 8080, 6, 0, '203.0.113.5', 80),
          rule('192.168.1.2', 0, 6, 0, '203.0.113.6', 0),
          rule('192.168.1.2', 0, 17, 0, '203.0.113.6', 5353),
          rule('192.168.1.2', 0, 1, 0, '203.0.113.6', 0),
          rule('203.0.113.5', 80, 6, 1, '192.168.1.2', 8080),
          rule('203.0.113.6', 0, 17, 1, '192.168.1.2', 0),
        ],
      };
      const cases = [
        [
          'tc_nat_egress',
          'tcp',
          ['192.168.1.2', 8080, '198.51.100.7', 4000],
          ['203.0.113.5', 80, '198.51.100.7', 4000],
        ],
        [
          'tc_nat_egress',
          'tcp',
          ['192.168.1.2', 8081, '198.51.100.7', 4000],
          ['203.0.113.6', 8081, '198.51.100.7', 4000],
        ],
        ['tc_nat_egress', 'udp', ['192.168.1.2', 99, '198.51.100.7', 53], ['203.0.113.6', 5353, '198.51.100.7', 53]],
        ['tc_nat_egress', 'udp', ['192.168.1.3', 99, '198.51.100.7', 53], ['192.168.1.3', 99, '198.51.100.7', 53]],
        [
          'tc_nat_ingress',
          'tcp',
          ['198.51.100.7', 4000, '203.0.113.5', 80],
          ['198.51.100.7', 4000, '192.168.1.2', 8080],
        ],
        ['tc_nat_ingress', 'udp', ['198.51.100.7', 53, '203.0.113.6', 77], ['198.51.100.7', 53, '192.168.1.2', 77]],
      ] as const;
      it.each(cases)('%s %s: %j -> %j, checksums as if summed up anew', async (program, transport, before, after) => {
        const object = await open('tc_nat', { engine, program, maps });
        const build = ([src, sport, dst, dport]: readonly [string, number, string, number], payload: Uint8Array) =>
          transports[transport]({ src, dst, sport, dport }, payload);
        const rng = random(7);
        for (let length = 0; length < 40; length++) {
          const payload = rng.bytes(length);
          expect(result(object.run(build(before, payload)))).toEqual({
            verdict: 'TC_ACT_OK',
            packet: hex(build(after, payload)),
          });
        }
      });

      it('leaves a UDP checksum of 0 alone, and never makes one', async () => {
        const object = await open('tc_nat', { engine, program: 'tc_nat_egress', maps });
        const build = (src: string, srcPort: number, payload: Uint8Array, checksum?: number) =>
          packet(
            ethernet(macs),
            ipv4({ src, dst: '198.51.100.7' }),
            udp({ srcPort, dstPort: 53, ...(checksum === undefined ? {} : { checksum }) }),
            payload,
          );
        const none = build('192.168.1.2', 99, Uint8Array.of(1, 2), 0);
        expect(hex(object.run(none).data)).toBe(hex(build('203.0.113.6', 5353, Uint8Array.of(1, 2), 0)));
        // The payload that brings the sum afterwards to 0: sent as 0xffff.
        let found = 0;
        for (let word = 0; word < 0x10000 && found === 0; word++) {
          const payload = Uint8Array.of(word >> 8, word & 0xff);
          const after = build('203.0.113.6', 5353, payload);
          if (after[40] !== 0xff || after[41] !== 0xff) continue;
          found++;
          expect(hex(object.run(build('192.168.1.2', 99, payload)).data)).toBe(hex(after));
        }
        expect(found).toBe(1);
      });

      it('translates the address of later fragments and of ICMP echo, not of ICMP errors', async () => {
        const object = await open('tc_nat', { engine, program: 'tc_nat_egress', maps });
        const fragment = (src: string) =>
          packet(
            ethernet(macs),
            ipv4({ src, dst: '198.51.100.7', protocol: 17, fragmentOffset: 4 }),
            random(1).bytes(30),
          );
        const ping = (src: string, type: number) =>
          packet(
            ethernet(macs),
            ipv4({ src, dst: '198.51.100.7' }),
            icmp({ type, rest: 0x12340001 }),
            random(2).bytes(9),
          );
        expect(hex(object.run(fragment('192.168.1.2')).data)).toBe(hex(fragment('203.0.113.6')));
        expect(hex(object.run(ping('192.168.1.2', 8)).data)).toBe(hex(ping('203.0.113.6', 8)));
        expect(hex(object.run(ping('192.168.1.2', 3)).data)).toBe(hex(ping('192.168.1.2', 3)));
        const cut = transports
          .udp({ src: '192.168.1.2', dst: '10.0.0.1', sport: 1, dport: 2 }, new Uint8Array(0))
          .slice(0, 43);
        expect(object.run(cut).verdict).toBe('TC_ACT_SHOT');
        // Translated, no entry, not IPv4, malformed
        expect([0, 1, 2, 3].map((outcome) => counted(object, 'counters', outcome))).toEqual([2, 1, 0, 1]);
      });
    });
  });
}
