/** A real TAP whose queues are CPUs': an XDP program on threads between steering and consumers. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Steering } from '../src/hooks/steering/index.ts';
import { defaultRss } from '../src/hooks/xdp/index.ts';
import { Cpus, load, Runtime, type UserObject, XdpAttachment } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { ringRefusal } from '../src/linux/io-uring-features.ts';
import { NetworkNamespace } from '../src/linux/netns.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { TapSteering, type TapSteeringOptions } from '../src/linux/steering/index.ts';
import { toFunction } from '../src/linux/steering/sink-callback.ts';
import { tunRefusal } from '../src/linux/tun.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { rss } from '../src/net/rss/index.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import { callableIndex } from '../src/runtime/callable.ts';
import { createMap } from '../src/runtime/maps/plane-map.ts';

const missing = tunRefusal() ?? ringRefusal();
const QUEUES = 4;
const name = `slw${process.pid}`;
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Number of the packet behind 42 bytes of headers, and room for what programs write: u32 CPU, u32 queue, u32 hash, u32 runs. */
const CPU = 46;
const RUNS = 58;
function frame(number: number): Uint8Array {
  const payload = new Uint8Array(40 + ((number * 37) % 1300)).fill(number);
  new DataView(payload.buffer).setUint32(0, number, true);
  payload.fill(0, 4, 20);
  new DataView(payload.buffer).setUint32(payload.length - 4, number, true);
  return packet(
    ethernet(),
    ipv4({ src: `10.1.0.${number % 50}`, dst: '10.2.0.1' }),
    udp({ srcPort: 1000 + (number % 50), dstPort: 9 }),
    payload,
  );
}
/** Stands at the end as well, which stays where it is. */
const numberOf = (data: Uint8Array) => new DataView(data.buffer, data.byteOffset).getUint32(data.length - 4, true);

function assembled(text: string, runtime: Runtime, section = 'xdp', budget = 10_000): Promise<UserObject> {
  const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section, license: 'GPL', insns, functions }), { runtime, unverified: true, budget });
}

/** Writes CPU, queue and a run more into the packet, then does `end` with the number in r7 and the packet in r6. */
const marked = (end: string) => `main:
 r9 = r1
 r8 = *(u32 *)(r1 + 16)
 r6 = *(u32 *)(r1 + 0)
 call 8
 *(u32 *)(r6 + ${CPU}) = r0
 *(u32 *)(r6 + ${CPU + 4}) = r8
 r7 = *(u32 *)(r6 + ${RUNS})
 r7 += 1
 *(u32 *)(r6 + ${RUNS}) = r7
 r7 = *(u32 *)(r6 + 42)
${end}`;

