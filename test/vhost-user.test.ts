// A front end of our own on the back end's socket: what it agrees to, what a driver in its guest receives and sends, and what neither may do.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ringRefusal } from '../src/linux/io-uring-features.ts';
import { message, request, u64 } from '../src/linux/vhost-user/protocol.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { generateCapture } from '../src/net/generator.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { rss } from '../src/net/rss/compute.ts';
import { encodeHashConfig, verificationKey } from '../src/net/rss/configuration.ts';
import { HASH_TYPES_ALL } from '../src/net/rss/hash-types.ts';
import { udp } from '../src/net/udp.ts';
import { virtioFeature } from '../src/runtime/virtio/network-device.ts';
import { type TransmittedPacket, VhostUserDevice, type VhostUserOptions } from '../src/vhost-user.ts';
import {
  type Descriptor,
  FrontEnd,
  GuestQueue,
  INDIRECT,
  MEMORY_SIZE,
  NEXT,
  PHYSICAL,
  vringAddress,
  WRITE,
} from './vhost-user-front-end.ts';

const refusal = ringRefusal();
const configuration = {
  hashTypes: HASH_TYPES_ALL,
  table: [0, 1, 1, 0],
  unclassifiedQueue: 1,
  key: verificationKey,
};
const {
  version1,
  mergeableBuffers,
  hashReport,
  rss: rssBit,
  multiqueue,
  controlQueue,
  indirectDescriptors,
  eventIndex,
} = virtioFeature;
const usual = version1 | mergeableBuffers | hashReport | rssBit | multiqueue | controlQueue | indirectDescriptors;
const packets = generateCapture({ seed: 4, count: 40, traffic: 'steering' }).map(({ data }) => data);

let number = 0;
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function listen(options: Partial<VhostUserOptions> = {}): Promise<VhostUserDevice> {
  const path = join(tmpdir(), `sluice-vhost-${process.pid}-${number++}`);
  const device = await VhostUserDevice.listen({ path, pairs: 2, configuration, ...options });
  open.push(device);
  return device;
}

async function connect(device: VhostUserDevice, features = usual): Promise<FrontEnd> {
  const front = new FrontEnd(device.path);
  open.push(front);
  await front.agree(features);
  expect(await front.share()).toBe(0n);
  return front;
}

/** Buffers of `size` bytes for the device to write, from `at` in the memory, each a chain of one descriptor. */
function post(queue: GuestQueue, at: number, size: number, count = queue.entries): void {
  for (let i = 0; i < count; i++) {
    queue.describe(i, { address: PHYSICAL + BigInt(at + i * size), length: size, flags: WRITE, next: 0 });
    queue.offer(i);
  }
}

