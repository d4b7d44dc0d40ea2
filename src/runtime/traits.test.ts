import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FramePool } from '../hooks/xdp/frames.ts';
import { FRAME_DATA, FRAME_DATA_META, FRAME_HARD_START, XDP_FRAME_RESERVED } from '../plane/layout/frame.ts';
import { Runtime } from './runtime.ts';
import { type TraitLayout, type TraitPlacement, traitLayouts, traitPlacements } from './traits.ts';

const [EINVAL, ENOENT, ENOSPC, EBUSY, EACCES, EOPNOTSUPP, ENOTSUPP] = [-22, -2, -28, -16, -13, -95, -524];
const lengths: Record<TraitLayout, readonly number[]> = {
  '2-4-8': [2, 4, 8],
  '0-4-8': [0, 4, 8],
  '4-8-16': [4, 8, 16],
  wide: [0, 1, 2, 4, 8, 16],
};
const formats = (Object.keys(traitLayouts) as TraitLayout[]).flatMap((layout) =>
  (Object.keys(traitPlacements) as TraitPlacement[]).map((placement) => ({ layout, placement })),
);

/** One frame with a packet of 64 bytes, and the kfuncs on it. */
function frameOf(layout: TraitLayout, placement: TraitPlacement) {
  const runtime = new Runtime({ seed: 1n, metadata: { layout, placement } });
  const pool = new FramePool(runtime, 1);
  const packet = Uint8Array.from({ length: 64 }, (_, i) => i);
  pool.fill(0, packet);
  const ctx = BigInt(pool.descriptor(0));
  const at = runtime.plane.scratch(64);
  // The bodies of kfuncs are functions of u64s.
  const call = (name: string, ...args: bigint[]): number =>
    Number(BigInt.asIntN(64, (runtime.plane.exports[name] as (...args: bigint[]) => bigint)(ctx, ...args)));
  return {
    runtime,
    pool,
    packet: () => pool.read(0),
    field: (offset: number) => pool.field(0, offset),
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
    const header = layout === 'wide' ? 24 : 16;
    expect(count).toBe(placement === 'side' ? Math.floor((512 - header) / 8) : Math.floor((216 - header) / 8));
    for (let key = 0; key < count; key++) expect(frame.set(BigInt(key), value(key + 100, 8))).toBe(0);
    for (let key = 0; key < count; key += 2) expect(frame.del(BigInt(key))).toBe(0);
    for (let key = 0; key < count; key++)
      expect(frame.get(BigInt(key), 8)).toEqual(key % 2 === 0 ? ENOENT : value(key + 100, 8));
    expect(frame.packet()).toEqual(frame.intact);
  });

  it('goes with the packet as its head moves, and keeps it out of its place', () => {
    const frame = frameOf(layout, placement);
    expect(frame.set(5n, value(5, 8))).toBe(0);
    const used = (layout === 'wide' ? 24 : 16) + 8;
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
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), key, size, byte: fc.nat({ max: 255 }) }),
      fc.record({ kind: fc.constant('del' as const), key }),
      fc.record({ kind: fc.constant('head' as const), by: fc.integer({ min: -24, max: 24 }) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
        const frame = frameOf(layout, placement);
        const model = new Map<number, Uint8Array>();
        const header = layout === 'wide' ? 24 : 16;
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
          const result = frame.set(BigInt(each.key), value(each.byte, each.size));
          if (there !== undefined && there.length !== each.size) expect(result).toBe(EBUSY);
          else if (result === 0) model.set(each.key, value(each.byte, each.size));
          else {
            expect(result).toBe(ENOSPC);
            const used = header + [...model.values()].reduce((sum, { length }) => sum + length, 0);
            const room =
              placement === 'side' ? 512 : frame.field(FRAME_DATA) - frame.field(FRAME_HARD_START) - XDP_FRAME_RESERVED;
            expect(used + each.size).toBeGreaterThan(room - (placement === 'meta' ? 3 : 0));
          }
        }
        for (let k = 0; k < 64; k++) expect(frame.get(BigInt(k), 16)).toEqual(model.get(k) ?? ENOENT);
        expect(frame.packet().slice(-8)).toEqual(frame.intact.slice(-8));
      }),
      { numRuns: 60 },
    );
  });

  it('survives any header', () => {
    const anything = fc.uint8Array({ minLength: 24, maxLength: 24 });
    fc.assert(
      fc.property(anything, fc.nat({ max: 63 }), fc.constantFrom(...lengths[layout]), (header, key, size) => {
        const frame = frameOf(layout, placement);
        frame.set(3n, value(3, 8));
        const { runtime } = frame;
        const hard = frame.field(FRAME_HARD_START);
        const area =
          placement === 'front'
            ? hard + XDP_FRAME_RESERVED
            : placement === 'meta'
              ? frame.field(FRAME_DATA_META)
              : new DataView(runtime.plane.memory.buffer).getUint32(frame.pool.descriptor(0) + 88, true);
        runtime.bytes().set(header, area);
        const end = placement === 'side' ? area + 512 : frame.field(FRAME_DATA);
        // The packet behind a `meta` area is the program's to write; what lies in front of the usable headroom is nobody's.
        const before = runtime.bytes().slice(hard, hard + XDP_FRAME_RESERVED);
        const behind = runtime.bytes().slice(end, end + 64);
        frame.set(BigInt(key), value(0xee, size));
        frame.get(BigInt(key), 16);
        frame.del(BigInt(key));
        frame.isSet(BigInt(key));
        expect(runtime.bytes().slice(hard, hard + XDP_FRAME_RESERVED)).toEqual(before);
        expect(runtime.bytes().slice(end, end + 64)).toEqual(behind);
      }),
      { numRuns: 100 },
    );
  });
});
