/** Unix sockets and AF_XDP as consumers, and what becomes of packets for which they have no room. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ethernet } from '../../net/ethernet.ts';
import { ipv4 } from '../../net/ipv4.ts';
import { packet } from '../../net/packet.ts';
import { udp } from '../../net/udp.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { addressOf, close, syscall } from '../ffi.ts';
import { ringRefusal } from '../io-uring-features.ts';
import { NetworkNamespace } from '../netns.ts';
import { PacketSocket } from '../packet-socket.ts';
import { bindSocket, MSG_DONTWAIT, openSocket } from '../sockets.ts';
import { tunRefusal } from '../tun.ts';
import { TapSteering, type TapSteeringOptions } from './index.ts';
import { toAfXdp } from './sink-af-xdp.ts';
import { toUnixSockets } from './sink-socket.ts';

const missing = tunRefusal() ?? ringRefusal();
const name = `slu${process.pid}`;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;

const frame = (number: number) =>
  packet(
    ethernet(),
    ipv4({ src: '192.0.2.1', dst: '198.51.100.2' }),
    udp({ srcPort: number, dstPort: 9 }),
    new Uint8Array(10),
  );
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A socket that packets are sent to. */
class Consumer {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(4096);
  #connection = -1;

  constructor(type: number, path: string) {
    this.#fd = openSocket(AF_UNIX, type, 0);
    bindSocket(this.#fd, Buffer.from(`\u0001\u0000${path}\u0000`, 'latin1'));
    if (type === SOCK_DGRAM) this.#connection = this.#fd;
    else expect(syscall('listen', this.#fd, 1)).toBe(0);
  }

  /** Ports of the packets that are there; each must come whole, behind a header of 20 bytes. */
  take(limit = Number.POSITIVE_INFINITY): number[] {
    if (this.#connection < 0) this.#connection = syscall('accept4', this.#fd, 0, 0, 0);
    const ports: number[] = [];
    while (ports.length < limit) {
      const length = syscall('recvfrom', this.#connection, addressOf(this.#buffer), 4096, MSG_DONTWAIT, 0, 0);
      if (length < 0) break;
      const port = (this.#buffer[54]! << 8) | this.#buffer[55]!;
      expect(Buffer.from(this.#buffer.subarray(20, length)).equals(frame(port))).toBe(true);
      ports.push(port);
    }
    return ports;
  }

  close(): void {
    if (this.#connection !== this.#fd && this.#connection >= 0) close(this.#connection);
    close(this.#fd);
  }
}

describe.skipIf(missing !== undefined)(
  `consumers of a TAP${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let namespace: NetworkNamespace;
    let folder: string;
    let runtime: Runtime;
    let tap: TapSteering;
    let sender: PacketSocket | undefined;
    let consumers: Consumer[] = [];
    let stop: AbortController;
    let serving: Promise<void>;

    beforeAll(() => {
      namespace = new NetworkNamespace(`sluice-su${process.pid}`);
      namespace.disableIpv6();
      runtime = new Runtime({ seed: 1n });
    });
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-steer-'));
    });
    afterEach(async () => {
      await tap?.close();
      sender?.close();
      sender = undefined;
      for (const each of consumers) each.close();
      consumers = [];
      rmSync(folder, { recursive: true });
    });
    afterAll(() => namespace?.remove());

    function start(options: Partial<TapSteeringOptions>): void {
      const engine = { steer() {} };
      tap = namespace.run(() => new TapSteering(runtime, name, { queues: 1, engine, ...options }));
      sender = namespace.run(() => new PacketSocket(name));
      stop = new AbortController();
      serving = tap.serve({ signal: stop.signal });
    }

    const unix = (type: number) => {
      consumers = [new Consumer(type, join(folder, 'q.0'))];
      return toUnixSockets(join(folder, 'q'));
    };
    const numbers = Array.from({ length: 200 }, (_, i) => i + 1);

    it.each([
      ['seqpacket', SOCK_SEQPACKET],
      ['dgram', SOCK_DGRAM],
    ])('of type %s get every packet where they are waited for, in order', async (_, type) => {
      start({ sink: unix(type), whenFull: 'wait' });
      for (const each of numbers) sender!.send(frame(each));
      const got: number[] = [];
      for (let turn = 0; got.length < numbers.length && turn < 2000; turn++) {
        await pause(1);
        got.push(...consumers[0]!.take(7));
      }
      expect(got).toEqual(numbers);
      stop.abort();
      await serving;
      expect(tap.counters().queues[0]).toMatchObject({ packets: 200, dropped: 0, waiting: 0 });
    });

    it('lose what they have no room for otherwise, and it is counted', async () => {
      start({ sink: unix(SOCK_DGRAM) });
      for (const each of numbers) sender!.send(frame(each));
      while (tap.counters().packets < numbers.length) await pause(2);
      const got = consumers[0]!.take();
      sender!.send(frame(300));
      while (tap.counters().packets < numbers.length + 1) await pause(2);
      expect(consumers[0]!.take()).toEqual([300]);
      stop.abort();
      await serving;
      expect(got.length).toBeGreaterThan(0);
      expect(got.length).toBeLessThan(numbers.length);
      expect(got).toEqual(numbers.slice(0, got.length));
      expect(tap.counters().queues[0]).toMatchObject({ packets: 201, dropped: 200 - got.length });
    });

    it('that never read keep their buffers, until the device is read no more and what waits is dropped', async () => {
      start({ sink: unix(SOCK_DGRAM), whenFull: 'wait', buffers: 64 });
      for (const each of numbers) sender!.send(frame(each));
      await pause(50);
      const { packets, exhausted, queues } = tap.counters();
      expect(packets).toBeLessThan(numbers.length);
      expect(exhausted).toBeGreaterThan(0);
      expect(queues[0]!.waiting).toBe(64);
      expect(queues[0]!.dropped).toBe(0);
      stop.abort();
      await serving;
      expect(tap.counters().queues[0]).toMatchObject({ dropped: 64, waiting: 0 });
    });

    it('that go away lose their packets', async () => {
      start({ sink: unix(SOCK_SEQPACKET) });
      sender!.send(frame(1));
      while (tap.counters().packets < 1) await pause(2);
      expect(consumers[0]!.take()).toEqual([1]);
      consumers.pop()!.close();
      sender!.send(frame(2));
      sender!.send(frame(3));
      while (tap.counters().packets < 3) await pause(2);
      stop.abort();
      await serving;
      expect(tap.counters().queues[0]).toMatchObject({ packets: 3, dropped: 2 });
    });

    it('that are not there are told of', () => {
      expect(() => start({ sink: toUnixSockets(join(folder, 'nobody')) })).toThrow(
        expect.objectContaining({ code: 'SLUICE_STEER_SOCKET', message: expect.stringContaining('nobody.0') }),
      );
      expect(() => start({ sink: toUnixSockets('x'.repeat(200)) })).toThrow(
        expect.objectContaining({ code: 'SLUICE_STEER_SOCKET' }),
      );
    });

    it('behind an interface get frames by AF_XDP, without headers', async () => {
      const [here, there] = [`sla${process.pid}`, `slb${process.pid}`];
      namespace.ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there);
      namespace.quietUp(here);
      namespace.quietUp(there);
      const far = namespace.run(() => new PacketSocket(there));
      try {
        start({ sink: toAfXdp(here), queues: 2, whenFull: 'wait' });
        for (const each of numbers) sender!.send(frame(each));
        const got: Uint8Array[] = [];
        while (got.length < numbers.length && (await far.wait(500)))
          for (let each = far.receive(); each !== undefined; each = far.receive()) got.push(each);
        expect(got.map((each) => Buffer.from(each).toString('hex'))).toEqual(
          numbers.map((each) => Buffer.from(frame(each)).toString('hex')),
        );
        stop.abort();
        await serving;
        expect(tap.counters().queues.map(({ packets, dropped }) => [packets, dropped])).toEqual([
          [200, 0],
          [0, 0],
        ]);
        await tap.close();
        expect(() => start({ sink: toAfXdp(here), offloads: ['csum'] })).toThrow(
          expect.objectContaining({ code: 'SLUICE_STEER_AFXDP' }),
        );
      } finally {
        far.close();
        namespace.ip('link', 'del', here);
      }
    });
  },
);
