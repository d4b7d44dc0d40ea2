// bpf/xdp_syn_cookies.bpf.c: answers to SYNs are built anew here, with checksums summed up in full; only the cookie and the time are taken from them.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { generateInputs } from '../src/cli/inputs.ts';
import { InternalError, SluiceError } from '../src/errors.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { get32, put32 } from '../src/net/bytes.ts';
import { dissect } from '../src/net/dissect.ts';
import { mapInputFromJson } from '../src/runtime/json-value.ts';
import { ethernet, ipv4, ipv6, loadForTest, packet, type TestEngine, tcp, vlan } from '../src/testing/index.ts';

const path = (name: string) => fileURLToPath(new URL(`../bpf/${name}`, import.meta.url));
const maps = mapInputFromJson(JSON.parse(readFileSync(path('examples/syn_cookies.maps.json'), 'utf8')), 'example');
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
const refusal = bpfRefusal();

async function open(engine: TestEngine, more = {}) {
  const object = await loadForTest(path('objects/xdp_syn_cookies.bpf.o'), {
    engine,
    maps: { ...maps, ...more },
    ...(engine === 'linux' ? {} : { clock: { at: 5_000_000_000_123n } }),
  });
  onTestFinished(() => object.close());
  return object;
}

const near = '02:00:00:00:00:0a';
const far = '02:00:00:00:00:0b';
const families = {
  IPv4: {
    ask: ipv4({ src: '192.0.2.7', dst: '10.0.0.80', tos: 3, id: 77, ttl: 9 }),
    answer: ipv4({ src: '10.0.0.80', dst: '192.0.2.7', dontFragment: true, ttl: 64 }),
    mss: [5, 0xb4],
  },
  IPv6: {
    ask: ipv6({ src: '2001:db8::7', dst: 'fd00::80', flowLabel: 5, hopLimit: 9 }),
    answer: ipv6({ src: 'fd00::80', dst: '2001:db8::7', hopLimit: 64 }),
    mss: [5, 0xa0],
  },
} as const;
const stamp = [0x11, 0x22, 0x33, 0x44];
/** What a client offers, and what stands behind the MSS in the answer; 0xff four times: our timestamp. Its lowest six bits. */
const offers = [
  { name: 'an MSS alone', options: [2, 4, 5, 0x78], rest: [], wishes: 0 },
  { name: 'no options', options: [], rest: [], wishes: 0 },
  { name: 'window scale and SACK without timestamps', options: [3, 3, 7, 1, 4, 2], rest: [], wishes: 0 },
  {
    name: 'all of Linux',
    options: [2, 4, 5, 0xb4, 4, 2, 8, 10, ...stamp, 0, 0, 0, 0, 1, 3, 3, 9],
    rest: [4, 2, 8, 10, 255, 255, 255, 255, ...stamp, 1, 3, 3, 7],
    wishes: 0x19,
  },
  {
    name: 'timestamps alone',
    options: [8, 10, ...stamp, 0, 0, 0, 0],
    rest: [1, 1, 8, 10, 255, 255, 255, 255, ...stamp, 1, 1, 1, 1],
    wishes: 0x0f,
  },
  {
    name: 'a window scale over the limit of 14',
    options: [8, 10, ...stamp, 0, 0, 0, 0, 3, 3, 15],
    rest: [1, 1, 8, 10, 255, 255, 255, 255, ...stamp, 1, 3, 3, 7],
    wishes: 0x0e,
  },
  { name: 'an option that is longer than the header', options: [4, 2, 8, 10, ...stamp], rest: [], wishes: 0 },
  { name: 'timestamps behind the end', options: [0, 1, 8, 10, ...stamp, 0, 0, 0, 0], rest: [], wishes: 0 },
] as const;

