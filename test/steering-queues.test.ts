/**
 * Queues that the kernel chooses by a steering program on a real TAP, and those that our engines choose with the same program: packet by packet.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helperId } from '../src/abi/helpers/index.ts';
import { fillRssMaps } from '../src/hooks/steering/rss-maps.ts';
import { Steering } from '../src/hooks/steering/steering.ts';
import { load } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { NetworkNamespace } from '../src/linux/netns.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { openTunQueues, type TunQueue, tunRefusal } from '../src/linux/tun.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { generateCapture } from '../src/net/generator.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { HASH_TYPES_ALL, type RssConfiguration, rss, verificationKey } from '../src/net/rss/index.ts';
import { udp } from '../src/net/udp.ts';
import { readObject } from '../src/object/index.ts';
import { writeObject } from '../src/object/write.ts';

const missing = tunRefusal() ?? bpfRefusal();
const QUEUES = 3;
/** A queue of a TAP holds txqueuelen (1000) packets. */
const ROUND = 500;

/** Mixes bytes of headers, wherever they are; packets that are shorter get a queue by their length. */
const mixing = `
mixing:
r6 = r1
r7 = *(u32 *)(r6 + 0)
r8 = *(u32 *)(r6 + 16)
r7 += r8
r1 = r6
r2 = 14
r3 = r10
r3 += -24
r4 = 24
call ${helperId('bpf_skb_load_bytes')}
if r0 != 0 goto short
r1 = *(u64 *)(r10 - 24)
r7 += r1
r1 = *(u64 *)(r10 - 16)
r7 ^= r1
r1 = *(u64 *)(r10 - 8)
r7 += r1
short:
r1 = 0x9e3779b97f4a7c15 ll
r7 *= r1
r0 = r7
r0 >>= 29
exit`;

const mixed = writeObject({ section: 'socket', license: 'GPL', ...assemble(mixing, { syntax: 'llvm' }) });

const captured = [
  ...generateCapture({ seed: 8, count: 2000 }),
  ...generateCapture({ seed: 12, count: 1500, traffic: 'steering' }),
]
  // The protocol of a frame with a length in place of a type is what its sender says; AF_PACKET says the length, a driver ETH_P_802_2.
  .filter(({ data }) => data.length >= 14 && data.length <= 1514 && ((data[12]! << 8) | data[13]!) >= 0x600);
const frames = captured.map(({ data }) => data);

const configuration: RssConfiguration = {
  hashTypes: HASH_TYPES_ALL,
  table: Array.from({ length: 128 }, (_, index) => (index * 11) % 97),
  unclassifiedQueue: 100,
  key: verificationKey,
};

describe.skipIf(missing !== undefined)(
  `queues of a TAP${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let namespace: NetworkNamespace;
    let queues: TunQueue[];
    let socket: PacketSocket;

    beforeAll(() => {
      const name = `slq${process.pid}`;
      namespace = new NetworkNamespace(`sluice-sq${process.pid}`);
      queues = namespace.run(() => openTunQueues(name, QUEUES));
      namespace.quietUp(name);
      socket = namespace.run(() => new PacketSocket(name));
    });
    afterAll(() => {
      socket?.close();
      for (const queue of queues ?? []) queue.close();
      namespace?.remove();
    });

    /** What comes out of each queue, in order. */
    function kernelQueues(): Buffer[][] {
      const got: Buffer[][] = queues.map(() => []);
      for (let at = 0; at < frames.length; at += ROUND) {
        for (const frame of frames.slice(at, at + ROUND)) socket.send(frame);
        for (const [index, queue] of queues.entries())
          for (const each of queue.packets()) got[index]!.push(Buffer.from(each));
      }
      return got;
    }

    /** Queues by the device's own loop in the plane, with the program in place. */
    async function queuesHere(bytes: Uint8Array, engine: 'jit' | 'interpreter', rssMaps: boolean): Promise<Buffer[][]> {
      const object = await load(bytes, { engine });
      if (rssMaps) fillRssMaps(object.maps, configuration);
      const [program] = Object.values(object.programs);
      const steering = new Steering({ queues: QUEUES, runtime: object.runtime, program: program! });
      const got: Buffer[][] = queues.map(() => []);
      for (const { queue, packet } of steering.run(captured)) got[queue]!.push(Buffer.from(packet.data));
      steering.close();
      object.close();
      return got;
    }

    function queuesThere(bytes: Uint8Array, rssMaps: boolean): Buffer[][] {
      const object = loadLinux(readObject(bytes, 'steering.bpf.o'));
      if (rssMaps) fillRssMaps(object.maps, configuration);
      const [program] = Object.values(object.programs);
      queues[0]!.setSteering(program);
      const got = kernelQueues();
      queues[0]!.setSteering(undefined);
      object.close();
      return got;
    }

    /** Index of the first packet that differs, by queue; -1 for none. */
    const differences = (some: readonly Buffer[][], others: readonly Buffer[][]) =>
      some.map((each, queue) =>
        each.length === others[queue]!.length
          ? each.findIndex((frame, i) => !frame.equals(others[queue]![i]!))
          : 'number',
      );

    it('without a program are those that a flow was sent on, as with automatic steering here', () => {
      const flows = Array.from({ length: 90 }, (_, i) => {
        const ends = [`198.18.0.${1 + i}`, '198.19.7.1'] as const;
        const frame = (src: string, dst: string, srcPort: number, dstPort: number) =>
          packet(ethernet(), ipv4({ src, dst }), udp({ srcPort, dstPort }), new Uint8Array([i]));
        return {
          out: frame(ends[1], ends[0], 7000 + i, 53),
          back: frame(ends[0], ends[1], 53, 7000 + i),
          on: i % QUEUES,
        };
      });
      const steering = new Steering({ queues: QUEUES });
      steering.configureHash({ hashTypes: HASH_TYPES_ALL, key: verificationKey });
      for (const { out, on } of flows) {
        // Nobody takes it; what the stack does with it is not looked at.
        queues[on]!.write(out);
        steering.learn([out], on);
      }
      while (socket.receive() !== undefined);
      for (const { back } of flows) socket.send(back);
      const there = queues.map((queue) => [...queue.packets()].map((data) => data.at(-1)));
      const here = queues.map((): number[] => []);
      for (const { queue, packet } of steering.run(flows.map(({ back }) => ({ ...captured[0]!, data: back }))))
        here[queue]!.push(packet.data.at(-1)!);
      expect(there).toEqual(queues.map((_, queue) => flows.flatMap(({ on }, i) => (on === queue ? [i] : []))));
      expect(here).toEqual(there);
      steering.close();
    });

    it('by a program of few instructions are those that it chooses here', async () => {
      const there = queuesThere(mixed, false);
      expect(there.every((each) => each.length > frames.length / 6)).toBe(true);
      for (const engine of ['jit', 'interpreter'] as const)
        expect(differences(await queuesHere(mixed, engine, false), there)).toEqual([-1, -1, -1]);
    });

    it('by receive-side scaling in C are those of the same program here, and of the reference', async () => {
      const bytes = readFileSync('bpf/objects/steering/rss_socket.bpf.o');
      const there = queuesThere(bytes, true);
      const reference: Buffer[][] = queues.map(() => []);
      for (const frame of frames) reference[rss(frame, configuration).queue % QUEUES]!.push(Buffer.from(frame));
      expect(reference.every((each) => each.length > frames.length / 10)).toBe(true);
      expect(differences(there, reference)).toEqual([-1, -1, -1]);
      expect(differences(await queuesHere(bytes, 'jit', true), there)).toEqual([-1, -1, -1]);
    });
  },
);
