// Cpumaps between CPUs that are threads: frames go to the CPU of the element, through its queue and its program.
import { afterEach, describe, expect, it } from 'vitest';
import { FramePool } from '../src/hooks/xdp/frames.ts';
import { Cpus, type CpusOptions, FrameSource, load, Runtime, type UserObject, XdpAttachment } from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import {
  CPU_RUN,
  RUN_CONTEXT,
  RUN_ENTRY,
  RUN_FAULT,
  RUN_FUEL,
  RUN_REPEAT,
  RUN_STATE,
  RUN_UNDER_WAY,
  RUN_WAITS,
} from '../src/plane/layout/cpu.ts';
import {
  FRAME_ENDED_FAULT,
  FRAME_ENDED_LOST,
  FRAME_ENDED_PASSED,
  FRAME_ENDED_QUEUE_FULL,
  FRAME_ENDED_SENT,
  FRAME_ENDED_VERDICT,
} from '../src/plane/layout/frames.ts';
import { CPUMAP_QUEUE_DROPS, CPUMAP_QUEUE_ENQUEUED, CPUMAP_QUEUE_PASSED } from '../src/plane/layout/map-target.ts';
import { LOST_HOPS, LOST_NO_TARGET } from '../src/plane/layout/path.ts';
import { callableIndex } from '../src/runtime/callable.ts';
import { createMap, type PlaneMap } from '../src/runtime/maps/plane-map.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function assembled(text: string, runtime: Runtime, section = 'xdp', budget = 10_000): Promise<UserObject> {
  const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section, license: 'GPL', insns, functions }), { runtime, unverified: true, budget });
}

// Payload behind 42 bytes of headers: u32 flow, u32 number, u64 ticket, u32 runs of programs of elements, u32 what such a program saw.
const TICKET = 50;
const RUNS = 58;
const SEEN = 62;
function numbered(flow: number, number: number): Uint8Array {
  const payload = new Uint8Array(24);
  new DataView(payload.buffer).setUint32(0, flow, true);
  new DataView(payload.buffer).setUint32(4, number, true);
  return packet(
    ethernet(),
    ipv4({ src: `10.0.0.${flow}`, dst: '10.9.0.1' }),
    udp({ srcPort: 1000 + flow, dstPort: 53 }),
    payload,
  );
}
const field = (data: Uint8Array, offset: number) => new DataView(data.buffer, data.byteOffset).getUint32(offset, true);

/** Sends all to the CPU of `key`. */
const redirects = (map: PlaneMap, key: number, flags = 0) => `main:
 r1 = ${map.address} ll
 r2 = ${key}
 r3 = ${flags}
 call 51
 exit
`;
/** Draws a ticket, counts its runs, says rx_queue_index + 256 * ingress_ifindex; then does `end`. */
const ticketed = (counter: number, end = ' r0 = 2\n exit\n') => `main:
 r6 = *(u32 *)(r1 + 0)
 r7 = *(u32 *)(r1 + 16)
 r8 = *(u32 *)(r1 + 12)
 r8 <<= 8
 r7 |= r8
 r1 = ${counter} ll
 r2 = 1
 r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)
 *(u64 *)(r6 + ${TICKET}) = r2
 r3 = *(u32 *)(r6 + ${RUNS})
 r3 += 1
 *(u32 *)(r6 + ${RUNS}) = r3
 *(u32 *)(r6 + ${SEEN}) = r7
${end}`;

class Bed {
  readonly runtime: Runtime;
  readonly cpus: Cpus;
  readonly map: PlaneMap;
  readonly counter: number;
  readonly faults: string[] = [];

  private constructor(runtime: Runtime, cpus: Cpus, faults: string[]) {
    this.runtime = runtime;
    this.cpus = cpus;
    this.faults = faults;
    this.map = createMap(runtime.plane, { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: runtime.cpus });
    this.counter = runtime.allocatePages(65536);
  }

