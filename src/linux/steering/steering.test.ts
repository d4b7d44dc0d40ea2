import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../net/capture.ts';
import { ethernet } from '../../net/ethernet.ts';
import { ipv4 } from '../../net/ipv4.ts';
import { packet } from '../../net/packet.ts';
import { tcp } from '../../net/tcp.ts';
import { udp } from '../../net/udp.ts';
import * as layout from '../../plane/layout/steering.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { ringRefusal } from '../io-uring-features.ts';
import { NetworkNamespace } from '../netns.ts';
import { PacketSocket } from '../packet-socket.ts';
import { setSocketOption } from '../sockets.ts';
import { openTunQueues, tunRefusal } from '../tun.ts';
import { TapSteering, type TapSteeringOptions } from './index.ts';
import { type SteeredBatch, toFunction } from './sink-callback.ts';
import { toPcapng } from './sink-pcapng.ts';
import { toTaps } from './sink-tap.ts';

const missing = tunRefusal() ?? ringRefusal();
const QUEUES = 4;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const name = `sls${process.pid}`;

/** A frame that tells its number by its source port. */
const frame = (number: number) =>
  packet(
    ethernet(),
    ipv4({ src: '192.0.2.1', dst: '198.51.100.2' }),
    udp({ srcPort: number, dstPort: 9 }),
    new Uint8Array(1 + ((number * 37) % 1400)).fill(number),
  );
const portOf = (data: Uint8Array) => (data[34]! << 8) | data[35]!;

/** Queue: the source port; hash: 1000 times that; no report for every fifth. What completes headers is the engine's. */
function byPort(runtime: Runtime) {
  return {
    steer(frames: number, count: number) {
      const view = runtime.view();
      for (let i = 0; i < count; i++) {
        const at = frames + i * layout.STEER_FRAME_SIZE;
        const port = view.getUint16(view.getUint32(at + layout.STEER_FRAME_DATA, true) + 34, false);
        const report = port % 5 === 0 ? 0 : 3;
        view.setUint32(at + layout.STEER_FRAME_HASH, port * 1000, true);
        view.setUint16(at + layout.STEER_FRAME_REPORT, report, true);
        view.setUint16(at + layout.STEER_FRAME_QUEUE, port, true);
        const header = view.getUint32(at + layout.STEER_FRAME_HEADER, true);
        view.setUint32(header + layout.VNET_HASH_VALUE, port * 1000, true);
        view.setUint16(header + layout.VNET_HASH_REPORT, report, true);
      }
    },
  };
}

