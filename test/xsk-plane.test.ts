// The plane's part of AF_XDP over rings that lie in memory, without a kernel: metadata, seals and hints of received frames whatever the bytes say, redirects, chunks that come back.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCounters } from '../src/linux/af-xdp-counters.ts';
import { LiveFrame } from '../src/linux/live-frame.ts';
import {
  FRAME_DATA,
  FRAME_DATA_META,
  FRAME_DESCRIPTOR_SIZE,
  FRAME_HARD_START,
  FRAME_HINTS,
  FRAME_TRAITS,
  FRAME_VERDICT,
  XDP_FRAME_RESERVED,
  XDP_FRAME_SIZE,
} from '../src/plane/layout/frame.ts';
import * as layout from '../src/plane/layout/xsk.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { type TraitPlacement, traitPlacements } from '../src/runtime/traits.ts';

const CHUNKS = 8;
const RING = 8;

/** A socket whose rings are plain memory; this side plays the kernel. */
class Rig {
  readonly runtime: Runtime;
  readonly xsk: number;
  readonly umem: number;
  readonly frames: number;
  readonly plane: Record<'xsk_fetch' | 'xsk_dispose' | 'xsk_wanted', (xsk: number) => number>;

  constructor(placement: TraitPlacement, metadata: number) {
    this.runtime = new Runtime({ seed: 1n, metadata: { placement } });
    this.plane = this.runtime.plane.exports as unknown as Rig['plane']; // fixed by the plane's sources
    this.xsk = this.runtime.allocatePages(1 << 16);
    this.umem = this.runtime.allocatePages(CHUNKS * XDP_FRAME_SIZE);
    this.frames = this.xsk + 0x1000;
    const set = (at: number, value: number) => this.runtime.view().setUint32(this.xsk + at, value, true);
    for (const [i, ring] of [layout.XSK_RX, layout.XSK_TX, layout.XSK_FILL, layout.XSK_COMPLETION].entries()) {
      const at = this.xsk + 0x4000 + i * 0x400;
      for (const [word, value] of [at, at + 4, at + 8, at + 16, RING - 1].entries()) set(ring + word * 4, value);
    }
    set(layout.XSK_UMEM, this.umem);
    set(layout.XSK_IFINDEX, 7);
    set(layout.XSK_FRAMES, this.frames);
    set(layout.XSK_METADATA, metadata);
    set(layout.XSK_TARGETS, this.xsk + 0x400);
    set(layout.XSK_FREE, this.xsk + 0x6000);
    set(layout.XSK_SPARE_FROM, CHUNKS * XDP_FRAME_SIZE);
    if (placement === 'side') set(layout.XSK_SIDES, this.xsk + 0x7000);
  }

  /** A packet arrives in chunk 0, with these bytes just before its data; its descriptor. */
  receive(before: Uint8Array, length = 60): number {
    const view = this.runtime.view();
    const ring = this.xsk + 0x4000;
    this.runtime.bytes().set(before, this.umem + 256 - before.length);
    const produced = view.getUint32(ring, true);
    const entry = ring + 16 + (produced % RING) * layout.XDP_DESC_SIZE;
    view.setBigUint64(entry + layout.XDP_DESC_ADDRESS, 256n, true);
    view.setUint32(entry + layout.XDP_DESC_LENGTH, length, true);
    view.setUint32(ring, produced + 1, true);
    expect(this.plane.xsk_fetch(this.xsk)).toBe(1);
    return this.frames;
  }

  field(at: number): number {
    return this.runtime.view().getUint32(this.frames + at, true);
  }

  dispose(verdict: number): void {
    this.runtime.view().setUint32(this.frames + FRAME_VERDICT, verdict, true);
    this.plane.xsk_dispose(this.xsk);
  }

  counters() {
    return readCounters(this.runtime.view(), this.xsk);
  }
}

const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const seal = (word: number) => words(word, layout.XSK_SEAL_MAGIC);
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
/** Keys 1 (4 bytes) and 5 (8 bytes) of layout 0-4-8. */
const area = join(words(0x22, 0, 0x20, 0), words(17, 1, 2));

