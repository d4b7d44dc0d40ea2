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

const spec = (name: string) =>
  readObject(readFileSync(fileURLToPath(new URL(`../bpf/objects/metadata/${name}.bpf.o`, import.meta.url))), name);
const refusal = bpfRefusal();
const runs = Number(process.env.SLUICE_TRAIT_RUNS ?? 60);
const kinds = ['set', 'get', 'del', 'isSet'] as const;

interface Operation {
  readonly kind: (typeof kinds)[number];
  readonly key: bigint;
  readonly size: number;
  readonly byte: number;
}

interface Side {
  readonly name: string;
  readonly object: LoadedObject;
}

const OPERATION_SIZE = 40;
const packet = Uint8Array.from({ length: 60 }, (_, i) => 255 - i);

/** Results, values read, and the packet with what lies before it. */
function run({ object }: Side, operations: readonly Operation[]) {
  const { operations: map, '.bss': globals } = object.maps;
  const key = new Uint8Array(4);
  for (const [index, { kind, key: trait, size, byte }] of operations.entries()) {
    const value = new Uint8Array(OPERATION_SIZE);
    const view = new DataView(value.buffer);
    view.setUint32(0, kinds.indexOf(kind), true);
    view.setUint32(4, size, true);
    view.setBigUint64(8, trait, true);
    value.fill(byte, 16, 32);
    new DataView(key.buffer).setUint32(0, index, true);
    map!.raw.update(key, value);
  }
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, operations.length, true);
  globals!.raw.update(new Uint8Array(4), count);
  const [program] = Object.values(object.programs);
  const { returnValue, data } = program!.run({ data: packet });
  const results = operations.map((_, index) => {
    new DataView(key.buffer).setUint32(0, index, true);
    return Buffer.from(map!.raw.lookup(key)!.subarray(16, 36)).toString('hex');
  });
  return { returnValue, data: Buffer.from(data!).toString('hex'), results };
}

describe.each([
  ['trait_meta', '0-4-8', [0, 4, 8]],
  ['trait_meta_16', '4-8-16', [4, 8, 16]],
] as const)('%s', (name, layout, sizes) => {
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
    kind: fc.constantFrom(...kinds, 'set' as const),
    key: fc.oneof({ weight: 30, arbitrary: fc.bigInt(0n, 63n) }, fc.constantFrom(64n, 1n << 63n)),
    size: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...sizes) }, fc.constantFrom(1, 2, 0, 16)),
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
        const expected = run(sides[0]!, operations);
        for (const side of sides.slice(1))
          expect({ side: side.name, ...run(side, operations) }).toEqual({ side: side.name, ...expected });
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
          expect(run(linux, operations)).toEqual(run(here, operations));
        }),
        { numRuns: runs },
      );
    },
    60_000,
  );
});
