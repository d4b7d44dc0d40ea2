// Broadcasts of frames on several CPUs: a copy for each device of the map, as on a path.
import { afterEach, describe, expect, it } from 'vitest';
import {
  Cpus,
  load,
  type PathPacket,
  Runtime,
  runPath,
  type SpreadResult,
  spreadCapture,
  type UserObject,
  XdpAttachment,
} from '../src/index.ts';
import { assemble } from '../src/isa/assembler.ts';
import { ethernet } from '../src/net/ethernet.ts';
import { ipv4 } from '../src/net/ipv4.ts';
import { packet } from '../src/net/packet.ts';
import { udp } from '../src/net/udp.ts';
import { writeObject } from '../src/object/write.ts';
import { callableIndex } from '../src/runtime/callable.ts';
import { createMap } from '../src/runtime/maps/plane-map.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const network = {
  interfaces: [1, 2, 3, 4, 5].map((index) => ({
    index,
    mac: `02:00:00:00:00:0${index}`,
    mtu: index === 4 ? 68 : 1500,
  })),
};
function assembled(text: string, runtime: Runtime, section = 'xdp', budget = 20_000): Promise<UserObject> {
  const { insns, functions } = assemble(`main:\n${text}`, { syntax: 'llvm', input: 'text' });
  return load(writeObject({ section, license: 'GPL', insns, functions }), { runtime, unverified: true, budget });
}
const traffic = (count: number) =>
  Array.from({ length: count }, (_, number) => {
    const payload = new Uint8Array(50 + (number % 700));
    new DataView(payload.buffer).setUint32(0, number, true);
    const data = packet(
      ethernet(),
      ipv4({ src: `10.0.0.${number % 50}`, dst: '10.9.0.1' }),
      udp({ srcPort: 1000 + (number % 50), dstPort: 53 }),
      payload,
    );
    return { data, timestampNs: 0n, wireLength: data.length, interfaceId: 0, linkType: 1 };
  });

/** Devices 2, 3, 4 (too short an MTU), 5; that of 3 marks, that of 5 drops numbers that 3 divides; numbers that 5 divides are redirected to all but the ingress, 1, which is there too. */
async function bed(type: 'devmap' | 'devmap_hash', cpuCount: number) {
  const runtime = new Runtime({ cpus: cpuCount + 1, seed: 1n, network });
  const cpus = cpuCount === 0 ? undefined : await Cpus.start(runtime);
  if (cpus !== undefined) open.push(() => cpus.close());
  const map = createMap(runtime.plane, { type, keySize: 4, valueSize: 8, maxEntries: 8 });
  const marks = await assembled(
    ' r2 = *(u32 *)(r1 + 0)\n r3 = *(u32 *)(r1 + 20)\n *(u32 *)(r2 + 46) = r3\n r0 = 2\n exit\n',
    runtime,
    'xdp/devmap',
  );
  const drops = await assembled(
    ' r2 = *(u32 *)(r1 + 0)\n r3 = *(u32 *)(r2 + 42)\n r3 %= 3\n r0 = 1\n if r3 == 0 goto out\n r0 = 2\nout:\n exit\n',
    runtime,
    'xdp/devmap',
  );
  const put = (key: number, ifindex: number, object?: UserObject) => {
    const value = new Uint8Array(
      Uint32Array.of(ifindex, object === undefined ? 0 : callableIndex(object.programs['main']!)).buffer,
    );
    map.update(new Uint8Array(Uint32Array.of(key).buffer), value);
  };
  put(0, 1);
  put(2, 2);
  put(3, 3, marks);
  put(5, 4);
  put(7, 5, drops);
  const front = await assembled(
    ` r6 = *(u32 *)(r1 + 0)
 r7 = *(u32 *)(r6 + 42)
 r7 %= 5
 r3 = 24
 if r7 == 0 goto all
 r3 = 8
all:
 r1 = ${map.address} ll
 r2 = 0
 call 51
 exit
`,
    runtime,
  );
  return { runtime, cpus, program: front.programs['main']! };
}

/** What left, or did not, for one packet: `ifindex:bytes`, or how it ended. */
const ofPath = (all: readonly PathPacket[]): string[] =>
  all.map((each) => `${each.end === 'sent' ? each.interface : each.end}:${Buffer.from(each.data).toString('hex')}`);
const ofSpread = (result: Extract<SpreadResult, { kind: 'ran' }>): string[] =>
  [...(result.copies ?? []), result].map(
    ({ end, place, data }) =>
      `${end === 'sent' ? place : end === 'verdict' ? 'dropped' : end}:${Buffer.from(data).toString('hex')}`,
  );

describe('a broadcast on several CPUs', () => {
  it.each([
    ['devmap', 1],
    ['devmap', 3],
    ['devmap_hash', 3],
  ] as const)('gives each device of a %s the packet once, as on a path: %s CPUs', async (type, cpuCount) => {
    const packets = traffic(900);
    const one = await bed(type, 0);
    // A path has room for 64 copies of a batch.
    const expected = Array.from({ length: packets.length / 15 }, (_, i) =>
      [...runPath(packets.slice(i * 15, i * 15 + 15), { xdp: [one.program] })].map((each) =>
        ofPath([...each.copies, each]).sort(),
      ),
    ).flat();
    const { cpus, program, runtime } = await bed(type, cpuCount);
    const attachment = new XdpAttachment(runtime, program, { follow: true });
    const got: string[][] = [];
    for await (const result of spreadCapture(cpus!, attachment, packets, { window: 300 })) {
      if (result.kind === 'refused') throw result.reason;
      got.push(ofSpread(result).sort());
    }
    await attachment.close();
    expect(got).toEqual(expected);
    const sent = got.flat().map((each) => each.slice(0, each.indexOf(':')));
    const of = (what: string) => sent.filter((each) => each === what).length;
    // 4 takes nothing of more than 68 bytes and the link's header.
    expect([of('1'), of('2'), of('3'), of('4'), of('5'), of('dropped'), of('lost')]).toEqual([
      720, 900, 900, 0, 600, 300, 0,
    ]);
  });

  it('keeps copies until they are taken, and no longer', async () => {
    const { cpus, program, runtime } = await bed('devmap', 2);
    const attachment = new XdpAttachment(runtime, program, { follow: true });
    open.push(() => attachment.close());
    const size = () => runtime.plane.memory.buffer.byteLength;
    const round = async (count: number) => {
      let copies = 0;
      for await (const result of spreadCapture(cpus!, attachment, traffic(count), { window: 64 }))
        if (result.kind === 'ran') copies += result.copies?.length ?? 0;
      return copies;
    };
    expect(await round(500)).toBe(500 * 3 - 100);
    const before = size();
    for (let i = 0; i < 3; i++) expect(await round(2000)).toBe(2000 * 3 - 400);
    // 16800 copies of 4800 bytes would be 77 MiB.
    expect(size() - before).toBeLessThan(4 << 20);
  });
});
