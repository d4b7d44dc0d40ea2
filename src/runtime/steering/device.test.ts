import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateCapture } from '../../net/generator.ts';
import { rss } from '../../net/rss/compute.ts';
import { type RssConfiguration, verificationKey } from '../../net/rss/configuration.ts';
import { rssFields } from '../../net/rss/fields.ts';
import { type FlowRule, flowRuleOf, flowTypeOf, flowTypes, parseFlowRule } from '../../net/rss/flow-rules.ts';
import { HASH_TYPES_ALL, hashType, inputBytes, TUNNEL_TYPES_ALL, tunnelTypesIn } from '../../net/rss/hash-types.ts';
import { toeplitz } from '../../net/rss/toeplitz.ts';
import { WASM_PAGE } from '../../plane/layout/memory.ts';
import { Runtime } from '../runtime.ts';
import { SteeringDevice } from './device.ts';
import { SteeringFrames } from './frames.ts';
import { RssBlock } from './rss-block.ts';

const table = Array.from({ length: 128 }, (_, index) => (index * 7) % 5);
const all: RssConfiguration = {
  hashTypes: HASH_TYPES_ALL,
  tunnelTypes: TUNNEL_TYPES_ALL,
  table,
  unclassifiedQueue: 4,
  key: verificationKey,
};
const corpus = [
  ...generateCapture({ seed: 8, count: 3000, traffic: 'steering', minimumLength: 0 }),
  ...generateCapture({ seed: 8, count: 1000, malformedPercent: 40, minimumLength: 0 }),
].map(({ data }) => data);

describe('the plane', () => {
  it('hashes any input with any key as the reference does', () => {
    const runtime = new Runtime({ seed: 1n });
    const at = runtime.allocatePages(WASM_PAGE);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 255, size: 'max' }),
        fc.uint8Array({ maxLength: 251, size: 'max' }),
        (key, bytes) => {
          const input = bytes.subarray(0, key.length - 4);
          const block = new RssBlock(runtime, { hashTypes: 0, key, table: [0], unclassifiedQueue: 0 });
          runtime.bytes().set(input, at);
          expect(block.inputBytes).toBe(key.length - 4);
          expect(block.toeplitz(at, input.length)).toBe(toeplitz(key, input));
          block.free();
        },
      ),
      { numRuns: 150 },
    );
  });

  it('gives each packet of the corpus hash, report and queue of the reference, under any types', () => {
    const runtime = new Runtime({ seed: 1n });
    const seen = new Map<number, number>();
    const at = runtime.allocatePages(2 * WASM_PAGE);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: HASH_TYPES_ALL }),
        fc.integer({ min: 0, max: TUNNEL_TYPES_ALL }),
        fc.integer({ min: 0, max: corpus.length - 300 }),
        (hashTypes, tunnelTypes, from) => {
          const configuration = { ...all, hashTypes, tunnelTypes };
          const block = new RssBlock(runtime, configuration);
          for (const packet of corpus.slice(from, from + 300)) {
            runtime.bytes().set(packet, at);
            const result = block.compute(at, packet.length);
            expect(result, Buffer.from(packet).toString('hex')).toEqual(rss(packet, configuration));
            seen.set(result.report, (seen.get(result.report) ?? 0) + 1);
          }
          block.free();
        },
      ),
      {
        numRuns: 40,
        examples: [
          [HASH_TYPES_ALL, TUNNEL_TYPES_ALL, 0],
          [HASH_TYPES_ALL, 0, 1000],
          [0x38, 0, 0],
          [0x1c0, 0x1ff, 0],
        ],
      },
    );
    expect([...seen.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('has every kind of packet in the corpus', () => {
    const tunnels = new Set<string>();
    let homes = 0;
    let routed = 0;
    for (const packet of corpus) {
      const fields = rssFields(packet, HASH_TYPES_ALL, TUNNEL_TYPES_ALL);
      for (const name of tunnelTypesIn(fields?.tunnel?.types ?? 0)) tunnels.add(name);
      if (fields?.headers.homeAddress !== undefined) homes++;
      if (fields?.headers.routingAddress !== undefined) routed++;
    }
    expect(tunnels.size).toBe(9);
    expect(homes).toBeGreaterThan(50);
    expect(routed).toBeGreaterThan(50);
  });

  it('does not read behind the packet', () => {
    // The packet ends where the memory is poisoned: any byte of it in the input changes the hash.
    const runtime = new Runtime({ seed: 1n });
    const at = runtime.allocatePages(2 * WASM_PAGE);
    const block = new RssBlock(runtime, all);
    for (const packet of corpus.slice(0, 400))
      for (const length of new Set([packet.length, Math.floor(packet.length / 2), Math.min(packet.length, 14 + 41)])) {
        const cut = packet.subarray(0, length);
        const results = [0x00, 0xff, 0x2c].map((poison) => {
          runtime.bytes().fill(poison, at, at + length + 3000);
          runtime.bytes().set(cut, at);
          return block.compute(at, length);
        });
        expect(results[0]).toEqual(rss(cut, all));
        expect(results[1]).toEqual(results[0]);
        expect(results[2]).toEqual(results[0]);
      }
  });
});

