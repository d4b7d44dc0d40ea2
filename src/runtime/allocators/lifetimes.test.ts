import { describe, expect, it } from 'vitest';
import { ALLOCATOR_MERGE } from '../../plane/layout/allocator.ts';
import { WORKER_NO_REFILL } from '../../plane/layout/worker.ts';
import { createMemory } from '../memory.ts';
import { createPlane } from '../plane.ts';
import { readStats } from './stats.ts';

const fresh = (cpus = 1) => createPlane(createMemory(cpus, 1n));
const ENOMEM = -12;
const EINVAL = -22;

function takeAll(take: () => number, most: number): number[] {
  const objects: number[] = [];
  while (objects.length < most) {
    const at = take();
    if (at === 0) break;
    objects.push(at);
  }
  return objects;
}

describe('what is set apart', () => {
  it('is there whatever others take, comes back, and goes with its holder', () => {
    const plane = fresh();
    const { exports } = plane;
    const quota = 100 * 64;
    const allocator = exports.allocator_create(quota, 0) >>> 0;
    const take = (holder: number) => () => exports.allocator_alloc(allocator, 64, holder) >>> 0;
    expect(exports.allocator_prefill(allocator, 64, 101, 7)).toBe(ENOMEM);
    expect(exports.allocator_prefill(allocator, 64, 40, 7)).toBe(0);
    expect(exports.allocator_prefill(allocator, 64, 61, 7)).toBe(ENOMEM);
    expect(readStats(plane, allocator)).toMatchObject({ reserved: 40, reservedBytes: 2560, live: 0 });
    const others = takeAll(take(0), 1000);
    expect(others).toHaveLength(60);
    expect(take(8)()).toBe(0);
    for (let round = 0; round < 3; round++) {
      const own = takeAll(take(7), 1000);
      expect(own).toHaveLength(40);
      expect(readStats(plane, allocator).live).toBe(100);
      for (const at of own) exports.allocator_free(at);
      expect(readStats(plane, allocator).live).toBe(60);
    }
    const kept = takeAll(take(7), 10);
    exports.allocator_unreserve(allocator, 7);
    expect(readStats(plane, allocator)).toMatchObject({ reserved: 0, live: 70 });
    expect(takeAll(take(0), 1000)).toHaveLength(30);
    for (const at of [...kept, ...others]) exports.allocator_free(at);
    expect(readStats(plane, allocator).live).toBe(30);
  });

  it('is all there is where no slab may be made, and 1000 taken, given back and taken again never fail', () => {
    const plane = fresh();
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    expect(exports.allocator_prefill(allocator, 48, 1000, 0)).toBe(0);
    plane.view().setUint32(plane.worker + WORKER_NO_REFILL, 1, true);
    const take = () => exports.allocator_alloc(allocator, 48, 0) >>> 0;
    const first = takeAll(take, 2000);
    expect(first).toHaveLength(1000);
    for (const at of first) exports.allocator_free(at);
    expect(takeAll(take, 2000)).toHaveLength(1000);
    plane.view().setUint32(plane.worker + WORKER_NO_REFILL, 0, true);
    expect(take()).not.toBe(0);
  });
});

describe('merged allocators', () => {
  it('cost together what one costs, tell apart what is live, and go one by one', () => {
    const plane = fresh();
    const { exports } = plane;
    const used = () => exports.pages_alloc(1) >>> 0;
    const one = exports.allocator_create_in(0, 0, ALLOCATOR_MERGE, 0) >>> 0;
    const first = exports.allocator_alloc(one, 100, 0) >>> 0;
    const before = used();
    const others = Array.from({ length: 1000 }, () => exports.allocator_create_in(0, 0, ALLOCATOR_MERGE, 0) >>> 0);
    const objects = others.map((each) => exports.allocator_alloc(each, 100, 0) >>> 0);
    // 112 bytes an object, 64 an allocator: less than four pages in all.
    expect(used() - before).toBeLessThanOrEqual(5 * 65536);
    expect(readStats(plane, one)).toMatchObject({ live: 1, sharers: 1001 });
    expect(exports.allocator_of(first) >>> 0).toBe(one);
    for (const [i, at] of objects.entries()) expect(exports.allocator_of(at) >>> 0).toBe(others[i]);
    for (const each of others) exports.allocator_release(each);
    expect(exports.allocators_settle()).toBe(0);
    for (const at of objects.slice(100)) exports.allocator_free(at);
    expect(exports.allocators_settle()).toBe(900);
    expect(readStats(plane, others[50]!)).toMatchObject({ live: 1, sharers: 101, state: 'draining' });
    for (const at of objects.slice(0, 100)) exports.allocator_free(at);
    expect(exports.allocators_settle()).toBe(100);
    expect(readStats(plane, one)).toMatchObject({ live: 1, sharers: 1, state: 'open' });
  });

  it('can become so while objects are live, and what was set apart stays its own', () => {
    const plane = fresh();
    const { exports } = plane;
    const make = () => exports.allocator_create(0, 0) >>> 0;
    const [a, b, c] = [make(), make(), make()];
    const take = (of: number, count: number, size = 200) =>
      Array.from({ length: count }, () => exports.allocator_alloc(of, size, 0) >>> 0);
    const of = new Map([a, b, c].map((each) => [each!, take(each!, 500)]));
    expect(exports.allocator_prefill(b!, 200, 10, 0)).toBe(0);
    expect(exports.allocator_merge(a!, b!)).toBe(0);
    expect(exports.allocator_merge(a!, a!)).toBe(0);
    expect(exports.allocator_merge(c!, a!)).toBe(0);
    for (const [each, objects] of of) {
      expect(readStats(plane, each)).toMatchObject({ live: 500, sharers: 3, reserved: each === b ? 10 : 0 });
      objects.push(...take(each, 100));
      for (const at of objects.splice(0, 300)) exports.allocator_free(at);
    }
    for (const [each, objects] of of) {
      expect(readStats(plane, each).live).toBe(300);
      for (const at of objects) expect(exports.allocator_of(at) >>> 0).toBe(each);
    }
    plane.view().setUint32(plane.worker + WORKER_NO_REFILL, 1, true);
    while (exports.allocator_alloc(a!, 200, 0) !== 0);
    expect(exports.allocator_alloc(c!, 200, 0)).toBe(0);
    expect(exports.allocator_alloc(b!, 200, 0)).not.toBe(0);
    plane.view().setUint32(plane.worker + WORKER_NO_REFILL, 0, true);
    const limited = exports.allocator_create(1 << 20, 0) >>> 0;
    expect(exports.allocator_merge(a!, limited)).toBe(EINVAL);
  });

  it('share a quota with their group only', () => {
    const { exports } = fresh();
    const make = (group: number) => exports.allocator_create_in(6400, 0, ALLOCATOR_MERGE, group) >>> 0;
    const [a, b, other, alone] = [make(1), make(1), make(2), make(0)];
    const count = (of: number) => takeAll(() => exports.allocator_alloc(of, 64, 0) >>> 0, 1000).length;
    expect(count(a!)).toBe(100);
    expect(count(b!)).toBe(0);
    expect(count(other!)).toBe(100);
    expect(count(alone!)).toBe(100);
  });
});