describe.skipIf(refusal !== undefined)(
  `a vhost-user device${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  () => {
    it('delivers each packet to the queue of its hash, with the hash in front of it', async () => {
      const device = await listen();
      const front = await connect(device);
      const queues = [0x10000, 0x30000].map((at) => new GuestQueue(front.memory, at, 64));
      for (const [i, queue] of queues.entries()) {
        post(queue, 0x100000 + i * 0x100000, 2048);
        await front.start(i * 2, queue);
      }
      expect(device.state).toMatchObject({ connected: true, receiving: 2, problem: undefined });
      expect(device.deliver(packets)).toBe(packets.length);
      const received = queues.map((queue, i) =>
        queue.taken().map(({ id, length }) => front.bytes.slice(0x100000 * (1 + i) + id * 2048).subarray(0, length)),
      );
      const expected: Uint8Array[][] = [[], []];
      for (const packet of packets) expected[rss(packet, configuration).queue % 2]!.push(packet);
      expect(received.map((list) => list.length)).toEqual(expected.map((list) => list.length));
      expect(Math.min(...expected.map((list) => list.length))).toBeGreaterThan(3);
      for (const [i, list] of received.entries())
        for (const [k, bytes] of list.entries()) {
          const packet = expected[i]![k]!;
          const { hash, report } = rss(packet, configuration);
          const header = new DataView(bytes.buffer, bytes.byteOffset);
          expect(bytes.slice(20)).toEqual(packet);
          expect([header.getUint16(10, true), header.getUint32(12, true), header.getUint32(16, true)]).toEqual([
            1,
            hash,
            report,
          ]);
        }
      for (const queue of queues) expect(queue.signals()).toBeGreaterThan(0);
      expect(device.counters().receive.map(({ packets }) => Number(packets))).toEqual(
        expected.map((list) => list.length),
      );
    });

    it('merges small buffers, and says of how many a packet is', async () => {
      const device = await listen();
      const front = await connect(device);
      const queue = new GuestQueue(front.memory, 0x10000, 256);
      post(queue, 0x100000, 100);
      await front.start(0, queue);
      const packet = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
      expect(device.deliver([packet])).toBe(1);
      const used = queue.taken();
      expect(used).toHaveLength(11);
      const bytes = Buffer.concat(
        used.map(({ id, length }) => front.bytes.slice(0x100000 + id * 100).subarray(0, length)),
      );
      expect(bytes.readUInt16LE(10)).toBe(11);
      expect(new Uint8Array(bytes.subarray(20))).toEqual(packet);
      // 245 are left, of which a packet of 64 KiB has no use: none is lost.
      expect(device.deliver([new Uint8Array(65000)])).toBe(0);
      expect(device.deliver([packet])).toBe(1);
      expect(queue.taken()).toHaveLength(11);
      expect(device.counters().receive[0]).toMatchObject({ packets: 2n, dropped: 1n });
    });

    it('has a header of 12 bytes where no hash is reported, and one buffer a packet without merging', async () => {
      const device = await listen();
      const front = await connect(device, version1);
      const queue = new GuestQueue(front.memory, 0x10000, 8);
      // Header and packet in separate buffers, in the second region too.
      const gap = PHYSICAL + BigInt(MEMORY_SIZE) * 2n;
      queue.describe(0, { address: PHYSICAL + 0x100000n, length: 12, flags: WRITE | NEXT, next: 1 });
      queue.describe(1, { address: gap, length: 2000, flags: WRITE, next: 0 });
      queue.offer(0);
      await front.start(0, queue);
      expect(device.deliver([packets[0]!, packets[1]!])).toBe(1);
      expect(queue.taken()).toEqual([{ id: 0, length: 12 + packets[0]!.length }]);
      const at = MEMORY_SIZE / 2;
      expect(front.bytes.slice(at, at + packets[0]!.length)).toEqual(packets[0]);
      expect(front.bytes.slice(0x100000, 0x10000c)).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0));
    });

    it('takes what a driver sends, indirect descriptors and event indexes included', async () => {
      const sent: TransmittedPacket[] = [];
      const device = await listen({ transmitted: (packets) => sent.push(...packets) });
      const front = await connect(device, usual | eventIndex);
      const queue = new GuestQueue(front.memory, 0x10000, 16);
      const header = Uint8Array.from({ length: 20 }, (_, i) => 100 + i);
      front.bytes.set(header, 0x100000);
      front.bytes.set(packets[2]!, 0x100100);
      const table = 0x20000;
      const parts = [
        { address: PHYSICAL + 0x100000n, length: 20, flags: NEXT, next: 1 },
        { address: PHYSICAL + 0x100100n, length: 10, flags: NEXT, next: 2 },
        { address: PHYSICAL + 0x10010an, length: packets[2]!.length - 10, flags: 0, next: 0 },
      ];
      for (const [i, part] of parts.entries()) queue.describe(i, part, table);
      await front.start(1, queue);
      for (let round = 0; round < 40; round++) {
        if (round % 2 === 0)
          queue.describe(5, { address: PHYSICAL + BigInt(table), length: 48, flags: INDIRECT, next: 0 });
        else
          for (const [i, part] of parts.entries())
            queue.describe(5 + i, { ...part, next: part.flags === NEXT ? 6 + i : 0 });
        queue.offer(5);
        queue.notify();
        expect(await queue.answer()).toEqual([{ id: 5, length: 0 }]);
        // What the device asks to be kicked at: the next.
        expect(front.memory.getUint16(queue.used + 4 + 8 * 16, true)).toBe(queue.available);
      }
      expect(sent).toHaveLength(40);
      for (const { queue, data, header: first } of sent)
        expect({ queue, data, first }).toEqual({ queue: 0, data: packets[2], first: header });
    });

    it('is configured by the control queue, in the wire format', async () => {
      const device = await listen();
      const front = await connect(device);
      const control = new GuestQueue(front.memory, 0x10000, 8);
      await front.start(4, control);
      const command = async (bytes: readonly number[]) => {
        front.bytes.set(bytes, 0x100000);
        front.bytes[0x101000] = 99;
        control.describe(0, { address: PHYSICAL + 0x100000n, length: 2, flags: NEXT, next: 1 });
        control.describe(1, { address: PHYSICAL + 0x100002n, length: bytes.length - 2, flags: NEXT, next: 2 });
        control.describe(2, { address: PHYSICAL + 0x101000n, length: 1, flags: WRITE, next: 0 });
        control.offer(0);
        control.notify();
        expect(await control.answer()).toEqual([{ id: 0, length: 1 }]);
        return front.bytes[0x101000];
      };
      const le16 = (value: number) => [value & 255, value >> 8];
      // VIRTIO_NET_CTRL_MQ_RSS_CONFIG: all hash types 1 to 0x20, mask 1, unclassified 0, table {1, 0}, two transmit queues, key.
      const good = [
        4,
        1,
        0x3f,
        0,
        0,
        0,
        ...le16(1),
        ...le16(0),
        ...le16(1),
        ...le16(0),
        ...le16(2),
        40,
        ...verificationKey,
      ];
      expect(await command(good)).toBe(0);
      expect(device.steering.device.configuration()).toMatchObject({
        hashTypes: 0x3f,
        table: [1, 0],
        unclassifiedQueue: 0,
      });
      const bad = [...good];
      bad[6] = 2; // a mask that is none
      expect(await command(bad)).toBe(1);
      expect(await command([9, 200])).toBe(1);
      expect(device.steering.device.configuration()).toMatchObject({ hashTypes: 0x3f });
    });

    it('gives what answers a flow to the queue that the guest sent it on, where only hashes are configured', async () => {
      const device = await listen();
      const front = await connect(device);
      const queues = [0x10000, 0x30000].map((at) => new GuestQueue(front.memory, at, 64));
      for (const [i, queue] of queues.entries()) {
        post(queue, 0x100000 + i * 0x100000, 2048);
        await front.start(i * 2, queue);
      }
      const transmit = [0x50000, 0x60000].map((at) => new GuestQueue(front.memory, at, 8));
      for (const [i, queue] of transmit.entries()) await front.start(i * 2 + 1, queue);
      const pairs = Uint8Array.of(2, 0);
      expect(device.steering.command(4, 0, pairs).ack).toBe(0);
      const hash = { hashTypes: HASH_TYPES_ALL, key: verificationKey };
      expect(device.steering.command(4, 2, encodeHashConfig(hash)).ack).toBe(0);
      const by = device.steering.device.configuration()!;
      const flows = Array.from({ length: 12 }, (_, i) => ({
        out: packet(ethernet(), ipv4({ src: '10.0.0.2', dst: `192.0.2.${i}` }), udp({ srcPort: 99, dstPort: 53 })),
        back: packet(ethernet(), ipv4({ src: `192.0.2.${i}`, dst: '10.0.0.2' }), udp({ srcPort: 53, dstPort: 99 })),
      }));
      expect(device.deliver(flows.map(({ back }) => back))).toBe(12);
      const byHash = flows.map(({ back }) => rss(back, by).queue);
      expect(new Set(byHash)).toEqual(new Set([0, 1]));
      expect(queues.map((queue) => queue.taken().length)).toEqual(
        [0, 1].map((queue) => byHash.filter((each) => each === queue).length),
      );
      // Each on the queue that its hash does not choose.
      for (const [i, { out }] of flows.entries()) {
        const queue = transmit[1 - byHash[i]!]!;
        front.bytes.fill(0, 0x300000, 0x300014);
        front.bytes.set(out, 0x300014);
        queue.describe(0, { address: PHYSICAL + 0x300000n, length: 20 + out.length, flags: 0, next: 0 });
        queue.offer(0);
        queue.notify();
        expect(await queue.answer()).toHaveLength(1);
      }
      expect(device.steering.counters().flows).toEqual({ found: 0n, learned: 12n, displaced: 0n });
      for (const { back } of flows) expect(device.deliver([back])).toBe(1);
      for (const [i, queue] of queues.entries()) {
        const received = queue.taken();
        expect(received).toHaveLength(byHash.filter((each) => each !== i).length);
        for (const { id } of received) {
          const at = 0x100000 * (1 + i) + (id % 64) * 2048;
          const data = front.bytes.slice(at + 20, at + 20 + flows[0]!.back.length);
          const { hash: value, report, queue: other } = rss(data, by);
          expect(other).toBe(1 - i);
          expect([front.memory.getUint32(at + 12, true), front.memory.getUint16(at + 16, true)]).toEqual([
            value,
            report,
          ]);
        }
      }
      expect(device.steering.counters().flows.found).toBe(12n);
    });

    it('goes on where it stood when rings stop and memory changes', async () => {
      const device = await listen();
      const front = await connect(device);
      const queue = new GuestQueue(front.memory, 0x10000, 8);
      post(queue, 0x100000, 2048);
      await front.start(0, queue);
      expect(device.deliver(packets.slice(0, 3).map((each) => each))).toBeGreaterThan(0);
      const before = queue.usedIndex;
      expect(await front.share()).toBe(0n);
      const base = await front.ask(request.getVringBase, new Uint8Array(Uint32Array.of(0, 0).buffer));
      expect([...new Uint32Array(base.slice().buffer)]).toEqual([0, before]);
      expect(device.state.receiving).toBe(0);
      expect(device.deliver(packets.slice(0, 4))).toBe(0);
      const counted = device.counters().unqueued;
      expect(counted).toBe(4n);
      queue.base = before;
      const start = queue.usedIndex;
      await front.start(0, queue);
      expect(device.deliver([packets[0]!])).toBe(1);
      expect(queue.usedIndex).toBe(start + 1);
    });

    it('sends front ends away that break the protocol, and takes the next one', async () => {
      const device = await listen();
      const problem = async (bytes: Uint8Array) => {
        const front = new FrontEnd(device.path);
        front.stream.send(bytes);
        expect(await front.hungUp()).toBe(true);
        front.close();
        for (let i = 0; i < 100 && device.state.connected; i++) await sleep(5);
        return device.state.problem;
      };
      const raw = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);
      expect(await problem(raw(1, 2, 0))).toContain('version 2');
      expect(await problem(raw(1, 5, 0))).toContain('a reply');
      expect(await problem(raw(1, 1, 1 << 30))).toContain('a payload of 1073741824 bytes');
      expect(await problem(message(77, new Uint8Array()))).toContain('request 77');
      // VHOST_USER_SET_LOG_FD: nothing is logged here, and nobody is told that it was.
      expect(await problem(message(7, new Uint8Array()))).toContain('request 7');
      expect(await problem(message(request.setVringNum, new Uint8Array(3)))).toContain('3 bytes where 8');
      expect(await problem(message(request.setVringNum, raw(9, 8)))).toContain('ring 9 of 5');
      expect(await problem(message(request.setVringKick, u64(0)))).toContain('without a descriptor');
      expect(await problem(message(request.setMemTable, raw(2000, 0)))).toContain(
        'SET_MEM_TABLE'.length > 0 ? 'bytes' : '',
      );
      expect(await problem(message(request.setFeatures, u64((1n << 60n) | (1n << 13n))))).toContain('not offered');
      const front = await connect(device);
      const refused = async (queue: GuestQueue, what: Uint8Array) => {
        const state = (value: number) => new Uint8Array(Uint32Array.of(0, value).buffer);
        await front.command(request.setVringNum, state(queue.entries));
        expect(await front.command(request.setVringAddr, what)).toBe(0n);
        await front.command(request.setVringKick, u64(0), [queue.kick]);
        expect(await front.command(request.setVringEnable, state(1))).toBe(1n);
      };
      // Rings outside of the memory, across its end, not aligned; sizes that cannot be.
      await refused(
        new GuestQueue(front.memory, MEMORY_SIZE * 2, 8),
        vringAddress(0, new GuestQueue(front.memory, MEMORY_SIZE * 2, 8)),
      );
      await refused(
        new GuestQueue(front.memory, 0, 8),
        vringAddress(0, new GuestQueue(front.memory, MEMORY_SIZE / 2 - 8, 8)),
      );
      await refused(new GuestQueue(front.memory, 0, 8), vringAddress(0, new GuestQueue(front.memory, 3, 8)));
      await refused(new GuestQueue(front.memory, 0, 7), vringAddress(0, new GuestQueue(front.memory, 0, 7)));
      expect(device.state).toMatchObject({ connected: true, problem: expect.stringContaining('7 descriptors') });
      // A region behind the end of its file.
      const table = BigUint64Array.of(1n, 0n, BigInt(MEMORY_SIZE), 0n, 4096n);
      expect(await front.command(request.setMemTable, new Uint8Array(table.buffer), [front.fd])).toBe(1n);
    });

    it('stops the queue of a driver that breaks the rules, and touches nothing else', async () => {
      const device = await listen();
      const front = await connect(device);
      const address = PHYSICAL + 0x100000n;
      const good = { address, length: 2048, flags: WRITE, next: 0 };
      const described = (change: Partial<Descriptor>) => (queue: GuestQueue) => {
        queue.describe(0, { ...good, ...change });
        queue.offer(0);
      };
      const cases: [string, (queue: GuestQueue) => void][] = [
        ['more buffers', (queue) => front.memory.setUint16(queue.avail + 2, 100, true)],
        ['a number', (queue) => queue.offer(8)],
        ['a number', described({ length: 1, flags: WRITE | NEXT, next: 9 })],
        ['not in the shared', described({ address: 0n })],
        ['not in the shared', described({ address: PHYSICAL + BigInt(MEMORY_SIZE / 2) - 10n })],
        ['not in the shared', described({ address: 0xffff_ffff_ffff_fff0n })],
        ['goes round', described({ length: 1, flags: WRITE | NEXT, next: 0 })],
        ['goes round', described({ length: 20, flags: INDIRECT })],
        ['other direction', described({ flags: 0 })],
      ];
      for (const [expected, mischief] of cases) {
        front.bytes.fill(0, 0x10000, 0x20000);
        const queue = new GuestQueue(front.memory, 0x10000, 8);
        await front.start(0, queue);
        mischief(queue);
        const before = Buffer.from(front.bytes.slice(0x20000));
        expect(device.deliver([packets[0]!]), expected).toBe(0);
        expect(device.state.problem ?? '', expected).toContain(expected);
        expect(before.equals(Buffer.from(front.bytes.slice(0x20000)))).toBe(true);
        expect(queue.taken()).toEqual([]);
        await front.ask(request.getVringBase, new Uint8Array(Uint32Array.of(0, 0).buffer));
      }
    });

    it('survives any bytes in the rings', async () => {
      const device = await listen();
      const front = await connect(device);
      const byte = fc.nat(255);
      await fc.assert(
        fc.asyncProperty(
          fc.array(byte, { minLength: 128, maxLength: 128, size: 'max' }),
          fc.array(byte, { minLength: 22, maxLength: 22, size: 'max' }),
          fc.nat(3),
          async (desc, avail, near) => {
            front.bytes.fill(0, 0x10000, 0x20000);
            const queue = new GuestQueue(front.memory, 0x10000, 8);
            front.bytes.set(desc, queue.desc);
            front.bytes.set(avail, queue.avail);
            // Some of it plausible, so that it is followed further.
            for (let i = 0; i < 8; i++) {
              if (near > 0)
                front.memory.setBigUint64(queue.desc + i * 16, PHYSICAL + BigInt(desc[i * 16]! * 0x4000), true);
              if (near > 1) front.memory.setUint32(queue.desc + i * 16 + 8, desc[i * 16 + 8]! * 16, true);
              if (near > 2) front.memory.setUint16(queue.desc + i * 16 + 14, desc[i * 16 + 14]! & 7, true);
              if (near > 1) front.memory.setUint16(queue.avail + 4 + i * 2, avail[4 + i * 2]! & 7, true);
            }
            if (near > 0) front.memory.setUint16(queue.avail + 2, avail[2]! & 7, true);
            queue.available = 0;
            for (const index of [0, 1, 4]) {
              await front.start(index, queue);
              device.deliver(packets.slice(0, 4));
              await front.ask(request.getVringBase, new Uint8Array(Uint32Array.of(index, 0).buffer));
            }
          },
        ),
        { numRuns: 60 },
      );
      expect(device.state.connected).toBe(true);
    });
  },
);
