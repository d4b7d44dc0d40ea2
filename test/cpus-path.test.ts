// Paths whose cpumaps lead to CPUs that are threads: packet by packet what one thread makes of them.
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  Cpus,
  isRedirectMap,
  load,
  type PathOptions,
  type PathPacket,
  Runtime,
  runPath,
  type UserObject,
} from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { generateCapture } from '../src/net/generator.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { tcp } from '../src/net/tcp.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import { INBOX_HEAD } from '../src/plane/layout/cpu.ts';
import { callableIndex } from '../src/runtime/callable.ts';
import { createMap, type PlaneMap } from '../src/runtime/maps/plane-map.ts';

const CPUS = 4;
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const network = {
  interfaces: [
    { index: 1, mac: '02:00:00:00:00:01', peer: 8 },
    { index: 2, mac: '02:00:00:00:00:02', peer: 3 },
    { index: 3, mac: '02:00:00:00:00:03', peer: 2 },
    { index: 5, mac: '02:00:00:00:00:05' },
    { index: 8, mac: '02:00:00:00:00:08', peer: 1 },
  ],
};

interface World {
  readonly runtime: Runtime;
  readonly cpus: Cpus | undefined;
}

async function world(threads: boolean): Promise<World> {
  const runtime = new Runtime({ cpus: CPUS, seed: 1n, network });
  const cpus = threads ? await Cpus.start(runtime) : undefined;
  if (cpus !== undefined) open.push(() => cpus.close());
  return { runtime, cpus };
}

/** Items that the thread of a CPU has done. */
const done = ({ runtime }: World, cpu: number) => runtime.view().getUint32(runtime.inboxOf(cpu) + INBOX_HEAD, true);

function assembled(text: string, runtime: Runtime, section = 'xdp', budget = 20_000): Promise<UserObject> {
  const { insns, functions } = assemble(`main:\n${text}`, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section, license: 'GPL', insns, functions }), { runtime, unverified: true, budget });
}

const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const pair = (first: number, second: number) => new Uint8Array(Uint32Array.of(first, second).buffer);
async function element(world: World, map: PlaneMap, key: number, first: number, text?: string, section = 'xdp/cpumap') {
  const program = text === undefined ? undefined : (await assembled(text, world.runtime, section)).programs['main']!;
  map.update(word(key), pair(first, program === undefined ? 0 : callableIndex(program)));
}

/** Number of the packet at 42, a word for each of what ran at 46 (front), 50 (elements), 54 (tc). */
const numbered = (number: number) => {
  const payload = new Uint8Array(64);
  new DataView(payload.buffer).setUint32(0, number, true);
  return packet(
    ethernet(),
    ipv4({ src: `10.0.0.${number % 20}`, dst: '10.9.0.1' }),
    udp({ srcPort: 1000, dstPort: 53 }),
    payload,
  );
};
const redirect = (map: PlaneMap, key: string, flags = 0) =>
  ` r2 = ${key}\n r1 = ${map.address} ll\n r3 = ${flags}\n call 51\n exit\n`;
/** Adds 1 + 256 * CPU to the word at an offset; the packet is then in r6, its number in r7. */
const mark = (offset: number) => ` r6 = *(u32 *)(r1 + 0)
 r9 = r1
 call 8
 r0 <<= 8
 r0 += 1
 r1 = *(u32 *)(r6 + ${offset})
 r1 += r0
 *(u32 *)(r6 + ${offset}) = r1
 r7 = *(u32 *)(r6 + 42)
`;

