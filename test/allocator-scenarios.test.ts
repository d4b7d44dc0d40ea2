/** The scenarios that take more than a map and a packet, under every policy: elements that are gone, a second thread, and allocators that are changed between loads. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { load, Runtime } from '../src/index.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import { WORKER_FUEL } from '../src/plane/layout/worker.ts';
import { type PolicyName, policyNames } from '../src/runtime/allocators/policy.ts';
import { allocatorsOf } from '../src/runtime/allocators/store.ts';
import { workerAddress } from '../src/runtime/memory.ts';
import { planeModule } from '../src/runtime/plane.ts';
import type { ProgramModule } from '../src/runtime/runtime.ts';
import { named, open, run, use, verdicts } from './allocator-testbed.ts';

/** The allocator that objects of `ma` come from. */
const source = (runtime: Runtime, policy: PolicyName) =>
  policy === 'global' ? allocatorsOf(runtime.plane).global : named(runtime, 'ma');

describe('S9: objects that are stored into deleted elements', () => {
  for (const engine of ['jit', 'interpreter'] as const)
    it.each(policyNames)(`go with the element’s memory, or with the map: %s, ${engine}`, async (policy) => {
      const runtime = new Runtime();
      const object = await use('scenarios', runtime, { policy, engine });
      const allocator = source(runtime, policy);
      const most: number[] = [];
      for (const program of ['stale_table', 'stale_table_dynamic'])
        for (let i = 0; i < 50; i++) {
          expect(run(object, program, i & 3)).toBe(1);
          most.push(allocator.stats()!.live);
        }
      // At most what deleted elements there are, of two tables of four and the ones that each CPU has ready: none is lost at reuse.
      expect(Math.max(...most)).toBeLessThanOrEqual(10);
      expect(Math.max(...most)).toBeGreaterThan(0);
      open.pop()!.close();
      expect(allocator.stats()?.live ?? 0).toBe(0);
      expect(allocator.state).toBe(policy === 'global' ? 'open' : 'dead');
    });
});

/** Runs give_back on a CPU of its own whenever the turn is odd. */
const thread = `
const { workerData } = require('node:worker_threads');
const { memory, plane: module, worker, programs, base, size, turns, context } = workerData;
const table = new WebAssembly.Table({ initial: base + size, element: 'anyfunc' });
const global = (value) => new WebAssembly.Global({ value: 'i32' }, value);
const plane = new WebAssembly.Instance(module, { env: { memory, table, worker, now: () => 0, ring_function: () => 0, lock_waits: () => {} } }).exports;
const env = { memory, table, worker: global(worker), table_base: global(base) };
const { give_back } = new WebAssembly.Instance(programs, { env, plane }).exports;
const [turn, freed] = [new Int32Array(turns, 0, 1), new Float64Array(turns, 8, 1)];
const view = new DataView(memory.buffer);
for (;;) {
  const now = Atomics.load(turn, 0);
  if (now < 0) break;
  if ((now & 1) === 0) { Atomics.wait(turn, 0, now); continue; }
  plane.epoch_enter();
  view.setUint32(worker + ${WORKER_FUEL}, 1e9, true);
  freed[0] += Number(give_back(BigInt(context)));
  plane.epoch_exit();
  Atomics.store(turn, 0, now + 1);
  Atomics.notify(turn, 0);
}
`;

