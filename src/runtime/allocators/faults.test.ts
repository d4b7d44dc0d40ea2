import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { load } from '../../index.ts';
import { CACHED_CLASSES, SLAB_BYTES } from '../../plane/layout/allocator.ts';
import { MAP_VALUES } from '../../plane/layout/map.ts';
import { WORKER_MEMORY_FAULT } from '../../plane/layout/worker.ts';
import { createMap, type PlaneMap } from '../maps/plane-map.ts';
import { leaveEpochs, takeMemoryFault } from '../memory-fault.ts';
import { Runtime } from '../runtime.ts';
import { readHeap } from './heap.ts';
import { readStats } from './stats.ts';

function stopped(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('was not stopped');
}

describe('a fault of memory', () => {
  it.each([1, 2])('names the object and its allocator, and the CPU goes on, with %i CPUs', (cpus) => {
    const { plane } = new Runtime({ cpus });
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    const object = exports.allocator_alloc(allocator, 100, 0) >>> 0;
    const depth = exports.epoch_depth();
    exports.epoch_enter();
    exports.allocator_free(object);
    const error = stopped(() => exports.allocator_free(object));
    expect(takeMemoryFault(plane, 'p', error)).toMatchObject({
      code: 'SLUICE_FAULT_DOUBLE_FREE',
      message: `program p: the object at 0x${object.toString(16)} (112 bytes, of allocator 1) was freed twice`,
    });
    expect(takeMemoryFault(plane, 'p', error)).toBeUndefined();
    // And one that is found when the CPU leaves.
    exports.allocator_free_later(object);
    leaveEpochs(plane, depth);
    expect(exports.epoch_depth()).toBe(0);
    exports.epoch_enter();
    const other = exports.allocator_alloc(allocator, 100, 0);
    exports.allocator_free_later(other);
    exports.epoch_exit();
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, waiting: 0 });
  });

  it.each([1, 2])('in an operation of user space ends that operation alone, with %i CPUs', (cpus) => {
    const { plane } = new Runtime({ cpus });
    const NO_PREALLOC = 1;
    const map = createMap(plane, { type: 'hash', keySize: 4, valueSize: 8, maxEntries: 10, flags: NO_PREALLOC });
    map.update(Uint8Array.of(1, 0, 0, 0), new Uint8Array(8));
    // Behind the map's back.
    for (const { address, objectSize, live } of readHeap(plane))
      for (const [i, id] of live.entries()) if (id !== 0) plane.exports.allocator_free(address + i * objectSize);
    expect(stopped(() => map.close())).toMatchObject({
      code: 'SLUICE_MAP_DAMAGED',
      message: expect.stringMatching(/^map hash: close: .*freed twice/),
    });
    expect(plane.exports.epoch_depth()).toBe(0);
    plane.exports.epoch_enter();
    plane.exports.epoch_exit();
  });

  it.each([0x2_0000n, 0xffff_fff0n])('a list that leads to 0x%s is told, and the map can be let go of', async (to) => {
    const runtime = new Runtime({ cpus: 2 });
    const loaded = await load(readFileSync('bpf/objects/mem/operations.bpf.o'), { runtime });
    const { states } = loaded.maps;
    const map = states!.raw as PlaneMap;
    const damage = () => {
      const values = runtime.view().getUint32(map.address + MAP_VALUES, true);
      // struct state: sum, lock, list.
      runtime.view().setBigUint64(values + 16, to, true);
    };
    damage();
    expect(() => map.update(new Uint8Array(4), new Uint8Array(map.valueSize))).toThrow(
      expect.objectContaining({ code: 'SLUICE_MAP_DAMAGED', message: expect.stringMatching(/^map states: update: /) }),
    );
    expect(runtime.plane.exports.epoch_depth()).toBe(0);
    map.update(new Uint8Array(4), new Uint8Array(map.valueSize));
    damage();
    expect(() => loaded.close()).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_DAMAGED' }));
    expect(runtime.plane.exports.epoch_depth()).toBe(0);
    expect(runtime.view().getUint32(runtime.plane.worker + WORKER_MEMORY_FAULT, true)).toBe(0);
  });

  it.each([1, 2])('is told of what lies inside an object, of every class, with %i CPUs', (cpus) => {
    const { plane } = new Runtime({ cpus });
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    const sizes = new Set(Array.from({ length: 4096 / 8 }, (_, i) => exports.allocator_rounded((i + 1) * 8)));
    expect(sizes.size).toBe(CACHED_CLASSES);
    for (const size of sizes) {
      // All that a slab has room for, so that the last of them is among them.
      const objects = Array.from({ length: Math.floor(SLAB_BYTES / size) }, () =>
        exports.allocator_alloc(allocator, size, 0),
      );
      for (const object of [objects.at(0)!, objects.at(-1)!]) {
        for (const inside of [1, 4, 8, 16, size >>> 1, size - 8, size - 1]) {
          if (inside <= 0 || inside >= size) continue;
          const error = stopped(() => exports.allocator_free(object + inside));
          expect(takeMemoryFault(plane, 'p', error)).toMatchObject({
            code: 'SLUICE_FAULT_NO_OBJECT',
            message: expect.stringMatching(`lies inside an object \\(${size} bytes, of allocator 1\\)$`),
          });
        }
      }
      for (const object of objects) exports.allocator_free(object);
    }
    expect(readStats(plane, allocator).live).toBe(0);
  });

  it('is told of what is no object', () => {
    const { plane } = new Runtime();
    const error = stopped(() => plane.exports.allocator_free(0x2_0000));
    expect(takeMemoryFault(plane, 'p', error)).toMatchObject({ code: 'SLUICE_FAULT_NO_OBJECT' });
    expect(stopped(() => plane.exports.allocator_free_later(0x2_0000))).toBeInstanceOf(WebAssembly.RuntimeError);
  });
});