/** A front that gives packets to CPUs by number, elements that pass, drop, stop, send on, out, and to many; tc behind that marks and copies. */
async function mixed(threads: boolean): Promise<{ world: World; options: PathOptions }> {
  const here = await world(threads);
  const { runtime } = here;
  const cpumap = createMap(runtime.plane, { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: CPUS });
  const devmap = createMap(runtime.plane, { type: 'devmap', keySize: 4, valueSize: 8, maxEntries: 4 });
  await element(here, devmap, 0, 5);
  await element(here, devmap, 1, 2, `${mark(58)} r0 = 2\n exit\n`, 'xdp/devmap');
  await element(here, devmap, 2, 5);
  // CPU 1: by the number modulo 8, drops, stops, sends to CPU 2, to CPU 0, to all devices, or passes.
  await element(
    here,
    cpumap,
    1,
    192,
    `${mark(50)} r7 &= 28
 r0 = 1
 if r7 == 0 goto out
again:
 if r7 == 4 goto again
 if r7 == 8 goto two
 if r7 == 12 goto zero
 if r7 == 16 goto all
 r0 = 2
out:
 exit
two:
${redirect(cpumap, '2')}
zero:
${redirect(cpumap, '0')}
all:
${redirect(devmap, '0', 8)}`,
  );
  // CPU 2: out by an interface for every third, else passes.
  await element(
    here,
    cpumap,
    2,
    192,
    `${mark(50)} r7 %= 3\n r0 = 2\n if r7 != 0 goto out\n r1 = 2\n r2 = 0\n call 23\nout:\n exit\n`,
  );
  await element(here, cpumap, 3, 192);
  await element(here, cpumap, 0, 192, `${mark(50)} r0 = 2\n exit\n`);
  // The front: to the CPU of the number modulo 4, or past it where that is 0 and the number small.
  const front = await assembled(
    `${mark(46)} if r7 < 40 goto pass\n r7 &= 3\n${redirect(cpumap, 'r7')}pass:\n r0 = 2\n exit\n`,
    runtime,
  );
  const behind = await assembled(
    ` r6 = r1
 call 8
 r0 += 100
 *(u32 *)(r6 + 8) = r0
 r1 = r6
 r2 = *(u32 *)(r6 + 0)
 r2 &= 15
 if r2 == 0 goto out
 r2 = 5
 r3 = 0
 call 13
out:
 r0 = 0
 exit
`,
    runtime,
    'tc',
  );
  return { world: here, options: { xdp: [front.programs['main']!], tc: [behind.programs['main']!] } };
}

/** Without words that may differ: what an engine says of a fault. */
const compared = (packets: readonly PathPacket[]): unknown[] =>
  packets.map(({ reason, error, copies, data, metadata, ...rest }) => ({
    ...rest,
    data: Buffer.from(data).toString('hex'),
    metadata: Buffer.from(metadata).toString('hex'),
    reason: error === undefined ? reason : error.code,
    copies: compared(copies),
  }));

