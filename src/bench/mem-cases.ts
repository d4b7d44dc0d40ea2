/** What `bench mem` measures: programs of bpf/bench/mem.bpf.c, and what does the same in C. */

export interface MemCase {
  readonly name: string;
  /** Program of the object. */
  readonly program: string;
  /** Pattern of bench/peers/mem.c. */
  readonly c?: string;
  /** Operations of a run of the program. */
  readonly operations: number;
}

/** Rounds that a run is asked for. */
export const ROUNDS = 512;
/** Places for objects that go from one CPU to the other, and those of a turn of the C peers. */
export const CROSS = 4096;

const SIZES = [64, 16, 256, 32, 1024, 128, 24, 512, 48, 768, 80, 40, 192, 96, 384, 160];
/** What the objects that fill() makes were asked for with: 1024 of each size, 512 list nodes of 32 bytes and 512 tree nodes of 40. */
export const LIVE_BYTES = SIZES.reduce((sum, size) => sum + 1024 * size, 0) + 512 * (32 + 40);
/** Elements of the map without preallocation: two words of the chain, key, value. */
export const ELEMENTS = { count: 8192, bytes: 24 } as const;

export const MEM_CASES: readonly MemCase[] = [
  { name: 'lifo', program: 'lifo', c: 'lifo', operations: ROUNDS },
  { name: 'batch_128', program: 'batch', c: 'batch', operations: ROUNDS },
  { name: 'mixed', program: 'mixed', c: 'mixed', operations: ROUNDS },
  { name: 'stash_unstash', program: 'stash_unstash', operations: ROUNDS },
  { name: 'refcount', program: 'refcount', operations: ROUNDS },
  { name: 'percpu', program: 'percpu', operations: ROUNDS },
  { name: 'list_push_pop', program: 'list_push_pop', operations: ROUNDS },
  { name: 'tree_add_remove', program: 'tree_add_remove', operations: ROUNDS },
  { name: 'overwrite', program: 'overwrite', operations: ROUNDS },
  { name: 'overwrite_dynamic', program: 'overwrite_dynamic', c: 'overwrite', operations: ROUNDS },
  { name: 'add_del', program: 'add_del', operations: 2 * ROUNDS },
  { name: 'add_del_dynamic', program: 'add_del_dynamic', c: 'add_del', operations: 2 * ROUNDS },
];

/** struct bench_packet (bpf/bench/bench.h). */
export function memPacket(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, 0x0008, true);
  view.setUint32(16, count, true);
  view.setUint32(20, seed, true);
  return bytes;
}