describe('frames of AF_XDP in the plane', () => {
  it.each(Object.keys(traitPlacements) as TraitPlacement[])(
    'take sealed traits over into placement %s',
    (placement) => {
      const rig = new Rig(placement, layout.XSK_META_TRAITS);
      const frame = rig.receive(join(area, seal(area.length)));
      expect([...new LiveFrame(rig.runtime, frame).traits!]).toEqual([
        [1, words(17)],
        [5, words(1, 2)],
      ]);
      expect(rig.field(FRAME_DATA) - rig.field(FRAME_DATA_META)).toBe(placement === 'meta' ? area.length : 0);
      rig.dispose(1);
      // The seal was taken off: the same chunk with a packet that nobody sealed has nothing.
      expect(new LiveFrame(rig.runtime, rig.receive(new Uint8Array())).traits).toBeUndefined();
      rig.dispose(2);
      expect(rig.counters()).toMatchObject({ packets: 2, withMetadata: 1, verdicts: [0, 1, 1, 0, 0, 0] });
    },
  );

  it('take opaque metadata and hints, and count what was lost', () => {
    const rig = new Rig('front', layout.XSK_META_SEALED);
    const hints = words(5, 0, 0xabcd, 8, 0, 3);
    const frame = rig.receive(join(words(1, 2, 3), hints, seal(12 | layout.XSK_SEAL_HINTS)));
    expect(new LiveFrame(rig.runtime, frame).metadata).toEqual(words(1, 2, 3));
    expect(rig.field(FRAME_HINTS)).toBe(3 | 8);
    rig.dispose(1);
    rig.receive(seal(layout.XSK_SEAL_LOST));
    expect(rig.field(FRAME_DATA_META)).toBe(rig.field(FRAME_DATA));
    rig.dispose(1);
    expect(rig.counters()).toMatchObject({ withMetadata: 1, metadataLost: 1 });
  });

  it('stay within the headroom, whatever lies before them', () => {
    for (const placement of Object.keys(traitPlacements) as TraitPlacement[]) {
      const modes = [layout.XSK_META_SEALED, layout.XSK_META_TRAITS, layout.XSK_META_FIXED | (32 << 8)];
      for (const mode of modes) {
        const rig = new Rig(placement, mode);
        fc.assert(
          fc.property(
            fc.uint8Array({ minLength: 200, maxLength: 200 }),
            fc.integer(),
            fc.boolean(),
            (bytes, word, sealed) => {
              rig.receive(sealed ? join(bytes, seal(word >>> 0)) : bytes);
              const first = rig.field(FRAME_HARD_START) + XDP_FRAME_RESERVED;
              expect(rig.field(FRAME_DATA)).toBe(rig.umem + 256);
              expect(rig.field(FRAME_DATA_META)).toBeLessThanOrEqual(rig.field(FRAME_DATA));
              expect(rig.field(FRAME_DATA_META)).toBeGreaterThanOrEqual(first);
              if (rig.field(FRAME_TRAITS) !== 0) void new LiveFrame(rig.runtime, rig.frames).traits;
              rig.dispose(1);
            },
          ),
          { numRuns: 200 },
        );
      }
    }
  });

  it('come back to the fill ring, whatever the verdict', () => {
    const rig = new Rig('front', layout.XSK_META_NONE);
    const view = rig.runtime.view();
    for (const [i, verdict] of [0, 1, 2, 4, 9].entries()) {
      rig.receive(new Uint8Array());
      rig.dispose(verdict);
      // Produced to the fill ring: this frame's chunk.
      expect(view.getUint32(rig.xsk + 0x4000 + 2 * 0x400, true)).toBe(i + 1);
    }
    rig.receive(new Uint8Array());
    rig.dispose(3);
    expect(view.getUint32(rig.xsk + 0x4000 + 0x400, true)).toBe(1);
    expect(rig.counters()).toMatchObject({ sent: 1, unreachable: 1, verdicts: [1, 1, 1, 1, 1, 1] });
    expect(FRAME_DESCRIPTOR_SIZE * layout.XSK_BATCH).toBeLessThan(0x3000);
  });
});
