// Three ways to one result: the device's own computation, socket filters, programs of type vnet_hash; and what Linux does with return values.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { load, type UserProgram } from '../../index.ts';
import { assemble } from '../../isa/assembler.ts';
import { generateCapture } from '../../net/generator.ts';
import { rss } from '../../net/rss/compute.ts';
import { encodeRssConfig, type RssConfiguration, verificationKey } from '../../net/rss/configuration.ts';
import { encodeRssContext } from '../../net/rss/control.ts';
import { flowRuleOf, parseFlowRule } from '../../net/rss/flow-rules.ts';
import { FlowMemory } from '../../net/rss/flows.ts';
import { HASH_TYPES_ALL, TUNNEL_TYPES_ALL } from '../../net/rss/hash-types.ts';
import { decodeVirtioNetHeader } from '../../net/virtio-net-header.ts';
import { writeObject } from '../../object/write.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { fillRssMaps } from './rss-maps.ts';
import { Steering } from './steering.ts';

const object = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../../bpf/objects/steering/${name}.bpf.o`, import.meta.url)));
const QUEUES = 5;
const configuration: RssConfiguration = {
  hashTypes: HASH_TYPES_ALL,
  table: Array.from({ length: 128 }, (_, index) => (index * 11) % 7),
  unclassifiedQueue: 6,
  key: verificationKey,
};
const packets = [
  ...generateCapture({ seed: 3, count: 1200, traffic: 'steering', minimumLength: 0 }),
  ...generateCapture({ seed: 3, count: 400, malformedPercent: 30, minimumLength: 0 }),
];
const expected = (with_: RssConfiguration) =>
  packets.map(({ data }) => {
    const { hash, report, queue } = rss(data, with_);
    return { hash, report, queue: queue % QUEUES };
  });
const resultsOf = (steering: Steering, over = packets) =>
  [...steering.run(over)].map(({ hash, report, queue }) => ({ hash, report, queue }));

/** A program of a few lines. */
async function small(text: string, section: string, runtime: Runtime): Promise<UserProgram> {
  const { insns, functions } = assemble(text, { syntax: 'llvm' });
  const loaded = await load(writeObject({ insns, functions, section, license: 'GPL' }), { runtime });
  return Object.values(loaded.programs)[0]!;
}

const closing: { close(): void }[] = [];
afterAll(() => {
  for (const each of closing) each.close();
});

async function programmed(
  name: string,
  engine: 'jit' | 'interpreter',
  with_: RssConfiguration,
  runtime = new Runtime({ seed: 1n }),
) {
  const loaded = await load(object(name), { runtime, engine });
  const program = Object.values(loaded.programs)[0]!;
  if (name.startsWith('rss_')) fillRssMaps(loaded.maps, with_);
  const steering = new Steering({ queues: QUEUES, program, configuration: with_ });
  closing.push(steering, loaded);
  return steering;
}

describe.each(['jit', 'interpreter'] as const)('%s', (engine) => {
  // What a program in bitwise C costs in the interpreter is paid for a part of the corpus.
  const over = engine === 'jit' ? packets : packets.slice(0, 150);

  it.each(['device_socket', 'device_vnet_hash'])(
    '%s has hash, report and queue of the device, tunnels included',
    async (name) => {
      const whole = { ...configuration, tunnelTypes: TUNNEL_TYPES_ALL };
      const steering = await programmed(name, engine, whole);
      expect(resultsOf(steering)).toEqual(expected(whole));
      steering.attach(undefined);
      expect(steering.way).toBe('rss');
      expect(resultsOf(steering)).toEqual(expected(whole));
    },
  );

  it.each(['device_socket', 'device_vnet_hash'])('%s is answered by the flows that were sent', async (name) => {
    const steering = await programmed(name, engine, configuration);
    steering.configureHash({ hashTypes: 2, key: verificationKey });
    const by = steering.device.configuration()!;
    const memory = new FlowMemory();
    const plain = over.filter(({ data }) => data.length > 37 && data[12] === 8 && data[13] === 0 && data[14] === 0x45);
    for (const [index, { data }] of plain.slice(0, 60).entries()) {
      const queue = (index * 3) % QUEUES;
      const sent = data.slice();
      for (const [to, from, size] of [
        [26, 30, 4],
        [30, 26, 4],
        [34, 36, 2],
        [36, 34, 2],
      ] as const)
        sent.set(data.subarray(from, from + size), to);
      steering.learn([sent], queue);
      memory.learn(sent, queue, 0, undefined);
    }
    const wanted = over.map(({ data }) => {
      const { hash, report, queue } = rss(data, by);
      return { hash, report, queue: memory.find(data, 0)?.queue ?? queue };
    });
    expect(resultsOf(steering, over)).toEqual(wanted);
    steering.attach(undefined);
    expect(resultsOf(steering, over)).toEqual(wanted);
    expect(steering.counters().flows.found).toBeGreaterThan(0n);
  });

  it('a program is answered by the context that a rule chose', async () => {
    const rules = ['tcp4 context 2', 'ip6 context 9', 'udp4 context 3'].map(parseFlowRule);
    const own = { ...configuration, table: [1], hashTypes: HASH_TYPES_ALL & ~2, unclassifiedQueue: 2 };
    const steering = await programmed('device_socket', engine, configuration);
    steering.configure(own, 2);
    steering.configure({ ...own, table: [3] }, 3);
    steering.rules = rules;
    const chosen = over.map(({ data }) => flowRuleOf(data, rules));
    const wanted = over.map(({ data }, at) => {
      const by = chosen[at] === 0 ? own : chosen[at] === 2 ? { ...own, table: [3] } : configuration;
      const { hash, report, queue } = rss(data, by);
      return { hash, report, queue: queue % QUEUES };
    });
    expect(resultsOf(steering, over)).toEqual(wanted);
    expect(steering.device.ruleHits()).toEqual(
      rules.map((_, index) => BigInt(chosen.filter((each) => each === index).length)),
    );
    expect(new Set(chosen)).toEqual(new Set([-1, 0, 1, 2]));
  });

  it.each(['rss_report', 'rss_vnet_hash'])('%s computes the same in C', async (name) => {
    for (const hashTypes of engine === 'jit' ? [HASH_TYPES_ALL, 0x3f, 0x1c0, 0x80] : [HASH_TYPES_ALL]) {
      const with_ = { ...configuration, hashTypes };
      const steering = await programmed(name, engine, with_);
      expect(resultsOf(steering, over)).toEqual(expected(with_).slice(0, over.length));
    }
  });

  it('rss_socket has the queue, and no hash to report', async () => {
    const steering = await programmed('rss_socket', engine, configuration);
    const wanted = expected(configuration).map(({ queue }) => ({ queue, hash: 0, report: 0 }));
    expect(resultsOf(steering, over)).toEqual(wanted.slice(0, over.length));
  });
});

describe('return values', () => {
  const socket = async (text: string, options: { readonly fallback?: boolean } = {}) => {
    const runtime = new Runtime({ seed: 1n });
    const program = await small(text, 'socket', runtime);
    const steering = new Steering({ queues: 3, program, configuration, ...options });
    closing.push(steering);
    return [...steering.run(packets.slice(0, 1))][0]!;
  };
  // What 6.18 does with three queues, probed on a TAP device.
  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 0],
    [4, 1],
    [-1, 0],
    [65535, 0],
    [65536, 0],
    [65537, 1],
    [-2, 2],
    [0x7fffffff, 0],
  ])('%i is queue %i of three', async (value, queue) => {
    expect(await socket(`r0 = ${value}\nexit`)).toMatchObject({ queue, hash: 0, report: 0, returned: value >>> 0 });
  });

  it('-1 asks for the device where that was said', async () => {
    const { hash, report, queue } = rss(packets[0]!.data, configuration);
    expect(await socket('r0 = -1\nexit', { fallback: true })).toMatchObject({ hash, report, queue: queue % 3 });
    expect(await socket('r0 = 65535\nexit', { fallback: true })).toMatchObject({ hash: 0, report: 0, queue: 0 });
  });
});

describe('a device', () => {
  it('is what its last control command made it', () => {
    const steering = new Steering({ queues: 4 });
    const four = { ...configuration, table: [0, 1, 2, 3], unclassifiedQueue: 3 };
    const over = packets.slice(0, 200);
    const by = (with_: RssConfiguration) => over.map(({ data }) => rss(data, with_));
    expect(resultsOf(steering, over)).toEqual(over.map(() => ({ hash: 0, report: 0, queue: 0 })));
    expect(steering.command(4, 1, encodeRssConfig(four)).ack).toBe(0);
    expect(resultsOf(steering, over)).toEqual(by(four));
    expect(steering.command(7, 0, Uint8Array.of(0xff, 1, 0, 0)).ack).toBe(0);
    expect(resultsOf(steering, over)).toEqual(by({ ...four, tunnelTypes: TUNNEL_TYPES_ALL }));
    expect(steering.command(4, 1, encodeRssConfig({ ...four, unclassifiedQueue: 4 })).ack).toBe(1);
    expect(resultsOf(steering, over)).toEqual(by({ ...four, tunnelTypes: TUNNEL_TYPES_ALL }));
    expect(steering.command(9, 1, encodeRssContext(2, four)).ack).toBe(0);
    expect(steering.device.configuration(2)).toMatchObject({ table: four.table });
    expect(steering.command(9, 3, Uint8Array.of(2, 0)).ack).toBe(0);
    expect(steering.device.configuration(2)).toBeUndefined();
    steering.reset();
    expect(resultsOf(steering, over)).toEqual(over.map(() => ({ hash: 0, report: 0, queue: 0 })));
    steering.close();
  });

  it('gives each packet its virtio-net header', () => {
    const steering = new Steering({ queues: QUEUES, configuration });
    for (const { header, hash, report } of steering.run(packets.slice(0, 100)))
      expect(decodeVirtioNetHeader(header, 20)).toEqual({
        flags: 0,
        gsoType: 0,
        hdrLen: 0,
        gsoSize: 0,
        csumStart: 0,
        csumOffset: 0,
        numBuffers: 1,
        hash: { value: hash, report },
      });
    expect(steering.counters().queues.reduce((sum, { packets: count }) => sum + count, 0n)).toBe(100n);
    steering.close();
  });

  it('refuses programs that do not steer', async () => {
    const runtime = new Runtime({ seed: 1n });
    const program = await small('r0 = 2\nexit', 'xdp', runtime);
    expect(() => new Steering({ queues: 2, program })).toThrow(/socket_filter/);
    const other = await small('r0 = 2\nexit', 'socket', new Runtime({ seed: 1n }));
    expect(() => new Steering({ queues: 2, program: other, runtime })).toThrow(/another runtime/);
  });
});

it('a vnet_hash program runs without a device, and gives its context back', async () => {
  const loaded = await load(object('rss_vnet_hash'), { runtime: new Runtime({ seed: 1n }) });
  fillRssMaps(loaded.maps, configuration);
  const { data } = packets.find((packet) => rss(packet.data, configuration).report === 2)!;
  const { context } = Object.values(loaded.programs)[0]!.run({ data });
  const { hash, report, queue } = rss(data, configuration);
  const view = new DataView(context!.buffer, context!.byteOffset);
  expect(context).toHaveLength(200);
  expect([view.getUint32(192, true), view.getUint16(196, true), view.getUint16(198, true)]).toEqual([
    hash,
    report,
    queue,
  ]);
  loaded.close();
});
