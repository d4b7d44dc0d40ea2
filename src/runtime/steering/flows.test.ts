// Automatic steering in the plane against its long form: what is sent and received at any time, by any queue, tunnels and extension headers included; and the bounds of the table.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { generateCapture } from '../../net/generator.ts';
import { rss } from '../../net/rss/compute.ts';
import { type RssConfiguration, verificationKey } from '../../net/rss/configuration.ts';
import { automaticConfiguration } from '../../net/rss/control.ts';
import { rssFields } from '../../net/rss/fields.ts';
import { FlowMemory, flowOf } from '../../net/rss/flows.ts';
import { HASH_TYPES_ALL, hashType, TUNNEL_TYPES_ALL } from '../../net/rss/hash-types.ts';
import { FLOWS_AGE_NS, FLOWS_BUCKETS, FLOWS_WAYS } from '../../plane/layout/steering.ts';
import { Runtime } from '../runtime.ts';
import { SteeringDevice } from './device.ts';
import { SteeringFrames } from './frames.ts';

const QUEUES = 5;
const runtime = new Runtime({ seed: 1n, clock: { at: 1n } });
const frames = new SteeringFrames(runtime, 64, 4096);
const device = new SteeringDevice(runtime, { queues: QUEUES });
afterAll(() => {
  device.close();
  frames.free();
});
let now = 1n;
const later = (ms: number) => {
  now += BigInt(ms) * 1_000_000n;
  runtime.setClock(now);
};
const send = (packet: Uint8Array, queue: number) => {
  frames.fill(0, packet);
  device.learn(frames.address, 1, queue);
};
const receive = (packet: Uint8Array) => {
  frames.fill(0, packet);
  device.steer(frames.address, 1);
  const { queue, hash, report } = frames.result(0);
  return { queue, hash, report };
};

/** What answers a packet: what is hashed of it, exchanged. */
function answerTo(packet: Uint8Array, tunnelTypes: number): Uint8Array {
  const answer = packet.slice();
  const fields = rssFields(packet, HASH_TYPES_ALL, tunnelTypes);
  if (fields === undefined) return answer;
  const { source, destination, ports, headers } = fields;
  const size = headers.version === 4 ? 4 : 16;
  answer.set(packet.subarray(source, source + size), destination);
  answer.set(packet.subarray(destination, destination + size), source);
  if (ports !== undefined) {
    answer.set(packet.subarray(ports, ports + 2), ports + 2);
    answer.set(packet.subarray(ports + 2, ports + 4), ports);
  }
  return answer;
}

const corpus = [
  ...generateCapture({ seed: 21, count: 500, traffic: 'steering', minimumLength: 0 }),
  ...generateCapture({ seed: 21, count: 300, malformedPercent: 20, minimumLength: 0 }),
].map(({ data }) => data);
const automatic = (hashTypes: number, tunnelTypes = 0): RssConfiguration =>
  automaticConfiguration(QUEUES, { hashTypes, tunnelTypes, key: verificationKey });
/** One TCP connection from 10.a.b.c, and its other direction. */
const connection = (a: number, b = 0, c = 0): Uint8Array =>
  Uint8Array.from([
    ...new Uint8Array(12),
    ...[8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, a, b, c, 192, 0, 2, 1, 0x30, 0x39, 1, 0xbb],
    ...new Uint8Array(16),
  ]);

