// Sets of rings: which ring a request goes to, one queue for the results of all, rings that end before their time.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { RingSet } from '../src/hooks/ring/ring-set.ts';
import { load, Runtime, simulation } from '../src/index.ts';
import { Ring } from '../src/ring.ts';
import { Rings } from '../src/rings.ts';
import { noRing } from './ring-testbed.ts';

const objectOf = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../bpf/objects/ring/${name}.bpf.o`, import.meta.url)));
const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const built = existsSync(`${dist}linux/io-uring-thread.js`);
const reason = noRing ?? (built ? undefined : 'dist is not built');

const nop =
  (result: number, userData: number | bigint, queue = 0, callback = 0) =>
  (view: DataView, at: number) =>
    prep.nop(view, at, { result, userData, queue, callback });

async function simulated(count: number, seed = 1, faults: Partial<simulation.Faults> = {}, options = {}) {
  const runtime = new Runtime({ seed: 1n });
  const world = new simulation.World();
  const rings: Ring[] = [];
  for (let i = 0; i < count; i++) {
    const backend = new simulation.SimulatedBackend(runtime, { seed: seed * 8 + i, world, faults });
    rings.push(await Ring.create({ runtime, backend, requests: 64 }));
  }
  return { runtime, world, set: new RingSet(rings, options) };
}

describe('a set of rings', () => {
  it('chooses in turn, by what is under way, and by key', async () => {
    const { set } = await simulated(3);
    expect([set.next(), set.next(), set.next(), set.next()]).toEqual([0, 1, 2, 0].map((i) => set.list[i]));
    for (const ring of [0, 0, 1]) set.list[ring]!.stage(nop(0, 0));
    expect(set.list.map(({ inFlight }) => inFlight)).toEqual([2, 1, 0]);
    expect(set.least()).toBe(set.list[2]);
    const chosen = Array.from({ length: 300 }, (_, i) => set.list.indexOf(set.of(`user ${i}`)));
    for (const ring of [0, 1, 2]) expect(chosen.filter((each) => each === ring).length).toBeGreaterThan(60);
    expect(Array.from({ length: 300 }, (_, i) => set.list.indexOf(set.of(`user ${i}`)))).toEqual(chosen);
    expect(set.of(7)).toBe(set.of(7n));
    await set.close();
  });

  it('refuses rings of several runtimes, and none', async () => {
    const { set: one } = await simulated(1);
    const { set: other } = await simulated(1);
    expect(() => new RingSet([one.list[0]!, other.list[0]!])).toThrowError(
      expect.objectContaining({ code: 'SLUICE_RING_RUNTIME' }),
    );
    expect(() => new RingSet([])).toThrowError(expect.objectContaining({ code: 'SLUICE_RING_SET' }));
    await one.close();
    await other.close();
    await expect(Rings.create({ rings: 0 })).rejects.toMatchObject({ code: 'SLUICE_RING_SET' });
  });

  it('gives the results of all in one queue, however small, and none is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 20 }),
        fc.array(fc.nat(2), { size: 'max', maxLength: 120 }),
        fc.constantFrom(2, 8, 256),
        async (seed, places, shared) => {
          const { set } = await simulated(3, seed, simulation.chaos, { shared });
          for (const [i, place] of places.entries()) {
            const ring = set.list[place]!;
            ring.stage(nop(i, i, set.queueOf(ring)));
          }
          const seen: number[] = [];
          const last = new Map<Ring, number>();
          while (seen.length < places.length) {
            await set.completions.wait(1);
            set.completions.take((number, low, _high, res) => {
              const ring = set.list.find((each) => each.number === number)!;
              expect(ring).toBe(set.list[places[low]!]);
              expect(res).toBe(low);
              last.set(ring, low);
              seen.push(low);
            });
          }
          expect(seen.sort((a, b) => a - b)).toEqual(places.map((_, i) => i));
          expect(set.completions.length).toBe(0);
          expect(set.stats.requests).toBe(BigInt(places.length));
          expect(set.stats.rings.map(({ requests }) => Number(requests))).toEqual(
            [0, 1, 2].map((place) => places.filter((each) => each === place).length),
          );
          await set.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  it('waits for a number of completions, of whichever ring', async () => {
    const { set } = await simulated(2);
    const [a, b] = set.list as [Ring, Ring];
    expect(await set.completions.wait(1, 5)).toBe(0);
    const waited = set.completions.wait(3);
    for (const ring of [a, b, a]) ring.stage(nop(0, 0, set.queueOf(ring)));
    expect(await waited).toBe(3);
    expect(() => set.completions.close()).toThrowError(expect.objectContaining({ code: 'SLUICE_RING_QUEUE' }));
    const ended = set.completions.wait(9);
    await set.close();
    expect(await ended).toBe(0);
  });

  it('lets a program wait for completions of several rings, by messages to a queue of its own', async () => {
    const { set } = await simulated(3);
    const [a] = set.list as [Ring];
    const runs: number[] = [];
    const queue = a.createQueue({ visible: false });
    const gather = a.programs.add('gather', (context) => {
      let sum = 0;
      for (let cqe = context.reap(queue.index); cqe !== undefined; cqe = context.reap(queue.index)) sum += cqe.res;
      runs.push(sum);
      return 0;
    });
    a.stage((view, at) => prep.program(view, at, gather - 1, 3, queue.index, { userData: 5 }));
    a.submit();
    for (const [i, ring] of set.list.entries()) await ring.message(a, 10 ** i, 0, { toQueue: queue.index });
    for await (const { userData } of a) {
      expect(userData).toBe(5n);
      break;
    }
    expect(runs).toEqual([111]);
    await set.close();
  });
});

/** Conservation over several rings: tokens go from ring to ring while files are read on each, with faults, until all have arrived. */
describe('tokens over simulated rings with faults', () => {
  it('arrive once each, in order per sender, on the right ring', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 20 }), fc.integer({ min: 2, max: 4 }), async (seed, count) => {
        const { runtime, set } = await simulated(count, seed, simulation.chaos);
        const object = await load(objectOf('relay'), { runtime });
        expect(set.attach(object).get('relay')).toBe(1);
        object.maps['.bss']!.set(0, { next: Array.from({ length: 8 }, (_, i) => (i + 1) % count) });
        const TOKENS = 40;
        const HOPS = 9;
        const got = new Map<number, number>();
        const readers = set.list.map(async (ring, place) => {
          for await (const { userData, res } of ring) {
            const token = Number(userData >> 32n);
            expect(got.has(token)).toBe(false);
            expect(res).toBe(ring.number);
            got.set(token, place);
          }
        });
        await Promise.all(
          Array.from({ length: TOKENS }, (_, token) =>
            set.next().message(set.list[token % count]!, HOPS, BigInt(token) << 32n, { program: 1 }),
          ),
        );
        while (got.size < TOKENS) await new Promise((resolve) => setTimeout(resolve, 0));
        for (const [token, place] of got) expect(place).toBe((token + HOPS) % count);
        const { stations } = object.maps['.bss']!.get(0) as unknown as {
          stations: { disordered: bigint; received: bigint }[];
        };
        expect(stations.reduce((sum, { disordered }) => sum + disordered, 0n)).toBe(0n);
        expect(stations.reduce((sum, { received }) => sum + received, 0n)).toBe(BigInt(TOKENS * (HOPS + 1)));
        await set.close();
        await Promise.all(readers);
        object.close();
      }),
      { numRuns: 12 },
    );
  });
});

describe.skipIf(reason !== undefined)(`rings on threads${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  it('run callbacks of one object side by side over the same maps, and sum what they count', async () => {
    const set = await Rings.create({ rings: 2, entries: 64 });
    const object = await load(objectOf('relay'), { runtime: set.list[0]!.runtime });
    const program = set.attach(object).get('relay')!;
    // Each ring sends to itself: nothing goes from one to the other.
    object.maps['.bss']!.set(0, { next: [0, 1, 0, 0, 0, 0, 0, 0] });
    const TOKENS = 20;
    const HOPS = 200;
    const collected = set.list.map(async (ring) => {
      let count = 0;
      for await (const { res } of ring) {
        expect(res).toBe(ring.number);
        if (++count === TOKENS) return;
      }
    });
    for (let i = 0; i < TOKENS; i++) for (const ring of set.list) ring.stage(nop(HOPS, BigInt(i) << 32n, 0, program));
    await Promise.all(collected);
    const { stations } = object.maps['.bss']!.get(0) as unknown as {
      stations: { received: bigint; disordered: bigint }[];
    };
    expect(stations.slice(0, 2)).toMatchObject(Array(2).fill({ received: BigInt(TOKENS * HOPS), disordered: 0n }));
    const { stats } = set;
    expect(stats.runs).toBe(stats.rings.reduce((sum, { runs }) => sum + runs, 0n));
    expect(stats.rings.every(({ runs }) => runs >= TOKENS * HOPS)).toBe(true);
    await set.close();
    object.close();
  });

  it('give completions to one consumer, which is behind', async () => {
    const set = await Rings.create({ rings: 2, entries: 64, shared: 16 });
    const COUNT = 3000;
    for (let i = 0; i < COUNT; i++) {
      const ring = set.next();
      ring.stage(nop(i, i, set.queueOf(ring)));
    }
    const of: number[][] = [[], []];
    for await (const { ring, completion } of set) {
      of[set.list.indexOf(ring)]!.push(completion.low);
      if (of[0]!.length + of[1]!.length === COUNT) break;
      if (completion.low % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(of.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
    // Nops end in order.
    for (const each of of) expect(each).toEqual([...each].sort((a, b) => a - b));
    for (let i = 0; i < 8; i++) {
      const ring = set.least();
      ring.stage(nop(0, 0, set.queueOf(ring)));
    }
    expect(set.completions.waitSync(8, 5000)).toBe(8);
    await set.close();
  });

  it('are left alone by the end of one, whose requests are rejected, and whose descriptors are closed', async () => {
    const count = () => readdirSync('/proc/self/fd').length;
    await (await Rings.create({ rings: 2, entries: 8 })).close();
    const before = count();
    const set = await Rings.create({ rings: 2, entries: 64 });
    const [a, b] = set.list as [Ring, Ring];
    const failed: number[] = [];
    set.onFailure((ring, error) => {
      expect(error.message).toContain('has ended');
      failed.push(ring.number);
    });
    const { read } = await b.pipe();
    const lost = a.read(read, a.allocate(8)).catch((error: unknown) => error);
    const kept = b.delay(100);
    const chosen = set.list.map((ring) => Array.from({ length: 50 }, (_, i) => i).find((key) => set.of(key) === ring)!);
    await a.backend.thread!.kill();
    expect(String(await lost)).toContain("the ring's thread has ended");
    expect(failed).toEqual([a.number]);
    expect(() => a.stage(nop(0, 0))).toThrowError(/has ended/);
    expect([set.next(), set.next(), set.least(), set.of(chosen[0]!), set.of(chosen[1]!)]).toEqual([b, b, b, b, b]);
    await expect(b.message(a, 0, 0)).rejects.toMatchObject({ errno: 'EBADF' });
    await kept;
    expect(await b.request('nop', nop(3, 0))).toBe(3);
    await set.close();
    // The pipe's ends.
    expect(count()).toBe(before + 2);
  });

  it('do not keep this thread waiting for one that has ended, and leave no lock and no epoch behind', async () => {
    const set = await Rings.create({ rings: 2, entries: 64 });
    const [a, b] = set.list as [Ring, Ring];
    const { runtime } = a;
    const object = await load(objectOf('relay'), { runtime });
    set.attach(object);
    object.maps['.bss']!.set(0, { next: [1, 0, 0, 0, 0, 0, 0, 0] });
    for (let i = 0; i < 30; i++) await set.next().message(set.next(), 2 ** 30, BigInt(i) << 32n, { program: 1 });
    const killed = a.backend.thread!.kill();
    const start = performance.now();
    // Before the event loop could tell.
    while (a.failure === undefined && performance.now() - start < 20_000) {
      try {
        a.createQueue();
      } catch (error) {
        expect(String(error)).toMatch(/answers no more/);
      }
    }
    expect(performance.now() - start).toBeLessThan(10_000);
    await killed;
    // The other one goes on, whose messages to it end with EBADF; grace periods end; programs come and go.
    await runtime.synchronize();
    (await load(objectOf('nops'), { runtime })).close();
    await runtime.settled();
    expect(await b.request('nop', nop(5, 0))).toBe(5);
    // Tokens that it still had are told too.
    b.stage(nop(3, 99n << 32n, 0, 1));
    for await (const { userData, res } of b) {
      expect(res).toBe(-9);
      if (userData >> 32n === 99n) break;
    }
    await set.close();
    // Its CPU is free again.
    const again = await Ring.create({ runtime, driver: 'worker', entries: 8 });
    expect(await again.request('nop', nop(6, 0))).toBe(6);
    await again.close();
    object.close();
  });

  it('close while they are busy, and give their descriptors back', async () => {
    const count = () => readdirSync('/proc/self/fd').length;
    const before = count();
    for (let round = 0; round < 3; round++) {
      const set = await Rings.create({ rings: 2, entries: 64 });
      const object = await load(objectOf('relay'), { runtime: set.list[0]!.runtime });
      set.attach(object);
      object.maps['.bss']!.set(0, { next: [1, 0, 0, 0, 0, 0, 0, 0] });
      // For ever.
      for (let i = 0; i < 30; i++) await set.next().message(set.next(), 2 ** 30, BigInt(i) << 32n, { program: 1 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(set.stats.runs).toBeGreaterThan(0n);
      await set.close();
      object.close();
    }
    expect(count()).toBe(before);
  });

  it('take programs that come and go while they run, and lose no completion', async () => {
    const set = await Rings.create({ rings: 2, entries: 64 });
    const { runtime } = set.list[0]!;
    const object = await load(objectOf('relay'), { runtime });
    const program = set.attach(object).get('relay')!;
    object.maps['.bss']!.set(0, { next: [1, 0, 0, 0, 0, 0, 0, 0] });
    const TOKENS = 10;
    const HOPS = 3000;
    const seen: bigint[] = [];
    const collected = set.list.map(async (ring) => {
      for await (const { userData } of ring) seen.push(userData >> 32n);
    });
    for (let i = 0; i < TOKENS; i++) await set.next().message(set.next(), HOPS, BigInt(i) << 32n, { program });
    let rounds = 0;
    while (seen.length < TOKENS || rounds < 5) {
      const other = await load(objectOf('nops'), { runtime });
      other.close();
      await runtime.settled();
      rounds++;
    }
    expect(seen.sort()).toEqual(Array.from({ length: TOKENS }, (_, i) => BigInt(i)).sort());
    await set.close();
    await Promise.all(collected);
    object.close();
  });

  it('have their programs replaced while they run, and lose no completion', async () => {
    const set = await Rings.create({ rings: 2, entries: 64 });
    const { runtime } = set.list[0]!;
    const bytes = objectOf('relay');
    const fresh = async () => {
      const object = await load(bytes, { runtime });
      object.maps['.bss']!.set(0, { next: [1, 0, 0, 0, 0, 0, 0, 0] });
      return object;
    };
    let object = await fresh();
    const program = set.attach(object).get('relay')!;
    const TOKENS = 12;
    const HOPS = 2500;
    const seen: bigint[] = [];
    const collected = set.list.map(async (ring) => {
      for await (const { userData, flags } of ring) {
        expect(flags).toBe(0);
        seen.push(userData >> 32n);
      }
    });
    for (let i = 0; i < TOKENS; i++) await set.next().message(set.next(), HOPS, BigInt(i) << 32n, { program });
    let received = 0n;
    let used = 0;
    const count = () => {
      const { stations } = object.maps['.bss']!.get(0) as unknown as { stations: { received: bigint }[] };
      const of = stations.reduce((sum, each) => sum + each.received, 0n);
      if (of > 0n) used++;
      received += of;
    };
    for (let round = 0; round < 4 || seen.length < TOKENS; round++) {
      const next = await fresh();
      await set.replace(next);
      // Nothing of it is in use: what it has counted stays.
      count();
      object.close();
      object = next;
    }
    expect(seen.sort()).toEqual(Array.from({ length: TOKENS }, (_, i) => BigInt(i)).sort());
    // Closed while the rings have it.
    const held = object;
    held.close();
    await set.list[0]!.message(set.list[0]!, 6, 99n << 32n, { program });
    while (seen.length <= TOKENS) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(seen.at(-1)).toBe(99n);
    expect(received).toBeGreaterThanOrEqual(BigInt(TOKENS * HOPS));
    expect(used).toBeGreaterThan(1);
    await set.close();
    await Promise.all(collected);
  });

  it('do not keep a process that has exited from ending', async () => {
    const script = `
      import { Rings, load } from '${dist}index.js';
      import { readFileSync } from 'node:fs';
      const set = await Rings.create({ rings: 2 });
      const object = await load(new Uint8Array(readFileSync('${fileURLToPath(new URL('../bpf/objects/ring/relay.bpf.o', import.meta.url))}')), { runtime: set.list[0].runtime });
      set.attach(object);
      object.maps['.bss'].set(0, { next: [1, 0, 0, 0, 0, 0, 0, 0] });
      for (let i = 0; i < 8; i++) await set.next().message(set.next(), 2 ** 30, BigInt(i) << 32n, { program: 1 });
      console.log('busy');
      process.exit(7);
    `;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 });
    await expect(run).rejects.toMatchObject({ code: 7, stdout: 'busy\n' });
  });
});