describe('a device', () => {
  const runtime = new Runtime({ seed: 1n });
  const frames = new SteeringFrames(runtime, 64, 4096);
  const run = (device: SteeringDevice, packets: readonly Uint8Array[], context = 0) => {
    for (const [index, packet] of packets.entries()) frames.fill(index, packet, context);
    device.steer(frames.address, packets.length);
    return packets.map((_, index) => frames.result(index));
  };

  it('reports nothing and gives all to the first queue before it is configured, and after a reset', () => {
    const device = new SteeringDevice(runtime, { queues: 4 });
    const nothing = { queue: 0, hash: 0, report: 0, returned: 0 };
    expect(run(device, corpus.slice(0, 8))).toEqual(Array(8).fill(nothing));
    device.configure(all);
    device.configure({ ...all, table: [2] }, 3);
    expect(run(device, corpus.slice(0, 8))).not.toEqual(Array(8).fill(nothing));
    device.reset();
    expect(run(device, corpus.slice(0, 8), 3)).toEqual(Array(8).fill(nothing));
    device.close();
  });

  it('takes the queue modulo their number, counts, and completes headers in little-endian', () => {
    const device = new SteeringDevice(runtime, { queues: 3 });
    device.configure(all);
    const packets = corpus.slice(0, 64);
    const results = run(device, packets);
    const expected = packets.map((packet) => rss(packet, all));
    expect(results.map(({ queue }) => queue)).toEqual(expected.map(({ queue }) => queue % 3));
    const { queues, unhashed } = device.counters();
    for (const [queue, { packets: count, bytes }] of queues.entries()) {
      const own = packets.filter((_, index) => results[index]!.queue === queue);
      expect(count).toBe(BigInt(own.length));
      expect(bytes).toBe(BigInt(own.reduce((sum, packet) => sum + packet.length, 0)));
    }
    expect(unhashed).toBe(BigInt(expected.filter(({ report }) => report === 0).length));
    for (const [index, { hash, report }] of expected.entries()) {
      const header = new DataView(frames.header(index).buffer);
      expect([header.getUint16(10, true), header.getUint32(12, true), header.getUint32(16, true)]).toEqual([
        1,
        hash,
        report,
      ]);
    }
    device.close();
  });

  it('steers by the RSS context that a frame asks for', () => {
    const device = new SteeringDevice(runtime, { queues: 8 });
    const other = { ...all, hashTypes: hashType.ipv4, table: [5, 6], unclassifiedQueue: 7 };
    device.configure(all);
    device.configure(other, 1);
    const packets = corpus.slice(0, 40);
    const by = (configuration: RssConfiguration) =>
      packets.map((packet) => ({ ...rss(packet, configuration), returned: 0 }));
    expect(run(device, packets, 1)).toEqual(by(other));
    expect(run(device, packets, 2)).toEqual(by(all));
    device.removeContext(1);
    expect(run(device, packets, 1)).toEqual(by(all));
    device.close();
  });

  it('steers by the context of the first rule that a packet fits, as the reference finds it', () => {
    const device = new SteeringDevice(runtime, { queues: 64 });
    device.configure(all);
    const contexts = new Map(
      [1, 2, 3].map((id) => [id, { ...all, table: [10 * id, 10 * id + 1], unclassifiedQueue: id }]),
    );
    for (const [id, configuration] of contexts) device.configure(configuration, id);
    // Ports and addresses are those of the corpus, so that rules fit: masks leave some bits.
    const port = fc.record({ value: fc.integer({ min: 0, max: 0xffff }), mask: fc.constantFrom(1, 3, 0x8000, 0x101) });
    const address = (size: number) =>
      fc.tuple(fc.integer({ min: 0, max: size - 1 }), fc.integer({ min: 0, max: 255 })).map(([at, value]) => ({
        value: new Uint8Array(size).fill(value),
        mask: new Uint8Array(size).fill(3, at, at + 1),
      }));
    const rule: fc.Arbitrary<FlowRule> = fc.constantFrom(...flowTypes).chain((flowType) => {
      const { version, protocol } = flowTypeOf(flowType);
      const size = version === 4 ? 4 : 16;
      return fc.record(
        {
          flowType: fc.constant(flowType),
          context: fc.integer({ min: 1, max: 4 }),
          vlan: port,
          ...(version === 0 ? {} : { source: address(size), destination: address(size) }),
          ...(protocol === undefined ? {} : { sourcePort: port, destinationPort: port }),
          ...(version === 0 || protocol !== undefined ? {} : { protocol: fc.constantFrom(6, 17, 47, 50, 58, 132) }),
        },
        { requiredKeys: ['flowType', 'context'] },
      );
    });
    const fitted = new Map<string, number>();
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: corpus.length - 64 }),
        (rules, from) => {
          device.rules = rules;
          const packets = corpus.slice(from, from + 64);
          const found = packets.map((packet) => flowRuleOf(packet, rules));
          const results = run(device, packets).map(({ queue, hash, report }) => ({ queue, hash, report }));
          for (const [index, packet] of packets.entries()) {
            const configuration = contexts.get(rules[found[index]!]?.context ?? 0) ?? all;
            expect(results[index], Buffer.from(packet).toString('hex')).toEqual(rss(packet, configuration));
          }
          expect(device.ruleHits()).toEqual(
            rules.map((_, index) => BigInt(found.filter((each) => each === index).length)),
          );
          for (const each of found) {
            const type = rules[each]?.flowType;
            if (type !== undefined) fitted.set(type, (fitted.get(type) ?? 0) + 1);
          }
        },
      ),
      { numRuns: 120, examples: flowTypes.map((flowType) => [[{ flowType, context: 1 }], 0]) },
    );
    expect([...fitted.keys()]).toEqual(expect.arrayContaining(['ether', 'ip4', 'tcp4', 'udp4', 'ip6', 'tcp6', 'udp6']));
    // A frame that asks for a context has no rule.
    device.rules = [parseFlowRule('ether context 1')];
    expect(run(device, corpus.slice(0, 8), 2).map(({ queue }) => Math.floor(queue / 10) || queue)).toEqual(
      Array(8).fill(2),
    );
    expect(device.ruleHits()).toEqual([0n]);
    device.rules = [];
    expect(run(device, corpus.slice(0, 8)).map(({ queue }) => queue)).toEqual(
      corpus.slice(0, 8).map((packet) => rss(packet, all).queue),
    );
    device.close();
  });

  it('refuses what it cannot be', () => {
    expect(() => new SteeringDevice(runtime, { queues: 0 })).toThrow(/SLUICE_STEER_QUEUES|1 to 1024/);
    const device = new SteeringDevice(runtime, { queues: 1 });
    expect(() => device.configure({ ...all, table: [0, 0, 0] })).toThrow(/power of two/);
    expect(() =>
      device.configure({ ...all, key: verificationKey.subarray(0, inputBytes(HASH_TYPES_ALL) + 3) }),
    ).toThrow(/need 40/);
    expect(() => device.configure(all, 32)).toThrow(/1 to 31/);
    expect(() => {
      device.rules = [{ flowType: 'ip4', context: 32 }];
    }).toThrow(expect.objectContaining({ code: 'SLUICE_STEER_RULE' }));
    expect(() => {
      device.rules = Array(1025).fill(parseFlowRule('ip4 context 1'));
    }).toThrow(/1024/);
    device.close();
  });
});
