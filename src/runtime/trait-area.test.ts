import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { setTraits, traitsOf } from '../hooks/traits.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import { TRAITS_SIDE_SIZE } from '../plane/layout/trait.ts';
import { readArea } from '../traits/area.ts';
import { Runtime } from './runtime.ts';
import { type TraitLayout, traitLayouts, traitSizesOf } from './traits.ts';

const readable = (Object.keys(traitLayouts) as TraitLayout[]).filter((layout) => layout !== 'static');

describe.each(readable)('an area of layout %s', (layout) => {
  const runtime = new Runtime({ metadata: { layout, placement: 'side' } });
  const pool = new FramePool(runtime, 1);
  const frame = pool.descriptor(0);
  const addressOf = (name: string) => (runtime.plane.exports[name] as (frame: number) => number)(frame);
  const begin = () => {
    pool.fill(0, new Uint8Array(64));
    setTraits(runtime, 'xdp', frame, new Map([[5, new Uint8Array(4)]]));
    return addressOf('frame_traits');
  };

  it('is read as the plane reads it', () => {
    const value = fc
      .constantFrom(...traitSizesOf(layout))
      .chain((size) => fc.uint8Array({ minLength: size, maxLength: size }));
    const values = fc.dictionary(fc.nat(63).map(String), value, { maxKeys: 20, size: 'max' });
    fc.assert(
      fc.property(values, (given) => {
        const area = begin();
        const traits = new Map([[5, new Uint8Array(4).fill(9)]]);
        for (const [key, bytes] of Object.entries(given))
          if (key !== '5') traits.set(Number(key), new Uint8Array(bytes));
        setTraits(runtime, 'xdp', frame, traits);
        const bytes = runtime.bytes().slice(area, area + TRAITS_SIDE_SIZE);
        expect(readArea(bytes, traitLayouts[layout])).toEqual(new Map([...traits].sort(([a], [b]) => a - b)));
      }),
      { numRuns: 60 },
    );
  });

  it('may be anything', () => {
    const bytes = fc.uint8Array({ minLength: TRAITS_SIDE_SIZE, maxLength: TRAITS_SIDE_SIZE, size: 'max' });
    fc.assert(
      fc.property(bytes, fc.boolean(), (whole, sparse) => {
        const area = begin();
        const block = new Uint8Array(whole);
        // A header with few bits leaves values inside.
        if (sparse) for (let i = 0; i < 24; i++) block[i]! &= block[23 - i]! & 0x11;
        runtime.bytes().set(block, area);
        expect(readArea(block, traitLayouts[layout])).toEqual(traitsOf(runtime, 'xdp', frame) ?? new Map());
      }),
      { numRuns: 100 },
    );
  });

  it('may be cut off anywhere', () => {
    const area = begin();
    const last = traitSizesOf(layout).at(-1)!;
    setTraits(runtime, 'xdp', frame, new Map([[60, new Uint8Array(last).fill(7)]]));
    const bytes = runtime.bytes().slice(area, area + 64);
    const sizes = Array.from({ length: 64 }, (_, end) => readArea(bytes.subarray(0, end), traitLayouts[layout])!.size);
    expect(sizes[0]).toBe(0);
    expect(sizes[63]).toBe(2);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  });
});

it('a struct says nothing by itself', () => {
  expect(readArea(new Uint8Array(64), traitLayouts.static)).toBeUndefined();
});
