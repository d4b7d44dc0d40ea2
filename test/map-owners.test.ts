/** Values of maps that own objects: nothing is lost, nothing is given back twice, whatever is done to the map and in whatever order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MapTypeName } from '../src/abi/map-types.ts';
import type { PlaneMap } from '../src/runtime/maps/plane-map.ts';
import { GRAPH, type Owner, OwnerBed, POINTERS, u32 } from './owner-types.ts';

interface Kind {
  readonly title: string;
  readonly type: MapTypeName;
  readonly owner: Owner;
  readonly flags?: number;
  readonly storage?: boolean;
}

const NO_PREALLOC = 1;
const kinds: readonly Kind[] = [
  { title: 'hash', type: 'hash', owner: 'graph' },
  { title: 'hash without prealloc', type: 'hash', owner: 'graph', flags: NO_PREALLOC },
  { title: 'hash of pointers without prealloc', type: 'hash', owner: 'pointers', flags: NO_PREALLOC },
  { title: 'LRU hash', type: 'lru_hash', owner: 'pointers' },
  { title: 'array', type: 'array', owner: 'graph' },
  { title: 'per-CPU hash', type: 'percpu_hash', owner: 'pointers' },
  { title: 'per-CPU hash without prealloc', type: 'percpu_hash', owner: 'pointers', flags: NO_PREALLOC },
  { title: 'LRU per-CPU hash', type: 'lru_percpu_hash', owner: 'pointers' },
  { title: 'per-CPU array', type: 'percpu_array', owner: 'pointers' },
  { title: 'socket storage', type: 'sk_storage', owner: 'pointers', flags: NO_PREALLOC, storage: true },
  { title: 'task storage', type: 'task_storage', owner: 'pointers', flags: NO_PREALLOC, storage: true },
  { title: 'inode storage', type: 'inode_storage', owner: 'pointers', flags: NO_PREALLOC, storage: true },
  { title: 'cgroup storage', type: 'cgrp_storage', owner: 'pointers', flags: NO_PREALLOC, storage: true },
];

const KEYS = 12;
const step = fc.record({
  what: fc.constantFrom(
    'write',
    'update',
    'delete',
    'erase',
    'take',
    'read',
    'put',
    'push',
    'pop',
    'late',
    'percpu',
    'swap',
  ),
  key: fc.nat(KEYS - 1),
  depth: fc.integer({ min: 1, max: 9 }),
  field: fc.nat(1),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Operations of a program are those of the plane between an enter and an exit: a pointer to a value is good until the latter. */
class Play {
  readonly bed: OwnerBed;
  readonly map: PlaneMap;
  readonly #kind: Kind;
  readonly #cpus: number;
  /** Body of the object that each key stands for, in storages. */
  readonly #owners: number[] = [];

  constructor(kind: Kind, cpus: number) {
    this.#kind = kind;
    this.#cpus = cpus;
    this.bed = new OwnerBed(cpus);
    this.map = this.bed.map(kind.type, kind.owner, {
      flags: kind.flags ?? 0,
      maxEntries: kind.storage === true ? 0 : 8,
    });
    if (kind.storage !== true) return;
    const kindOf = { sk_storage: 1, task_storage: 2, inode_storage: 3, cgrp_storage: 4 } as const;
    for (let i = 0; i < KEYS; i++)
      this.#owners.push(this.bed.runtime.plane.exports.object_create(kindOf[kind.type as keyof typeof kindOf]) >>> 0);
  }

