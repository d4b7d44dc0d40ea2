/** Random sequences of what programs and user space do with objects, in both engines and in the kernel, held against a model after every step. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { load, Runtime } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readStats } from '../src/runtime/allocators/stats.ts';
import { noClang } from './clang.ts';
import { type Action, actions, compileOwnership, describeAction, perform, performOnModel } from './ownership.ts';
import { inspectHeap } from './ownership-heap.ts';
import { OwnershipModel } from './ownership-model.ts';

/** Sequences of each property; more by hand. */
const RUNS = Number(process.env['SLUICE_OWNERSHIP_RUNS'] ?? 12);
const SEED = Number(process.env['SLUICE_OWNERSHIP_SEED'] ?? 2022);
const refusal = bpfRefusal();
const noKernel = refusal === undefined ? '' : ` (skipped: ${refusal})`;

describe.skipIf(noClang !== '')(`ownership of objects${noClang}`, () => {
  const spec = noClang === '' ? compileOwnership() : undefined;

  // Linux does not end what is stored into deleted elements before their memory goes back, and gives it to the next key.
  const kernelActions = actions((op) => op.startsWith('stale'));
  it.skipIf(refusal !== undefined)(`the model says what Linux does${noKernel}`, async () => {
    await fc.assert(
      fc.asyncProperty(kernelActions, async (sequence) => {
        const object = await load(spec!, { target: 'linux' });
        const model = new OwnershipModel('linux');
        try {
          for (const [i, action] of sequence.entries()) {
            const there = perform(object, action, i + 1);
            expect(there, `step ${i + 1}: ${describeAction(action)}`).toEqual(performOnModel(model, action, i + 1));
          }
        } finally {
          object.close();
        }
      }),
      { numRuns: Math.max(2, RUNS / 10), seed: SEED, endOnFailure: true },
    );
  });

  const engines = ['jit', 'interpreter'] as const;

  async function open() {
    return await Promise.all(
      engines.map(async (engine) => {
        const runtime = new Runtime({ seed: 1n });
        const object = await load(spec!, { engine, runtime });
        return { engine, runtime, object, allocator: runtime.plane.exports.allocator_global() };
      }),
    );
  }

  /** What the model has, as inspectHeap names it. */
  function named(model: OwnershipModel, stale: ReadonlySet<number>): string[] {
    const things = [...model.live()].map(
      ({ kind, id, references }) => `${id}${kind === 'node' ? `:${references}` : ''}`,
    );
    return [...things, ...[...stale].map(String)].sort();
  }

  async function follow(sequence: readonly Action[]): Promise<void> {
    const sides = await open();
    const model = new OwnershipModel();
    /** Who was at an address before, by side: equal on both is equal but for names. */
    const histories = sides.map(() => ({ last: new Map<number, number>(), reuse: [] as string[] }));
    for (const [i, action] of sequence.entries()) {
      const id = i + 1;
      const where = `step ${id}: ${describeAction(action)}`;
      const expected = performOnModel(model, action, id);
      for (const [k, { engine, runtime, object, allocator }] of sides.entries()) {
        expect(perform(object, action, id), `${where} in the ${engine}`).toEqual(expected);
        const { names, addresses } = inspectHeap(runtime.plane, allocator);
        // Objects in deleted elements go when the element's memory does, and until then may be seen.
        const stale = new Set(
          [...model.stale.table, ...model.stale.table_dynamic]
            .map((each) => each.id)
            .filter((each) => addresses.has(each)),
        );
        expect(names, `${where} in the ${engine}`).toEqual(named(model, stale));
        const { last, reuse } = histories[k]!;
        for (const [each, address] of addresses) {
          if (last.get(address) === each) continue;
          reuse.push(`${each} after ${last.get(address)}`);
          last.set(address, each);
        }
      }
      expect(histories[1]!.reuse, where).toEqual(histories[0]!.reuse);
    }
    for (const { runtime, object, allocator } of sides) {
      object.close();
      expect(inspectHeap(runtime.plane, allocator).names).toEqual([]);
      expect(readStats(runtime.plane, allocator)).toMatchObject({ live: 0, waiting: 0 });
    }
  }

  it('lives and goes as in the model, in both engines, after every step', async () => {
    await fc.assert(fc.asyncProperty(actions(), follow), { numRuns: RUNS, seed: SEED, endOnFailure: true });
  });
});
