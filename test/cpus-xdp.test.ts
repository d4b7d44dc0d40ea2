// XDP on several CPUs: frames that are spread by their hash, programs that are replaced under them, and what is counted.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { FramePool } from '../src/hooks/xdp/frames.ts';
import {
  Cpus,
  type CpusOptions,
  defaultRss,
  FrameSource,
  load,
  Runtime,
  rss,
  runCapture,
  type SpreadResult,
  Steering,
  spreadCapture,
  type UserObject,
  XdpAttachment,
} from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { generateCapture } from '../src/net/generator.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { random } from '../src/net/random.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import { CPU_RUN, RUN_CONTEXT, RUN_ENTRY, RUN_FUEL, RUN_REPEAT } from '../src/plane/layout/cpu.ts';
import { FRAME_ENDED_REFUSED, FRAME_ENDED_VERDICT } from '../src/plane/layout/frames.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(runtime: Runtime, options?: CpusOptions): Promise<Cpus> {
  const cpus = await Cpus.start(runtime, options);
  open.push(() => cpus.close());
  return cpus;
}

function assembled(text: string, runtime: Runtime): Promise<UserObject> {
  const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), { runtime, unverified: true });
}

const ran = (result: SpreadResult) => {
  if (result.kind !== 'ran') throw new Error(`packet ${result.index} was refused: ${result.reason.message}`);
  return result;
};

async function all(results: AsyncIterable<SpreadResult>) {
  const list = [];
  for await (const result of results) list.push(ran(result));
  return list;
}

// Payload of 24 bytes behind 42 of headers: u32 flow, u32 number in the flow, u64 ticket, u32 runs, u32 mark.
const FLOW = 42;
const TICKET = 50;
const RUNS = 58;
const MARK = 62;
const numbered = (flow: number, number: number) => {
  const payload = new Uint8Array(24);
  const view = new DataView(payload.buffer);
  view.setUint32(0, flow, true);
  view.setUint32(4, number, true);
  const src = `10.0.${flow >> 8}.${flow & 255}`;
  const data = packet(ethernet(), ipv4({ src, dst: '10.9.0.1' }), udp({ srcPort: 1000 + flow, dstPort: 53 }), payload);
  return { data, timestampNs: 0n, wireLength: data.length, interfaceId: 0, linkType: 1 };
};

/** Draws a ticket at `counter`, writes it into the packet, counts the runs over the packet and leaves `mark`; the verdict is `verdict`. */
const ticketed = (counter: number, mark: number, verdict = 2) => `main:
 r6 = *(u32 *)(r1 + 0)
 r1 = ${counter} ll
 r2 = 1
 r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)
 *(u64 *)(r6 + ${TICKET}) = r2
 r3 = *(u32 *)(r6 + ${RUNS})
 r3 += 1
 *(u32 *)(r6 + ${RUNS}) = r3
 r3 = ${mark}
 *(u32 *)(r6 + ${MARK}) = r3
 r0 = ${verdict}
 exit
`;

const field = (data: Uint8Array, offset: number) => new DataView(data.buffer, data.byteOffset).getUint32(offset, true);

/** Each packet ran once, tickets are all there, and those of a flow rise with its numbers. */
function checkTickets(results: readonly { readonly data: Uint8Array }[]) {
  const tickets = new Set<number>();
  const last = new Map<number, { number: number; ticket: number }>();
  for (const { data } of results) {
    expect(field(data, RUNS)).toBe(1);
    const now = { number: field(data, FLOW + 4), ticket: field(data, TICKET) };
    const before = last.get(field(data, FLOW));
    if (before !== undefined && !(before.number < now.number && before.ticket < now.ticket))
      throw new Error(`flow ${field(data, FLOW)}: ${JSON.stringify(now)} after ${JSON.stringify(before)}`);
    last.set(field(data, FLOW), now);
    tickets.add(now.ticket);
  }
  expect(tickets.size).toBe(results.length);
  expect(Math.max(-1, ...tickets)).toBe(results.length - 1);
}

