// CPUs that are threads against this kernel: queues of AF_XDP on a real pair of interfaces, and cpumaps here beside the kernel's.
import { afterEach, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime, type UserObject, XdpAttachment } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { AfXdpAttachment } from '../src/linux/af-xdp-attachment.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';

const missing = bpfRefusal() ?? vethRefusal();
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function assembled(text: string, runtime: Runtime, budget = 10_000): Promise<UserObject> {
  const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), { runtime, unverified: true, budget });
}

/** Counts by CPU and queue at `counters`, and besides at `own`; drops. */
const counts = (counters: number, own: number) => `main:
 r6 = *(u32 *)(r1 + 16)
 call 8
 r0 <<= 3
 r6 += r0
 r6 <<= 3
 r1 = ${counters} ll
 r1 += r6
 r2 = 1
 r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)
 r1 = ${own} ll
 r2 = 1
 r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)
 r0 = 1
 exit
`;

const frame = (flow: number) =>
  packet(ethernet(), ipv4({ src: `10.1.0.${flow}`, dst: '10.2.0.1' }), udp({ srcPort: 5000 + flow, dstPort: 6000 }));

describe.skipIf(missing !== undefined)(
  `on a real pair of interfaces${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it('each queue is run by its CPU, no packet twice or never, while the program is replaced', async () => {
      const pair = new VethPair(`u${process.pid}`, 2);
      open.push(() => pair.remove());
      const far = pair.inNamespace(() => new PacketSocket(pair.there));
      open.push(() => far.close());
      const runtime = new Runtime({ cpus: 3 });
      const cpus = await Cpus.start(runtime);
      open.push(() => cpus.close());
      const counters = runtime.allocatePages(65536);
      const own = [0, 1, 2, 3].map((i) => counters + 4096 + i * 8);
      const objects = await Promise.all(own.map((address) => assembled(counts(counters, address), runtime)));
      const program = objects[0]!.programs['main']!;
      const attachment = new AfXdpAttachment(runtime, pair.here, program.executable, { frames: 4096 });
      expect(attachment.sockets.length).toBe(2);
      open.push(() => attachment.close());
      const frames = new XdpAttachment(runtime, program);
      const count = 3000;
      const stop = new AbortController();
      const served = attachment.serveOn(cpus, frames, { signal: stop.signal });
      const at = (address: number) => Number(runtime.view().getBigUint64(address, true));
      const pause = () => new Promise((resolve) => setTimeout(resolve, 2));
      const settled: number[] = [];
      for (let i = 0; i < count; i++) {
        // Rings hold some thousand: what is sent faster than it is taken is dropped by the kernel.
        while (i - attachment.counters().packets > 500) await pause();
        far.send(frame(i % 40));
        if (i % 750 === 700 && settled.length < 3) {
          await frames.replace(objects[settled.length + 1]!.programs['main']);
          settled.push(at(own[settled.length]!));
        }
      }
      const start = performance.now();
      while (attachment.counters().packets < count && performance.now() - start < 20_000) await pause();
      stop.abort();
      expect(await served).toBe(count);
      const total = attachment.counters();
      expect([total.packets, total.verdicts[1]]).toEqual([count, count]);
      expect(own.reduce((sum, address) => sum + at(address), 0)).toBe(count);
      for (const [i, before] of settled.entries()) expect(at(own[i]!)).toBe(before);
      // Queue 0 is CPU 1's, queue 1 CPU 2's.
      const by = (cpu: number, queue: number) => at(counters + (cpu * 8 + queue) * 8);
      expect([by(0, 0), by(0, 1), by(1, 1), by(2, 0)]).toEqual([0, 0, 0, 0]);
      expect(by(1, 0) + by(2, 1)).toBe(count);
    expect(Math.min(by(1, 0), by(2, 1))).toBeGreaterThan(0);
      expect([by(1, 0), by(2, 1)]).toEqual(attachment.sockets.map((socket) => socket.counters().packets));
      await frames.close();
    }, 60_000);

    it('a program that is stopped ends the serving, and the sockets are there again', async () => {
      const pair = new VethPair(`v${process.pid}`);
      open.push(() => pair.remove());
      const far = pair.inNamespace(() => new PacketSocket(pair.there));
      open.push(() => far.close());
      const runtime = new Runtime({ cpus: 2 });
      const cpus = await Cpus.start(runtime);
      open.push(() => cpus.close());
      const object = await assembled('main:\n r2 = 1\nagain:\n if r2 == 1 goto again\n r0 = 2\n exit\n', runtime);
      const program = object.programs['main']!;
      const attachment = new AfXdpAttachment(runtime, pair.here, program.executable, { frames: 256 });
      open.push(() => attachment.close());
      const frames = new XdpAttachment(runtime, program);
      const served = attachment.serveOn(cpus, frames);
      far.send(frame(1));
      await expect(served).rejects.toThrow('stopped on the CPU of queue 0');
      expect(attachment.counters().verdicts[0]).toBe(1);
      await frames.close();
    }, 60_000);
  },
);
