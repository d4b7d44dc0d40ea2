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
