/**
 * Random graphs of requests on rings over the simulated world, with everything going wrong: chains with policies, callbacks, groups, drains, cancellation
 * and finalisers. Whatever happens, every request ends exactly once, finalisers run, and nothing is left behind.
 * SLUICE_RING_SEED=n runs one seed again, SLUICE_RING_SEEDS=n so many.
 */
import { describe, expect, it } from 'vitest';
import { openFlags } from '../src/abi/io-uring/call-flags.ts';
import type { SqeWriter } from '../src/hooks/ring/options.ts';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { SimulatedBackend } from '../src/hooks/ring/simulated/backend.ts';
import { chaos, type Faults, noFaults } from '../src/hooks/ring/simulated/faults.ts';
import { World } from '../src/hooks/ring/simulated/world/index.ts';
import { type Random, random } from '../src/net/random.ts';
import {
  LINK_ALWAYS,
  LINK_EOF_OK,
  LINK_EXACT,
  LINK_KERNEL,
  LINK_RETRY_REST,
  LINK_SHORT_OK,
  RING_AGAIN,
  RING_BREAK,
  RING_FINALLY,
  RING_HIDDEN,
  RING_POST,
  RING_QUIET_CANCEL,
} from '../src/plane/layout/ring.ts';
import { Ring } from '../src/ring.ts';
import { Runtime } from '../src/runtime/runtime.ts';

const runtime = new Runtime({ seed: 1n });
const MEMORY = runtime.allocatePages(1 << 17);
const PATH = MEMORY;
const MISSING = MEMORY + 64;
const TIME = MEMORY + 128;
const SLOTS = MEMORY + 192;
const BUFFERS = MEMORY + 4096;
const CHAINS = 6;
const CQE_F_MORE = 2;
const FILES2 = 13;

const policies = [LINK_KERNEL, LINK_EXACT, LINK_SHORT_OK, LINK_RETRY_REST, LINK_EOF_OK, LINK_ALWAYS] as const;

/** What is known of a request while it runs. */
interface Tracked {
  readonly extra: number;
  readonly calls: boolean;
  /** Callbacks that ended it, and whether the last one posts. */
  runs: number;
  posts: boolean;
  again: number;
  completions: number;
}

interface Outcome {
  readonly requests: Map<number, Tracked>;
  readonly stats: { readonly ended: number; readonly cancelled: number; readonly called: number };
}

function prepare(): void {
  const bytes = runtime.bytes();
  bytes.set(new TextEncoder().encode('/data\0'), PATH);
  bytes.set(new TextEncoder().encode('/missing\0'), MISSING);
  const view = runtime.view();
  view.setBigInt64(TIME, 0n, true);
  view.setBigInt64(TIME + 8, 20_000n, true);
  view.setUint32(SLOTS, CHAINS, true);
  view.setUint32(SLOTS + 4, 1, true);
}

/** One member between the open and the close of a chain. */
function member(source: Random, slot: number, options: prep.RequestOptions): SqeWriter {
  const buffer = BUFFERS + source.below(16) * 4096;
  const length = 1 + source.below(3000);
  const offset = source.below(9000);
  const fixed = { ...options, fixedFile: true };
  return source.pick<SqeWriter>([
    (view, at) => prep.read(view, at, slot, buffer, length, offset, fixed),
    (view, at) => prep.write(view, at, slot, buffer, length, offset, fixed),
    (view, at) => prep.fsync(view, at, slot, fixed),
    (view, at) => prep.nop(view, at, { ...options, result: source.chance(1, 4) ? -5 : source.below(100) }),
    (view, at) => prep.timeout(view, at, TIME, options),
  ]);
}

