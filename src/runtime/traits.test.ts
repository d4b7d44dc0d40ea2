import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { traitsOf } from '../hooks/traits.ts';
import { FramePool } from '../hooks/xdp/frames.ts';
import {
  FRAME_DATA,
  FRAME_DATA_META,
  FRAME_HARD_START,
  FRAME_TRAITS_SIDE,
  XDP_FRAME_RESERVED,
  XDP_FRAME_SIZE,
} from '../plane/layout/frame.ts';
import { TRAIT_ENTRY_BYTES, TRAIT_ENTRY_KEY, TRAIT_ENTRY_OFFSET, TRAIT_ENTRY_SIZE } from '../plane/layout/trait.ts';
import { Runtime } from './runtime.ts';
import { type TraitLayout, type TraitPlacement, traitLayouts, traitPlacements } from './traits.ts';

const [EINVAL, ENOENT, ENOSPC, EBUSY, EACCES, EOPNOTSUPP, ENOTSUPP] = [-22, -2, -28, -16, -13, -95, -524];
const lengths: Record<TraitLayout, readonly number[]> = {
  '2-4-8': [2, 4, 8],
  '0-4-8': [0, 4, 8],
  '4-8-16': [4, 8, 16],
  wide: [0, 1, 2, 4, 8, 16],
  tlv: [0, 1, 2, 4, 8, 16],
  static: [0, 1, 2, 4, 8, 16],
};
const headers: Record<TraitLayout, number> = { '2-4-8': 16, '0-4-8': 16, '4-8-16': 16, wide: 24, tlv: 4, static: 12 };
/** Bytes that a value takes. */
const taken = (layout: TraitLayout, size: number) => (layout === 'tlv' ? 4 + Math.ceil(size / 4) * 4 : size);
const formats = (Object.keys(traitLayouts) as TraitLayout[]).flatMap((layout) =>
  (Object.keys(traitPlacements) as TraitPlacement[]).map((placement) => ({ layout, placement })),
);

/** One frame with a packet of 64 bytes, and the kfuncs on it. */
function frameOf(layout: TraitLayout, placement: TraitPlacement, frames: 1 | 3 = 1) {
  const runtime = new Runtime({ seed: 1n, metadata: { layout, placement } });
  const pool = new FramePool(runtime, frames);
  const packet = Uint8Array.from({ length: 64 }, (_, i) => i);
  for (let i = 0; i < frames; i++) pool.fill(i, packet);
  // Of three the middle one.
  const index = frames >> 1;
  const ctx = BigInt(pool.descriptor(index));
  const at = runtime.plane.scratch(64);
  // The bodies of kfuncs are functions of u64s.
  const call = (name: string, ...args: bigint[]): number =>
    Number(BigInt.asIntN(64, (runtime.plane.exports[name] as (...args: bigint[]) => bigint)(ctx, ...args)));
  return {
    runtime,
    pool,
    packet: () => pool.read(index),
    field: (offset: number) => pool.field(index, offset),
    set(key: bigint, value: Uint8Array, flags = 0n): number {
      runtime.bytes().set(value, at);
      return call('bpf_xdp_trait_set', key, BigInt(at), BigInt(value.length), flags);
    },
    get(key: bigint, size: number): number | Uint8Array {
      const result = call('bpf_xdp_trait_get', key, BigInt(at), BigInt(size));
      return result < 0 ? result : runtime.bytes().slice(at, at + result);
    },
    del: (key: bigint) => call('bpf_xdp_trait_del', key),
    isSet: (key: bigint) => call('bpf_xdp_trait_is_set', key),
    /** Sets or reads several at once; their bytes. */
    batch(kind: 'set' | 'get', keys: readonly number[], size: number): Uint8Array {
      const entries = runtime.plane.scratch(512);
      const values = entries + 256;
      const view = runtime.view();
      for (const [i, key] of keys.entries()) {
        view.setBigUint64(entries + i * TRAIT_ENTRY_BYTES + TRAIT_ENTRY_KEY, BigInt(key), true);
        view.setUint32(entries + i * TRAIT_ENTRY_BYTES + TRAIT_ENTRY_SIZE, size, true);
        view.setUint32(entries + i * TRAIT_ENTRY_BYTES + TRAIT_ENTRY_OFFSET, i * size, true);
      }
      runtime.bytes().fill(0xee, values, values + 128);
      const bytes = BigInt(keys.length * TRAIT_ENTRY_BYTES);
      call(`bpf_xdp_trait_${kind}_batch`, BigInt(entries), bytes, BigInt(values), BigInt(keys.length * size));
      return runtime.bytes().slice(values, values + 128);
    },
    adjustMeta: (by: number) => call('bpf_xdp_adjust_meta', BigInt.asUintN(64, BigInt(by))),
    adjustHead: (by: number) => call('bpf_xdp_adjust_head', BigInt.asUintN(64, BigInt(by))),
    intact: packet,
  };
}