describe('a path with CPUs that are threads', () => {
  it('brings every packet to the end that one thread brings it to', async () => {
    const traffic = Array.from({ length: 700 }, (_, i) => ({ data: numbered(i) }));
    const one = await mixed(false);
    const many = await mixed(true);
    const expected = compared([...runPath(traffic, one.options)]);
    const got = compared([...runPath(traffic, many.options)]);
    expect(got).toEqual(expected);
    const ends = (expected as { end: string }[]).map(({ end }) => end);
    for (const end of ['passed', 'dropped', 'fault', 'sent']) expect(ends).toContain(end);
    // They were there: about as often as there were batches.
    for (const cpu of [1, 2, 3]) expect(done(many.world, cpu)).toBeGreaterThanOrEqual(8);
    const number = ({ data }: PathPacket) => new DataView(data.buffer).getUint32(42, true);
    const [first] = [...runPath([{ data: numbered(61) }], many.options)];
    expect(number(first!)).toBe(61);
    expect(first!.cpu).toBe(1);
  });

  it('of programs with traits, hints and copies as well', async () => {
    const bytes = readFileSync(new URL('../bpf/objects/metadata/packet_way.bpf.o', import.meta.url));
    const traffic = [...generateCapture({ seed: 5, count: 100 })];
    const results = async (threads: boolean, key: number) => {
      const { runtime } = await world(threads);
      const object = await load(bytes, { runtime, budget: 1e9 });
      for (const [map, at, to, name] of [
        ['cpus', 2, 192, 'land'],
        ['cpus', 1, 192, undefined],
      ] as const) {
        const redirects = object.maps[map]!;
        if (!isRedirectMap(redirects)) throw new Error(map);
        redirects.put(at, to, name === undefined ? undefined : object.programs[name]);
      }
      for (const [section, map] of Object.entries(object.maps)) {
        if (section !== '.data' && section !== '.bss') continue;
        const value = map.get(0) as Record<string, number>;
        const wanted = { way: 6, key, store_hints: 1, edit: 1, copy_to: 5 };
        map.set(0, { ...value, ...Object.fromEntries(Object.entries(wanted).filter(([name]) => name in value)) });
      }
      const of = (name: string) => object.programs[name]!;
      const chain = { xdp: [of('stamp'), of('steer')], tc: [of('receive'), of('edit_skb'), of('copy_skb')] };
      return compared([...runPath(traffic, { ...chain, carryHints: key === 1 })]);
    };
    for (const key of [1, 2]) expect(await results(true, key)).toEqual(await results(false, key));
  });

  it('puts segments of a flow together on the CPU that has it', async () => {
    const segments = Array.from({ length: 60 }, (_, i) => ({
      data: packet(
        ethernet(),
        ipv4({ src: `10.0.0.${1 + (i % 3)}`, dst: '10.9.0.1', id: 7, dontFragment: true }),
        tcp({ srcPort: 1000, dstPort: 80, sequence: 1 + 100 * Math.floor(i / 3), acknowledgment: 5, flags: ['ack'] }),
        new Uint8Array(100).fill(i),
      ),
    }));
    const results = async (threads: boolean) => {
      const here = await world(threads);
      const cpumap = createMap(here.runtime.plane, { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: CPUS });
      for (const cpu of [1, 2, 3]) await element(here, cpumap, cpu, 192);
      // The last byte of the source's address.
      const front = await assembled(
        ` r6 = *(u32 *)(r1 + 0)\n r7 = *(u8 *)(r6 + 29)\n${redirect(cpumap, 'r7')}`,
        here.runtime,
      );
      return compared([...runPath(segments, { xdp: [front.programs['main']!], gro: true })]);
    };
    const expected = await results(false);
    expect(await results(true)).toEqual(expected);
    const ends = (expected as { end: string }[]).map(({ end }) => end);
    expect([ends.filter((end) => end === 'passed').length, ends.filter((end) => end === 'merged').length]).toEqual([
      3, 57,
    ]);
  });

  it('loses what a CPU has whose thread ends, and goes on without it', async () => {
    const here = await world(true);
    const { runtime, cpus } = here;
    const cpumap = createMap(runtime.plane, { type: 'cpumap', keySize: 4, valueSize: 8, maxEntries: CPUS });
    const long = await assembled(
      ' r1 = 0\nagain:\n r1 += 1\n if r1 < 2000000000 goto again\n r0 = 2\n exit\n',
      runtime,
      'xdp/cpumap',
      0xffff_ffff,
    );
    cpumap.update(word(1), pair(192, callableIndex(long.programs['main']!)));
    await element(here, cpumap, 2, 192, `${mark(50)} r0 = 2\n exit\n`);
    const front = await assembled(
      `${mark(46)} r7 &= 1\n r7 += 1\n${redirect(cpumap, 'r7')}`,
      runtime,
      'xdp',
      0xffff_ffff,
    );
    const crashed = new Promise<number>((resolve) => cpus!.onCrash(({ cpu }) => resolve(cpu)));
    // This thread waits in the path meanwhile, and hears of nothing.
    void cpus!.kill(1);
    const got = [
      ...runPath(
        Array.from({ length: 60 }, (_, i) => ({ data: numbered(i) })),
        { xdp: [front.programs['main']!] },
      ),
    ];
    for (const { index, end, reason } of got)
      expect([index, end, reason]).toEqual(
        index % 2 === 0 ? [index, 'lost', 'the thread of its CPU ended'] : [index, 'passed', undefined],
      );
    expect(await crashed).toBe(1);
    // Without a thread it is modelled here, and with another one it runs there.
    await element(here, cpumap, 1, 192, `${mark(50)} r0 = 2\n exit\n`);
    const again = () => [
      ...runPath(
        Array.from({ length: 60 }, (_, i) => ({ data: numbered(i) })),
        { xdp: [front.programs['main']!] },
      ),
    ];
    expect(again().map(({ end }) => end)).toEqual(new Array(60).fill('passed'));
    await cpus!.restart(1);
    const before = done(here, 1);
    expect(again().map(({ end }) => end)).toEqual(new Array(60).fill('passed'));
    await cpus!.call(1, 'epoch_depth');
    expect(done(here, 1)).toBeGreaterThan(before);
  });
});