describe('automatic steering', () => {
  it('gives what answers a flow to the queue that it was last sent on, for 3 s, and the rest its hash', () => {
    const seen = { known: 0, old: 0, unknown: 0, unhashed: 0 };
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ send: fc.nat({ max: 39 }), on: fc.nat({ max: QUEUES + 1 }) }) },
      { weight: 4, arbitrary: fc.record({ receive: fc.nat({ max: 39 }), answer: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ wait: fc.constantFrom(1, 1000, 2999, 3000, 3001) }) },
    );
    fc.assert(
      fc.property(
        fc.constantFrom(0, hashType.ipv4, 0x3f, HASH_TYPES_ALL),
        fc.constantFrom(0, TUNNEL_TYPES_ALL),
        fc.nat({ max: corpus.length - 40 }),
        fc.array(step, { minLength: 40, maxLength: 120, size: 'max' }),
        (hashTypes, tunnelTypes, from, steps) => {
          const configuration = automatic(hashTypes, tunnelTypes);
          device.reset();
          device.configure(configuration);
          device.clearCounters();
          const memory = new FlowMemory<undefined>(tunnelTypes);
          let found = 0n;
          for (const each of steps) {
            if ('wait' in each) later(each.wait);
            else if ('send' in each) {
              const packet = corpus[from + each.send]!;
              send(packet, each.on);
              // There are no such queues, and nothing comes of them.
              if (each.on < QUEUES) memory.learn(packet, each.on, Number(now / 1_000_000n), undefined);
            } else {
              const other = corpus[from + each.receive]!;
              const packet = each.answer ? answerTo(other, tunnelTypes) : other;
              const wanted = rss(packet, configuration);
              const known = memory.find(packet, Number(now / 1_000_000n));
              if (known !== undefined) found++;
              expect(receive(packet), Buffer.from(packet).toString('hex')).toEqual({
                ...wanted,
                queue: known?.queue ?? wanted.queue,
              });
              if (known !== undefined) seen.known++;
              else if (memory.find(packet, 0) !== undefined) seen.old++;
              else if (wanted.report === 0) seen.unhashed++;
              else seen.unknown++;
            }
          }
          const { flows } = device.counters();
          expect(flows).toMatchObject({ found, displaced: 0n });
        },
      ),
      { numRuns: 120 },
    );
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(100);
  });

  it('knows each packet of the corpus by what answers it, and by nothing else that it is not', () => {
    device.configure(automatic(0, TUNNEL_TYPES_ALL));
    let answered = 0;
    for (const packet of corpus) {
      device.reset();
      device.configure(automatic(0, TUNNEL_TYPES_ALL));
      device.clearCounters();
      send(packet, 4);
      const answer = answerTo(packet, TUNNEL_TYPES_ALL);
      receive(answer);
      const known = flowOf(packet, TUNNEL_TYPES_ALL, true) !== undefined;
      expect(flowOf(answer, TUNNEL_TYPES_ALL)).toBe(flowOf(packet, TUNNEL_TYPES_ALL, true));
      expect(device.counters().flows).toEqual({
        found: known ? 1n : 0n,
        learned: known ? 1n : 0n,
        displaced: 0n,
      });
      if (known) answered++;
    }
    expect(answered).toBeGreaterThan(corpus.length / 2);
  });

  it('tells TCP from UDP between the same ends, and ports from addresses alone', () => {
    device.reset();
    device.configure(automatic(0));
    device.clearCounters();
    const tcp = connection(9);
    const udp = tcp.with(23, 17);
    const icmp = tcp.with(23, 1);
    send(tcp, 1);
    send(udp, 2);
    expect(receive(answerTo(icmp, 0)).queue).toBe(rss(answerTo(icmp, 0), automatic(0)).queue);
    send(icmp, 3);
    expect([tcp, udp, icmp].map((packet) => receive(answerTo(packet, 0)).queue)).toEqual([1, 2, 3]);
    expect(device.counters().flows).toEqual({ found: 3n, learned: 3n, displaced: 0n });
  });

  it('keeps as many flows as its table has, the last of them, and none longer than they live', () => {
    device.reset();
    device.configure(automatic(0));
    device.clearCounters();
    const number = FLOWS_BUCKETS * FLOWS_WAYS * 2;
    const flow = (i: number) => connection(i >> 16, (i >> 8) & 255, i & 255);
    for (let i = 0; i < number; i++) {
      if (i % 8 === 0) later(1);
      send(flow(i), 3);
    }
    /** Whether it is found. */
    const known = (i: number) => {
      const before = device.counters().flows.found;
      receive(answerTo(flow(i), 0));
      return device.counters().flows.found > before;
    };
    const kept = Array.from({ length: number }, (_, i) => i).filter(known);
    expect(kept.length).toBeGreaterThan(2000);
    expect(kept.length).toBeLessThanOrEqual(FLOWS_BUCKETS * FLOWS_WAYS);
    expect(kept.at(-1)).toBe(number - 1);
    // Who was sent longest ago gives way: the first of all is gone before the second half is.
    expect(kept[0]).toBeGreaterThan(0);
    expect(device.counters().flows).toMatchObject({
      learned: BigInt(number),
      displaced: BigInt(number - kept.length),
    });
    later(Number(FLOWS_AGE_NS) / 1e6 + 1);
    expect(known(number - 1)).toBe(false);
  });

  it('forgets with a reset, with fewer queues, and with other tunnels; not with another key', () => {
    const flow = connection(1);
    const known = () => {
      const before = device.counters().flows.found;
      receive(answerTo(flow, 0));
      return device.counters().flows.found > before;
    };
    const begin = () => {
      device.reset();
      device.configure(automatic(HASH_TYPES_ALL));
      device.queues = QUEUES;
      send(flow, 2);
      expect(known()).toBe(true);
    };
    begin();
    device.configure({ ...automatic(HASH_TYPES_ALL), key: new Uint8Array(40).fill(7) });
    expect(known()).toBe(true);
    device.configure({ ...automatic(HASH_TYPES_ALL), automatic: false });
    expect(known()).toBe(false);
    begin();
    device.configure(automatic(HASH_TYPES_ALL, TUNNEL_TYPES_ALL));
    expect(known()).toBe(false);
    begin();
    device.configure(automaticConfiguration(QUEUES - 1, undefined));
    expect(known()).toBe(false);
    begin();
    device.queues = 1;
    expect(known()).toBe(false);
    device.queues = QUEUES;
    expect(() => device.configure(automatic(0), 3)).toThrow(/SLUICE_STEER_CONTEXT|default configuration alone/);
  });
});