function traffic(seed: number, count: number, flows: number) {
  const rng = random(seed);
  const numbers = new Map<number, number>();
  return Array.from({ length: count }, () => {
    const flow = rng.below(flows);
    const number = numbers.get(flow) ?? 0;
    numbers.set(flow, number + 1);
    return numbered(flow, number);
  });
}

describe('a capture over many CPUs', () => {
  it('has the results of one CPU, in order, and each flow one CPU', async () => {
    const bytes = readFileSync(new URL('../bpf/objects/xdp_firewall.bpf.o', import.meta.url));
    const packets = generateCapture({ seed: 7, count: 1500 });
    const one = await load(bytes);
    const expected = [...runCapture(one.runtime, one.programs['xdp_firewall']!.executable, packets)];
    const runtime = new Runtime({ cpus: 4 });
    const object = await load(bytes, { runtime });
    const cpus = await start(runtime);
    const spread = [];
    for await (const result of spreadCapture(cpus, object.programs['xdp_firewall']!, packets)) spread.push(result);
    expect(spread.length).toBe(expected.length);
    const used = new Set<number>();
    for (const [i, result] of spread.entries()) {
      const want = expected[i]!;
      expect(result.index).toBe(i);
      expect(result.kind).toBe(want.kind);
      if (result.kind !== 'ran' || want.kind !== 'ran') continue;
      expect(result.end).toBe('verdict');
      expect(result.verdict).toBe(want.verdict);
      expect(Buffer.from(result.data).equals(want.data)).toBe(true);
      expect(result.program).toBe('xdp_firewall');
      used.add(result.cpu);
    }
    expect([...used].sort()).toEqual([1, 2, 3]);
    // Per-CPU counters of what ran where add up to those of one CPU.
    const sums = (of: UserObject) =>
      [...of.maps['rule_counters']!.entries()].map(([rule, values]) => [
        rule,
        (values as unknown as { packets: bigint }[]).reduce((sum, { packets }) => sum + packets, 0n),
      ]);
    expect(sums(object)).toEqual(sums(one));
  });

  it.each([
    [1, 2],
    [2, 3],
    [3, 5],
    [4, 8],
  ] as const)('loses and doubles nothing and keeps the order of flows: seed %s, %s CPUs', async (seed, workers) => {
    const runtime = new Runtime({ cpus: workers + 1, seed: BigInt(seed) });
    const cpus = await start(runtime);
    const counter = runtime.allocatePages(65536);
    const object = await assembled(ticketed(counter, 1), runtime);
    const rng = random(seed);
    const attachment = new XdpAttachment(runtime, object.programs['main']);
    const packets = traffic(seed, 3000, 50);
    const counters: bigint[] = [];
    const results = await all(
      spreadCapture(cpus, attachment, packets, {
        window: 1 + rng.below(700),
        onCounters: ({ sent, dropped, cpus: each }) =>
          counters.push(
            sent,
            dropped,
            each.reduce((sum, { frames }) => sum + frames, 0n),
          ),
      }),
    );
    checkTickets(results);
    expect(runtime.view().getBigUint64(counter, true)).toBe(3000n);
    expect(counters).toEqual([3000n, 0n, 3000n]);
    const byCpu = attachment.counters();
    expect(byCpu.reduce((sum, { frames }) => sum + frames, 0n)).toBe(3000n);
    expect(byCpu.reduce((sum, { verdicts }) => sum + verdicts[2]!, 0n)).toBe(3000n);
    for (const { cpu, frames } of byCpu)
      expect(frames).toBe(BigInt(results.filter((result) => result.cpu === cpu).length));
    await attachment.close();
  });

  it('a program is replaced under it: each packet goes through one, none through the old one after that', async () => {
    const runtime = new Runtime({ cpus: 4, seed: 1n });
    const cpus = await start(runtime);
    const counter = runtime.allocatePages(65536);
    const count = 20_000;
    const attachment = new XdpAttachment(runtime, (await assembled(ticketed(counter, 0), runtime)).programs['main']);
    // Each program counts its runs besides: 8 bytes a program.
    const ownCount = (version: number) => Number(runtime.view().getBigUint64(counter + 64 + version * 8, true));
    const version = (n: number) =>
      ticketed(counter, n).replace(
        ' r0 = 2',
        ` r1 = ${counter + 64 + n * 8} ll\n r2 = 1\n r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)\n r0 = 2`,
      );
    const versions: UserObject[] = [];
    for (let n = 1; n <= 8; n++) versions.push(await assembled(version(n), runtime));
    let through = 0;
    const marks: number[] = [];
    const results: { readonly data: Uint8Array }[] = [];
    let replaced = Promise.resolve();
    const replaceBy = async (n: number) => {
      await attachment.replace(versions[n - 1]!.programs['main']);
      marks[n - 1] = ownCount(n - 1);
      // Its place in the table is given to others: whoever ran it still would run into nothing.
      versions[n - 2]?.close();
      await runtime.settled();
    };
    for await (const result of spreadCapture(cpus, attachment, traffic(5, count, 64), { window: 512 })) {
      expect(ran(result).end).toBe('verdict');
      results.push(ran(result));
      // What is under way meanwhile goes through either of the two.
      if (through % 2000 === 1999) await replaced;
      if (++through % 2000 === 1000 && through < 16_000) {
        const n = (through + 1000) / 2000;
        replaced = replaced.then(() => replaceBy(n));
      }
    }
    await replaced;
    expect(through).toBe(count);
    checkTickets(results);
    const byMark = new Map<number, number>();
    for (const { data } of results) byMark.set(field(data, MARK), (byMark.get(field(data, MARK)) ?? 0) + 1);
    expect(marks.length).toBe(8);
    expect(byMark.size).toBeGreaterThan(3);
    // What it had counted when it was replaced is what it counted in all.
    for (const [n, settled] of marks.entries()) {
      if (n === 0) continue;
      expect(ownCount(n)).toBe(settled);
      expect(byMark.get(n) ?? 0).toBe(settled);
    }
    await attachment.close();
  });

  it('an attachment keeps its program, whose object may be closed', async () => {
    const runtime = new Runtime({ cpus: 2, seed: 1n });
    const cpus = await start(runtime);
    const object = await assembled('main:\n r0 = 1\n exit\n', runtime);
    const attachment = new XdpAttachment(runtime, object.programs['main']);
    object.close();
    await runtime.settled();
    expect([...runtime.modules].length).toBe(1);
    for await (const result of spreadCapture(cpus, attachment, traffic(3, 100, 4))) expect(ran(result).verdict).toBe(1);
    await attachment.close();
    await runtime.settled();
    expect([...runtime.modules]).toEqual([]);
  });

  it('a program that is stopped ends its packet, and the others go on', async () => {
    const runtime = new Runtime({ cpus: 3, seed: 1n });
    const faults: string[] = [];
    const cpus = await start(runtime, { onFault: ({ message }) => faults.push(message) });
    const text = `main:
 r6 = *(u32 *)(r1 + 0)
 r2 = *(u32 *)(r6 + ${FLOW + 4})
 r2 &= 7
again:
 if r2 == 3 goto again
 r0 = 1
 exit
`;
    const { insns, functions } = assemble(text, { syntax: 'llvm', input: 'text' });
    const object = await load(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), {
      runtime,
      unverified: true,
      budget: 1000,
    });
    const attachment = new XdpAttachment(runtime, object.programs['main']);
    const packets = Array.from({ length: 1000 }, (_, i) => numbered(i % 20, i));
    const results = await all(spreadCapture(cpus, attachment, packets));
    for (const [i, { end, verdict }] of results.entries())
      expect([end, verdict]).toEqual((i & 7) === 3 ? ['fault', 0] : ['verdict', 1]);
    expect(attachment.counters().reduce((sum, { stopped }) => sum + stopped, 0n)).toBe(125n);
    await attachment.close();
    await cpus.call(1, 'epoch_depth');
    await cpus.call(2, 'epoch_depth');
    expect(faults.length).toBe(125);
  });
});

