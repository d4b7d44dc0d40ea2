import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { createMemory, workerAddress } from '../memory.ts';
import { createPlane, planeModule } from '../plane.ts';
import { readStats } from './stats.ts';

/** A second or two. */
const objects = Number(process.env.SLUICE_SLAB_OBJECTS ?? 10_000_000);
const size = 64;
/** What is live at most: the room of the queue between the two. */
const room = 1 << 15;
const HEAD = 0;
const TAIL = 16;
const SLOTS = 32;

/** Frees what stands in the queue, and with `keep` allocates as well, to have caches of its own in use. */
const consumer = `
const { workerData } = require('node:worker_threads');
const { module, memory, worker, queue, count, room, allocator } = workerData;
const table = new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
const { exports } = new WebAssembly.Instance(module, { env: { memory, table, worker, now: () => 0, ring_function: () => 0, lock_waits: () => {} } });
const words = new Int32Array(memory.buffer, queue, ${SLOTS} + room);
for (let head = 0; head < count; ) {
  const tail = Atomics.load(words, ${TAIL});
  if (tail === head) { Atomics.wait(words, ${TAIL}, tail, 10); continue; }
  exports.epoch_enter();
  for (; head < tail; head++) exports.allocator_free(words[${SLOTS} + (head & (room - 1))]);
  exports.epoch_exit();
  Atomics.store(words, ${HEAD}, head);
  Atomics.notify(words, ${HEAD});
}
`;

describe('two workers', () => {
  it(`one allocates and one frees ${objects} objects, in at most twice the memory of what is live`, async () => {
    const memory = createMemory(2, 1n);
    const plane = createPlane(memory);
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    const queue = exports.pages_alloc(4) >>> 0;
    const words = new Int32Array(memory.buffer, queue, SLOTS + room);
    const thread = new Worker(consumer, {
      eval: true,
      workerData: { module: planeModule(), memory, worker: workerAddress(1), queue, count: objects, room, allocator },
    });
    const ended = new Promise<number>((resolve, reject) => {
      thread.once('error', reject);
      thread.once('exit', resolve);
    });
    let peak = 0;
    for (let tail = 0; tail < objects; ) {
      const head = Atomics.load(words, HEAD);
      const free = room - (tail - head);
      if (free < 256) {
        Atomics.wait(words, HEAD, head, 10);
        continue;
      }
      exports.epoch_enter();
      for (let i = Math.min(free, objects - tail); i > 0; i--) {
        const at = exports.allocator_alloc(allocator, size, 0);
        if (at === 0) throw new Error('no memory');
        words[SLOTS + (tail++ & (room - 1))] = at;
      }
      exports.epoch_exit();
      Atomics.store(words, TAIL, tail);
      Atomics.notify(words, TAIL);
      peak = Math.max(peak, readStats(plane, allocator).slabBytes);
    }
    expect(await ended).toBe(0);
    expect(readStats(plane, allocator)).toMatchObject({ live: 0, liveBytes: 0 });
    expect(peak).toBeLessThanOrEqual(2 * room * size);
    exports.allocator_release(allocator);
    // All of it is back: the memory gives the same pages again.
    expect(exports.allocator_create(0, 0) >>> 0).toBe(allocator);
  }, 120_000);

  it('hand what both have freed to each other, and lose nothing', async () => {
    const memory = createMemory(2, 1n);
    const plane = createPlane(memory);
    const { exports } = plane;
    const allocator = exports.allocator_create(0, 0) >>> 0;
    const code = `
const { workerData, parentPort } = require('node:worker_threads');
const { module, memory, worker, allocator, seed } = workerData;
const table = new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
const { exports } = new WebAssembly.Instance(module, { env: { memory, table, worker, now: () => 0, ring_function: () => 0, lock_waits: () => {} } });
const u32 = new Uint32Array(memory.buffer);
let r = seed;
const next = (n) => { r = (Math.imul(r, 1664525) + 1013904223) >>> 0; return r % n; };
const held = [];
for (let round = 0; round < 300; round++) {
  exports.epoch_enter();
  for (let i = 0; i < 200; i++) {
    if (held.length > 400 || (held.length > 0 && next(2) === 0)) {
      const [at, mark] = held.splice(next(held.length), 1)[0];
      if (Atomics.load(new Uint32Array(memory.buffer), at / 4 + 2) !== mark) throw new Error('object at ' + at + ' was given out twice');
      next(3) === 0 ? exports.allocator_free_later(at) : exports.allocator_free(at);
    } else {
      const at = exports.allocator_alloc(allocator, 16 + next(500), 0) >>> 0;
      const mark = (seed * 1000003 + round * 200 + i) >>> 0;
      new Uint32Array(memory.buffer)[at / 4 + 2] = mark;
      held.push([at, mark]);
    }
  }
  exports.epoch_exit();
}
exports.epoch_enter();
for (const [at] of held) exports.allocator_free_later(at);
exports.epoch_exit();
`;
    const seeds = [1, 2].map(() => (Math.random() * 1e6) | 0);
    const ends = seeds.map(
      (seed, i) =>
        new Promise<number>((resolve, reject) => {
          const thread = new Worker(code, {
            eval: true,
            workerData: { module: planeModule(), memory, worker: workerAddress(i), allocator, seed },
          });
          thread.once('error', reject);
          thread.once('exit', resolve);
        }),
    );
    expect(await Promise.all(ends), `seeds ${seeds}`).toEqual([0, 0]);
    // What waits on one CPU is freed when that CPU next leaves.
    for (const cpu of [0, 1]) {
      const each = createPlane(memory, { cpu });
      for (let i = 0; i < 3; i++) {
        each.exports.epoch_enter();
        each.exports.epoch_exit();
      }
    }
    expect(readStats(plane, allocator), `seeds ${seeds}`).toMatchObject({ live: 0, waiting: 0 });
  }, 60_000);
});