describe('S15: objects that one CPU makes and another gives back', () => {
  const QUEUE = 1024;
  const SIZE = 48;
  /** Of each policy: a second or two. */
  const objects = Number(process.env.SLUICE_CROSS_OBJECTS ?? 10_000_000);
  const rounds = Math.ceil(objects / QUEUE);

  it.each(policyNames)(
    `${rounds * QUEUE} of them take at most twice the memory of what is live: %s`,
    async (policy) => {
      const runtime = new Runtime({ cpus: 2 });
      const object = await use('scenarios', runtime, { policy, programs: ['make', 'give_back'] });
      const modules = [...runtime.modules];
      const [{ module: programs, base, size }] = modules as [ProgramModule];
      const turns = new SharedArrayBuffer(16);
      const [turn, freed] = [new Int32Array(turns, 0, 1), new Float64Array(turns, 8, 1)];
      const common = { memory: runtime.plane.memory, plane: planeModule(), worker: workerAddress(1) };
      const context = runtime.allocatePages(65536);
      const worker = new Worker(thread, {
        eval: true,
        workerData: { ...common, programs, base, size, turns, context },
      });
      const allocator = source(runtime, policy);
      let peak = 0;
      try {
        await once(worker, 'online');
        for (let i = 0; i < rounds; i++) {
          if (run(object, 'make') !== QUEUE) throw new Error('no memory');
          if (i % 64 === 0) peak = Math.max(peak, allocator.stats()!.slabBytes);
          Atomics.store(turn, 0, 2 * i + 1);
          Atomics.notify(turn, 0);
          while (Atomics.load(turn, 0) === 2 * i + 1)
            if (Atomics.wait(turn, 0, 2 * i + 1, 30_000) === 'timed-out') throw new Error('the thread does not answer');
        }
      } finally {
        Atomics.store(turn, 0, -1);
        Atomics.notify(turn, 0);
        await once(worker, 'exit');
      }
      expect(freed[0]).toBe(rounds * QUEUE);
      expect(allocator.stats()!.live).toBe(0);
      expect(peak).toBeGreaterThanOrEqual(QUEUE * SIZE);
      expect(peak).toBeLessThanOrEqual(2 * QUEUE * SIZE);
    },
    120_000,
  );
});

describe('F13: an allocator of a program’s own becomes one that is shared', () => {
  const spec = (name: string): ObjectSpec => readObject(readFileSync(`bpf/objects/mem/${name}.bpf.o`), `${name}.bpf.o`);
  /** Not pinned: all that it makes is new. */
  const withNewMaps = (object: ObjectSpec): ObjectSpec => ({
    ...object,
    maps: new Map([...object.maps].map(([name, map]) => [name, { ...map, pinning: 'none' }])),
  });

  /** One version puts an object into a pinned map and is unloaded; the next one, whose `ma` is pinned, does so too. */
  const refactored = (before: string, after: string, drain: boolean, fresh = false) =>
    verdicts(async (policy) => {
      const runtime = new Runtime();
      const first = await use(before, runtime, { policy });
      expect(run(first, 'put', 7)).toBe(1);
      if (drain) expect([run(first, 'move', 7), run(first, 'take', 7)]).toEqual([1, 1]);
      const old = source(runtime, policy);
      open.pop()!.close();
      const next = spec(after);
      const second = await load(fresh ? withNewMaps(next) : next, { runtime, policy });
      open.push(second);
      expect([run(second, 'put', 9), run(second, 'move', 9), run(second, 'take', 9)]).toEqual([1, 1, 1]);
      if (policy === 'global') return;
      expect(named(runtime, 'ma').id).not.toBe(old.id);
      expect(old.stats()?.live ?? 0).toBe(drain ? 0 : 1);
    });

  it('whenever (dynamic), once its objects are gone (per-field)', async () => {
    // Maps that name no allocator: per-map takes no objects of `ma` into them.
    expect(await refactored('moves_fresh', 'moves', false)).toBe('A/A/R/R');
    expect(await refactored('moves_fresh', 'moves', true)).toBe('A/A/A/R');
  });

  it('with new maps, where it is the map that says it', async () => {
    expect(await refactored('moves_shared_fresh', 'moves_shared', false)).toBe('A/A/R/R');
    expect(await refactored('moves_shared_fresh', 'moves_shared', true)).toBe('A/A/R/R');
    expect(await refactored('moves_shared_fresh', 'moves_shared', false, true)).toBe('A/A/A/A');
    expect(await refactored('moves_shared_fresh', 'moves_shared', true, true)).toBe('A/A/A/A');
  });

  it('and bpf_obj_new, which names none, one that is named: at once, but for per-map', async () => {
    expect(
      await verdicts(async (policy) => {
        const runtime = new Runtime();
        const first = await use('two', runtime, { policy, programs: ['new_in_a'] });
        expect(run(first, 'new_in_a', 7)).toBe(1);
        open.pop()!.close();
        const second = await use('two', runtime, { policy, programs: ['first_in_a', 'empty'] });
        expect([run(second, 'first_in_a', 8), run(second, 'empty', 7), run(second, 'empty', 8)]).toEqual([1, 1, 1]);
      }),
    ).toBe('A/A/A/R');
  });
});