describe('a steering device', () => {
  it('says by its program or by its configuration which CPU a packet goes to, and counts', async () => {
    const runtime = new Runtime({ cpus: 4, seed: 1n });
    const cpus = await start(runtime);
    const counter = runtime.allocatePages(65536);
    const program = (await assembled(ticketed(counter, 1), runtime)).programs['main']!;
    const packets = traffic(9, 1000, 30);
    const configuration = defaultRss(3);
    const steering = new Steering({ queues: 3, runtime, configuration });
    open.push(() => steering.close());
    const byHash = await all(spreadCapture(cpus, program, packets, { steering: steering.device, window: 100 }));
    checkTickets(byHash);
    for (const [i, { cpu }] of byHash.entries())
      expect(cpu).toBe(cpus.list[rss.rss(packets[i]!.data, configuration).queue]);
    // The last byte of the source's address.
    const { insns, functions } = assemble('main:\n r2 = *(u32 *)(r1 + 76)\n r0 = *(u8 *)(r2 + 29)\n exit\n', {
      syntax: 'llvm',
      input: 'text',
    });
    const filter = await load(writeObject({ section: 'socket', license: 'GPL', insns, functions }), {
      runtime,
      unverified: true,
    });
    steering.attach(filter.programs['main']!);
    const byProgram = await all(spreadCapture(cpus, program, packets, { steering: steering.device }));
    for (const [i, { cpu }] of byProgram.entries()) expect(cpu).toBe(cpus.list[packets[i]!.data[29]! % 3]);
    const counted = steering.counters().queues.map((queue) => Number(queue.packets));
    const both = [...byHash, ...byProgram];
    expect(counted).toEqual(cpus.list.map((cpu) => both.filter((result) => result.cpu === cpu).length));
  });
});