  key(n: number): Uint8Array {
    return u32(this.#kind.storage === true ? this.bed.runtime.plane.exports.object_id(this.#owners[n]!) : n);
  }

  /** As a program finds it: with its own CPU's value. */
  #find(n: number, make: boolean): number {
    const { plane } = this.bed.runtime;
    if (this.#kind.storage === true) {
      const prefix = { sk_storage: 'sk', task_storage: 'task', inode_storage: 'inode', cgrp_storage: 'cgrp' } as const;
      const get = `bpf_${prefix[this.#kind.type as keyof typeof prefix]}_storage_get`;
      return Number(this.bed.call(get, this.map.address, this.#owners[n]!, 0, make ? 1 : 0));
    }
    const at = plane.scratch(8);
    plane.view().setUint32(at, n, true);
    return Number(this.bed.call('bpf_map_lookup_elem', this.map.address, at));
  }

  #update(n: number): void {
    const { plane } = this.bed.runtime;
    const at = plane.scratch(8 + this.map.valueSize);
    plane.view().setUint32(at, n, true);
    // Bytes where fields lie are not looked at.
    plane.bytes().fill(0xee, at + 8, at + 8 + this.map.valueSize);
    this.bed.call('bpf_map_update_elem', this.map.address, at, at + 8, 0);
  }

  #erase(n: number): void {
    const { plane } = this.bed.runtime;
    if (this.#kind.storage === true) {
      const prefix = { sk_storage: 'sk', task_storage: 'task', inode_storage: 'inode', cgrp_storage: 'cgrp' } as const;
      this.bed.call(
        `bpf_${prefix[this.#kind.type as keyof typeof prefix]}_storage_delete`,
        this.map.address,
        this.#owners[n]!,
      );
      return;
    }
    const at = plane.scratch(8);
    plane.view().setUint32(at, n, true);
    this.bed.call('bpf_map_delete_elem', this.map.address, at);
  }

