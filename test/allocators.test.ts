/** The scenarios of allocators (docs/allocators.md) as C programs under every policy. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MapOfMapsHandle, Runtime, type UserObject } from '../src/index.ts';
import { WORKER_NO_REFILL } from '../src/plane/layout/worker.ts';
import { policyNames } from '../src/runtime/allocators/policy.ts';
import { allocatorsOf } from '../src/runtime/allocators/store.ts';
import { globalLive, live, named, open, run, use, verdict, verdicts } from './allocator-testbed.ts';

const orders = [
  'put move take',
  'put take move',
  'move put take',
  'move take put',
  'take put move',
  'take move put',
].map((order) => order.split(' '));

describe('scenarios', () => {
  it('S1: one program allocates, stashes, takes back and frees', async () => {
    for (const engine of ['jit', 'interpreter'] as const)
      expect(
        await verdicts(async (policy) => {
          const runtime = new Runtime();
          const object = await use('moves_shared', runtime, { policy, engine });
          expect(run(object, 'put', 1)).toBe(1);
          expect([live(runtime, 'ma'), globalLive(runtime)]).toEqual(policy === 'global' ? [0, 1] : [1, 0]);
          expect(run(object, 'move', 1)).toBe(1);
          expect(run(object, 'take', 1)).toBe(1);
          expect(run(object, 'take', 1)).toBe(0);
          expect([live(runtime, 'ma'), globalLive(runtime)]).toEqual([0, 0]);
        }),
      ).toBe('A/A/A/A');
  });

  it('S2: three programs pass objects on, loaded in all orders', async () => {
    for (const order of orders)
      expect(
        await verdicts(async (policy) => {
          const runtime = new Runtime();
          const objects = new Map<string, UserObject>();
          for (const program of order)
            objects.set(program, await use('moves_shared', runtime, { policy, programs: [program] }));
          for (const program of ['put', 'move', 'take']) expect(run(objects.get(program)!, program, 5)).toBe(1);
          expect(live(runtime, 'ma')).toBe(0);
        }),
      ).toBe('A/A/A/A');
  });

  it('S2: without a common kptr_allocator per-map refuses who allocates, whatever the order', async () => {
    for (const order of orders) {
      expect(
        await verdicts(async (policy) => {
          const runtime = new Runtime();
          for (const program of order) await use('moves', runtime, { policy, programs: [program] });
        }),
      ).toBe('A/A/A/R');
    }
  });

  it('S3: two programs put objects of two allocators into one field', async () => {
    for (const order of [
      ['first_in_a', 'second_in_a'],
      ['second_in_a', 'first_in_a'],
    ])
      expect(
        await verdicts(async (policy) => {
          const runtime = new Runtime();
          for (const program of order) await use('two', runtime, { policy, programs: [program] });
        }),
      ).toBe('A/A/R/R');
  });

  it('S4: two fields of one value hold objects of two allocators', async () => {
    expect(
      await verdicts(async (policy) => {
        const runtime = new Runtime();
        const object = await use('two', runtime, { policy, programs: ['first_in_a', 'second_in_b'] });
        expect([run(object, 'first_in_a', 1), run(object, 'second_in_b', 1)]).toEqual([1, 1]);
        if (policy !== 'global') expect([live(runtime, 'first'), live(runtime, 'second')]).toEqual([1, 1]);
      }),
    ).toBe('A/A/A/R');
  });

  it('S5: an allocator that nobody holds stays while its objects live, and goes with the last one', async () => {
    expect(
      await verdicts(async (policy) => {
        const runtime = new Runtime();
        const first = await use('moves_shared_fresh', runtime, { policy });
        run(first, 'put', 2);
        run(first, 'move', 2);
        const allocator = policy === 'global' ? allocatorsOf(runtime.plane).global : named(runtime, 'ma');
        first.close();
        expect(allocator.stats()!.live).toBe(1);
        const consumer = await use('moves_shared_fresh', runtime, { policy, programs: ['take'], merge: true });
        expect(run(consumer, 'take', 2)).toBe(1);
        expect(allocator.stats()!.live).toBe(0);
      }),
    ).toBe('A/A/A/A');
  });

  it('S6: a reload with another allocator, alike', async () => {
    const reload = (merge: boolean) =>
      verdicts(async (policy) => {
        const runtime = new Runtime();
        const first = await use('moves_shared_fresh', runtime, { policy });
        expect(run(first, 'put', 2)).toBe(1);
        const old = named(runtime, 'ma');
        first.close();
        const second = await use('moves_shared_fresh', runtime, { policy, merge });
        expect(run(second, 'put', 3)).toBe(1);
        expect(run(second, 'move', 2)).toBe(1);
        expect(run(second, 'take', 2)).toBe(1);
        if (policy !== 'global') expect(named(runtime, 'ma').id).not.toBe(old.id);
        if (policy === 'per-field' || policy === 'per-map') expect(named(runtime, 'ma').isOneWith(old)).toBe(true);
        if (policy !== 'global') expect([old.stats()!.live, live(runtime, 'ma')]).toEqual([0, 1]);
      });
    expect(await reload(true)).toBe('A/A/A/A');
    expect(await reload(false)).toBe('A/A/R/R');
  });

  it('S7: after unload and drain the fields are open again, but for a map’s own allocator', async () => {
    const again = (drain: boolean) =>
      verdicts(async (policy) => {
        const runtime = new Runtime();
        const first = await use('two', runtime, {
          policy,
          programs: policy === 'per-map' ? [] : ['first_in_a', 'empty'],
        });
        if (policy !== 'per-map') {
          expect(run(first, 'first_in_a', 7)).toBe(1);
          if (drain) expect(run(first, 'empty', 7)).toBe(1);
        }
        first.close();
        const second = await use('two', runtime, { policy, programs: ['second_in_a'] });
        expect(run(second, 'second_in_a', 7)).toBe(1);
      });
    expect(await again(true)).toBe('A/A/A/R');
    expect(await again(false)).toBe('A/A/R/R');
  });

  it('S10: after prefill(1000), 1000 allocations, 1000 frees and 1000 allocations succeed where nothing can be refilled', async () => {
    const count = 1000;
    for (const policy of policyNames) {
      const runtime = new Runtime();
      const object = await use('prefill', runtime, { policy });
      const noRefill = (value: number) =>
        runtime.view().setUint32(runtime.plane.worker + WORKER_NO_REFILL, value, true);
      const all = (operation: number) => {
        for (let i = 0; i < count; i++) expect(run(object, 'operate', operation, i)).toBe(1);
      };
      expect(run(object, 'operate', 0, count)).toBe(1);
      noRefill(1);
      all(1);
      all(2);
      all(1);
      // The next one may fail, and does where the caches are empty too; what is set apart is nobody else's (I12).
      let more = 0;
      while (more < 1000 && run(object, 'operate', 1, count + more) === 1) more++;
      expect(more).toBeLessThan(1000);
      expect(run(object, 'steal')).toBe(2);
      noRefill(0);
      expect(run(object, 'steal')).toBe(1);
    }
  });

  it('S11: at the quota an allocation gives NULL, and only there', async () => {
    for (const engine of ['jit', 'interpreter'] as const)
      for (const policy of policyNames) {
        const runtime = new Runtime();
        const object = await use('two', runtime, {
          policy,
          engine,
          programs: policy === 'per-map' ? ['new_in_b'] : ['second_in_b', 'empty'],
        });
        if (policy === 'per-map') continue;
        const results = Array.from({ length: 10 }, (_, i) => run(object, 'second_in_b', i));
        // Linux has no quotas.
        expect(results).toEqual(policy === 'global' ? Array(10).fill(1) : [...Array(8).fill(1), 2, 2]);
        expect(run(object, 'empty', 3)).toBe(1);
        expect(run(object, 'second_in_b', 9)).toBe(1);
      }
  });

  it('S13: a map with another allocator goes into a map of maps', async () => {
    expect(
      await verdicts(async (policy) => {
        const runtime = new Runtime();
        const object = await use('inner', runtime, { policy, programs: ['put_inner'] });
        expect(run(object, 'put_inner', 0)).toBe(1);
        const { outer, of_a, of_b } = object.maps;
        (outer as MapOfMapsHandle).put(1, of_a!);
        expect(run(object, 'put_inner', 1)).toBe(1);
        (outer as MapOfMapsHandle).put(2, of_b!);
        expect(run(object, 'put_inner', 2)).toBe(1);
      }),
    ).toBe('A/A/R/R');
  });

  it('S14, S16: objects of the global allocator, per-CPU ones too, are nobody’s conflict', async () => {
    expect(
      await verdicts(async (policy) => {
        const runtime = new Runtime();
        const counters = await use('inner', runtime, { policy, programs: ['put_counter'] });
        expect([run(counters, 'put_counter'), run(counters, 'put_counter')]).toEqual([1, 1]);
        const object = await use('two', runtime, { policy, programs: ['new_in_a', 'new_in_b', 'empty'] });
        expect([run(object, 'new_in_a', 1), run(object, 'new_in_b', 1)]).toEqual([1, 1]);
        expect(globalLive(runtime)).toBe(3);
        expect(run(object, 'empty', 1)).toBe(1);
        expect(globalLive(runtime)).toBe(1);
        expect([live(runtime, 'first'), live(runtime, 'second')]).toEqual([0, 0]);
      }),
    ).toBe('A/A/A/A');
  });

  it('say what meets where, and leave no trace of what was refused (I15)', async () => {
    const runtime = new Runtime();
    await use('two', runtime, { policy: 'per-field', programs: ['first_in_a'] });
    const store = allocatorsOf(runtime.plane);
    const held = () => [store.programs.length, store.all().map(({ name, address }) => [name, address])];
    const before = JSON.stringify([held(), named(runtime, 'second').stats()!.references]);
    await expect(use('two', runtime, { policy: 'per-field', programs: ['second_in_a'] })).rejects.toThrow(
      /pairs\.a can hold objects of one allocator only.*program first_in_a of two\.bpf\.o puts objects of first there.*program second_in_a of two\.bpf\.o puts objects of second there.*two\.bpf\.c:\d+/s,
    );
    expect(JSON.stringify([held(), named(runtime, 'second').stats()!.references])).toBe(before);
    await expect(use('two', runtime, { policy: 'dynamic', programs: ['second_in_b'] })).rejects.toMatchObject({
      code: 'SLUICE_ALLOCATOR_POLICY',
    });
  });

  it('have verdicts that do not depend on what was loaded and unloaded before (I7, I8)', async () => {
    const programs = ['first_in_a', 'second_in_a', 'second_in_b', 'empty'] as const;
    const fits = (set: ReadonlySet<string>) => !(set.has('first_in_a') && set.has('second_in_a'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.constantFrom(...programs)), { maxLength: 12 }),
        async (steps) => {
          const runtime = new Runtime();
          const loaded = new Map<string, UserObject>();
          for (const [load_, program] of steps) {
            if (!load_) {
              loaded.get(program)?.close();
              loaded.delete(program);
            } else if (!loaded.has(program)) {
              const wanted = fits(new Set([...loaded.keys(), program])) ? 'A' : 'R';
              const loading = use('two', runtime, { policy: 'per-field', programs: [program] });
              expect(await verdict(loading)).toBe(wanted);
              if (wanted === 'A') loaded.set(program, await loading);
            }
            const fields = [...(allocatorsOf(runtime.plane).binding?.fields.values() ?? [])].map(
              ({ field, allocators }) => `${field.text}=${allocators.map(({ name }) => name)}`,
            );
            const expected = [
              ...(loaded.has('first_in_a') ? ['pairs.a=first'] : []),
              ...(loaded.has('second_in_a') ? ['pairs.a=second'] : []),
              ...(loaded.has('second_in_b') ? ['pairs.b=second'] : []),
            ];
            expect(fields.sort()).toEqual(expected.sort());
          }
          for (const each of loaded.values()) each.close();
          expect(allocatorsOf(runtime.plane).binding).toBeUndefined();
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('allocators that maps name', () => {
  it.each(policyNames)(
    'give objects to programs, up to their quota, and get them back with the map: %s',
    async (policy) => {
      for (const engine of ['jit', 'interpreter'] as const) {
        const runtime = new Runtime();
        const object = await use('declared', runtime, { policy, engine });
        // Lengths are keys: nine of them, and a quota of eight objects.
        const kept = (program: string) =>
          Array.from(
            { length: 9 },
            (_, i) => object.programs[program]!.run({ data: new Uint8Array(60 + i) }).returnValue,
          );
        const counts = policy !== 'global';
        expect(kept('keep_in_hash')).toEqual(counts ? [1, 1, 1, 1, 1, 1, 1, 1, 0] : new Array(9).fill(1));
        expect(live(runtime, 'ma')).toBe(counts ? 8 : 0);
        expect(kept('keep_in_own')).toEqual(new Array(9).fill(1));
        expect(live(runtime, 'own.kptr_allocator')).toBe(counts ? 9 : 0);
        const elements = live(runtime, 'hash.elem_allocator');
        expect(kept('from_elements')).toEqual(new Array(9).fill(1));
        expect(live(runtime, 'hash.elem_allocator')).toBe(elements);
        expect(globalLive(runtime)).toBe(counts ? 0 : 18);
        // Deleted: at once, and for another.
        const { hash } = object.maps;
        for (const key of [...hash!.keys()]) hash!.delete(key);
        expect(live(runtime, 'ma')).toBe(0);
        expect(kept('keep_in_hash')[0]).toBe(1);
        open.pop()!.close();
        expect(globalLive(runtime)).toBe(0);
      }
    },
  );
});