describe('what is freed later', () => {
  it('stays as it was until the CPU leaves, and is neither live nor reusable meanwhile', () => {
    const plane = fresh();
    const { exports } = plane;
    const allocator = exports.allocator_create(640, 0) >>> 0;
    exports.epoch_enter();
    exports.epoch_enter();
    const objects = takeAll(() => exports.allocator_alloc(allocator, 64, 0) >>> 0, 1000);
    expect(objects).toHaveLength(10);
    for (const at of objects) plane.bytes().fill(0xab, at, at + 64);
    for (const at of objects) exports.allocator_free_later(at);
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, waiting: 10, waitingBytes: 640 });
    expect(exports.allocator_alloc(allocator, 64, 0)).toBe(0);
    exports.epoch_exit();
    for (const at of objects)
      expect(
        plane
          .bytes()
          .subarray(at, at + 64)
          .every((byte) => byte === 0xab),
      ).toBe(true);
    exports.epoch_exit();
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, waiting: 0 });
    expect(exports.allocator_alloc(allocator, 64, 0)).not.toBe(0);
  });

  it('waits for every CPU that was at work', () => {
    const memory = createMemory(2, 1n);
    const [a, b] = [createPlane(memory, { cpu: 0 }), createPlane(memory, { cpu: 1 })];
    const allocator = a.exports.allocator_create(0, 0) >>> 0;
    b.exports.epoch_enter();
    for (let round = 0; round < 3; round++) {
      a.exports.epoch_enter();
      a.exports.allocator_free_later(a.exports.allocator_alloc(allocator, 64, 0));
      a.exports.epoch_exit();
      expect(readStats(a, allocator).waiting).toBe(round + 1);
    }
    b.exports.epoch_exit();
    a.exports.epoch_enter();
    a.exports.epoch_exit();
    expect(readStats(a, allocator).waiting).toBe(0);
  });

  it('is found to be free already when its turn comes', () => {
    const plane = fresh();
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    exports.epoch_enter();
    const object = exports.allocator_alloc(allocator, 64, 0);
    exports.allocator_free_later(object);
    exports.allocator_free_later(object);
    expect(() => exports.epoch_exit()).toThrow(WebAssembly.RuntimeError);
    exports.epoch_enter();
    exports.epoch_exit();
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, waiting: 0 });
  });
});

describe('an allocator that nobody holds', () => {
  it("goes with its last object, also where that lies in another CPU's cache", () => {
    const memory = createMemory(2, 1n);
    const [a, b] = [createPlane(memory, { cpu: 0 }), createPlane(memory, { cpu: 1 })];
    const allocator = a.exports.allocator_create(0, 0) >>> 0;
    const objects = Array.from({ length: 300 }, () => a.exports.allocator_alloc(allocator, 64, 0) >>> 0);
    b.exports.epoch_enter();
    for (const at of objects.slice(1)) b.exports.allocator_free(at);
    a.exports.allocator_release(allocator);
    expect(a.exports.allocator_of(objects[0]!) >>> 0).toBe(allocator);
    b.exports.allocator_free(objects[0]!);
    expect(readStats(a, allocator)).toMatchObject({ state: 'draining', live: 0 });
    b.exports.epoch_exit();
    expect(a.exports.allocator_of(objects[0]!)).toBe(0);
  });
});