describe('with memoryChecks', () => {
  const start = (cpus = 1) => {
    const { plane } = new Runtime({ memoryChecks: true, cpus });
    const allocator = plane.exports.allocator_create(0, 0) >>> 0;
    const take = (size = 100) => plane.exports.allocator_alloc(allocator, size, 0) >>> 0;
    return { plane, exports: plane.exports, allocator, take };
  };

  it('what is freed is not used again at once, and is filled', () => {
    const { plane, exports, allocator, take } = start();
    const object = take();
    expect(exports.allocator_generation(object)).toBe(1);
    exports.allocator_free(object);
    expect(readStats(plane, allocator).live).toBe(0);
    for (let i = 0; i < 100; i++) {
      const other = take();
      expect(other).not.toBe(object);
      exports.allocator_free(other);
    }
    expect([...plane.bytes().subarray(object + 8, object + 112)].every((byte) => byte === 0x6b)).toBe(true);
    let rounds = 0;
    for (let other = take(); other !== object && rounds < 2000; other = take(), rounds++) exports.allocator_free(other);
    expect(exports.allocator_generation(object)).toBe(2);
  });

  it('a write to what is free ends the run, however it is found', () => {
    const { plane, exports, take } = start();
    const object = take();
    exports.epoch_enter();
    exports.allocator_free(object);
    plane.view().setUint8(object + 50, 1);
    expect(exports.allocator_check() >>> 0).toBe(object);
    const error = stopped(() => exports.epoch_exit());
    expect(takeMemoryFault(plane, 'p', error)).toMatchObject({ code: 'SLUICE_FAULT_FREED_WRITTEN' });
    leaveEpochs(plane, 0);
    const found = stopped(() => {
      for (let i = 0; i < 2000; i++) exports.allocator_free(take());
    });
    expect(takeMemoryFault(plane, 'p', found)).toMatchObject({
      code: 'SLUICE_FAULT_FREED_WRITTEN',
      message: expect.stringContaining(object.toString(16)),
    });
  });

  it('an address inside of an object is none, and what waits cannot be freed', () => {
    const { plane, exports, allocator, take } = start(2);
    const object = take();
    const inside = stopped(() => exports.allocator_free(object + 16));
    expect(takeMemoryFault(plane, 'p', inside)).toMatchObject({ code: 'SLUICE_FAULT_NO_OBJECT' });
    exports.epoch_enter();
    exports.allocator_free_later(object);
    for (const free of [exports.allocator_free, exports.allocator_free_later]) {
      expect(
        takeMemoryFault(
          plane,
          'p',
          stopped(() => free(object)),
        ),
      ).toMatchObject({ code: 'SLUICE_FAULT_DOUBLE_FREE' });
    }
    exports.epoch_exit();
    expect(
      takeMemoryFault(
        plane,
        'p',
        stopped(() => exports.allocator_free(object)),
      ),
    ).toMatchObject({
      code: 'SLUICE_FAULT_DOUBLE_FREE',
    });
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, waiting: 0 });
  });

  it('keeps a quota exact, and what is set apart', () => {
    const { exports } = start();
    const allocator = exports.allocator_create(6400, 0) >>> 0;
    expect(exports.allocator_prefill(allocator, 64, 50, 1)).toBe(0);
    for (let round = 0; round < 3; round++) {
      const taken = Array.from({ length: 101 }, () => exports.allocator_alloc(allocator, 64, 1) >>> 0);
      expect(taken.filter((at) => at !== 0)).toHaveLength(100);
      for (const at of taken.slice(0, 100)) exports.allocator_free(at);
    }
  });
});