describe.each(formats)('traits $layout, $placement', ({ layout, placement }) => {
  const value = (byte: number, size: number) => new Uint8Array(size).fill(byte);

  it('has what the selftests of the RFC ask for', () => {
    const frame = frameOf(layout, placement);
    expect(frame.get(1n, 8)).toBe(ENOENT);
    expect(frame.del(1n)).toBe(ENOENT);
    for (const key of [64n, 65n, 1n << 40n]) {
      expect(frame.set(key, value(1, 4))).toBe(EINVAL);
      expect(frame.get(key, 4)).toBe(EINVAL);
      expect(frame.del(key)).toBe(EINVAL);
      expect(frame.isSet(key)).toBe(EINVAL);
    }
    expect(frame.set(1n, value(1, 3))).toBe(EINVAL);
    expect(frame.set(1n, value(1, 4), 1n)).toBe(EINVAL);
    expect(frame.set(1n, value(7, 4))).toBe(0);
    expect(frame.isSet(1n)).toBe(1);
    expect(frame.isSet(2n)).toBe(0);
    expect(frame.get(1n, 1)).toBe(ENOSPC);
    expect(frame.set(1n, value(7, 8))).toBe(EBUSY);
    expect(frame.set(1n, value(9, 4))).toBe(0);
    expect(frame.get(1n, 8)).toEqual(value(9, 4));
    expect(frame.packet()).toEqual(frame.intact);
  });

  it('takes values of 8 bytes until there is no room, overwrites all, loses every other', () => {
    const frame = frameOf(layout, placement);
    let count = 0;
    while (count < 64 && frame.set(BigInt(count), value(count, 8)) === 0) count++;
    if (count < 64) expect(frame.set(BigInt(count), value(count, 8))).toBe(ENOSPC);
    // 216 bytes of headroom less the header, or a block of 512.
    const room = (placement === 'side' ? 512 : 216) - headers[layout];
    expect(count).toBe(Math.floor(room / taken(layout, 8)));
    for (let key = 0; key < count; key++) expect(frame.set(BigInt(key), value(key + 100, 8))).toBe(0);
    for (let key = 0; key < count; key += 2) expect(frame.del(BigInt(key))).toBe(0);
    for (let key = 0; key < count; key++)
      expect(frame.get(BigInt(key), 8)).toEqual(key % 2 === 0 ? ENOENT : value(key + 100, 8));
    expect(frame.packet()).toEqual(frame.intact);
  });

  it('goes with the packet as its head moves, and keeps it out of its place', () => {
    const frame = frameOf(layout, placement);
    expect(frame.set(5n, value(5, 8))).toBe(0);
    const used = headers[layout] + taken(layout, 8);
    expect(frame.adjustHead(-(216 - (placement === 'side' ? 0 : used)) - 1)).toBe(EINVAL);
    expect(frame.adjustHead(-(216 - (placement === 'side' ? 0 : used)))).toBe(0);
    expect(frame.get(5n, 8)).toEqual(value(5, 8));
    expect(frame.adjustHead(20)).toBe(0);
    expect(frame.get(5n, 8)).toEqual(value(5, 8));
  });

  it('and data_meta do not meet', () => {
    const first = frameOf(layout, placement);
    expect(first.set(5n, value(5, 8))).toBe(0);
    expect(first.adjustMeta(-3)).toBe(placement === 'meta' ? ENOTSUPP : EACCES);
    expect(first.adjustMeta(-8)).toBe(placement === 'meta' ? ENOTSUPP : 0);
    const second = frameOf(layout, placement);
    expect(second.adjustMeta(-8)).toBe(0);
    expect(second.set(5n, value(5, 8))).toBe(placement === 'meta' ? EOPNOTSUPP : 0);
    const third = frameOf(layout, placement);
    if (placement === 'front') {
      expect(third.adjustMeta(-216)).toBe(0);
      expect(third.set(5n, value(5, 8))).toBe(ENOSPC);
    }
  });

  it('is a Map, whatever comes', () => {
    const key = fc.nat({ max: 63 });
    const size = fc.constantFrom(...lengths[layout]);
    // Values of a key of a struct have one length.
    const sized = fc
      .tuple(key, size)
      .map(([k, n]) => ({ key: k, size: layout === 'static' ? lengths.static[k % 6]! : n }));
    const operation = fc.oneof(
      fc.tuple(sized, fc.nat({ max: 255 })).map(([of, byte]) => ({ kind: 'set' as const, ...of, byte })),
      fc.record({ kind: fc.constant('del' as const), key }),
      fc.record({ kind: fc.constant('head' as const), by: fc.integer({ min: -24, max: 24 }) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
        const frame = frameOf(layout, placement);
        const model = new Map<number, Uint8Array>();
        const fields = new Map<number, number>();
        let struct = 0;
        for (const each of operations) {
          if (each.kind === 'head') {
            frame.adjustHead(each.by);
            continue;
          }
          if (each.kind === 'del') {
            expect(frame.del(BigInt(each.key))).toBe(model.delete(each.key) ? 0 : ENOENT);
            continue;
          }
          const there = model.get(each.key);
          if (!fields.has(each.key)) {
            const align = Math.max(1, Math.min(each.size, 8));
            struct = Math.ceil(struct / align) * align + each.size;
            fields.set(each.key, struct);
          }
          const result = frame.set(BigInt(each.key), value(each.byte, each.size));
          if (there !== undefined && there.length !== each.size) expect(result).toBe(EBUSY);
          else if (result === 0) model.set(each.key, value(each.byte, each.size));
          else {
            expect(result).toBe(ENOSPC);
            const used =
              headers[layout] +
              (layout === 'static'
                ? fields.get(each.key)!
                : [...model.values(), { length: each.size }].reduce(
                    (sum, { length }) => sum + taken(layout, length),
                    0,
                  ));
            const room =
              placement === 'side' ? 512 : frame.field(FRAME_DATA) - frame.field(FRAME_HARD_START) - XDP_FRAME_RESERVED;
            expect(used).toBeGreaterThan(room - (placement === 'meta' || layout === 'static' ? 3 : 0));
          }
        }
        for (let k = 0; k < 64; k++) expect(frame.get(BigInt(k), 16)).toEqual(model.get(k) ?? ENOENT);
        expect(frame.packet().slice(-8)).toEqual(frame.intact.slice(-8));
      }),
      { numRuns: 60 },
    );
  });

  it('survives any header', () => {
    const operation = fc.record({
      kind: fc.constantFrom(
        'set' as const,
        'get' as const,
        'del' as const,
        'isSet' as const,
        'head' as const,
        'read' as const,
        'batch' as const,
      ),
      key: fc.nat({ max: 63 }),
      size: fc.constantFrom(...lengths[layout]),
      by: fc.integer({ min: -30, max: 0 }),
    });
    // Bytes that are small numbers come often: lists and structs that nearly are some.
    const byte = fc.oneof(fc.nat({ max: 255 }), fc.nat({ max: 40 }), fc.constant(0));
    const header = fc.array(byte, { minLength: 28, maxLength: 28, size: 'max' });
    const frame = frameOf(layout, placement, 3);
    fc.assert(
      fc.property(header, fc.array(operation, { maxLength: 12, size: 'max' }), (bytes, operations) => {
        for (let i = 0; i < frame.pool.count; i++) frame.pool.fill(i, frame.intact);
        frame.set(3n, value(3, 8));
        frame.set(5n, value(3, 4));
        const { runtime, pool } = frame;
        const area =
          placement === 'front'
            ? frame.field(FRAME_HARD_START) + XDP_FRAME_RESERVED
            : frame.field(placement === 'meta' ? FRAME_DATA_META : FRAME_TRAITS_SIDE);
        const end = () =>
          placement === 'side' ? area + 512 : frame.field(placement === 'front' ? FRAME_DATA_META : FRAME_DATA);
        const first = frame.field(FRAME_HARD_START);
        // All that is neither the area nor headroom that may become it is nobody's to read or write: a byte that no value has.
        const all = runtime.bytes();
        const [usable, data] = [first + XDP_FRAME_RESERVED, frame.field(FRAME_DATA)];
        const whole = (i: number, field: number, size: number) => [pool.field(i, field), pool.field(i, field) + size];
        const outside = [
          whole(0, FRAME_HARD_START, XDP_FRAME_SIZE),
          whole(2, FRAME_HARD_START, XDP_FRAME_SIZE),
          [first, usable],
          [data, first + XDP_FRAME_SIZE],
          ...(placement === 'side'
            ? [[usable, data], whole(0, FRAME_TRAITS_SIDE, 512), whole(2, FRAME_TRAITS_SIDE, 512)]
            : []),
        ] as [number, number][];
        for (const [from, to] of outside) all.fill(0xa5, from, to);
        all.fill(0, ...((placement === 'side' ? [area, end()] : [usable, data]) as [number, number]));
        all.set(bytes.map((each) => (each === 0xa5 ? 0 : each)).slice(0, end() - area), area);
        for (const { kind, key, size, by } of operations) {
          if (kind === 'set') frame.set(BigInt(key), value(0xee, size));
          else if (kind === 'del') frame.del(BigInt(key));
          else if (kind === 'isSet') frame.isSet(BigInt(key));
          else if (kind === 'head') frame.adjustHead(by);
          else if (kind === 'batch') {
            const keys = [key, (key + 1) % 64, (key + 31) % 64];
            frame.batch('set', keys, size);
            expect([...frame.batch('get', keys, 16)]).not.toContain(0xa5);
          } else if (kind === 'read') traitsOf(runtime, 'xdp', pool.descriptor(1));
          else {
            const got = frame.get(BigInt(key), 16);
            if (typeof got !== 'number') expect([...got]).not.toContain(0xa5);
          }
        }
        for (const [from, to] of outside)
          expect(
            runtime
              .bytes()
              .subarray(from, to)
              .every((each) => each === 0xa5),
          ).toBe(true);
        expect(frame.field(FRAME_DATA_META)).toBeGreaterThanOrEqual(first + XDP_FRAME_RESERVED);
        expect(frame.field(FRAME_DATA_META)).toBeLessThanOrEqual(frame.field(FRAME_DATA));
      }),
      { numRuns: Number(process.env.SLUICE_TRAIT_RUNS ?? 60) },
    );
  });
});