async function run(seed: number, faults: Faults): Promise<Outcome> {
  const source = random(seed);
  const world = new World();
  world.file('/data', new Uint8Array(8000).fill(seed));
  const backend = new SimulatedBackend(runtime, { seed, world, faults, entries: 16, cqEntries: 32 });
  const ring = await Ring.create({ runtime, backend, requests: 128, staged: 64, programs: 8, groups: 4 });
  const requests = new Map<number, Tracked>();
  let emitted = 10_000;
  try {
    expect(backend.register(FILES2, SLOTS, 32)).toBe(0);
    const callback = ring.programs.add('callback', (context) => {
      const tracked = requests.get(Number(context.userData))!;
      const choice = source.below(6);
      if (choice === 0 && tracked.again++ < 2) return RING_AGAIN;
      tracked.runs++;
      if (choice === 1 && emitted - 10_000 < 20) {
        const userData = emitted++;
        track(userData, 0, false);
        context.submit((view, at) => prep.nop(view, at, { userData, result: source.below(3) - 1 }));
      }
      const verdict = [0, RING_POST, RING_POST, RING_POST | RING_BREAK, RING_BREAK, 0][choice]!;
      tracked.posts = (verdict & RING_POST) !== 0;
      return verdict;
    });
    const track = (userData: number, extra: number, calls: boolean) =>
      requests.set(userData, { extra, calls, runs: 0, posts: false, again: 0, completions: 0 });
    const take = () => {
      ring.completions.take((low, _high, _res, flags) => {
        expect(flags & CQE_F_MORE).toBe(0);
        const tracked = requests.get(low);
        expect(tracked, `a completion of request ${low}, which there is none of`).toBeDefined();
        tracked!.completions++;
      });
    };
    for (const group of [1, 2, 3]) ring.setGroup(group, { parallel: source.chance(1, 2) });
    let userData = 1;
    const chains = 1 + source.below(CHAINS);
    for (let chain = 0; chain < chains; chain++) {
      const group = source.below(4);
      const members = 2 + source.below(5);
      for (let index = 0; index < members; index++) {
        const last = index === members - 1;
        const extra = last
          ? RING_FINALLY
          : source.pick([0, 0, 0, RING_HIDDEN, RING_QUIET_CANCEL, RING_HIDDEN | RING_QUIET_CANCEL]);
        const calls = !last && source.chance(1, 3);
        const options: prep.RequestOptions = {
          userData,
          group,
          extra,
          policy: source.pick(policies),
          callback: calls ? callback : 0,
          drain: index === 0 && source.chance(1, 8),
          ...(last ? {} : source.chance(1, 5) ? { hardlink: true } : { link: true }),
        };
        track(userData++, extra, calls);
        const path = source.chance(1, 10) ? MISSING : PATH;
        if (index === 0)
          ring.stage((view, at) => prep.openat(view, at, path, openFlags.RDWR, 0, { ...options, slot: chain }));
        else if (last) ring.stage((view, at) => prep.closeDirect(view, at, chain, options));
        else ring.stage(member(source, chain, options));
      }
      if (source.chance(1, 2)) ring.submit();
      if (source.chance(1, 3)) {
        const target = 1 + source.below(userData - 1);
        if ((requests.get(target)!.extra & RING_FINALLY) === 0) ring.cancel(BigInt(target));
      }
      take();
    }
    ring.submit();
    for (let rounds = 0; ring.live > 0; rounds++) {
      expect(rounds, 'rounds until all is done').toBeLessThan(1000);
      ring.submitAndWait(1);
      take();
    }
    take();
    expect(ring.live).toBe(0);
    expect(ring.issued).toBe(0);
    expect(backend.inFlight).toBe(0);
    expect(backend.directDescriptors, 'slots whose finaliser has not run').toEqual([]);
    expect(world.openDescriptors).toEqual([]);
    expect(ring.stats.escalated).toBe(0n);
    let [ended, called] = [0, 0];
    for (const [user, { extra, calls, runs, posts, completions }] of requests) {
      const hidden = (extra & RING_HIDDEN) !== 0;
      const quiet = (extra & RING_QUIET_CANCEL) !== 0;
      const what = `completions of request ${user}`;
      expect(runs, `ends of request ${user} in its callback`).toBeLessThanOrEqual(calls ? 1 : 0);
      if (hidden) expect(completions, what).toBe(0);
      else if (runs === 1) expect(completions, what).toBe(posts ? 1 : 0);
      else if (quiet) expect(completions, what).toBeLessThanOrEqual(1);
      else expect(completions, what).toBe(1);
      ended += completions;
      called += runs;
    }
    return { requests, stats: { ended, called, cancelled: Number(ring.stats.cancelled) } };
  } catch (error) {
    const told = error instanceof Error ? error : new Error(String(error));
    told.message = `seed ${seed} (again: SLUICE_RING_SEED=${seed} npx vitest run test/ring-simulated.test.ts): ${told.message}\n${backend.history.text(60)}`;
    throw told;
  } finally {
    await ring.close();
  }
}

function seeds(count: number): number[] {
  const { SLUICE_RING_SEED: one, SLUICE_RING_SEEDS: many } = process.env;
  if (one !== undefined) return [Number(one)];
  return Array.from({ length: many === undefined ? count : Number(many) }, (_, index) => index + 1);
}

describe('a simulated run', () => {
  /** Readers that wait for each other's results, as promises do; `slow`: JavaScript is kept busy between, at random. */
  async function digest(seed: number, slow: boolean): Promise<number> {
    const world = new World();
    world.file('/data', new Uint8Array(8000).fill(seed));
    const backend = new SimulatedBackend(runtime, { seed, world, faults: chaos, entries: 16 });
    const ring = await Ring.create({ runtime, backend, requests: 128 });
    const busy = slow
      ? setInterval(() => {
          const until = performance.now() + Math.random() * 3;
          while (performance.now() < until);
        }, 0)
      : undefined;
    const fd = world.open('/data');
    const reader = async (index: number) => {
      let offset = index * 10;
      for (let round = 0; round < 5; round++) {
        const length = 1 + ((offset * 7) % 500);
        const write: SqeWriter = (view, at) => prep.read(view, at, fd, BUFFERS + index * 4096, length, offset % 8000);
        offset += await ring.request('read', write).catch((error) => -error.res);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, index) => reader(index)));
    clearInterval(busy);
    const result = backend.history.digest();
    await ring.close();
    return result;
  }

  it('is the same again, however fast JavaScript is', async () => {
    const digests = new Set<number>();
    for (let seed = 1; seed <= 6; seed++) {
      const first = await digest(seed, false);
      digests.add(first);
      expect(await digest(seed, true), `seed ${seed}`).toBe(first);
    }
    expect(digests.size).toBe(6);
  });
});

describe('graphs of requests on a ring', () => {
  prepare();
  const single = process.env.SLUICE_RING_SEED !== undefined;

  it('end, release what they hold, and tell once: without faults', async () => {
    const sum = { ended: 0, called: 0, cancelled: 0 };
    for (const seed of seeds(200)) {
      const { stats } = await run(seed, noFaults);
      sum.ended += stats.ended;
      sum.called += stats.called;
      sum.cancelled += stats.cancelled;
    }
    if (!single) for (const count of Object.values(sum)) expect(count).toBeGreaterThan(100);
  }, 120_000);

  it('end, release what they hold, and tell once: with every fault', async () => {
    for (const seed of seeds(500)) await run(seed, chaos);
  }, 120_000);
});
