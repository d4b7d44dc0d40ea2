/**
 * What map values own, walked through the memory as it is: objects by address, with what they own in turn. For tests (conservation: what was allocated and not
 * freed is what can be reached) and for `sluice mem`. Reads without locks: good while no program runs.
 */
import { mapTypes } from '../../abi/map-types.ts';
import {
  MAP_CPU_STRIDE,
  MAP_ELEM_ALLOCATOR,
  MAP_MAX_ENTRIES,
  MAP_NEXT,
  MAP_RECORD,
  MAP_STRIDE,
  MAP_TYPE,
  MAP_VALUES,
} from '../../plane/layout/map.ts';
import {
  HASH_BUCKETS,
  HASH_ELEMENT_HASH,
  HASH_ELEMENT_NEXT,
  HASH_ELEMENT_SIZE,
  HASH_EXTRA_STRIDE,
  HASH_EXTRAS,
  HASH_FREE,
  HASH_LOCKED,
  HASH_MASK,
  HASH_UNUSED,
  HASH_VALUE_OFFSET,
} from '../../plane/layout/map-hash.ts';
import { ROOT, ROOT_CPU_COUNT, ROOT_MAPS } from '../../plane/layout/memory.ts';
import * as layout from '../../plane/layout/record.ts';
import type { PlaneInstance } from '../plane.ts';

export interface OwnedObject {
  readonly address: number;
  /** Bytes of its type, 0 for an object of the kernel that is modelled. */
  readonly size: number;
  /** Struct in the BTF of the load that the record is of, 0 for an object of the kernel. */
  readonly struct: number;
  /** Address of its record, 0 for an object of the kernel. */
  readonly record: number;
  /** Its bpf_refcount, undefined if it has none: others may own it too. */
  readonly references: number | undefined;
  /** Only where the walk comes to it first: an object with a reference count may stand in several places. */
  readonly fields: readonly OwnedField[];
}

export interface OwnedField {
  readonly kind: 'kptr' | 'percpu_kptr' | 'list' | 'rbtree';
  /** Byte in the value or object; `cpu`: of which CPU's value. */
  readonly offset: number;
  readonly cpu?: number;
  /** In the order of the list or tree. */
  readonly objects: readonly OwnedObject[];
}

/** What the values from `address` on own, `copies` of them `stride` bytes apart. Empty fields are left out. */
export function ownedBy(
  plane: PlaneInstance,
  record: number,
  address: number,
  copies = 1,
  stride = 0,
  seen: Set<number> = new Set(),
): OwnedField[] {
  const walk = new Walk(plane, seen);
  const found: OwnedField[] = [];
  for (let cpu = 0; cpu < copies; cpu++)
    for (const field of walk.fields(record, address + cpu * stride)) found.push(copies > 1 ? { ...field, cpu } : field);
  return found;
}

/** All objects that the values of the maps of a memory own, those behind them included, each once. In-flight references of programs are not among them. */
export function reachableObjects(plane: PlaneInstance): ReadonlyMap<number, OwnedObject> {
  const found = new Map<number, OwnedObject>();
  const add = (fields: readonly OwnedField[]) => {
    for (const { objects } of fields)
      for (const object of objects) {
        if (!found.has(object.address)) found.set(object.address, object);
        add(object.fields);
      }
  };
  const seen = new Set<number>();
  for (let map = plane.view().getUint32(ROOT + ROOT_MAPS, true); map !== 0; ) {
    const view = plane.view();
    const record = view.getUint32(map + MAP_RECORD, true);
    if (record !== 0)
      for (const value of valuesOf(plane, map))
        add(ownedBy(plane, record, value, copiesOf(plane, map), cpuStride(plane, map), seen));
    map = view.getUint32(map + MAP_NEXT, true);
  }
  return found;
}

/** Addresses of the values of all elements of a map that ever were in use, deleted ones included; of per-CPU types of the first CPU's. */
export function* valuesOf(plane: PlaneInstance, map: number): Generator<number> {
  const view = plane.view();
  const word = (at: number) => view.getUint32(map + at, true);
  const type = word(MAP_TYPE);
  const first = word(MAP_VALUES);
  if (type === mapTypes.array || type === mapTypes.percpu_array) {
    for (let i = 0; i < word(MAP_MAX_ENTRIES); i++) yield first + i * word(MAP_STRIDE);
    return;
  }
  const offset = word(HASH_VALUE_OFFSET);
  if (word(MAP_ELEM_ALLOCATOR) === 0) {
    const lru = type === mapTypes.lru_hash || type === mapTypes.lru_percpu_hash;
    const count = lru ? word(MAP_MAX_ENTRIES) : word(HASH_UNUSED);
    for (let i = 0; i < count; i++) yield first + i * word(HASH_ELEMENT_SIZE) + offset;
    return;
  }
  if (type === mapTypes.hash)
    for (let cpu = 0; cpu < view.getUint32(ROOT + ROOT_CPU_COUNT, true); cpu++)
      yield view.getUint32(word(HASH_EXTRAS) + cpu * HASH_EXTRA_STRIDE, true) + offset;
  for (let cpu = 0; cpu < view.getUint32(ROOT + ROOT_CPU_COUNT, true); cpu++)
    for (
      let free = view.getUint32(word(HASH_FREE) + cpu * HASH_EXTRA_STRIDE, true);
      free !== 0;
      free = view.getUint32(free + HASH_ELEMENT_HASH, true)
    )
      yield free + offset;
  for (let bucket = 0; bucket <= word(HASH_MASK); bucket++) {
    let element = (view.getUint32(word(HASH_BUCKETS) + bucket * 8, true) & ~HASH_LOCKED) >>> 0;
    for (; element !== 0; element = view.getUint32(element + HASH_ELEMENT_NEXT, true)) yield element + offset;
  }
}

