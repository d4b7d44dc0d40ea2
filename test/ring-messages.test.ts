// Messages between rings: from JavaScript and from programs, over the simulation and over this kernel.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { escalationReason, load, Runtime, simulation } from '../src/index.ts';
import { Ring } from '../src/ring.ts';
import { noRing } from './ring-testbed.ts';

const objectOf = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../bpf/objects/ring/${name}.bpf.o`, import.meta.url)));
const relay = objectOf('relay');
const built = existsSync(fileURLToPath(new URL('../dist/linux/io-uring-thread.js', import.meta.url)));

interface Bed {
  readonly runtime: Runtime;
  readonly rings: Ring[];
}

/** One world for all: rings are in one process. */
async function simulated(count: number, seed: number, faults: Partial<simulation.Faults> = {}): Promise<Bed> {
  const runtime = new Runtime({ seed: 1n });
  const world = new simulation.World();
  const rings: Ring[] = [];
  for (let i = 0; i < count; i++) {
    const backend = new simulation.SimulatedBackend(runtime, { seed: seed + i, world, faults });
    rings.push(await Ring.create({ runtime, backend, requests: 64 }));
  }
  return { runtime, rings };
}

async function threaded(count: number): Promise<Bed> {
  const runtime = new Runtime({ cpus: count + 1 });
  const rings: Ring[] = [];
  for (let i = 0; i < count; i++) rings.push(await Ring.create({ runtime, driver: 'worker', entries: 64 }));
  return { runtime, rings };
}

async function inline(count: number): Promise<Bed> {
  const runtime = new Runtime();
  const rings: Ring[] = [];
  for (let i = 0; i < count; i++) rings.push(await Ring.create({ runtime, entries: 64 }));
  return { runtime, rings };
}

interface Station {
  readonly received: bigint;
  readonly disordered: bigint;
}

const closeAll = (rings: readonly Ring[]) => Promise.all(rings.map((ring) => ring.close()));

/** So many completions of queue 0. */
async function take(ring: Ring, count: number) {
  const taken: { userData: bigint; res: number; flags: number }[] = [];
  if (count === 0) return taken;
  for await (const { userData, res, flags } of ring) {
    taken.push({ userData, res, flags });
    if (taken.length === count) break;
  }
  return taken;
}

const beds: readonly (readonly [string, string | undefined, (count: number) => Promise<Bed>])[] = [
  ['simulated', undefined, (count) => simulated(count, 7)],
  ['of this thread', noRing, inline],
  ['on threads', noRing ?? (built ? undefined : 'dist is not built'), threaded],
];

describe.each(beds)('messages between rings, %s', (name, reason, make) => {
  const test = it.skipIf(reason !== undefined);

  test('carry 64 bits, a result and flags to queue 0, or to a queue', async () => {
    const { rings } = await make(2);
    const [a, b] = rings as [Ring, Ring];
    expect([a.number, b.number]).toEqual([0, 1]);
    const queue = b.createQueue({ entries: 4 });
    expect(await a.message(b, -7, 0xfedc_ba98_7654_3210n, { flags: 0x25 })).toBe(0);
    expect(await a.message(b, 9, 3, { toQueue: queue.index })).toBe(0);
    expect(await take(b, 1)).toEqual([{ userData: 0xfedc_ba98_7654_3210n, res: -7, flags: 0x25 }]);
    for await (const each of queue) {
      expect(each).toMatchObject({ userData: 3n, res: 9, flags: 0 });
      break;
    }
    // To itself, too.
    expect(await b.message(b, 1, 2)).toBe(0);
    expect(await take(b, 1)).toEqual([{ userData: 2n, res: 1, flags: 0 }]);
    await closeAll(rings);
  });

  test('end with EBADF where there is no such ring any more', async () => {
    const { rings } = await make(2);
    const [a, b] = rings as [Ring, Ring];
    await b.close();
    await expect(a.message(b, 0, 0)).rejects.toMatchObject({ errno: 'EBADF' });
    await a.close();
  });

  test('for a program or a queue that is not there are told', async () => {
    const { rings } = await make(2);
    const [a, b] = rings as [Ring, Ring];
    await a.message(b, 0, 41, { program: 3 });
    await a.message(b, 0, 42, { toQueue: 50 });
    const told = await take(b, 2);
    expect(told.map(({ userData, res, flags }) => [userData, res, escalationReason(flags >>> 16)])).toEqual([
      [41n, -2, 'a message for a program or a queue that the ring does not have'],
      [42n, -2, 'a message for a program or a queue that the ring does not have'],
    ]);
    await closeAll(rings);
  });

  test('cancel a request of the other ring', async () => {
    const { rings } = await make(2);
    const [a, b] = rings as [Ring, Ring];
    const time = b.allocate(16);
    prep.writeTimespec(new DataView(time.bytes.buffer), time.address, 100_000_000_000);
    b.stage((view, at) => prep.timeout(view, at, time.address, { userData: 1234 }));
    b.submit();
    await a.message(b, 0, 1234, { cancels: true });
    expect(await take(b, 1)).toEqual([{ userData: 1234n, res: -125, flags: 0 }]);
    await closeAll(rings);
  });

  test('pass files on: to a slot, to any, silently, and to nobody', async () => {
    const { rings } = await make(2);
    const [a, b] = rings as [Ring, Ring];
    const { read, write } = await a.pipe();
    const files = a.registerFiles(4);
    files.set(1, read, write);
    const buffer = b.allocate(8);
    // The other ring has no table yet.
    await expect(a.passFile(b, 1)).rejects.toMatchObject({ errno: 'ENFILE' });
    await expect(a.passFile(b, 1, { to: 0 })).rejects.toMatchObject({ errno: 'ENXIO' });
    b.registerFiles(4);
    await expect(a.passFile(b, 3)).rejects.toMatchObject({ errno: 'EBADF' });
    await expect(a.passFile(a, 1)).rejects.toMatchObject({ errno: 'EINVAL' });
    expect(await a.passFile(b, 1, { to: 2, data: 77 })).toBe(2);
    expect(await take(b, 1)).toMatchObject([{ userData: 77n, res: 0 }]);
    const picked = await a.passFile(b, 2, { silent: true });
    expect([0, 1, 3]).toContain(picked);
    // Theirs, whatever becomes of ours.
    files.close();
    await a.closeFd(read);
    await a.closeFd(write);
    buffer.bytes.set([5, 6, 7]);
    expect(await b.write(picked, buffer.slice(0, 3), { fixedFile: true })).toBe(3);
    expect(await b.read(2, buffer.slice(4, 8), { fixedFile: true })).toBe(3);
    expect([...buffer.bytes.slice(4, 7)]).toEqual([5, 6, 7]);
    expect(b.completions.length).toBe(0);
    await closeAll(rings);
  });

  test('run programs, which send on: each arrives once, and in order', async () => {
    const { runtime, rings } = await make(3);
    const object = await load(relay, { runtime });
    for (const ring of rings) expect(ring.programs.attach(object).get('relay')).toBe(1);
    const variables = object.maps['.bss']!;
    const next = Array.from({ length: 8 }, (_, i) => (i + 1) % rings.length);
    variables.set(0, { next });
    const TOKENS = 200;
    const HOPS = 20;
    const collected = rings.map((ring, i) =>
      take(ring, [...Array(TOKENS).keys()].filter((token) => (token + HOPS) % rings.length === i).length),
    );
    await Promise.all(
      Array.from({ length: TOKENS }, (_, token) => {
        const to = rings[token % rings.length]!;
        return rings[0]!.message(to, HOPS, BigInt(token) << 32n, { program: 1 });
      }),
    );
    const ended = (await Promise.all(collected)).flat();
    expect(ended.map(({ userData }) => Number(userData >> 32n)).sort((x, y) => x - y)).toEqual([
      ...Array(TOKENS).keys(),
    ]);
    for (const { userData, res } of ended) expect(res).toBe((Number(userData >> 32n) + HOPS) % rings.length);
    const { stations } = variables.get(0) as unknown as { stations: Station[] };
    const sum = (of: (station: Station) => bigint) => stations.reduce((all, each) => all + of(each), 0n);
    expect(sum(({ disordered }) => disordered)).toBe(0n);
    expect(sum(({ received }) => received)).toBe(BigInt(TOKENS * (HOPS + 1)));
    await closeAll(rings);
    object.close();
    expect(name).toBeTruthy();
  });
});

interface Handover {
  readonly passed: bigint;
  readonly refused: bigint;
  readonly served: { readonly connections: bigint; readonly bytes: bigint; readonly ended: bigint }[];
}

describe.each(beds.slice(1))('connections, %s', (_name, reason, make) => {
  it.skipIf(reason !== undefined)(
    'are accepted by one ring and served by others, without descriptors of the process',
    async () => {
      const { runtime, rings } = await make(3);
      const [door, ...servers] = rings as [Ring, Ring, Ring];
      const object = await load(objectOf('handover'), { runtime });
      const variables = object.maps['.bss']!;
      for (const ring of rings) {
        const numbers = ring.programs.attach(object);
        expect([numbers.get('accepted'), numbers.get('serve')]).toEqual([1, 2]);
        ring.registerFiles(32);
      }
      for (const ring of servers) {
        ring.programs.onMessage('serve');
        // A ring of this thread looks for messages while it has something under way, or is waited for.
        void take(ring, 1);
      }
      variables.set(0, { servers: [...servers.map(({ number }) => number), 0, 0, 0, 0, 0, 0], count: servers.length });
      const folder = mkdtempSync(join(tmpdir(), 'sluice-handover-'));
      const path = join(folder, 'socket');
      const listener = await door.socket('unix');
      await door.bind(listener, { family: 'unix', path });
      await door.listen(listener, 64);
      door.stage((view, at) =>
        prep.accept(view, at, listener, { multishot: true, slot: 'alloc', callback: 1, userData: 9 }),
      );
      door.submit();
      const CLIENTS = 20;
      const sizes = Array.from({ length: CLIENTS }, (_, i) => 1 + i * 700);
      await Promise.all(
        sizes.map(
          (size, i) =>
            new Promise<void>((resolve, reject) => {
              const sent = Buffer.alloc(size, i);
              const got: Buffer[] = [];
              const client = connect(path, () => client.write(sent));
              client.on('error', reject);
              client.on('data', (data) => {
                got.push(data);
                if (got.reduce((sum, { length }) => sum + length, 0) === size) client.end();
              });
              client.on('close', () =>
                Buffer.concat(got).equals(sent) ? resolve() : reject(new Error(`client ${i}`)),
              );
            }),
        ),
      );
      const seen = () => variables.get(0) as unknown as Handover;
      const ended = () => servers.reduce((sum, { number }) => sum + seen().served[number]!.ended, 0n);
      for (let i = 0; i < 500 && ended() < CLIENTS; i++) await new Promise((resolve) => setTimeout(resolve, 2));
      const { passed, refused, served } = seen();
      expect([passed, refused, ended()]).toEqual([BigInt(CLIENTS), 0n, BigInt(CLIENTS)]);
      expect(servers.map(({ number }) => served[number]!.connections)).toEqual([10n, 10n]);
      expect(served.reduce((sum, { bytes }) => sum + bytes, 0n)).toBe(BigInt(sizes.reduce((sum, size) => sum + size)));
      expect(door.completions.length).toBe(0);
      await door.closeFd(listener);
      await closeAll(rings);
      object.close();
      rmSync(folder, { recursive: true });
    },
  );
});
