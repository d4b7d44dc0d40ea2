// CPUs that are threads against this kernel: queues of AF_XDP on a real pair of interfaces, and cpumaps here beside the kernel's.
import { afterEach, describe, expect, it } from 'vitest';
import { Cpus, load, Runtime, spreadCapture, type UserObject, XdpAttachment } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { AfXdpAttachment } from '../src/linux/af-xdp-attachment.ts';
import { createMap, MapElements } from '../src/linux/bpf-maps.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { attachXdp } from '../src/linux/links.ts';
import { PacketSocket } from '../src/linux/packet-socket.ts';
import { loadRaw } from '../src/linux/programs.ts';
import { VethPair, vethRefusal } from '../src/linux/veth.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import { callableIndex } from '../src/runtime/callable.ts';
import { createMap as createPlaneMap } from '../src/runtime/maps/plane-map.ts';

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

/** Stand in the texts for the map of what was seen (array, u32 -> 16 bytes) and the cpumap (u32 -> 8 bytes). */
const SEEN = 0x1111;
const TO = 0x2222;

interface CpumapOutcome {
  /** By CPU: frames that the element's program saw, the last rx_queue_index plus 1. */
  readonly seen: readonly (readonly bigint[])[];
  /** Frames that reached the stack. */
  readonly stack: number;
}

async function cpumapInKernel(front: string, element: string, frames: readonly Uint8Array[]): Promise<CpumapOutcome> {
  const pair = new VethPair(`w${process.pid}`);
  open.push(() => pair.remove());
  const far = pair.inNamespace(() => new PacketSocket(pair.there));
  const near = new PacketSocket(pair.here);
  const seen = createMap({ type: 'array', keySize: 4, valueSize: 16, maxEntries: 2, name: 'seen' });
  const to = createMap({ type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: 2, name: 'to' });
  open.push(
    () => [far, near].map((socket) => socket.close()),
    () => [seen, to].map(close),
  );
  const insns = (text: string) =>
    assemble(text, { syntax: 'llvm' }).insns.map((insn) =>
      insn.opcode === 0x18 ? { ...insn, src: 1, imm: Number(insn.imm) === SEEN ? seen : to } : insn,
    );
  const program = loadRaw(insns(element), 'xdp', 'GPL', { expectedAttachType: 'xdp_cpumap' });
  const elements = new MapElements(to, 4, 8);
  new DataView(elements.key.buffer).setUint32(0, 1, true);
  new DataView(elements.value.buffer).setUint32(0, 1024, true);
  new DataView(elements.value.buffer).setUint32(4, program.fd, true);
  expect(elements.update()).toBe(0);
  const main = loadRaw(insns(front), 'xdp');
  const link = attachXdp(main, pair.here, 'native');
  open.push(
    () => [program, main].map((each) => each.close()),
    () => link.close(),
  );
  for (const each of frames) far.send(each);
  const counted = new MapElements(seen, 4, 16);
  const read = (cpu: number) => {
    new DataView(counted.key.buffer).setUint32(0, cpu, true);
    expect(counted.lookup()).toBe(0);
    return [...new BigUint64Array(counted.value.slice().buffer)];
  };
  let stack = 0;
  // What has been sent before arrives; then nothing more comes.
  while (await near.wait(300)) while (near.receive() !== undefined) stack++;
  return { seen: [read(0), read(1)], stack };
}

async function cpumapHere(front: string, element: string, frames: readonly Uint8Array[]): Promise<CpumapOutcome> {
  const runtime = new Runtime({ cpus: 3 });
  const cpus = await Cpus.start(runtime);
  open.push(() => cpus.close());
  const seen = createPlaneMap(runtime.plane, { type: 'array', keySize: 4, valueSize: 16, maxEntries: 2 });
  const to = createPlaneMap(runtime.plane, { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: 2 });
  const withMaps = (text: string) =>
    `main:${text}`.replace(`${SEEN} ll`, `${seen.address} ll`).replace(`${TO} ll`, `${to.address} ll`);
  const of = async (text: string, section: string) => {
    const { insns, functions } = assemble(withMaps(text), { syntax: 'llvm', input: 'text' });
    const object = await load(writeObject({ section, license: 'GPL', insns, functions }), {
      runtime,
      unverified: true,
    });
    return object.programs['main']!;
  };
  const value = new Uint8Array(8);
  new DataView(value.buffer).setUint32(0, 1024, true);
  new DataView(value.buffer).setUint32(4, callableIndex(await of(element, 'xdp/cpumap')), true);
  to.update(Uint8Array.of(1, 0, 0, 0), value);
  const attachment = new XdpAttachment(runtime, await of(front, 'xdp'), { follow: true });
  const packets = frames.map((data) => ({
    data,
    timestampNs: 0n,
    wireLength: data.length,
    interfaceId: 0,
    linkType: 1,
  }));
  let stack = 0;
  for await (const result of spreadCapture({ runtime, list: [2] }, attachment, packets)) {
    if (result.kind === 'ran' && result.end === 'passed') {
      expect(result.cpu).toBe(1);
      stack++;
    }
  }
  const read = (cpu: number) => [...new BigUint64Array(seen.lookup(Uint8Array.of(cpu, 0, 0, 0))!.slice().buffer)];
  const outcome = { seen: [read(0), read(1)], stack };
  await attachment.close();
  return outcome;
}

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

    it("a cpumap sends as the kernel does: CPU, what the element's program sees, what reaches the stack", async () => {
      // Counts by CPU what the element's program sees, and keeps the last rx_queue_index plus 1.
      const element = `
 r7 = *(u32 *)(r1 + 16)
 call 8
 *(u32 *)(r10 - 4) = r0
 r2 = r10
 r2 += -4
 r1 = ${SEEN} ll
 call 1
 if r0 == 0 goto out
 r1 = 1
 lock *(u64 *)(r0 + 0) += r1
 r7 += 1
 *(u64 *)(r0 + 8) = r7
out:
 r0 = 2
 exit
`;
      // Flows with an odd last byte go to CPU 1, the others are dropped.
      const front = `
 r2 = *(u32 *)(r1 + 0)
 r3 = *(u32 *)(r1 + 4)
 r4 = r2
 r4 += 34
 if r4 > r3 goto drop
 r4 = *(u8 *)(r2 + 29)
 r4 &= 1
 if r4 == 0 goto drop
 r1 = ${TO} ll
 r2 = 1
 r3 = 0
 call 51
 exit
drop:
 r0 = 1
 exit
`;
      const count = 400;
      const traffic = Array.from({ length: count }, (_, i) => frame(i % 50));
      const inKernel = await cpumapInKernel(front, element, traffic);
      const here = await cpumapHere(front, element, traffic);
      expect(inKernel).toEqual({
        seen: [
          [0n, 0n],
          [200n, 1n],
        ],
        stack: 200,
      });
      expect(here).toEqual(inKernel);
    }, 60_000);
  },
);