  static async make(count: number, options: CpusOptions = {}): Promise<Bed> {
    const runtime = new Runtime({ cpus: count, seed: 1n });
    const faults: string[] = [];
    const cpus = await Cpus.start(runtime, { ...options, onFault: ({ message }) => faults.push(message) });
    open.push(() => cpus.close());
    return new Bed(runtime, cpus, faults);
  }

  async element(cpu: number, queue: number, text?: string): Promise<UserObject | undefined> {
    const object = text === undefined ? undefined : await assembled(text, this.runtime, 'xdp/cpumap');
    this.put(cpu, queue, object);
    return object;
  }

  put(cpu: number, queue: number, object: UserObject | undefined): void {
    const value = new Uint8Array(8);
    new DataView(value.buffer).setUint32(0, queue, true);
    if (object !== undefined) new DataView(value.buffer).setUint32(4, callableIndex(object.programs['main']!), true);
    this.map.update(new Uint8Array(Uint32Array.of(cpu).buffer), value);
  }

  remove(cpu: number): void {
    this.map.delete(new Uint8Array(Uint32Array.of(cpu).buffer));
  }

  /** A counter of the queue of a CPU's element. */
  queue(cpu: number, at: number): bigint {
    const plane = this.runtime.plane.exports as unknown as { cpumap_queue(map: number, key: number): number };
    return this.runtime.view().getBigUint64(plane.cpumap_queue(this.map.address, cpu) + at, true);
  }

  /** Sends `count` frames of ten flows to CPU 1, by which the program of `text` redirects them. */
  async begin(text: string, count: number, blocks?: number) {
    const { runtime } = this;
    const object = await assembled(text, runtime);
    const attachment = new XdpAttachment(runtime, object.programs['main'], { follow: true });
    const pool = new FramePool(runtime, count);
    for (let i = 0; i < count; i++) pool.fill(i, numbered(i % 10, i), { ingressIfindex: 3, rxQueueIndex: 1 });
    const source = new FrameSource({ runtime, list: [1] }, attachment, { frames: pool.address, count });
    // Threads load programs between items: after this, a CPU that does nothing loads none.
    const go = blocks === undefined ? () => {} : await this.#block(blocks);
    expect(source.give(0, count)).toBe(count);
    return {
      attachment,
      go,
      async end() {
        await source.close();
        const results = Array.from({ length: count }, (_, i) => ({ ...source.take(i)!, data: pool.read(i) }));
        await attachment.close();
        pool.free();
        return results;
      },
    };
  }

  /** CPU `cpu` does nothing until the function that comes back is called. */
  async #block(cpu: number): Promise<() => void> {
    const { runtime } = this;
    const text = 'main:\n r1 = *(u32 *)(r1 + 0)\nagain:\n r0 = *(u32 *)(r1 + 0)\n if r0 == 0 goto again\n exit\n';
    const object = await assembled(text, runtime);
    const word = runtime.allocatePages(65536);
    const view = runtime.view();
    view.setUint32(word + 64, word, true);
    view.setUint32(word + 128 + RUN_ENTRY, object.programs['main']!.executable.entry, true);
    view.setUint32(word + 128 + RUN_REPEAT, 1, true);
    view.setUint32(word + 128 + RUN_FUEL, 0xffff_ffff, true);
    view.setBigUint64(word + 128 + RUN_CONTEXT, BigInt(word + 64), true);
    const go = () => void Atomics.store(new Int32Array(runtime.plane.memory.buffer), word / 4, 1);
    open.push(go);
    expect(this.cpus.send(cpu, CPU_RUN, word + 128)).toBe(true);
    const state = () => Atomics.load(new Int32Array(runtime.plane.memory.buffer), (word + 128 + RUN_STATE) / 4);
    while (state() === RUN_WAITS) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(state(), `why it was stopped: ${runtime.view().getUint32(word + 128 + RUN_FAULT, true)}`).toBe(
      RUN_UNDER_WAY,
    );
    return go;
  }
}

