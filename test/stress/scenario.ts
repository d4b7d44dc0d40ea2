/** A scenario of many CPUs: it throws where a promise is broken, with the plane that is built or with one of which a guard is switched off (guards.ts). */
import { createMemory } from '../../src/runtime/memory.ts';
import { createPlane, type PlaneInstance } from '../../src/runtime/plane.ts';

export interface Variant {
  readonly module?: WebAssembly.Module;
  /** Sets up the memory before anything is in it. */
  readonly prepare?: (memory: WebAssembly.Memory) => void;
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
