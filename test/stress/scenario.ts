/** A scenario of many CPUs: it throws where a promise is broken, with the plane that is built or with one of which a guard is switched off (guards.ts). */
import { STATS_LIVE, STATS_SIZE, STATS_WAITING } from '../../src/plane/layout/allocator.ts';
import { createMemory } from '../../src/runtime/memory.ts';
import { createPlane, type PlaneInstance } from '../../src/runtime/plane.ts';

export interface Variant {
  readonly module?: WebAssembly.Module;
  /** Sets up the memory before anything is in it. */
  readonly prepare?: (memory: WebAssembly.Memory) => void;
  /** How long threads may take, in ms. */
  readonly timeout?: number;
  /** As RunOptions.stall (workers.ts). */
  readonly stall?: number;
}

export interface Scenario {
  readonly name: string;
  run(variant: Variant): void | Promise<void>;
}

/** The planes of some CPUs, all on this thread: what one does between two steps of another is the scenario's to say. */
export function planesOf({ module, prepare }: Variant, cpus: number): PlaneInstance[] {
  const memory = createMemory(cpus, 1n);
  prepare?.(memory);
  return Array.from({ length: cpus }, (_, cpu) =>
    createPlane(memory, { cpu, hashSeed: 3n, ...(module && { module }) }),
  );
}

/** Calls what the plane exports; u64 and i64 are BigInt among the arguments, and numbers as results. Addresses are above 0. */
export function call(plane: PlaneInstance, name: string, ...args: (number | bigint)[]): number {
  const result = Number(
    (plane.exports[name] as unknown as (...values: (number | bigint)[]) => number | bigint)(...args),
  );
  return typeof result === 'number' && result < -4095 ? result >>> 0 : result;
}

export function u32(n: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(n).buffer);
}

export function u64(n: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(n).buffer);
}

/** Throws an error with both, where they differ. */
export function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: ${found}, and not ${expected}`);
}

/** Makes the memory have so many free pages: threads see it as large as it is when they begin. */
export function grow(plane: PlaneInstance, pages: number): void {
  plane.exports.pages_free(call(plane, 'pages_alloc', pages), pages);
}

/** What waits on a CPU ends when that CPU next leaves; twice, for what ends with it. */
export function settleAll(plane: PlaneInstance, cpus: number, { module }: Variant): void {
  for (let cpu = 0; cpu < cpus; cpu++) {
    const each = createPlane(plane.memory, { cpu, ...(module && { module }) });
    for (let i = 0; i < 2; i++) {
      each.exports.epoch_enter();
      each.exports.epoch_exit();
    }
  }
}

export function statsOf(plane: PlaneInstance, allocator: number): { live: number; waiting: number } {
  const out = call(plane, 'pages_alloc', Math.ceil(STATS_SIZE / 65536));
  call(plane, 'allocator_stats', allocator, out);
  const view = plane.view();
  const stats = {
    live: Number(view.getBigUint64(out + STATS_LIVE, true)),
    waiting: Number(view.getBigUint64(out + STATS_WAITING, true)),
  };
  plane.exports.pages_free(out, Math.ceil(STATS_SIZE / 65536));
  return stats;
}
