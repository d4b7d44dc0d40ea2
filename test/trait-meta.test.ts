// The C form of traits over data_meta (bpf/include/sluice/trait.h): the same object in Linux and here, and what the kfuncs leave in placement `meta`, byte for byte.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import type { TraitLayout } from '../src/runtime/traits.ts';
import { runOperations, traitKinds } from './trait-operations.ts';

const spec = (name: string) =>
  readObject(readFileSync(fileURLToPath(new URL(`../bpf/objects/metadata/${name}.bpf.o`, import.meta.url))), name);
const refusal = bpfRefusal();
const runs = Number(process.env.SLUICE_TRAIT_RUNS ?? 60);

interface Side {
  readonly name: string;
  readonly object: LoadedObject;
}

describe.each([
  ['trait_meta', '0-4-8', [0, 4, 8], [1, 2, 0, 16]],
  ['trait_meta_16', '4-8-16', [4, 8, 16], [1, 2, 0, 16]],
  // Values of 1 and 2 bytes the C form does not have.
  ['trait_meta_tlv', 'tlv', [0, 4, 8, 16], [3, 12]],
] as const)('%s', (name, layout, sizes, others) => {
  const opened: LoadedObject[] = [];
  afterAll(() => {
    for (const object of opened) object.close();
  });
  const load = async (target: string, object: string, format: TraitLayout | undefined): Promise<Side> => {
    const loaded =
      target === 'linux'
        ? await loadLinux(spec(object))
        : await loadUser(
            new Runtime({ seed: 1n, ...(format && { metadata: { layout: format, placement: 'meta' } }) }),
            [xdpHook],
            spec(object),
            { engine: target === 'interpreter' ? 'interpreter' : 'jit' },
          );
    opened.push(loaded);
    return { name: `${object} ${target}`, object: loaded };
  };
  const operation = fc.record({
    kind: fc.constantFrom(...traitKinds, 'set' as const),
    key: fc.oneof({ weight: 30, arbitrary: fc.bigInt(0n, 63n) }, fc.constantFrom(64n, (1n << 63n) - 1n)),
    size: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...sizes) }, fc.constantFrom(...others)),
    byte: fc.nat({ max: 255 }),
  });
  const sequences = fc.array(operation, { maxLength: 64, size: 'max' });

  it('does here, by kfuncs and in C, in both engines, the same', async () => {
    const sides = [
      await load('jit', name, undefined),
      await load('interpreter', name, undefined),
      await load('jit', 'trait_kfuncs', layout),
      await load('interpreter', 'trait_kfuncs', layout),
    ];
    fc.assert(
      fc.property(sequences, (operations) => {
        const expected = runOperations(sides[0]!.object, operations);
        for (const side of sides.slice(1))
          expect({ side: side.name, ...runOperations(side.object, operations) }).toEqual({
            side: side.name,
            ...expected,
          });
      }),
      { numRuns: runs },
    );
  }, 60_000);

  it.skipIf(refusal !== undefined)(
    `does in Linux what it does here${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
    async () => {
      const here = await load('jit', name, undefined);
      const linux = await load('linux', name, undefined);
      fc.assert(
        fc.property(sequences, (operations) => {
          expect(runOperations(linux.object, operations)).toEqual(runOperations(here.object, operations));
        }),
        { numRuns: runs },
      );
    },
    60_000,
  );
});
