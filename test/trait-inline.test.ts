// Traits with known keys, which the JIT expands, against calls of the plane: the programs of bench metadata, and random operations, in every layout and place.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { readObject } from '../src/object/index.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { type TraitLayout, type TraitPlacement, traitLayouts, traitPlacements } from '../src/runtime/traits.ts';
import { runOperations, type TraitOperation, traitKinds } from './trait-operations.ts';

const spec = (path: string) =>
  readObject(readFileSync(fileURLToPath(new URL(`../bpf/objects/${path}.bpf.o`, import.meta.url))), path);
const formats = (Object.keys(traitLayouts) as TraitLayout[]).flatMap((layout) =>
  (Object.keys(traitPlacements) as TraitPlacement[]).map((placement) => ({ layout, placement })),
);
const runs = Number(process.env.SLUICE_TRAIT_RUNS ?? 60);

function packet(rounds: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(16, rounds, true);
  view.setUint32(20, 0x12345678, true);
  return bytes;
}

describe.each(formats)('$layout, $placement', ({ layout, placement }) => {
  const open = (path: string, engine: 'jit' | 'interpreter') =>
    loadUser(new Runtime({ seed: 1n, metadata: { layout, placement } }), [xdpHook], spec(path), { engine });

  it('gives the same expanded and called', async () => {
    const [jit, interpreter] = [await open('bench/trait_kfunc', 'jit'), await open('bench/trait_kfunc', 'interpreter')];
    for (const name of Object.keys(jit.programs))
      for (const rounds of [0, 1, 7]) {
        const run = (object: typeof jit) => {
          const { returnValue, data } = object.programs[name]!.run({ data: packet(rounds) });
          return { name, rounds, returnValue, data: Buffer.from(data!).toString('hex') };
        };
        expect(run(jit)).toEqual(run(interpreter));
        expect(run(jit).returnValue).toBe(2);
      }
    jit.close();
    interpreter.close();
  });

  it('does the same with keys that are known and keys that are not', async () => {
    const known = await open('metadata/trait_known', 'jit');
    const called = await open('metadata/trait_kfuncs', 'jit');
    // Those of trait_known.bpf.c.
    const operation: fc.Arbitrary<TraitOperation> = fc.record({
      kind: fc.constantFrom(...traitKinds, 'set' as const),
      key: fc.constantFrom(0n, 1n, 5n, 31n, 32n, 62n, 63n),
      size: fc.constantFrom(0, 1, 2, 4, 8, 16),
      byte: fc.nat({ max: 255 }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 64, size: 'max' }), (operations) => {
        expect(runOperations(known, operations)).toEqual(runOperations(called, operations));
      }),
      { numRuns: runs },
    );
    known.close();
    called.close();
  });
});
