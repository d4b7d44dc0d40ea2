/** Maps of all kinds and an allocator, that a CPU works on until it ends in the middle of an operation; and what must be true then. */
import { expect } from 'vitest';
import { OBJECT_TASK } from '../../src/plane/layout/object.ts';
import { WORKER_EPOCH, WORKER_SCRATCH } from '../../src/plane/layout/worker.ts';
import { readStats } from '../../src/runtime/allocators/stats.ts';
import { CpuWatch, type Recovered } from '../../src/runtime/cpus/recovery.ts';
import { createMemory, workerAddress } from '../../src/runtime/memory.ts';
import { createPlane, instantiatePlane, type PlaneExports, type PlaneInstance } from '../../src/runtime/plane.ts';
import { type Part, parts } from './parts.ts';

/** The CPU that ends. */
const VICTIM = 1;
const COUNTERS_PAGES = 1;

export type Random = (n: number) => number;

export function seeded(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

export class World {
  readonly plane: PlaneInstance;
  readonly counters: number;
  /** A page for keys and values. */
  readonly page: number;
  readonly tasks: readonly number[];
  readonly allocator: number;
  readonly elements: number;
  /** The victim's functions. */
  readonly table = new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
  readonly #victim: PlaneExports;
  readonly #module: WebAssembly.Module;
  readonly parts: readonly Part[];

  constructor(module: WebAssembly.Module) {
    const memory = createMemory(2, 1n);
    this.#module = module;
    this.plane = createPlane(memory, { module, hashSeed: 1n });
    // One thread plays all CPUs: a lock that is waited for is one that was left.
    this.plane.lockWaits.add(() => {
      throw new Error('a lock is held by nobody who lives');
    });
    this.counters = this.calls.pages_alloc(COUNTERS_PAGES) >>> 0;
    this.page = this.calls.pages_alloc(1) >>> 0;
    this.tasks = Array.from({ length: 3 }, () => this.calls.object_id(this.calls.object_create(OBJECT_TASK)));
    this.allocator = this.calls.allocator_create(0, 0) >>> 0;
    this.elements = this.calls.allocator_create(0, 0) >>> 0;
    this.#victim = this.#instance();
    this.parts = parts.map((make) => make(this));
  }

  get calls(): PlaneExports {
    return this.plane.exports;
  }

  get view(): DataView {
    return this.plane.view();
  }

  #instance(): PlaneExports {
    const lock_waits = () => {
      throw new Error('a lock is held by nobody who lives');
    };
    return instantiatePlane(this.plane.memory, workerAddress(VICTIM), { lock_waits, table: this.table }, this.#module);
  }

  createMap(type: number, key: number, value: number, entries: number, flags = 0, spinLock = 0): number {
    const map = this.calls.map_create(type, key, value, entries, flags, 0, 0, 1, 0, 0, spinLock) >>> 0;
    expect(map).toBeLessThan(2 ** 32 - 4095);
    return map;
  }

  live(allocator: number): number {
    return readStats(this.plane, allocator).live;
  }

  /** The victim does it, in an epoch; false: it ended in the middle. */
  works(part: Part, random: Random): boolean {
    const victim = this.#victim;
    try {
      victim.epoch_enter();
      part.work(victim, random);
      victim.epoch_exit();
      part.done();
      return true;
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      return false;
    }
  }

  recover(): Recovered {
    return new CpuWatch(this.plane, VICTIM, () => false).ended();
  }

  /** All is whole: `part` was under way. */
  check(part: Part | undefined, all = true): void {
    for (const each of this.parts) {
      if (!all && each !== part) continue;
      this.calls.epoch_enter();
      each.check(each === part);
      this.calls.epoch_exit();
    }
    expect(this.view.getUint32(workerAddress(VICTIM) + WORKER_EPOCH, true), 'epoch of the CPU').toBe(0);
    // What waited goes.
    for (let i = 0; i < 3; i++) {
      this.calls.epoch_enter();
      this.calls.epoch_exit();
    }
    for (const allocator of [this.allocator, this.elements])
      expect(readStats(this.plane, allocator).waiting, 'objects that wait').toBe(0);
  }

  get scratch(): number {
    return workerAddress(VICTIM) + WORKER_SCRATCH;
  }
}
