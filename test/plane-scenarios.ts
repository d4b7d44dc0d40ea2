/** What the plane promises about memory that was freed, as scenarios that throw where it is not so; for the plane as it is, and with a guard off. */
import assert from 'node:assert/strict';
import { MEMORY_FAULT_DOUBLE_FREE, MEMORY_FAULT_NO_OBJECT, OBJECT_KEY } from '../src/plane/layout/allocator.ts';
import { ROOT, ROOT_FREE_KEY } from '../src/plane/layout/memory.ts';
import { WORKER_MEMORY_FAULT } from '../src/plane/layout/worker.ts';
import { readStats } from '../src/runtime/allocators/stats.ts';
import type { PlaneInstance } from '../src/runtime/plane.ts';

/** The planes of so many CPUs over one new memory. */
export type MakePlanes = (cpus: number) => readonly PlaneInstance[];

export interface PlaneScenario {
  readonly name: string;
  run(make: MakePlanes): void;
}

const SIZE = 64;

function create({ exports }: PlaneInstance, quota = 0): number {
  return exports.allocator_create(quota, 0) >>> 0;
}

function take({ exports }: PlaneInstance, allocator: number, size = SIZE): number {
  const object = exports.allocator_alloc(allocator, size, 0) >>> 0;
  assert.notEqual(object, 0, 'there is no memory');
  return object;
}

/** The free is refused for this reason. */
function refused(plane: PlaneInstance, object: number, fault: number): void {
  let stopped = false;
  try {
    plane.exports.allocator_free(object);
  } catch (error) {
    assert(error instanceof WebAssembly.RuntimeError);
    stopped = true;
  }
  assert(stopped, 'a free that is wrong is taken');
  const word = plane.worker + WORKER_MEMORY_FAULT;
  assert.equal(plane.view().getUint32(word, true), fault, 'what was wrong is said wrongly');
  plane.view().setUint32(word, 0, true);
}

function waits(plane: PlaneInstance, allocator: number, count: number): void {
  assert.equal(readStats(plane, allocator).waiting, count, 'not as many objects wait');
}

/** The allocator does not give this object out, however much it is asked for. */
function isKept(plane: PlaneInstance, allocator: number, object: number): void {
  for (let i = 0; i < 2000; i++) assert.notEqual(take(plane, allocator), object, 'what others may read is given out');
}