for (const engine of ['jit', 'interpreter', 'linux'] as const) {
  const reason = engine === 'linux' ? refusal : undefined;
  describe.skipIf(reason !== undefined)(`${engine}${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
    describe.each(['IPv4', 'IPv6'] as const)('%s', (family) => {
      const { ask, answer, mss } = families[family];

      it.each(offers)('answers a SYN with $name', async ({ options, rest, wishes }) => {
        const object = await open(engine);
        for (const tags of [[], [vlan({ id: 7 })]]) {
          for (const data of [0, 3, 700]) {
            const syn = tcp({
              srcPort: 4000,
              dstPort: 443,
              sequence: 0xffff_ffff,
              flags: ['syn'],
              options: Uint8Array.from(options),
            });
            const run = object.run(packet(ethernet({ src: near, dst: far }), ...tags, ask, syn, new Uint8Array(data)));
            expect(run).toHaveVerdict('XDP_TX');
            const at = dissect(run.data!).transportOffset!;
            const ours = get32(run.data!, at + 28);
            const echo = [...rest];
            if (rest.length > 0) {
              expect(ours & 63).toBe(wishes);
              if (engine !== 'linux') expect(5_000_000 - ours).toBeGreaterThanOrEqual(0);
              if (engine !== 'linux') expect(5_000_000 - ours).toBeLessThan(128);
              echo.splice(4, 4, ...run.data!.subarray(at + 28, at + 32));
            }
            const expected = packet(
              ethernet({ src: far, dst: near }),
              ...tags,
              answer,
              tcp({
                srcPort: 443,
                dstPort: 4000,
                sequence: get32(run.data!, at + 4),
                acknowledgment: 0,
                flags: ['syn', 'ack'],
                window: 65535,
                options: Uint8Array.from([2, 4, ...mss, ...echo]),
              }),
            );
            expect(hex(run.data)).toBe(hex(expected));
          }
        }
      });

      it('knows a client by the ACK of its cookie, and nobody else', async () => {
        const object = await open(engine);
        const segment = (fields: Partial<Parameters<typeof tcp>[0]>) =>
          packet(ethernet(), ask, tcp({ srcPort: 4001, dstPort: 80, ...fields }), Uint8Array.of(1, 2, 3));
        const syn = object.run(
          packet(ethernet(), ask, tcp({ srcPort: 4001, dstPort: 80, sequence: 1000, flags: ['syn'] })),
        );
        const cookie = get32(syn.data!, dissect(syn.data!).transportOffset! + 4);
        const ack = { sequence: 1001, acknowledgment: (cookie + 1) >>> 0, flags: ['ack'] } as const;
        expect(object.run(segment({ ...ack, acknowledgment: cookie }))).toDrop();
        expect(object.run(segment({ ...ack, srcPort: 4002 }))).toDrop();
        expect(object.run(segment({ ...ack, sequence: 1002 }))).toDrop();
        expect(object.run(segment({ ...ack, flags: ['fin', 'ack'] }))).toDrop();
        expect(object.run(segment(ack))).toPass();
        expect(object.run(segment({ sequence: 5, acknowledgment: 9, flags: ['fin', 'ack'] }))).toPass();
        expect(object.run(segment({ srcPort: 4002, flags: ['rst'] }))).toDrop();
        // Answered, proven, known, unproven
        const { counters } = object.maps;
        for (const [outcome, packets] of [
          [3, 1n],
          [5, 1n],
          [6, 1n],
          [7, 5n],
        ] as const)
          expect(counters).toHaveEntry(outcome, { packets });
      });
    });

    it('lets one SYN through to the stack now and then', async () => {
      const config = { refresh: 60_000_000_000n, mss_ipv4: 1460, mss_ipv6: 1440, wscale: 7, strict: false };
      const object = await open(engine, { '.data': { config } });
      const syn = (dstPort: number) =>
        packet(ethernet(), families.IPv4.ask, tcp({ srcPort: 9, dstPort, flags: ['syn'] }));
      expect([80, 80, 443, 443, 80].map((port) => object.run(syn(port)).verdict)).toEqual([
        'XDP_PASS',
        'XDP_TX',
        'XDP_PASS',
        'XDP_TX',
        'XDP_TX',
      ]);
      // Not strict: what is not known passes.
      expect(
        object.run(packet(ethernet(), families.IPv4.ask, tcp({ srcPort: 9, dstPort: 80, flags: ['ack'] }))),
      ).toPass();
    });
  });
}

/** Cookie, time and the checksum over them, zeroed: these are each machine's own. */
function masked(data: Uint8Array): string {
  const bytes = data.slice();
  const at = dissect(bytes).transportOffset!;
  put32(bytes, at + 4, 0);
  bytes.fill(0, at + 16, at + 18);
  // The place of our timestamp; its six bits for the client stay.
  if (bytes[at + 12]! >> 4 === 10) put32(bytes, at + 28, get32(bytes, at + 28) & 63);
  return hex(bytes);
}

it.skipIf(refusal !== undefined)(
  `3000 generated segments: as in the kernel but for cookie and time${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  async () => {
    const sides = await Promise.all((['jit', 'interpreter', 'linux'] as const).map((engine) => open(engine)));
    let answered = 0;
    for (const input of generateInputs('xdp', 1, 3000, 'handshakes')) {
      const [first, ...others] = sides.map((side) => {
        try {
          const { returnValue, data } = side.programs['xdp_syn_cookies']!.run(input);
          if (returnValue === 3) answered++;
          return { returnValue, data: returnValue === 3 ? masked(data!) : hex(data) };
        } catch (error) {
          if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
          return { refused: /\bE[A-Z]{3,}\b/.exec(error.message)?.[0] };
        }
      });
      for (const other of others) expect(other).toEqual(first);
    }
    expect(answered).toBeGreaterThan(3 * 900);
    for (const outcome of [0, 1, 2, 3, 7]) {
      const counts = sides.map((side) => side.maps['counters']!.get(outcome) as readonly { packets: bigint }[]); // struct counter by CPU
      const sums = counts.map((cpus) => cpus.reduce((sum, { packets }) => sum + packets, 0n));
      expect(sums, `outcome ${outcome}`).toEqual(sums.map(() => sums[0]));
      expect(sums[0], `outcome ${outcome}`).toBeGreaterThan(0n);
    }
  },
);