/** How many values an element of the map has. */
export function copiesOf(plane: PlaneInstance, map: number): number {
  const type = plane.view().getUint32(map + MAP_TYPE, true);
  const perCpu = type === mapTypes.percpu_array || type === mapTypes.percpu_hash || type === mapTypes.lru_percpu_hash;
  return perCpu ? plane.view().getUint32(ROOT + ROOT_CPU_COUNT, true) : 1;
}

/** Bytes from the value of one CPU to the next one's, of per-CPU types. */
export function cpuStride(plane: PlaneInstance, map: number): number {
  return plane.view().getUint32(map + MAP_CPU_STRIDE, true);
}

class Walk {
  readonly #plane: PlaneInstance;
  readonly #seen: Set<number>;

  constructor(plane: PlaneInstance, seen: Set<number>) {
    this.#plane = plane;
    this.#seen = seen;
  }

  fields(record: number, base: number): OwnedField[] {
    const view = this.#plane.view();
    const found: OwnedField[] = [];
    const count = view.getUint32(record + layout.RECORD_COUNT, true);
    for (let i = 0; i < count; i++) {
      const field = record + layout.RECORD_FIELDS + i * layout.FIELD_BYTES;
      const offset = view.getUint32(field + layout.FIELD_OFFSET, true);
      const target = view.getUint32(field + layout.FIELD_TARGET, true);
      const node = view.getUint32(field + layout.FIELD_NODE, true);
      const at = base + offset;
      const kind = kinds.get(view.getUint32(field + layout.FIELD_KIND, true));
      if (kind === undefined) continue;
      const addresses =
        kind === 'list'
          ? this.#list(at)
          : kind === 'rbtree'
            ? this.#tree(at)
            : [this.#pointer(at)].filter((each) => each !== 0);
      if (addresses.length > 0)
        found.push({ kind, offset, objects: addresses.map((each) => this.#object(each - node, target, kind)) });
    }
    return found;
  }

  #pointer(at: number): number {
    return Number(this.#plane.view().getBigUint64(at, true));
  }

  #list(head: number): number[] {
    const nodes: number[] = [];
    for (
      let node = this.#pointer(head + layout.LIST_HEAD_FIRST);
      node !== 0;
      node = this.#pointer(node + layout.LIST_NODE_NEXT)
    )
      nodes.push(node);
    return nodes;
  }

  /** In order, without recursion: trees may be deep where they are not balanced. */
  #tree(root: number): number[] {
    const nodes: number[] = [];
    const above: number[] = [];
    let node = this.#pointer(root + layout.RB_ROOT_NODE);
    while (node !== 0 || above.length > 0) {
      while (node !== 0) {
        above.push(node);
        node = this.#pointer(node + layout.RB_NODE_LEFT);
      }
      const next = above.pop()!;
      nodes.push(next);
      node = this.#pointer(next + layout.RB_NODE_RIGHT);
    }
    return nodes;
  }

  #object(address: number, record: number, kind: OwnedField['kind']): OwnedObject {
    const view = this.#plane.view();
    const fresh = !this.#seen.has(address);
    this.#seen.add(address);
    if (record === 0) return { address, size: 0, struct: 0, record, references: undefined, fields: [] };
    const refcount = view.getUint32(record + layout.RECORD_REFCOUNT, true);
    return {
      address,
      size: view.getUint32(record + layout.RECORD_SIZE, true),
      struct: view.getUint32(record + layout.RECORD_TYPE, true),
      record,
      references: refcount === 0 ? undefined : view.getUint32(address + refcount - 1, true),
      fields: fresh && kind !== 'percpu_kptr' ? this.fields(record, address) : [],
    };
  }
}

const kinds: ReadonlyMap<number, OwnedField['kind']> = new Map([
  [layout.FIELD_KPTR, 'kptr'],
  [layout.FIELD_PERCPU_KPTR, 'percpu_kptr'],
  [layout.FIELD_LIST_HEAD, 'list'],
  [layout.FIELD_RB_ROOT, 'rbtree'],
]);
