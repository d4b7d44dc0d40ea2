/** Types for tests of ownership, and objects of them made as programs make them: by the functions of the plane, without a program. */

import type { MapTypeName } from '../src/abi/map-types.ts';
import { BtfBuilder } from '../src/btf/write.ts';
import type { MapSpec } from '../src/object/spec.ts';
import { readStats } from '../src/runtime/allocators/stats.ts';
import { reachableObjects } from '../src/runtime/maps/owned.ts';
import type { PlaneMap } from '../src/runtime/maps/plane-map.ts';
import { createLike } from '../src/runtime/object-maps.ts';
import { Records } from '../src/runtime/records.ts';
import { Runtime } from '../src/runtime/runtime.ts';

/** struct node { u64 key; struct bpf_list_node link; struct node __kptr *next; }: nested as deep as a test likes, where Linux allows 8. */
const NODE_SIZE = 40;
export const NODE_NEXT = 32;
const NODE_LINK = 8;
/** struct graph { struct bpf_spin_lock lock; struct bpf_list_head head; struct node __kptr *one; struct node __kptr *other; u64 plain; } */
export const GRAPH = { size: 48, head: 8, pointers: [24, 32], plain: 40 } as const;
/** struct plain { u64 before; struct node __kptr *one; u64 plain; struct counter __percpu_kptr *counter; } */
export const POINTERS = { size: 32, pointers: [8], plain: 16, percpu: 24 } as const;

function types() {
  const made = new BtfBuilder();
  const int = (name: string, size: number) =>
    made.add({ kind: 'int', name, size, bits: size * 8, offset: 0, signed: false, bool: false, char: false });
  const u64 = int('u64', 8);
  const u32 = int('u32', 4);
  const struct = (name: string, size: number, members: readonly (readonly [string, number, number])[]) =>
    made.add({
      kind: 'struct',
      name,
      size,
      members: members.map(([member, type, offset]) => ({ name: member, type, bitOffset: offset * 8, bitSize: 0 })),
    });
  const tagged = (tag: string, type: number) =>
    made.add({ kind: 'ptr', name: '', type: made.add({ kind: 'type_tag', name: tag, type, attribute: false }) });
  const link = struct('bpf_list_node', 24, [['opaque', u64, 0]]);
  const head = struct('bpf_list_head', 16, [['opaque', u64, 0]]);
  const lock = struct('bpf_spin_lock', 4, [['val', u32, 0]]);
  const counter = struct('counter', 16, [['count', u64, 0]]);
  // The pointer to its own kind follows the struct.
  const node = struct('node', NODE_SIZE, [
    ['key', u64, 0],
    ['link', link, NODE_LINK],
    ['next', counter + 3, NODE_NEXT],
  ]);
  const pointer = tagged('kptr', node);
  const graph = struct('graph', GRAPH.size, [
    ['lock', lock, 0],
    ['head', head, GRAPH.head],
    ['one', pointer, GRAPH.pointers[0]],
    ['other', pointer, GRAPH.pointers[1]],
    ['plain', u64, GRAPH.plain],
  ]);
  made.add({ kind: 'decl_tag', name: 'contains:node:link', type: graph, component: 1, attribute: false });
  const pointers = struct('plain', POINTERS.size, [
    ['before', u64, 0],
    ['one', pointer, POINTERS.pointers[0]],
    ['plain', u64, POINTERS.plain],
    ['counter', tagged('percpu_kptr', counter), POINTERS.percpu],
  ]);
  return { btf: made.build(), u32, node, counter, graph, pointers };
}

export type Owner = 'graph' | 'pointers';

/** A runtime with an allocator for the objects of a test, all of which must be back when it ends. */
export class OwnerBed {
  readonly runtime: Runtime;
  readonly records: Records;
  readonly types = types();
  readonly allocator: number;
  readonly node: number;
  readonly counter: number;
  readonly #functions: Readonly<Record<string, (...values: bigint[]) => bigint>>;

  constructor(cpus = 1) {
    this.runtime = new Runtime({ cpus, seed: 1n });
    this.records = new Records(this.runtime, this.types.btf);
    this.allocator = this.runtime.plane.exports.allocator_create(0, 0) >>> 0;
    this.node = this.records.ofObject(this.types.node);
    this.counter = this.records.ofObject(this.types.counter);
    this.#functions = this.runtime.functions as never; // WebAssembly exports, all of them over i64
  }

  call(name: string, ...values: (number | bigint)[]): bigint {
    const result = this.#functions[name]!(...values.map((value) => BigInt(value)));
    return BigInt.asUintN(64, result ?? 0n);
  }

  map(type: MapTypeName, owner: Owner, attributes: Partial<MapSpec> = {}): PlaneMap {
    const spec: MapSpec = {
      name: type,
      type,
      keySize: 4,
      valueSize: (owner === 'graph' ? GRAPH : POINTERS).size,
      maxEntries: 8,
      flags: 0,
      mapExtra: 0n,
      numaNode: 0,
      pinning: 'none',
      keyTypeId: this.types.u32,
      valueTypeId: this.types[owner],
      inner: undefined,
      contents: { kind: 'none' },
      section: '.maps',
      ...attributes,
    };
    return createLike(this.runtime, spec, this.types.btf, this.records);
  }

  /** `depth` objects, each in the field of the one before; the first of them. */
  chain(depth: number): number {
    let first = 0;
    for (let i = 0; i < depth; i++) {
      const object = Number(this.call('bpf_obj_new_impl', this.allocator, this.node));
      if (first !== 0) this.exchange(object + NODE_NEXT, first);
      first = object;
    }
    return first;
  }

  percpu(): number {
    return Number(this.call('bpf_percpu_obj_new_impl', this.allocator, this.counter));
  }

  /** What was in the field before. */
  exchange(field: number, object: number): number {
    return Number(this.call('bpf_kptr_xchg', field, object));
  }

  drop(object: number): void {
    if (object !== 0) this.call('bpf_obj_drop_impl', object, this.node);
  }

  dropPercpu(object: number): void {
    if (object !== 0) this.call('bpf_percpu_obj_drop_impl', object, this.counter);
  }

  push(head: number, object: number): void {
    this.call('bpf_list_push_back_impl', head, object + NODE_LINK, this.node, NODE_LINK);
  }

  pop(head: number): number {
    const node = Number(this.call('bpf_list_pop_front', head));
    return node === 0 ? 0 : node - NODE_LINK;
  }

  get live(): number {
    return readStats(this.runtime.plane, this.allocator).live;
  }

  /** Objects that values of maps own, each once. */
  get reachable(): number {
    return reachableObjects(this.runtime.plane).size;
  }

  /** All that is left, once no map is. */
  close(): number {
    this.records.close();
    const left = this.live;
    this.runtime.plane.exports.allocator_release(this.allocator);
    return left;
  }
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