export const planeScenarios: readonly PlaneScenario[] = [
  {
    name: 'freed twice, in the cache',
    run(make) {
      const [a] = make(1);
      const object = take(a!, create(a!));
      a!.exports.allocator_free(object);
      refused(a!, object, MEMORY_FAULT_DOUBLE_FREE);
    },
  },
  {
    name: 'freed twice, in the slab',
    run(make) {
      const [a] = make(1);
      const allocator = create(a!);
      const objects = Array.from({ length: 1000 }, () => take(a!, allocator));
      // Slabs in which nothing is live go.
      const freed = objects.filter((_, i) => i % 50 !== 0);
      for (const object of freed) a!.exports.allocator_free(object);
      for (const object of freed.slice(0, 500)) refused(a!, object, MEMORY_FAULT_DOUBLE_FREE);
    },
  },
  {
    name: "freed twice, in another CPU's cache",
    run(make) {
      const [a, b] = make(2);
      const allocator = create(a!);
      for (const [one, other] of [
        [a!, b!],
        [b!, a!],
      ] as const) {
        const object = take(one, allocator);
        one.exports.allocator_free(object);
        refused(other, object, MEMORY_FAULT_DOUBLE_FREE);
      }
    },
  },
  {
    name: 'an object that holds the mark is freed, once',
    run(make) {
      const [a] = make(1);
      const allocator = create(a!);
      const object = take(a!, allocator);
      const view = a!.view();
      view.setUint32(object + OBJECT_KEY, view.getUint32(ROOT + ROOT_FREE_KEY, true), true);
      a!.exports.allocator_free(object);
      assert.equal(readStats(a!, allocator).live, 0);
      refused(a!, object, MEMORY_FAULT_DOUBLE_FREE);
    },
  },
  {
    name: 'freed at an address inside',
    run(make) {
      const [a] = make(1);
      const allocator = create(a!);
      for (const size of [16, 24, 64, 160, 4096]) {
        const object = take(a!, allocator, size);
        for (let inside = 8; inside < size; inside += 8) refused(a!, object + inside, MEMORY_FAULT_NO_OBJECT);
        a!.exports.allocator_free(object);
      }
    },
  },
  {
    name: 'freed at an address inside, without caches',
    run(make) {
      // With several CPUs what has a quota has none; and no class is as large as this.
      const [a] = make(2);
      const small = take(a!, create(a!, 10_000));
      refused(a!, small + 8, MEMORY_FAULT_NO_OBJECT);
      const large = take(a!, create(a!), 10_000);
      refused(a!, large + 8, MEMORY_FAULT_NO_OBJECT);
    },
  },
  {
    name: 'freed, and no object',
    run(make) {
      const [a] = make(1);
      refused(a!, ROOT, MEMORY_FAULT_NO_OBJECT);
    },
  },
  {
    name: 'freed later: as it was until the CPU leaves, then free',
    run(make) {
      const [a] = make(1);
      const { exports } = a!;
      const allocator = create(a!);
      exports.epoch_enter();
      exports.epoch_enter();
      const object = take(a!, allocator);
      const bytes = () => a!.bytes().subarray(object, object + SIZE);
      bytes().fill(0xab);
      exports.allocator_free_later(object);
      isKept(a!, allocator, object);
      exports.epoch_exit();
      waits(a!, allocator, 1);
      isKept(a!, allocator, object);
      assert(
        bytes().every((byte) => byte === 0xab),
        'what may be read was written over',
      );
      exports.epoch_exit();
      waits(a!, allocator, 0);
      assert.equal(take(a!, allocator), object);
    },
  },
  {
    name: 'freed later: while another CPU is at work',
    run(make) {
      const [a, b] = make(2);
      const allocator = create(a!);
      b!.exports.epoch_enter();
      a!.exports.epoch_enter();
      const object = take(a!, allocator);
      a!.exports.allocator_free_later(object);
      a!.exports.epoch_exit();
      for (let round = 0; round < 5; round++) {
        a!.exports.epoch_enter();
        isKept(a!, allocator, object);
        a!.exports.epoch_exit();
      }
      waits(a!, allocator, 1);
      b!.exports.epoch_exit();
      a!.exports.epoch_enter();
      a!.exports.epoch_exit();
      waits(a!, allocator, 0);
    },
  },
  {
    name: 'freed later: while a CPU is at work that came after another object',
    run(make) {
      const [a, b] = make(2);
      const allocator = create(a!);
      const later = () => {
        a!.exports.epoch_enter();
        const object = take(a!, allocator);
        a!.exports.allocator_free_later(object);
        a!.exports.epoch_exit();
        return object;
      };
      b!.exports.epoch_enter();
      later();
      b!.exports.epoch_exit();
      b!.exports.epoch_enter();
      const second = later();
      waits(a!, allocator, 1);
      isKept(a!, allocator, second);
      b!.exports.epoch_exit();
      a!.exports.epoch_enter();
      a!.exports.epoch_exit();
      waits(a!, allocator, 0);
    },
  },
  {
    name: 'an allocator that nobody holds stays while a CPU that is at work has some of it in its cache',
    run(make) {
      const [a, b] = make(2);
      const allocator = create(a!);
      const objects = Array.from({ length: 200 }, () => take(a!, allocator));
      b!.exports.epoch_enter();
      for (const object of objects.slice(1)) b!.exports.allocator_free(object);
      a!.exports.allocator_release(allocator);
      b!.exports.allocator_free(objects[0]!);
      assert.equal(a!.exports.allocator_of(objects[0]!) >>> 0, allocator, 'a cache was emptied by another CPU');
      assert.equal(readStats(a!, allocator).state, 'draining');
      b!.exports.epoch_exit();
      assert.equal(a!.exports.allocator_of(objects[0]!), 0, 'the slab of an allocator that is gone stays');
    },
  },
];