describe.skipIf(missing !== undefined)(
  `steering of a TAP${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const numbers = Array.from({ length: 600 }, (_, i) => i + 1);
    let namespace: NetworkNamespace;
    let runtime: Runtime;
    let tap: TapSteering | undefined;

    beforeAll(() => {
      namespace = new NetworkNamespace(`sluice-st${process.pid}`);
      namespace.disableIpv6();
      runtime = new Runtime({ seed: 1n });
    });
    afterEach(async () => {
      await tap?.close();
      tap = undefined;
    });
    afterAll(() => namespace?.remove());

    function open(options: Partial<TapSteeringOptions> = {}): TapSteering {
      tap = namespace.run(
        () => new TapSteering(runtime, name, { queues: QUEUES, engine: byPort(runtime), ...options }),
      );
      return tap;
    }

    /** Sends frames while the device is served; returns when all have been read. */
    async function serve(device: TapSteering, sent = numbers): Promise<void> {
      const socket = namespace.run(() => new PacketSocket(name));
      const stop = new AbortController();
      const serving = device.serve({ signal: stop.signal });
      const send = async () => {
        for (let i = 0; i < sent.length; i += 100) {
          for (const each of sent.slice(i, i + 100)) socket.send(frame(each));
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        while (device.counters().packets < sent.length) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      try {
        await Promise.race([send(), serving]);
        stop.abort();
        await serving;
      } finally {
        socket.close();
      }
    }

    it('hands every packet to the function of its queue, in order, behind a completed header', async () => {
      const got: { queue: number; port: number; hash: number; report: number; header: string; whole: boolean }[] = [];
      const take = (batch: SteeredBatch) => {
        expect([...batch]).toHaveLength(batch.length);
        expect(() => batch.at(batch.length)).toThrow(RangeError);
        for (const { data, header, hash, report } of batch) {
          const port = portOf(data);
          const whole = Buffer.from(data).equals(frame(port));
          got.push({ queue: batch.queue, port, hash, report, header: Buffer.from(header).toString('hex'), whole });
        }
      };
      const device = open({ sink: toFunction(take) });
      await serve(device);
      for (let queue = 0; queue < QUEUES; queue++)
        expect(got.filter((each) => each.queue === queue).map(({ port }) => port)).toEqual(
          numbers.filter((port) => port % QUEUES === queue),
        );
      expect(got.every(({ whole }) => whole)).toBe(true);
      expect(got.find(({ port }) => port === 7)).toEqual({
        queue: 3,
        port: 7,
        hash: 7000,
        report: 3,
        header: '000000000000000000000000581b000003000000',
        whole: true,
      });
      const { packets, bytes, queues } = device.counters();
      expect(packets).toBe(numbers.length);
      expect(bytes).toBe(numbers.reduce((sum, each) => sum + frame(each).length, 0));
      expect(queues[1]).toMatchObject({ queue: 1, packets: 150, dropped: 0, noHash: 30, waiting: 0 });
      await device.close();
      expect(device.counters()).toMatchObject({ packets: numbers.length });
    });

    it('a function that throws ends the serving, and its packets are dropped', async () => {
      const device = open({
        sink: toFunction(() => {
          throw new Error('of mine');
        }),
      });
      await expect(serve(device, [1])).rejects.toThrow('of mine');
      await device.close();
      expect(device.counters().queues[1]).toMatchObject({ packets: 1, dropped: 1 });
    });

    it('writes a pcapng file for each queue, with hash and queue', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-steer-'));
      try {
        const device = open({ sink: toPcapng(folder) });
        await serve(device);
        await device.close();
        for (let queue = 0; queue < QUEUES; queue++) {
          const packets = [...readCapture(readFileSync(join(folder, `queue-${queue}.pcapng`)))];
          const ports = numbers.filter((port) => port % QUEUES === queue);
          expect(packets.map(({ data }) => portOf(data))).toEqual(ports);
          expect(packets.every(({ data }, i) => Buffer.from(data).equals(frame(ports[i]!)))).toBe(true);
          for (const [i, { options = [] }] of packets.entries()) {
            const hash = Buffer.alloc(5);
            hash[0] = 5;
            hash.writeUInt32BE(ports[i]! * 1000, 1);
            expect(options.map(({ code, value }) => [code, Buffer.from(value).toString('hex')])).toEqual([
              ...(ports[i]! % 5 === 0 ? [] : [[3, hash.toString('hex')]]),
              [6, `0${queue}000000`],
            ]);
          }
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it('writes to a TAP of several queues, or to one for each', async () => {
      for (const to of [`slo${process.pid}`, `sl%q${process.pid}`]) {
        const device = open({ sink: toTaps(to) });
        const names = Array.from({ length: QUEUES }, (_, queue) => to.replace('%q', String(queue)));
        const receivers = [...new Set(names)].map((each) => namespace.run(() => new PacketSocket(each)));
        await serve(device);
        const got = receivers.map((receiver) => {
          const ports: number[] = [];
          for (let each = receiver.receive(); each !== undefined; each = receiver.receive()) {
            expect(Buffer.from(each).equals(frame(portOf(each)))).toBe(true);
            ports.push(portOf(each));
          }
          return ports;
        });
        if (got.length === 1) expect(got[0]!.sort((a, b) => a - b)).toEqual(numbers);
        else
          for (const [queue, ports] of got.entries())
            expect(ports).toEqual(numbers.filter((port) => port % QUEUES === queue));
        expect(device.counters().queues.map(({ dropped }) => dropped)).toEqual([0, 0, 0, 0]);
        for (const receiver of receivers) receiver.close();
        await device.close();
      }
    });

    it('writes more at once than its ring takes', async () => {
      const device = open({ sink: toTaps(`slo${process.pid}`), buffers: 4096, queues: 1 });
      namespace.ip('link', 'set', name, 'txqueuelen', '4096');
      const socket = namespace.run(() => new PacketSocket(name));
      for (let i = 0; i < 3500; i++) socket.send(frame(1));
      await device.serve({ count: 3500 });
      socket.close();
      expect(device.counters().queues[0]).toMatchObject({ packets: 3500, dropped: 0, waiting: 0 });
    });

    it('counts writes that fail as dropped', async () => {
      const to = `slo${process.pid}`;
      const device = open({ sink: toTaps(to) });
      namespace.ip('link', 'set', to, 'down');
      await serve(device, numbers.slice(0, 40));
      expect(device.counters().queues.map(({ dropped, waiting }) => [dropped, waiting])).toEqual([
        [10, 0],
        [10, 0],
        [10, 0],
        [10, 0],
      ]);
    });

    it.each([
      ['are handed over whole, and their header says so', ['csum', 'tso4'] as const, [20_054], 1000],
      ['are cut into segments where nobody takes them', [] as const, Array.from({ length: 20 }, () => 1054), 0],
    ])('packets of TCP that the stack leaves to segment %s', async (_, offloads, lengths, gsoSize) => {
      const got: { length: number; header: DataView }[] = [];
      const device = open({
        queues: 1,
        offloads,
        sink: toFunction((batch) => {
          for (const { data, header } of batch)
            got.push({ length: data.length, header: new DataView(Uint8Array.from(header).buffer) });
        }),
      });
      const socket = namespace.run(() => new PacketSocket(name));
      setSocketOption(socket.fd, SOL_PACKET, PACKET_VNET_HDR, 1);
      const segments = packet(
        ethernet(),
        ipv4({ src: '192.0.2.1', dst: '198.51.100.2' }),
        tcp({ srcPort: 7, dstPort: 9, flags: ['ack'] }),
        new Uint8Array(20_000),
      );
      // struct virtio_net_hdr: NEEDS_CSUM, TCPV4, 54 bytes of headers, segments of 1000, checksum of TCP.
      const header = new DataView(new ArrayBuffer(10));
      header.setUint8(0, 1);
      header.setUint8(1, 1);
      for (const [at, value] of [
        [2, 54],
        [4, 1000],
        [6, 34],
        [8, 16],
      ] as const)
        header.setUint16(at, value, true);
      const stop = new AbortController();
      const serving = device.serve({ signal: stop.signal });
      socket.send(Buffer.concat([new Uint8Array(header.buffer), segments]));
      while (device.counters().packets < lengths.length) await new Promise((resolve) => setTimeout(resolve, 2));
      stop.abort();
      await serving;
      socket.close();
      expect(got.map(({ length }) => length)).toEqual(lengths);
      const first = got[0]!.header;
      expect([first.getUint8(0) & 1, first.getUint8(1), first.getUint16(4, true)]).toEqual(
        gsoSize === 0 ? [0, 0, 0] : [1, 1, gsoSize],
      );
      if (gsoSize !== 0) expect([first.getUint16(6, true), first.getUint16(8, true)]).toEqual([34, 16]);
      // Port 7 is hashed to 7000 by the engine, which leaves the rest as it is.
      expect([first.getUint32(12, true), first.getUint16(16, true)]).toEqual([7000, 3]);
    });

    it('where the kernel steers, each queue of the device is one of ours', async () => {
      const device = open({ engine: undefined });
      expect(device.sources).toHaveLength(QUEUES);
      await serve(device);
      const { queues } = device.counters();
      expect(queues.reduce((sum, { packets }) => sum + packets, 0)).toBe(numbers.length);
      expect(queues.filter(({ packets }) => packets > 0).length).toBeGreaterThan(1);
      expect(queues.every(({ packets, noHash }) => packets === noHash)).toBe(true);
    });

    it('takes a device of several queues that is there', async () => {
      const [other] = namespace.run(() => openTunQueues(name, 1, { vnetHeader: 20 }));
      other!.setPersistent(true);
      other!.close();
      const device = open();
      await serve(device, [1, 2, 3]);
      expect(device.counters().packets).toBe(3);
      device.sources[0]!.setPersistent(false);
    });

    it('ends with what ended the device', async () => {
      const device = open();
      const serving = device.serve();
      await new Promise((resolve) => setTimeout(resolve, 20));
      namespace.ip('link', 'del', name);
      await expect(serving).rejects.toMatchObject({ code: expect.stringMatching(/^SLUICE_LINUX_E/) });
      await device.close();
    });

    it('refuses what cannot be', () => {
      expect(() => open({ queues: 0 })).toThrow(expect.objectContaining({ code: 'SLUICE_STEER_QUEUES' }));
      expect(() => open({ buffers: 100 })).toThrow(expect.objectContaining({ code: 'SLUICE_STEER_BUFFERS' }));
    });
  },
);