describe('a cpumap', () => {
  it('sends frames to the CPU of the element, whose program sees them once, in order', async () => {
    const bed = await Bed.make(3);
    await bed.element(2, 4096, ticketed(bed.counter));
    const { attachment, end } = await bed.begin(redirects(bed.map, 2), 3000);
    const results = await end();
    const last = new Map<number, number>();
    const tickets = new Set<number>();
    for (const { cpu, end: how, data } of results) {
      expect([cpu, how, field(data, RUNS)]).toEqual([2, FRAME_ENDED_PASSED, 1]);
      // Ingress stays, the queue does not: kernel/bpf/cpumap.c knows no queue.
      expect(field(data, SEEN)).toBe(3 << 8);
      const ticket = field(data, TICKET);
      expect(ticket).toBeGreaterThan(last.get(field(data, 42)) ?? -1);
      last.set(field(data, 42), ticket);
      tickets.add(ticket);
    }
    expect(tickets.size).toBe(3000);
    expect(bed.queue(2, CPUMAP_QUEUE_ENQUEUED)).toBe(3000n);
    expect(bed.queue(2, CPUMAP_QUEUE_PASSED)).toBe(3000n);
    expect(attachment.runtime.cpus).toBe(3);
  });

  it('passes to the stack where the element has no program, and finds nothing where there is no element', async () => {
    const bed = await Bed.make(3);
    await bed.element(2, 64);
    const first = await bed.begin(redirects(bed.map, 2), 50);
    for (const { cpu, end } of await first.end()) expect([cpu, end]).toEqual([2, FRAME_ENDED_PASSED]);
    bed.remove(2);
    // bpf_redirect_map gives the flags' action for a key without an element: XDP_PASS.
    const second = await bed.begin(redirects(bed.map, 2, 2), 50);
    for (const { cpu, end } of await second.end()) expect([cpu, end]).toEqual([1, FRAME_ENDED_VERDICT]);
  });

  it('drops and counts what a full queue does not take', async () => {
    const bed = await Bed.make(3);
    await bed.element(2, 7, ticketed(bed.counter));
    const { attachment, go, end } = await bed.begin(redirects(bed.map, 2), 100, 2);
    // A verdict is counted before the redirect is carried out.
    while (
      attachment.counters()[1]!.frames !== 100n ||
      bed.queue(2, CPUMAP_QUEUE_ENQUEUED) + bed.queue(2, CPUMAP_QUEUE_DROPS) < 100n
    )
      await new Promise((resolve) => setTimeout(resolve, 1));
    expect(bed.queue(2, CPUMAP_QUEUE_ENQUEUED)).toBe(7n);
    expect(bed.queue(2, CPUMAP_QUEUE_DROPS)).toBe(93n);
    go();
    const results = await end();
    expect(results.map((result) => result.end)).toEqual(
      Array.from({ length: 100 }, (_, i) => (i < 7 ? FRAME_ENDED_PASSED : FRAME_ENDED_QUEUE_FULL)),
    );
    expect(bed.runtime.view().getBigUint64(bed.counter, true)).toBe(7n);
  });

  it.each(['deleted', 'replaced', 'freed'])(
    'runs what is queued by the program of the element that is %s',
    async (how) => {
      const bed = await Bed.make(3);
      const object = await bed.element(2, 128, ticketed(bed.counter));
      const other = await assembled('main:\n r0 = 1\n exit\n', bed.runtime, 'xdp/cpumap');
      const { attachment, go, end } = await bed.begin(redirects(bed.map, 2), 100, 2);
      while (attachment.counters()[1]!.frames !== 100n) await new Promise((resolve) => setTimeout(resolve, 1));
      if (how === 'deleted') bed.remove(2);
      else if (how === 'replaced') bed.put(2, 64, other);
      else bed.map.close();
      object!.close();
      const plane = bed.runtime.plane.exports;
      if (how !== 'freed') expect(plane.queues_closing()).toBe(1);
      go();
      const results = await end();
      for (const { cpu, end: ended, data } of results)
        expect([cpu, ended, field(data, RUNS)]).toEqual([2, FRAME_ENDED_PASSED, 1]);
      await bed.runtime.settled();
      expect(plane.queues_closing()).toBe(0);
    },
  );

  it('sends on from its programs: to another CPU, out by an interface, in circles until it is enough', async () => {
    const bed = await Bed.make(4);
    const { runtime, map } = bed;
    await bed.element(3, 256, ticketed(bed.counter, ' r1 = 7\n r2 = 0\n call 23\n exit\n'));
    await bed.element(2, 256, ticketed(bed.counter, redirects(map, 3).replace('main:\n', '')));
    const chain = await (await bed.begin(redirects(map, 2), 100)).end();
    for (const { cpu, end, place, data } of chain)
      expect([cpu, end, place, field(data, RUNS)]).toEqual([3, FRAME_ENDED_SENT, 7, 2]);
    await bed.element(3, 256, ticketed(bed.counter, redirects(map, 2).replace('main:\n', '')));
    const circle = await (await bed.begin(redirects(map, 2), 100)).end();
    for (const { end, place, data } of circle)
      expect([end, place, field(data, RUNS)]).toEqual([FRAME_ENDED_LOST, LOST_HOPS, 16]);
    // A verdict XDP_REDIRECT without a target.
    const nowhere = await (await bed.begin('main:\n r0 = 4\n exit\n', 10)).end();
    for (const { end, place } of nowhere) expect([end, place]).toEqual([FRAME_ENDED_LOST, LOST_NO_TARGET]);
    await runtime.settled();
  });

  it('ends a frame whose program is stopped there, and goes on with the others', async () => {
    const bed = await Bed.make(3);
    const loops = ` r2 = *(u32 *)(r6 + 46)\n r2 &= 7\nagain:\n if r2 == 3 goto again\n r0 = 2\n exit\n`;
    await bed.element(2, 256, ticketed(bed.counter, loops));
    const results = await (await bed.begin(redirects(bed.map, 2), 200)).end();
    for (const [i, { cpu, end, data }] of results.entries())
      expect([cpu, end, field(data, RUNS)]).toEqual([2, (i & 7) === 3 ? FRAME_ENDED_FAULT : FRAME_ENDED_PASSED, 1]);
    await bed.cpus.call(2, 'epoch_depth');
    expect(bed.faults.length).toBe(25);
  });

  it.each([1, 2])('under changes of its elements loses and doubles nothing: seed %s', async (seed) => {
    const bed = await Bed.make(5);
    const keys = [2, 3, 4];
    for (const key of keys) await bed.element(key, 512, ticketed(bed.counter));
    const text = redirects(bed.map, 0)
      .replace(' r1 =', ` r2 = *(u32 *)(r1 + 0)\n r6 = *(u32 *)(r2 + 46)\n r6 %= 3\n r6 += 2\n r1 =`)
      .replace('r2 = 0', 'r2 = r6');
    const running = await bed.begin(text, 6000);
    let at = seed * 7919;
    for (let i = 0; i < 40; i++) {
      at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
      const key = keys[(at >>> 8) % 3]!;
      if ((at >>> 16) % 4 === 0) bed.remove(key);
      else await bed.element(key, 1 + ((at >>> 10) % 512), ticketed(bed.counter));
    }
    const results = await running.end();
    const tickets = new Set<number>();
    for (const { end, data } of results) {
      const passed = end === FRAME_ENDED_PASSED;
      expect(field(data, RUNS)).toBe(passed ? 1 : 0);
      if (passed) tickets.add(field(data, TICKET));
    }
    expect(BigInt(tickets.size)).toBe(bed.runtime.view().getBigUint64(bed.counter, true));
    expect(tickets.size).toBe(results.filter(({ end }) => end === FRAME_ENDED_PASSED).length);
    for (const key of keys) bed.remove(key);
    await bed.runtime.settled();
    for (const key of keys) await bed.element(key, 1);
  });
});
