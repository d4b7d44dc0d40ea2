// Several traits at once, on frames and on sk_buffs, against single ones.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SkbPool } from '../hooks/skb/frames.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import {
  TRAIT_ENTRY_BYTES,
  TRAIT_ENTRY_KEY,
  TRAIT_ENTRY_OFFSET,
  TRAIT_ENTRY_RESULT,
  TRAIT_ENTRY_SIZE,
} from '../plane/layout/trait.ts';
import { Runtime } from './runtime.ts';
import { type TraitLayout, type TraitPlacement, traitLayouts, traitPlacements } from './traits.ts';

const [EINVAL, ENOENT, ENOSPC, EBUSY] = [-22, -2, -28, -16];
const BUFFER = 1024;

interface Entry {
  readonly key: number;
  readonly size: number;
  readonly byte: number;
}

function packetOf(kind: 'xdp' | 'skb', layout: TraitLayout, placement: TraitPlacement) {
  const runtime = new Runtime({ seed: 1n, metadata: { layout, placement } });
  const packet = new Uint8Array(64);
  let ctx: number;
  if (kind === 'xdp') {
    const pool = new FramePool(runtime, 1);
    pool.fill(0, packet);
    ctx = pool.descriptor(0);
  } else {
    const pool = new SkbPool(runtime, 1);
    pool.fill(0, packet, 'link');
    ctx = pool.descriptor(0);
  }
  const room = runtime.allocatePages(65536);
  const [entries, values] = [room, room + 8192];
  const call = (name: string, ...args: number[]): number =>
    Number(
      BigInt.asIntN(
        64,
        (runtime.plane.exports[`bpf_${kind}_trait_${name}`] as (...args: bigint[]) => bigint)(
          BigInt(ctx),
          ...args.map(BigInt),
        ),
      ),
    );
  const write = (list: readonly Entry[], bytes: boolean): void => {
    let offset = 0;
    for (const [i, { key, size, byte }] of list.entries()) {
      const view = runtime.view();
      const entry = entries + i * TRAIT_ENTRY_BYTES;
      view.setBigUint64(entry + TRAIT_ENTRY_KEY, BigInt(key), true);
      view.setUint32(entry + TRAIT_ENTRY_SIZE, size, true);
      view.setUint32(entry + TRAIT_ENTRY_OFFSET, offset, true);
      if (bytes) runtime.bytes().fill(byte, values + offset, values + offset + size);
      offset += size;
    }
  };
  return {
    set: ({ key, size, byte }: Entry) => {
      runtime.bytes().fill(byte, values, values + size);
      return call('set', key, values, size, 0);
    },
    get(key: number): number | number[] {
      const result = call('get', key, values, 16);
      return result < 0 ? result : [...runtime.bytes().slice(values, values + result)];
    },
    setBatch(list: readonly Entry[], buffer = BUFFER, size = list.length * TRAIT_ENTRY_BYTES) {
      write(list, true);
      return call('set_batch', entries, size, values, buffer);
    },
    getBatch(keys: readonly number[]) {
      write(
        keys.map((key) => ({ key, size: 16, byte: 0 })),
        false,
      );
      const count = call('get_batch', entries, keys.length * TRAIT_ENTRY_BYTES, values, 16 * keys.length);
      return {
        count,
        results: keys.map((_, i) => {
          const result = runtime.view().getInt32(entries + i * TRAIT_ENTRY_BYTES + TRAIT_ENTRY_RESULT, true);
          return result < 0 ? result : [...runtime.bytes().slice(values + 16 * i, values + 16 * i + result)];
        }),
      };
    },
  };
}

const lengths: Record<TraitLayout, readonly number[]> = {
  '2-4-8': [2, 4, 8],
  '0-4-8': [0, 4, 8],
  '4-8-16': [4, 8, 16],
  wide: [0, 1, 2, 4, 8, 16],
  tlv: [0, 1, 2, 4, 8, 16],
  static: [0, 1, 2, 4, 8, 16],
};
const cases = (Object.keys(traitLayouts) as TraitLayout[]).flatMap((layout) =>
  (Object.keys(traitPlacements) as TraitPlacement[]).flatMap((placement) =>
    (['xdp', 'skb'] as const).map((kind) => ({ kind, layout, placement })),
  ),
);

describe.each(cases)('batches of traits: $kind, $layout, $placement', ({ kind, layout, placement }) => {
  it('are set wholly or not at all', () => {
    const packet = packetOf(kind, layout, placement);
    const four = (key: number, byte: number): Entry => ({ key, size: 4, byte });
    expect(packet.setBatch([four(1, 1), four(64, 2)])).toBe(EINVAL);
    expect(packet.setBatch([four(1, 1), { key: 2, size: 3, byte: 2 }])).toBe(EINVAL);
    expect(packet.setBatch([four(1, 1), four(1, 2)])).toBe(EINVAL);
    expect(packet.setBatch([four(1, 1), four(2, 2)], 7)).toBe(EINVAL);
    expect(packet.setBatch([four(1, 1)], BUFFER, TRAIT_ENTRY_BYTES - 1)).toBe(EINVAL);
    expect(packet.get(1)).toBe(ENOENT);
    expect(packet.set({ key: 9, size: 8, byte: 9 })).toBe(0);
    expect(packet.setBatch([four(1, 1), four(9, 2)])).toBe(EBUSY);
    const many = Array.from({ length: 63 }, (_, key) => ({
      key,
      size: key === 9 ? 8 : lengths[layout].at(-1)!,
      byte: key,
    }));
    expect(packet.setBatch(many)).toBe(ENOSPC);
    expect(packet.get(1)).toBe(ENOENT);
    expect(packet.get(9)).toEqual(new Array(8).fill(9));
    expect(packet.setBatch([four(1, 1), four(0, 3), { key: 9, size: 8, byte: 4 }])).toBe(0);
    expect(packet.getBatch([9, 5, 1, 0])).toEqual({
      count: 3,
      results: [new Array(8).fill(4), ENOENT, [1, 1, 1, 1], [3, 3, 3, 3]],
    });
  });

  it('leave what single ones leave', () => {
    const entry = fc.record({
      key: fc.nat({ max: 63 }),
      size: fc.constantFrom(...lengths[layout]),
      byte: fc.nat({ max: 255 }),
    });
    const batch = fc.uniqueArray(entry, { maxLength: 12, selector: ({ key }) => key });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 5 }), (batches) => {
        const [together, single] = [packetOf(kind, layout, placement), packetOf(kind, layout, placement)];
        for (const list of batches) {
          const before = single.getBatch(Array.from({ length: 64 }, (_, key) => key));
          const result = together.setBatch(list);
          if (result === 0) for (const each of list) expect(single.set(each)).toBe(0);
          else expect([ENOSPC, EBUSY]).toContain(result);
          const all = Array.from({ length: 64 }, (_, key) => key);
          expect(together.getBatch(all)).toEqual(result === 0 ? single.getBatch(all) : before);
        }
      }),
      { numRuns: 12 },
    );
  });
});
