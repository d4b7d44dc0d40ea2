import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALLOCATION_MAX } from '../../plane/layout/allocator.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';

const plane = (cpus = 1) => createPlane(createMemory(cpus, 1n)).exports;

/** Bytes of the size class, as layout/allocator.ts states the classes. */
function rounded(size: number): number {
  if (size <= 64) return Math.max(8, Math.ceil(size / 8) * 8);
  const step = 2 ** (Math.floor(Math.log2(size - 1)) - 2);
  return Math.ceil(size / step) * step;
}

describe('size classes', () => {
  it('fit whole words to 64 bytes exactly, waste at most a fifth above, and are multiples of 8', () => {
    const { allocator_rounded } = plane();
    for (let size = 0; size <= 5000; size++) expect(allocator_rounded(size)).toBe(rounded(size));
    for (let size = 4096; size <= ALLOCATION_MAX; size = Math.ceil(size * 1.01)) {
      expect(allocator_rounded(size)).toBe(rounded(size));
      expect(rounded(size) % 8).toBe(0);
      expect(rounded(size) / size).toBeLessThan(1.26);
    }
    for (let size = 8; size <= 64; size += 8) expect(allocator_rounded(size)).toBe(size);
    expect(allocator_rounded(ALLOCATION_MAX)).toBe(ALLOCATION_MAX);
    expect(allocator_rounded(ALLOCATION_MAX + 1)).toBe(0);
  });
});

describe('an allocator', () => {
  it('gives objects that do not overlap, stay as they were written, and keep to the quota exactly', () => {
    const sizes = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
      { weight: 2, arbitrary: fc.integer({ min: 300, max: 9000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 9000, max: 700_000 }) },
    );
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ alloc: sizes, count: fc.integer({ min: 1, max: 40 }) }) },
      { weight: 2, arbitrary: fc.record({ free: fc.nat(), count: fc.integer({ min: 1, max: 40 }) }) },
    );
    fc.assert(
      fc.property(
        fc.option(fc.integer({ min: 1000, max: 2_000_000 })),
        fc.array(step, { maxLength: 120 }),
        (quota, steps) => {
          const instance = createPlane(createMemory(1, 1n));
          const { exports } = instance;
          const allocator = exports.allocator_create(quota ?? 0, 0) >>> 0;
          const live: { at: number; size: number; mark: number }[] = [];
          let bytes = 0;
          let mark = 0;
          for (const each of steps) {
            for (let i = 0; i < each.count; i++) {
              if ('alloc' in each) {
                const size = each.alloc;
                const at = exports.allocator_alloc(allocator, size, 0) >>> 0;
                if (quota !== null && bytes + rounded(size) > quota) expect(at).toBe(0);
                else {
                  expect(at).not.toBe(0);
                  expect(at % 8).toBe(0);
                  expect(exports.allocator_of(at)).toBe(allocator);
                  mark = (mark + 1) & 0xff;
                  instance.bytes().fill(mark, at, at + rounded(size));
                  bytes += rounded(size);
                  live.push({ at, size, mark });
                }
              } else if (live.length > 0) {
                const [object] = live.splice(each.free % live.length, 1);
                const { at, size, mark } = object!;
                const there = instance.bytes().subarray(at, at + rounded(size));
                expect(there.every((byte) => byte === mark)).toBe(true);
                exports.allocator_free(at);
                bytes -= rounded(size);
              }
            }
          }
          const ranges = live.map(({ at, size }) => [at, at + rounded(size)] as const).sort((a, b) => a[0] - b[0]);
          for (let i = 1; i < ranges.length; i++) expect(ranges[i]![0]).toBeGreaterThanOrEqual(ranges[i - 1]![1]);
          for (const { at } of live) exports.allocator_free(at);
          exports.allocator_release(allocator);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('finds what is freed twice, and what is no object', () => {
    const { exports } = createPlane(createMemory(1, 1n));
    const allocator = exports.allocator_create(0, 0) >>> 0;
    for (const size of [8, 64, 200, 5000, 100_000]) {
      const object = exports.allocator_alloc(allocator, size, 0) >>> 0;
      const other = exports.allocator_alloc(allocator, size, 0) >>> 0;
      exports.allocator_free(object);
      exports.allocator_free(other);
      expect(() => exports.allocator_free(object)).toThrow(WebAssembly.RuntimeError);
    }
    expect(() => exports.allocator_free(0x30000)).toThrow(WebAssembly.RuntimeError);
  });

  it('goes with its last object once nobody holds it, and gives all memory back', () => {
    const { exports } = createPlane(createMemory(1, 1n));
    const used = () => {
      // What the page allocator hands out next tells what it has: take all of a fixed room, and give it back.
      let free = 0;
      const taken: number[] = [];
      while (taken.length < 64) taken.push(exports.pages_alloc(1) >>> 0);
      free = Math.max(...taken);
      for (const at of taken) exports.pages_free(at, 1);
      return free;
    };
    const first = exports.allocator_create(0, 0) >>> 0;
    exports.allocator_free(exports.allocator_alloc(first, 16, 0));
    exports.allocator_release(first);
    const before = used();
    const allocator = exports.allocator_create(0, 0) >>> 0;
    const objects = Array.from(
      { length: 20_000 },
      (_, i) => exports.allocator_alloc(allocator, 16 + (i % 1000), 0) >>> 0,
    );
    expect(objects.every((at) => at !== 0)).toBe(true);
    const last = objects.pop()!;
    for (const at of objects) exports.allocator_free(at);
    exports.allocator_release(allocator);
    expect(exports.allocator_of(last)).toBe(allocator);
    exports.allocator_free(last);
    expect(exports.allocator_of(last)).toBe(0);
    expect(used()).toBe(before);
  });
});
