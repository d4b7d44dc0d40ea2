// Frames whose traits have any bytes for a header, list or struct, under programs whose keys the JIT knows and under calls of the plane: neither reads or writes outside of the
// area and of headroom that may become it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FramePool } from '../src/hooks/xdp/frames.ts';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { xdpPlane } from '../src/hooks/xdp/plane.ts';
import { readObject } from '../src/object/index.ts';
import {
  FRAME_DATA,
  FRAME_DATA_META,
  FRAME_HARD_START,
  FRAME_TRAITS,
  FRAME_TRAITS_SIDE,
  XDP_FRAME_RESERVED,
  XDP_FRAME_SIZE,
} from '../src/plane/layout/frame.ts';
import { TRAITS_PRESENT, TRAITS_SIDE_SIZE } from '../src/plane/layout/trait.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { type TraitLayout, type TraitPlacement, traitLayouts, traitPlacements } from '../src/runtime/traits.ts';
import { readResults, type TraitOperation, traitKinds, writeOperations } from './trait-operations.ts';

const spec = (path: string) =>
  readObject(readFileSync(fileURLToPath(new URL(`../bpf/objects/${path}.bpf.o`, import.meta.url))), path);
const formats = (Object.keys(traitLayouts) as TraitLayout[]).flatMap((layout) =>
  (Object.keys(traitPlacements) as TraitPlacement[]).map((placement) => ({ layout, placement })),
);
const runs = Number(process.env.SLUICE_TRAIT_RUNS ?? 60);
const [CANARY, PACKET] = [0xa5, 64];

/** What no operation may read or write has this byte; values never do. */
function corrupt(runtime: Runtime, pool: FramePool, placement: TraitPlacement, area: number, bytes: readonly number[]) {
  for (let i = 0; i < pool.count; i++) pool.fill(i, new Uint8Array(PACKET));
  const first = pool.field(1, FRAME_HARD_START);
  const [usable, data] = [first + XDP_FRAME_RESERVED, pool.field(1, FRAME_DATA)];
  const block = (i: number) => pool.field(i, FRAME_TRAITS_SIDE);
  const begin = placement === 'front' ? usable : placement === 'meta' ? data - area : block(1);
  const end = placement === 'side' ? begin + TRAITS_SIDE_SIZE : data;
  const frame = (i: number) => pool.field(i, FRAME_HARD_START);
  const outside: [number, number][] = [
    [frame(0), frame(0) + XDP_FRAME_SIZE],
    [frame(2), frame(2) + XDP_FRAME_SIZE],
    [first, usable],
    [data, first + XDP_FRAME_SIZE],
  ];
  if (placement === 'side') {
    outside.push([usable, data]);
    for (const i of [0, 2]) outside.push([block(i), block(i) + TRAITS_SIDE_SIZE]);
  }
  const all = runtime.bytes();
  for (const [from, to] of outside) all.fill(CANARY, from, to);
  all.fill(0, placement === 'side' ? begin : usable, end);
  all.set(bytes.slice(0, end - begin), begin);
  if (placement === 'meta') pool.setField(1, FRAME_DATA_META, begin);
  pool.setField(1, FRAME_TRAITS, TRAITS_PRESENT);
  return outside;
}

describe.each(formats)('$layout, $placement', ({ layout, placement }) => {
  it('reads and writes nothing outside, whatever the header says', async () => {
    const sides = await Promise.all(
      ['metadata/trait_known', 'metadata/trait_kfuncs'].map(async (path) => {
        const runtime = new Runtime({ seed: 1n, metadata: { layout, placement } });
        const object = await loadUser(runtime, [xdpHook], spec(path), { engine: 'jit' });
        return { path, runtime, object, pool: new FramePool(runtime, 3) };
      }),
    );
    const operation: fc.Arbitrary<TraitOperation> = fc.record({
      kind: fc.constantFrom(...traitKinds, 'set' as const),
      key: fc.constantFrom(0n, 1n, 5n, 31n, 32n, 62n, 63n),
      size: fc.constantFrom(0, 1, 2, 4, 8, 16),
      byte: fc.nat({ max: 0x7f }),
    });
    // Few bits, many, and small numbers, so that some headers nearly are one.
    const byte = fc.oneof(fc.nat({ max: 0x7f }), fc.constantFrom(0, 1, 2, 4, 8, 16, 32, 0x7f), fc.constant(0));
    const length = fc.integer({ min: 0, max: 54 }).map((words) => words * 4);
    const header = length.chain((n) =>
      fc.tuple(fc.constant(n), fc.array(byte, { minLength: Math.min(n, 40), maxLength: Math.min(n, 40), size: 'max' })),
    );
    fc.assert(
      fc.property(header, fc.array(operation, { maxLength: 20, size: 'max' }), ([area, bytes], operations) => {
        const results = sides.map(({ path, runtime, object, pool }) => {
          const outside = corrupt(runtime, pool, placement, area, bytes);
          writeOperations(object, operations);
          const [program] = Object.values(object.programs);
          const { executable } = program!;
          executable.enter(() => xdpPlane(runtime).xdp_run_batch(executable.entry, pool.descriptor(1), 1));
          for (const [from, to] of outside)
            expect({
              path,
              at: runtime
                .bytes()
                .subarray(from, to)
                .findIndex((each) => each !== CANARY),
            }).toEqual({ path, at: -1 });
          const meta = pool.field(1, FRAME_DATA_META);
          expect(meta).toBeGreaterThanOrEqual(pool.field(1, FRAME_HARD_START) + XDP_FRAME_RESERVED);
          expect(meta).toBeLessThanOrEqual(pool.field(1, FRAME_DATA));
          return readResults(object, operations);
        });
        for (const [i, { kind }] of operations.entries())
          if (kind === 'get') for (const side of results) expect(side[i]!.match(/../g)).not.toContain('a5');
      }),
      { numRuns: runs },
    );
    for (const { object } of sides) object.close();
  });
});