  step({ what, key, depth, field }: Step): void {
    const { bed, map } = this;
    const { exports } = bed.runtime.plane;
    const shape = this.#kind.owner === 'graph' ? GRAPH : POINTERS;
    const pointer = shape.pointers[field % shape.pointers.length]!;
    const has = this.#kind.type === 'array' || this.#kind.type === 'percpu_array';
    if (has && key >= map.maxEntries) return;
    const full = () => {
      try {
        map.update(this.key(key), new Uint8Array(map.elementSize).fill(0xdd));
      } catch (error) {
        if (!/E2BIG/.test(String(error))) throw error;
      }
    };
    switch (what) {
      case 'write':
        full();
        return;
      case 'delete':
        if (!has) map.delete(this.key(key));
        return;
      case 'take':
        if (!has && this.#kind.storage !== true) map.take(this.key(key));
        return;
      case 'read':
        this.#read(key);
        return;
    }
    exports.epoch_enter();
    const make = what === 'put' || what === 'push';
    if (make && this.#find(key, true) === 0) this.#update(key);
    const value = this.#find(key, false);
    if (what === 'update' && this.#kind.storage !== true) this.#update(key);
    else if (what === 'erase') this.#erase(key);
    else if (value !== 0) {
      if (what === 'put') bed.drop(bed.exchange(value + pointer, bed.chain(depth)));
      if (what === 'push' && this.#kind.owner === 'graph')
        for (let i = 0; i < depth; i++) bed.push(value + GRAPH.head, bed.chain(1 + (i % 3)));
      if (what === 'pop' && this.#kind.owner === 'graph') bed.drop(bed.pop(value + GRAPH.head));
      if (what === 'swap') bed.drop(bed.exchange(value + pointer, 0));
      if (what === 'percpu' && this.#kind.owner === 'pointers')
        bed.dropPercpu(bed.exchange(value + POINTERS.percpu, bed.percpu()));
      if (what === 'late') {
        // Into an element that is no longer the key's: nobody would look for it there.
        this.#erase(key);
        bed.drop(bed.exchange(value + pointer, bed.chain(depth)));
      }
    }
    exports.epoch_exit();
  }

  /** User space sees nothing of fields. */
  #read(key: number): void {
    const bytes: Uint8Array | undefined = this.map.lookup(this.key(key));
    if (bytes === undefined) return;
    const shape = this.#kind.owner === 'graph' ? GRAPH : POINTERS;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += bytes.length === shape.size ? shape.size : bytes.length / this.#cpus) {
      for (const offset of shape.pointers) expect(view.getBigUint64(at + offset, true)).toBe(0n);
      if (this.#kind.owner === 'graph') expect(view.getUint32(at, true)).toBe(0);
      else expect(view.getBigUint64(at + POINTERS.percpu, true)).toBe(0n);
    }
  }

  /** I1: what was allocated and not freed is what the values own, deleted elements included. */
  check(): void {
    expect(this.bed.reachable).toBe(this.bed.live);
  }

  end(): void {
    for (const owner of this.#owners.splice(0, KEYS / 2)) this.bed.runtime.plane.exports.object_release(owner);
    this.check();
    this.map.close();
    expect(this.bed.close()).toBe(0);
  }
}

describe.each(kinds)('$title', (kind) => {
  it.each([1, 2])('loses and gives back twice nothing that values own; %d CPUs', (cpus) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const play = new Play(kind, cpus);
        for (const each of steps) {
          play.step(each);
          play.check();
        }
        play.end();
      }),
      { numRuns: 12 },
    );
  });
});

describe('what a value owns', () => {
  it('is told with all that is behind it', () => {
    const bed = new OwnerBed();
    const map = bed.map('hash', 'graph');
    map.update(u32(3), new Uint8Array(GRAPH.size));
    const value = bed.runtime.plane.exports.map_value_peek(map.address, keyAt(bed, 3)) >>> 0;
    bed.exchange(value + GRAPH.pointers[1], bed.chain(8));
    for (let i = 0; i < 3; i++) bed.push(value + GRAPH.head, bed.chain(2));
    const owned = map.owned(u32(3))!;
    expect(owned.map(({ kind, offset, objects }) => [kind, offset, objects.length])).toEqual([
      ['list', GRAPH.head, 3],
      ['kptr', GRAPH.pointers[1], 1],
    ]);
    let depth = 0;
    for (let fields = owned.slice(1); fields.length > 0; fields = [...fields[0]!.objects[0]!.fields]) depth++;
    expect(depth).toBe(8);
    expect(map.owned(u32(4))).toBeUndefined();
    expect(bed.live).toBe(14);
    map.close();
    expect(bed.close()).toBe(0);
  });

  it('goes with the map however deep it is, without recursion', () => {
    for (const type of ['hash', 'array'] as const) {
      const bed = new OwnerBed();
      const map = bed.map(type, 'graph');
      map.update(u32(1), new Uint8Array(GRAPH.size));
      const value = bed.runtime.plane.exports.map_value_peek(map.address, keyAt(bed, 1)) >>> 0;
      bed.exchange(value + GRAPH.pointers[0], bed.chain(200_000));
      expect(bed.live).toBe(200_000);
      map.close();
      expect(bed.close()).toBe(0);
    }
  });

  it('keeps a map from being frozen, and its records alive after the load that made them', () => {
    const bed = new OwnerBed();
    const map = bed.map('hash', 'graph');
    expect(() => map.freeze()).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_ENOTSUPP' }));
    map.update(u32(1), new Uint8Array(GRAPH.size));
    const value = bed.runtime.plane.exports.map_value_peek(map.address, keyAt(bed, 1)) >>> 0;
    bed.exchange(value + GRAPH.pointers[0], bed.chain(5));
    bed.records.close();
    // Another load's records would lie where these were.
    const other = new OwnerBed();
    other.close();
    map.close();
    expect(bed.live).toBe(0);
  });

  it('comes with inner maps of the same fields only', () => {
    const bed = new OwnerBed();
    const inner = { ...bed.map('array', 'graph').attributes };
    const spec = (owner: Owner) => ({
      name: 'inner',
      type: 'array' as const,
      keySize: 4,
      valueSize: inner.valueSize,
      maxEntries: 8,
      flags: 0,
      mapExtra: 0n,
      numaNode: 0,
      pinning: 'none' as const,
      keyTypeId: bed.types.u32,
      valueTypeId: bed.types[owner],
      inner: undefined,
      contents: { kind: 'none' as const },
      section: '.maps',
    });
    const outer = bed.map('array_of_maps', 'graph', {
      valueSize: 4,
      valueTypeId: 0,
      maxEntries: 2,
      inner: spec('graph'),
    });
    const good = bed.map('array', 'graph');
    const bare = bed.map('array', 'graph', { valueTypeId: 0 });
    outer.update(u32(0), u32(good.id));
    expect(() => outer.update(u32(1), u32(bare.id))).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EINVAL' }));
    const value = bed.runtime.plane.exports.map_value_peek(good.address, keyAt(bed, 2)) >>> 0;
    bed.exchange(value + GRAPH.pointers[0], bed.chain(3));
    good.close();
    expect(bed.live).toBe(3);
    outer.close();
    expect(bed.close()).toBe(0);
  });
});

function keyAt({ runtime: { plane } }: OwnerBed, key: number): number {
  const at = plane.scratch(8);
  plane.view().setUint32(at, key, true);
  return at;
}