describe('a CPU whose thread ends under traffic', () => {
  /** Draws a ticket behind a loop of some thousand rounds, so that threads end in the middle of lots. */
  const slow = (counter: number) =>
    ticketed(counter, 1).replace('main:\n', 'main:\n r9 = 0\nwork:\n r9 += 1\n if r9 < 3000 goto work\n');

  async function killed(restarts: boolean, seed: number) {
    const runtime = new Runtime({ cpus: 4, seed: 1n });
    const crashes: number[] = [];
    let again = Promise.resolve();
    const cpus = await start(runtime, {
      onCrash: ({ cpu }) => {
        crashes.push(cpu);
        if (restarts) again = cpus.restart(cpu);
      },
    });
    const counter = runtime.allocatePages(65536);
    const object = await assembled(slow(counter), runtime);
    const results = [];
    for await (const result of spreadCapture(cpus, object.programs['main']!, traffic(seed, 6000, 40), {
      window: 512,
    })) {
      results.push(ran(result));
      if (results.length === 1000 + seed * 37 || (restarts && results.length === 3000)) {
        await again;
        void cpus.kill(2);
      }
    }
    await again;
    expect(crashes.length).toBe(restarts ? 2 : 1);
    expect(results.map(({ index }) => index)).toEqual(Array.from({ length: 6000 }, (_, i) => i));
    const done = results.filter(({ end }) => end === 'verdict');
    for (const { data } of done) expect(field(data, RUNS)).toBe(1);
    expect(new Set(done.map(({ data }) => field(data, TICKET))).size).toBe(done.length);
    // A program that was stopped may have drawn its ticket; nothing ran twice.
    for (const { data } of results) expect(field(data, RUNS)).toBeLessThanOrEqual(1);
    const drawn = Number(runtime.view().getBigUint64(counter, true));
    expect(drawn).toBeGreaterThanOrEqual(done.length);
    expect(drawn).toBeLessThanOrEqual(done.length + crashes.length);
    return results.filter(({ end }) => end !== 'verdict');
  }

  it.each([1, 2])('gives its packets back, and those that come for it: seed %s', async (seed) => {
    const lost = await killed(false, seed);
    expect(lost.length).toBeGreaterThan(100);
    expect(lost.every(({ cpu, end }) => cpu === 2 && (end === 'crashed' || end === 'fault'))).toBe(true);
  });

  it.each([4, 5])(
    'and goes on with all but the one that it ran, where it is started anew at once: seed %s',
    async (seed) => {
      expect((await killed(true, seed)).length).toBeLessThanOrEqual(2);
    },
  );
});