describe.skipIf(missing !== undefined)(
  `queues of a TAP on CPUs${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let namespace: NetworkNamespace;
    beforeAll(() => {
      namespace = new NetworkNamespace(`sluice-sw${process.pid}`);
      namespace.disableIpv6();
      return () => namespace.remove();
    });

    async function bed(
      cpuCount: number,
      text: string | ((runtime: Runtime) => string),
      options: Partial<TapSteeringOptions> = {},
      budget = 10_000,
    ) {
      const runtime = new Runtime({ cpus: cpuCount + 1, seed: 1n });
      const faults: string[] = [];
      const cpus = await Cpus.start(runtime, { onFault: ({ message }) => faults.push(message) });
      open.push(() => cpus.close());
      const object = await assembled(typeof text === 'string' ? text : text(runtime), runtime, 'xdp', budget);
      const attachment = new XdpAttachment(runtime, object.programs['main'], { follow: true });
      open.push(() => attachment.close());
      const configuration = defaultRss(QUEUES);
      const steering = new Steering({ queues: QUEUES, runtime, configuration });
      open.push(() => steering.close());
      const got: { queue: number; number: number; hash: number; header: string; data: Uint8Array }[] = [];
      const tap = namespace.run(
        () =>
          new TapSteering(runtime, name, {
            queues: QUEUES,
            engine: steering.device,
            xdp: { cpus, attachment },
            whenFull: 'wait',
            sink: toFunction((batch) => {
              for (const { data, header, hash } of batch)
                got.push({
                  queue: batch.queue,
                  number: numberOf(data),
                  hash,
                  header: Buffer.from(header).toString('hex'),
                  data: data.slice(),
                });
            }),
            ...options,
          }),
      );
      open.push(() => tap.close());
      return { runtime, cpus, faults, attachment, tap, got, configuration };
    }

    /** Sends frames 0 to `count` - 1 while the device is served, `each` between hundreds of them; what the device gave back to the stack. */
    async function serve(
      tap: TapSteering,
      count: number,
      each?: (sent: number) => Promise<void>,
    ): Promise<Uint8Array[]> {
      const socket = namespace.run(() => new PacketSocket(name));
      const back: Uint8Array[] = [];
      const receive = () => {
        for (let data = socket.receive(); data !== undefined; data = socket.receive()) back.push(data);
      };
      const stop = new AbortController();
      const serving = tap.serve({ signal: stop.signal });
      const send = async () => {
        for (let i = 0; i < count; i += 100) {
          for (let number = i; number < i + 100; number++) socket.send(frame(number));
          await each?.(i + 100);
          // The device's own queue holds 1000.
          while (tap.counters().packets < i) await new Promise((resolve) => setTimeout(resolve, 1));
          receive();
        }
        while (tap.counters().packets < count) await new Promise((resolve) => setTimeout(resolve, 1));
      };
      try {
        await Promise.race([send(), serving]);
        stop.abort();
        await serving;
        receive();
        return back;
      } finally {
        socket.close();
      }
    }

    const numbers = Array.from({ length: 2000 }, (_, i) => i);
    const queueOf = (number: number, configuration: ReturnType<typeof defaultRss>) =>
      rss(frame(number), configuration).queue;

    it.each([1, 2, 3])(
      'each packet is run once, by the CPU of its queue, and reaches its consumer in order: %s CPUs',
      async (cpuCount) => {
        const { tap, got, cpus, configuration, attachment } = await bed(cpuCount, marked(' r0 = 2\n exit\n'));
        await serve(tap, numbers.length);
        for (let queue = 0; queue < QUEUES; queue++)
          expect(got.filter((each) => each.queue === queue).map(({ number }) => number)).toEqual(
            numbers.filter((number) => queueOf(number, configuration) === queue),
          );
        for (const { queue, number, hash, header, data } of got) {
          const expected = frame(number);
          new DataView(expected.buffer).setUint32(CPU, cpus.list[queue % cpuCount]!, true);
          new DataView(expected.buffer).setUint32(CPU + 4, queue, true);
          new DataView(expected.buffer).setUint32(RUNS, 1, true);
          expect(Buffer.from(data).equals(expected)).toBe(true);
          const of = rss(expected, configuration);
          expect([hash, header]).toEqual([of.hash, `${'00'.repeat(10)}0100${hex(of.hash)}${hex(of.report)}`]);
        }
        const counters = tap.counters();
        const work = tap.workCounters()!;
        for (const { queue, packets, dropped, waiting } of counters.queues) {
          expect(packets).toBe(got.filter((each) => each.queue === queue).length);
          expect([dropped, waiting]).toEqual([0, 0]);
          expect(work[queue]).toMatchObject({ cpu: cpus.list[queue % cpuCount], passed: packets, dropped: 0, lost: 0 });
        }
        expect(attachment.counters().reduce((sum, { frames }) => sum + frames, 0n)).toBe(BigInt(numbers.length));
      },
    );

    it('a verdict says where a packet goes: on, back to the device, nowhere; with what was put before it or taken away', async () => {
      // By the number modulo 8: drop, back with four bytes more in front, abort, loop, four bytes more, four less, no verdict; on.
      const text = marked(` r7 &= 7
 if r7 == 0 goto drop
 if r7 == 1 goto more
 if r7 == 2 goto abort
 if r7 == 3 goto loop
 if r7 == 4 goto more
 if r7 == 5 goto less
 if r7 == 6 goto none
 r0 = 2
 exit
loop:
 if r7 == 3 goto loop
drop:
 r0 = 1
 exit
abort:
 r0 = 0
 exit
none:
 r0 = 77
 exit
more:
 r1 = r9
 r2 = -200
 call 44
 goto moved
less:
 r1 = r9
 r2 = 4
 call 44
moved:
 r0 = 2
 if r7 != 1 goto out
 r0 = 3
out:
 exit
`);
      const { tap, got, faults, configuration, cpus } = await bed(2, text);
      const back = await serve(tap, 800);
      const moved: Readonly<Record<number, number>> = { 1: 200, 4: 200, 5: -4, 7: 0 };
      const changed = (number: number) => frame(number).length + moved[number % 8]!;
      expect(got.map(({ number }) => number).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 800 }, (_, i) => i).filter((i) => [4, 5, 7].includes(i % 8)),
      );
      for (const { number, header, hash, data } of got) {
        const of = rss(frame(number), configuration);
        expect([hash, header]).toEqual([of.hash, `${'00'.repeat(10)}0100${hex(of.hash)}${hex(of.report)}`]);
        expect(data.length).toBe(changed(number));
        // What lies behind the headers and the marks.
        expect(Buffer.from(data.subarray(-20)).equals(frame(number).subarray(-20))).toBe(true);
      }
      expect(back.map(numberOf).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => 8 * i + 1));
      for (const data of back) expect(data.length).toBe(changed(numberOf(data)));
      const sum = (of: 'passed' | 'dropped' | 'returned' | 'aborted' | 'lost' | 'refused') =>
        tap.workCounters()!.reduce((total, each) => total + each[of], 0);
      expect([sum('passed'), sum('dropped'), sum('returned'), sum('aborted'), sum('lost'), sum('refused')]).toEqual([
        300, 100, 100, 300, 0, 0,
      ]);
      // Messages of a thread come in the order in which it sent them.
      for (const cpu of cpus.list) await cpus.call(cpu, 'epoch_depth');
      expect(faults.length).toBe(100);
      expect(tap.counters().queues.every(({ waiting, dropped }) => waiting === 0 && dropped === 0)).toBe(true);
    });

    it('the program is replaced under traffic, and a cpumap sends on: no packet twice, none lost', async () => {
      const { tap, got, runtime, attachment, cpus } = await bed(3, marked(' r0 = 2\n exit\n'));
      const map = createMap(runtime.plane, { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: 4 });
      const element = await assembled(marked(' r0 = 2\n exit\n'), runtime, 'xdp/cpumap');
      const value = new Uint8Array(8);
      new DataView(value.buffer).setUint32(0, 4096, true);
      new DataView(value.buffer).setUint32(4, callableIndex(element.programs['main']!), true);
      map.update(Uint8Array.of(3, 0, 0, 0), value);
      const second = await assembled(marked(` r1 = ${map.address} ll\n r2 = 3\n r3 = 0\n call 51\n exit\n`), runtime);
      let through: number | undefined;
      await serve(tap, 2000, async (sent) => {
        if (sent !== 1000) return;
        await attachment.replace(second.programs['main']);
        through = sent;
      });
      expect(through).toBe(1000);
      expect(got.map(({ number }) => number).sort((a, b) => a - b)).toEqual(numbers);
      const runs = got.map(({ data }) => new DataView(data.buffer).getUint32(RUNS, true));
      for (const [i, { number, data }] of got.entries()) {
        expect([1, 2]).toContain(runs[i]);
        if (runs[i] === 2) expect(new DataView(data.buffer).getUint32(CPU, true)).toBe(3);
        if (number >= 1000) expect(runs[i]).toBe(2);
      }
      const flows = new Map<number, number>();
      for (const { queue, number } of got) {
        expect(number).toBeGreaterThan(flows.get(queue) ?? -1);
        flows.set(queue, number);
      }
      expect(cpus.list).toEqual([1, 2, 3]);
    });

    it('a CPU that is busy loses what it has no room for, and the others do not; one that is killed gives its packets back', async () => {
      const slow = (runtime: Runtime) => {
        const word = runtime.allocatePages(65536);
        open.push(() => Atomics.store(new Int32Array(runtime.plane.memory.buffer), word / 4, 1));
        // Queues 0 and 2 are CPU 1's, which waits.
        return marked(` r8 &= 1
 if r8 != 0 goto out
 r1 = ${word} ll
again:
 r0 = *(u32 *)(r1 + 0)
 if r0 == 0 goto again
out:
 r0 = 2
 exit
`);
      };
      const { tap, got, cpus, configuration } = await bed(2, slow, { whenFull: 'drop', buffers: 512 }, 0xffff_ffff);
      let killed = false;
      const odd = numbers.filter((number) => queueOf(number, configuration) % 2 === 1);
      await serve(tap, 2000, async (sent) => {
        // Threads have fewer processors than they would like: what CPU 2 is given, it is to have room for.
        const last = odd.filter((number) => number < sent).length;
        while (got.filter(({ queue }) => queue % 2 === 1).length < last)
          await new Promise((resolve) => setTimeout(resolve, 1));
        if (sent !== 1500) return;
        killed = true;
        await cpus.kill(1);
      });
      expect(killed).toBe(true);
      expect(
        got
          .filter(({ queue }) => queue % 2 === 1)
          .map(({ number }) => number)
          .sort((a, b) => a - b),
      ).toEqual(odd);
      const work = tap.workCounters()!;
      const of = (queue: number) => work[queue]!;
      expect(of(0).refused + of(2).refused).toBeGreaterThan(0);
      expect(of(1).refused + of(3).refused).toBe(0);
      for (const { queue, packets, waiting } of tap.counters().queues) {
        const { passed, aborted, lost, refused } = of(queue);
        expect(waiting).toBe(0);
        expect(passed + aborted + lost + refused).toBe(packets);
      }
      expect(of(0).lost + of(2).lost + of(0).aborted + of(2).aborted).toBeGreaterThanOrEqual(256);
    });

    it('what cannot be is refused with a reason', async () => {
      const runtime = new Runtime({ cpus: 2 });
      const cpus = await Cpus.start(runtime);
      open.push(() => cpus.close());
      const attachment = new XdpAttachment(runtime);
      open.push(() => attachment.close());
      const make = (options: Partial<TapSteeringOptions>) =>
        namespace.run(() => new TapSteering(runtime, name, { queues: 1, engine: { steer() {} }, ...options }));
      expect(() => make({ xdp: { cpus, attachment }, offloads: ['csum'] })).toThrow(
        expect.objectContaining({ code: 'SLUICE_STEER_XDP' }),
      );
      expect(() => make({ xdp: { cpus: { runtime, list: [] }, attachment } })).toThrow(
        expect.objectContaining({ code: 'SLUICE_CPU' }),
      );
      const other = new XdpAttachment(new Runtime());
      open.push(() => other.close());
      expect(() => make({ xdp: { cpus, attachment: other } })).toThrow(expect.objectContaining({ code: 'SLUICE_CPU' }));
      // And leaves nothing behind.
      const tap = make({ xdp: { cpus, attachment } });
      await tap.close();
    });
  },
);

function hex(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}
