/**
 * Objects that programs own, in both engines and the kernel: random operation programs (bpf/mem/operations.bpf.c) return the same, leave as many objects, and
 * nothing stays when their maps go; chains of lists as deep as types may own each other (bpf/mem/nested.bpf.c) go with the map that they hang on.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { readObject } from '../src/object/index.ts';
import { type PolicyName, policyNames } from '../src/runtime/allocators/policy.ts';
import { readStats } from '../src/runtime/allocators/stats.ts';
import { PlaneMap } from '../src/runtime/maps/plane-map.ts';
import { Runtime } from '../src/runtime/runtime.ts';

const object = (name: string) =>
  readObject(readFileSync(new URL(`../bpf/objects/mem/${name}.bpf.o`, import.meta.url)), `${name}.bpf.o`);
const operations = object('operations');
const nested = object('nested');
const refusal = bpfRefusal();

/** Live objects of the allocator that bpf_obj_new takes from. */
function liveObjects({ plane }: Runtime): number {
  return readStats(plane, plane.exports.allocator_global() >>> 0).live;
}

/** Packets of operations, as the program takes them: 14 bytes at least. */
const packets = fc.array(fc.uint8Array({ minLength: 14, maxLength: 64 }), { minLength: 1, maxLength: 12 });

async function runHere(
  engine: 'jit' | 'interpreter',
  cpus: number,
  inputs: readonly Uint8Array[],
  policy?: PolicyName,
) {
  const runtime = new Runtime({ cpus, seed: 1n });
  const loaded = await load(operations, { runtime, engine, ...(policy === undefined ? {} : { policy }) });
  const program = loaded.programs.run_operations!;
  const results = inputs.map((data) => {
    const { returnValue } = program.run({ data });
    return [returnValue, liveObjects(runtime)];
  });
  loaded.close();
  return { results, left: liveObjects(runtime) };
}

const results = (returned: readonly (readonly number[])[]) => returned.map(([value]) => value);

let compared = 0;
afterAll(() => console.log(`${compared} sequences of operations on objects compared with the kernel's`));

describe('operations on objects', () => {
  it('return the same in both engines, leave as many objects after each packet, and none when the maps go', async () => {
    await fc.assert(
      fc.asyncProperty(packets, fc.constantFrom(1, 2), async (inputs, cpus) => {
        const jit = await runHere('jit', cpus, inputs);
        const interpreter = await runHere('interpreter', cpus, inputs);
        expect(interpreter).toEqual(jit);
        expect(jit.left).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it('return the same under every policy of allocators', async () => {
    await fc.assert(
      fc.asyncProperty(packets, fc.constantFrom('jit', 'interpreter'), async (inputs, engine) => {
        const [first, ...others] = await Promise.all(policyNames.map((policy) => runHere(engine, 1, inputs, policy)));
        for (const other of others) expect(other).toEqual(first);
        expect(first!.left).toBe(0);
      }),
      { numRuns: 8 },
    );
  });

  it('are the sum that the operations make', async () => {
    // Two nodes behind each other (5, 6), one in front (7); popped from the front (7), the end (6), the front (5).
    const data = Uint8Array.from([5, 6, 32 | 7, 96, 96 | 1, 96, ...new Array<number>(8).fill(96)]);
    const { results: returned } = await runHere('jit', 1, [data]);
    const sum = [7, 6, 5].reduce((before, key) => before * 31 + key + 1, 0);
    expect(returned).toEqual([[sum + 6, 0]]);
  });

  it.skipIf(refusal !== undefined)(
    `are the kernel's${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    async () => {
      await fc.assert(
        fc.asyncProperty(packets, async (inputs) => {
          const loaded = await load(operations, { target: 'linux' });
          try {
            const there = inputs.map((data) => loaded.programs.run_operations!.run({ data }).returnValue);
            expect(results((await runHere('jit', 1, inputs)).results)).toEqual(there);
            compared++;
          } finally {
            loaded.close();
          }
        }),
        { numRuns: 20 },
      );
    },
  );
});

describe('lists of objects that have lists', () => {
  const key = Uint8Array.from([1, 0, 0, 0]);
  const data = new Uint8Array(14).fill(1);

  const cases = policyNames.flatMap((policy) =>
    (['jit', 'interpreter'] as const).map((engine) => ({ engine, policy })),
  );
  for (const { engine, policy } of cases)
    it(`go down to the last leaf with what owns them (${engine}, ${policy})`, async () => {
      const runtime = new Runtime({ seed: 1n });
      const loaded = await load(nested, { runtime, engine, policy });
      const { grow, shrink } = loaded.programs;
      const tops = loaded.maps.tops!.raw;
      if (!(tops instanceof PlaneMap)) throw new Error('not a map of the plane');
      tops.update(key, new Uint8Array(24));
      for (let i = 0; i < 50; i++) expect(grow!.run({ data }).returnValue).toBe(7);
      expect(liveObjects(runtime)).toBe(350);
      expect(shrink!.run({ data }).returnValue).toBe(7);
      expect(liveObjects(runtime)).toBe(343);
      // The value is written over: what it had goes.
      tops.update(key, new Uint8Array(24));
      expect(liveObjects(runtime)).toBe(0);
      for (let i = 0; i < 3; i++) grow!.run({ data });
      tops.delete(key);
      expect(liveObjects(runtime)).toBe(0);
      tops.update(key, new Uint8Array(24));
      for (let i = 0; i < 1000; i++) grow!.run({ data });
      expect(liveObjects(runtime)).toBe(7000);
      loaded.close();
      expect(liveObjects(runtime)).toBe(0);
    });
});