describe('a CPU without room', () => {
  const waits = 'main:\n r1 = *(u32 *)(r1 + 0)\nagain:\n r0 = *(u32 *)(r1 + 0)\n if r0 == 0 goto again\n exit\n';

  /** CPU 1 waits until `go`, and its inbox is full. */
  async function blocked() {
    const runtime = new Runtime({ cpus: 2, seed: 1n });
    const cpus = await start(runtime);
    const word = runtime.allocatePages(65536);
    const view = runtime.view();
    view.setUint32(word + 64, word, true);
    const object = await assembled(waits, runtime);
    const block = word + 128;
    view.setUint32(block + RUN_ENTRY, object.programs['main']!.executable.entry, true);
    view.setUint32(block + RUN_REPEAT, 1, true);
    view.setUint32(block + RUN_FUEL, 0xffff_ffff, true);
    view.setBigUint64(block + RUN_CONTEXT, BigInt(word + 64), true);
    const go = () => Atomics.store(new Int32Array(runtime.plane.memory.buffer), word / 4, 1);
    const counter = runtime.allocatePages(65536);
    const program = (await assembled(ticketed(counter, 1), runtime)).programs['main']!;
    while (cpus.send(1, CPU_RUN, block)) {}
    open.push(go);
    return { runtime, cpus, go, counter, program };
  }

  it('makes packets wait at the source', async () => {
    const { runtime, cpus, go, program, counter } = await blocked();
    let refused = 0n;
    const results = all(
      spreadCapture(cpus, program, traffic(1, 2000, 10), {
        onCounters: (counters) => {
          ({ refused } = counters);
        },
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(runtime.view().getBigUint64(counter, true)).toBe(0n);
    go();
    checkTickets(await results);
    expect(refused).toBeGreaterThan(0n);
  });

  it('or has them dropped and counted, where that is wished', async () => {
    const { runtime, cpus, go, program, counter } = await blocked();
    const attachment = new XdpAttachment(runtime, program);
    const pool = new FramePool(runtime, 200);
    for (let i = 0; i < 200; i++) pool.fill(i, numbered(i % 10, i).data);
    const source = new FrameSource(cpus, attachment, { frames: pool.address, count: 200, full: 'drop' });
    expect(source.give(0, 100)).toBe(100);
    expect(source.collect()).toBe(100);
    expect(source.counters()).toMatchObject({ sent: 0n, dropped: 100n });
    go();
    await cpus.call(1, 'epoch_depth');
    expect(source.give(100, 100)).toBe(100);
    await source.close();
    for (let i = 0; i < 200; i++)
      expect(source.take(i)).toMatchObject({ cpu: 1, end: i < 100 ? FRAME_ENDED_REFUSED : FRAME_ENDED_VERDICT });
    expect(runtime.view().getBigUint64(counter, true)).toBe(100n);
    await attachment.close();
    pool.free();
  });
});

describe('what cannot be', () => {
  it('is refused with a reason', async () => {
    const runtime = new Runtime({ cpus: 2 });
    const other = await load(readFileSync(new URL('../bpf/objects/xdp_firewall.bpf.o', import.meta.url)));
    expect(() => new XdpAttachment(runtime, other.programs['xdp_firewall'])).toThrow('another runtime');
    const slow = await load(readFileSync(new URL('../bpf/objects/xdp_firewall.bpf.o', import.meta.url)), {
      engine: 'interpreter',
    });
    expect(() => new XdpAttachment(slow.runtime, slow.programs['xdp_firewall'])).toThrow('interpreter');
    const program = (await assembled('main:\n r0 = 2\n exit\n', runtime)).programs['main']!;
    await expect(spreadCapture({ runtime, list: [] }, program, []).next()).rejects.toThrow('no CPUs');
    const cpus = await start(runtime);
    await expect(spreadCapture(cpus, program, [], { window: 0 }).next()).rejects.toThrow('window');
  });
});
