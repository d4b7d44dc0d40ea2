/**
 * Queues that the kernel chooses by a steering program on a real TAP, and those that our engines choose with the same program: packet by packet.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helperId } from '../src/abi/helpers/index.ts';
import { SkbPool } from '../src/hooks/skb/frames.ts';
import { runSkb } from '../src/hooks/skb/test-run.ts';
import { load } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { NetworkNamespace } from '../src/linux/netns.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { openTunQueues, type TunQueue, tunRefusal } from '../src/linux/tun.ts';
import { generateCapture } from '../src/net/generator.ts';
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

const object = () =>
  readObject(
    writeObject({ section: 'socket', license: 'GPL', ...assemble(mixing, { syntax: 'llvm' }) }),
    'mixing.bpf.o',
  );

const frames = generateCapture({ seed: 8, count: 3000 })
  .map(({ data }) => data)
  // The protocol of a frame with a length in place of a type is what its sender says; AF_PACKET says the length, a driver ETH_P_802_2.
  .filter((data) => data.length <= 1514 && ((data[12]! << 8) | data[13]!) >= 0x600);

/** As drivers/net/tun.c. */
const queueOf = (result: bigint) => Number(result & 0xffffn) % QUEUES;

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

    it.each(['jit', 'interpreter'] as const)('are those that the same program chooses here (%s)', async (engine) => {
      const inKernel = loadLinux(object());
      queues[0]!.setSteering(inKernel.programs['mixing']!);
      const linux = kernelQueues();
      queues[0]!.setSteering(undefined);
      inKernel.close();

      const here = await load(object(), { engine });
      const { runtime } = here;
      const pool = new SkbPool(runtime, 1);
      const ours: Buffer[][] = queues.map(() => []);
      for (const frame of frames) {
        pool.fill(0, frame, 'link');
        const result = runSkb(runtime, here.programs['mixing']!.executable, pool.descriptor(0), 1);
        ours[queueOf(result)]!.push(Buffer.from(frame));
      }
      pool.free();
      here.close();
      expect(ours.every((each) => each.length > frames.length / 6)).toBe(true);
      expect(linux.map((each) => each.length)).toEqual(ours.map((each) => each.length));
      for (const [index, each] of linux.entries())
        expect(each.findIndex((frame, i) => !frame.equals(ours[index]![i]!))).toBe(-1);
    });
  },
);
