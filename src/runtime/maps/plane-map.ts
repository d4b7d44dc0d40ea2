/** A map in the linear memory, by bytes: what bpf(2) would do, done by the plane. */
import { type MapTypeName, mapTypes } from '../../abi/map-types.ts';
import { InputError, UnsupportedError } from '../../errors.ts';
import type { AllocatorPart, MapSpec } from '../../object/spec.ts';
import {
  BPF_ANY,
  BPF_EXIST,
  BPF_F_LOCK,
  BPF_NOEXIST,
  MAP_FLAGS,
  MAP_ID,
  MAP_MAX_ENTRIES,
  MAP_RECORD,
  MAP_REFERENCES,
  MAP_SPIN_LOCK,
  MAP_STRIDE,
  MAP_TIMER,
  MAP_VALUES,
  MAP_WORK,
} from '../../plane/layout/map.ts';
import type { KnownAllocator } from '../allocators/known-allocator.ts';
import { ownAllocator, shortage } from '../allocators/reload.ts';
import { allocatorsOf } from '../allocators/store.ts';
import type { MapBatch, TargetMap, UpdateMode } from '../handles.ts';
import { damageError } from '../memory-fault.ts';
import type { PlaneInstance } from '../plane.ts';
import { deleteElementPrograms, setElementProgram } from './element-programs.ts';
import { E2BIG, EBADF, EINVAL, ENOENT, ENOMEM, mapError } from './errno.ts';
import { copiesOf, cpuStride, type OwnedField, ownedBy } from './owned.ts';
import { pinsOf } from './pins.ts';
import { elementProgram, isElementProgram } from './redirect-map.ts';
import { tailTargetsOf } from './tail-targets.ts';

/** What a map is made from: the attributes of BPF_MAP_CREATE. */
export type MapAttributes = Pick<MapSpec, 'type' | 'keySize' | 'valueSize' | 'maxEntries'> &
  Partial<Pick<MapSpec, 'name' | 'flags' | 'mapExtra'>> & {
    /** A map like those that a map of maps is to hold; needed only for the call. */
    readonly prototype?: PlaneMap;
    /** Where in a value its bpf_spin_lock lies, in bytes. */
    readonly spinLock?: number;
  };

/** Types that the plane has. */
export const supportedMapTypes: ReadonlySet<MapTypeName> = new Set([
  'allocator',
  'arena',
  'array',
  'array_of_maps',
  'bloom_filter',
  'cgroup_array',
  'cgroup_storage',
  'cgrp_storage',
  'cpumap',
  'devmap',
  'devmap_hash',
  'hash',
  'hash_of_maps',
  'inode_storage',
  'insn_array',
  'lpm_trie',
  'lru_hash',
  'lru_percpu_hash',
  'percpu_array',
  'percpu_cgroup_storage',
  'percpu_hash',
  'perf_event_array',
  'prog_array',
  'queue',
  'reuseport_sockarray',
  'ringbuf',
  'sk_storage',
  'sockhash',
  'sockmap',
  'stack',
  'stack_trace',
  'struct_ops',
  'task_storage',
  'user_ringbuf',
  'xskmap',
]);
/** Types of which E2BIG says that they are full, and not that there is no such index. */
const bounded: ReadonlySet<MapTypeName> = new Set([
  'hash',
  'percpu_hash',
  'hash_of_maps',
  'devmap_hash',
  'sockhash',
  'queue',
  'stack',
]);
const updateFlags: Readonly<Record<UpdateMode, number>> = {
  any: BPF_ANY,
  noexist: BPF_NOEXIST,
  exist: BPF_EXIST,
  lock: BPF_F_LOCK,
};

/**
 * Creates a map. The caller holds its only reference until `close`. Throws UnsupportedError for a type that is not there, InputError
 * `SLUICE_MAP_<errno>` where Linux would refuse the attributes or the memory has no room (ENOMEM).
 */
export function createMap(plane: PlaneInstance, attributes: MapAttributes): PlaneMap {
  const { type, name = type, keySize, valueSize, maxEntries, flags = 0, mapExtra = 0n } = attributes;
  if (!supportedMapTypes.has(type))
    throw new UnsupportedError(`map type ${type}`, `map ${name}: type ${type} is not there`);
  const seed = plane.hashSeed();
  const address = plane.exports.map_create(
    mapTypes[type],
    keySize,
    valueSize,
    maxEntries,
    flags,
    Number(BigInt.asIntN(32, mapExtra)),
    Number(BigInt.asIntN(32, mapExtra >> 32n)),
    Number(BigInt.asIntN(32, seed)),
    Number(BigInt.asIntN(32, seed >> 32n)),
    attributes.prototype?.address ?? 0,
    attributes.spinLock === undefined ? 0 : attributes.spinLock + 1,
  );
  if (address < 0 && address >= -4095) throw mapError(address, `${name}: create`);
  return new PlaneMap(plane, address >>> 0, { ...attributes, name, flags, mapExtra });
}

export class PlaneMap implements TargetMap {
  readonly plane: PlaneInstance;
  /** What it was asked for with. */
  readonly attributes: Omit<MapAttributes, 'prototype'>;
  /** Address of the header (plane/layout/map.ts): the BPF map pointer. */
  readonly address: number;
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  /** Size of a value as a program sees it. */
  readonly valueSize: number;
  readonly elementSize: number;
  /** As created: an LRU hash with lists of each CPU rounds up to a multiple of their number. */
  readonly maxEntries: number;
  readonly flags: number;
  /** Called before the memory goes back. */
  readonly #closing: (() => void)[] = [];
  /** What is called when the last reference goes; known to all handles that come from one. */
  readonly #releasing: (() => void)[];
  #open = true;
  #ofUserSpace = true;

  /** Takes over one reference of user space to the map at `address`. */
  constructor(plane: PlaneInstance, address: number, attributes: MapAttributes, releasing: (() => void)[] = []) {
    this.#releasing = releasing;
    const { prototype: _, ...kept } = attributes;
    this.plane = plane;
    this.attributes = kept;
    this.address = address;
    this.name = attributes.name ?? attributes.type;
    this.type = attributes.type;
    this.keySize = attributes.keySize;
    this.valueSize = attributes.valueSize;
    this.elementSize = plane.exports.map_user_value_size(address);
    this.maxEntries = plane.view().getUint32(address + MAP_MAX_ENTRIES, true);
    this.flags = plane.view().getUint32(address + MAP_FLAGS, true);
  }

  /** Number of the map, unique in this memory. */
  get id(): number {
    return this.plane.view().getUint32(this.address + MAP_ID, true);
  }

  /** The allocator of its elements, or of what its fields own; undefined if it has none of its own. */
  allocator(part: AllocatorPart): KnownAllocator | undefined {
    return ownAllocator(this.plane, this.#live(), part);
  }

  /** Values have fields that only programs touch: locks, timers, pointers, lists, trees. */
  get hasFields(): boolean {
    const view = this.plane.view();
    return [MAP_SPIN_LOCK, MAP_TIMER, MAP_WORK, MAP_RECORD].some((at) => view.getUint32(this.address + at, true) !== 0);
  }

  lookup(key: Uint8Array, mode?: 'lock'): Uint8Array | undefined {
    const at = this.#place(key, this.elementSize);
    const out = at + this.#keySpace;
    const result = this.plane.exports.map_lookup_user(
      this.address,
      at,
      out,
      mode === undefined ? 0 : updateFlags[mode],
    );
    if (result === -ENOENT) return undefined;
    if (result !== 0) throw this.#error(result, 'lookup');
    return this.plane.bytes().slice(out, out + this.elementSize);
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    this.#checkValue(value);
    if (this.type === 'array_of_maps' || this.type === 'hash_of_maps')
      allocatorsOf(this.plane).admitInner(this.id, new DataView(value.buffer, value.byteOffset).getUint32(0, true));
    if (!isElementProgram(this, value)) throw this.#error(-EINVAL, 'update');
    const at = this.#place(key, this.elementSize);
    const from = at + this.#keySpace;
    const tail =
      this.type === 'prog_array' ? new DataView(value.buffer, value.byteOffset).getUint32(0, true) : undefined;
    const refused = tail === undefined ? undefined : tailTargetsOf(this.plane).refusal(this, tail);
    // In place of a program that is refused none is given: what is wrong with key and flags is said first.
    if (refused === undefined) this.plane.bytes().set(value, from);
    else this.plane.bytes().fill(0, from, from + value.length);
    const result = this.#whole('update', (exports) =>
      exports.map_update_user(this.address, at, from, updateFlags[mode]),
    );
    if (result !== 0) throw this.#error(result === -EBADF && refused === 'EINVAL' ? -EINVAL : result, 'update');
    if (tail !== undefined) tailTargetsOf(this.plane).settle(this, tail);
    const program = tail ?? elementProgram(this, value);
    if (program !== undefined) setElementProgram(this, key, program);
  }

  delete(key: Uint8Array): boolean {
    const at = this.#place(key, 0);
    const result = this.#whole('delete', (exports) => exports.map_delete_user(this.address, at));
    if (result === -ENOENT) return false;
    if (result !== 0) throw this.#error(result, 'delete');
    setElementProgram(this, key, 0);
    return true;
  }

  take(key: Uint8Array = new Uint8Array(0)): Uint8Array | undefined {
    const at = this.#place(key, this.elementSize);
    const out = at + this.#keySpace;
    const result = this.#whole('lookup and delete', (exports) => exports.map_take_user(this.address, at, out));
    if (result === -ENOENT) return undefined;
    if (result !== 0) throw this.#error(result, 'lookup and delete');
    return this.plane.bytes().slice(out, out + this.elementSize);
  }

  contains(value: Uint8Array): boolean {
    this.#checkValue(value);
    const at = this.#reserve(this.elementSize);
    this.plane.bytes().set(value, at);
    const result = this.plane.exports.map_lookup_user(this.address, 0, at, 0);
    if (result === -ENOENT) return false;
    if (result !== 0) throw this.#error(result, 'lookup');
    return true;
  }

  lookupBatch(count: number, position?: Uint8Array, remove = false): MapBatch {
    const places = this.#batch(count);
    if (position !== undefined) this.plane.bytes().set(position, places.position);
    const first = position === undefined ? 1 : 0;
    const { keys, values, done } = places;
    const result = this.#whole('batch lookup', (exports) =>
      exports.map_lookup_batch(this.address, places.position, first, keys, values, count, remove ? 1 : 0, done),
    );
    if (result !== 0 && result !== -ENOENT) throw this.#error(result, 'batch lookup');
    const got = this.plane.view().getUint32(done, true);
    const bytes = this.plane.bytes();
    return {
      count: got,
      keys: bytes.slice(keys, keys + got * this.keySize),
      values: bytes.slice(values, values + got * this.elementSize),
      position: result === 0 ? bytes.slice(places.position, places.position + Math.max(4, this.keySize)) : undefined,
    };
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, mode: UpdateMode = 'any'): void {
    const count = keys.length / this.keySize;
    if (!Number.isInteger(count) || values.length !== count * this.elementSize)
      throw new InputError('SLUICE_MAP_BATCH', `map ${this.name}: keys and values of a batch have other sizes`);
    const places = this.#batch(count);
    this.plane.bytes().set(keys, places.keys);
    this.plane.bytes().set(values, places.values);
    const flags = updateFlags[mode];
    const result = this.#whole('batch update', (exports) =>
      exports.map_update_batch(this.address, places.keys, places.values, count, flags, places.done),
    );
    if (result !== 0) throw this.#error(result, 'batch update');
  }

  deleteBatch(keys: Uint8Array): void {
    const count = keys.length / this.keySize;
    if (!Number.isInteger(count))
      throw new InputError('SLUICE_MAP_BATCH', `map ${this.name}: keys of a batch have another size`);
    const places = this.#batch(count);
    this.plane.bytes().set(keys, places.keys);
    const result = this.#whole('batch delete', (exports) =>
      exports.map_delete_batch(this.address, places.keys, count, places.done),
    );
    if (result !== 0) throw this.#error(result, 'batch delete');
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    const at = key === undefined ? this.#reserve(this.keySize) : this.#place(key, this.keySize);
    const out = at + this.#keySpace;
    const result = this.plane.exports.map_next_key(this.address, key === undefined ? 0 : at, out);
    if (result === -ENOENT) return undefined;
    if (result !== 0) throw this.#error(result, 'next key');
    return this.plane.bytes().slice(out, out + this.keySize);
  }

  /** What the value at `key` owns by its fields: undefined without such a key, empty without such fields. A look at the memory: no program may run meanwhile. */
  owned(key: Uint8Array): readonly OwnedField[] | undefined {
    const at = this.#place(key, 0);
    const value = this.plane.exports.map_value_peek(this.address, at) >>> 0;
    if (value === 0) return undefined;
    const record = this.plane.view().getUint32(this.address + MAP_RECORD, true);
    if (record === 0) return [];
    return ownedBy(this.plane, record, value, copiesOf(this.plane, this.address), cpuStride(this.plane, this.address));
  }

  freeze(): void {
    const result = this.plane.exports.map_freeze(this.#live());
    if (result !== 0) throw this.#error(result, 'freeze');
  }

  /** The bytes of an array's value themselves, not a copy: programs see what is written there. Good until the map is closed. */
  bytesAt(index: number): Uint8Array {
    if (this.type !== 'array' || index < 0 || index >= this.maxEntries) {
      throw new InputError('SLUICE_MAP_INDEX', `map ${this.name} (${this.type}) has no value ${index} in place`);
    }
    const view = this.plane.view();
    const address =
      view.getUint32(this.#live() + MAP_VALUES, true) + index * view.getUint32(this.address + MAP_STRIDE, true);
    return this.plane.bytes().subarray(address, address + this.valueSize);
  }

  /** All values of an array in place, MAP_STRIDE apart. Good until the map is closed. */
  rowBytes(): Uint8Array {
    const view = this.plane.view();
    const at = view.getUint32(this.#live() + MAP_VALUES, true);
    return this.plane.bytes().subarray(at, at + this.maxEntries * view.getUint32(this.address + MAP_STRIDE, true));
  }

  pin(path: string): void {
    this.#live();
    pinsOf(this.plane).pin(path, this);
  }

  unpin(path: string): void {
    pinsOf(this.plane).unpin(path);
  }

  /** Another handle of the same map, with a reference of its own. */
  hold(): PlaneMap {
    this.plane.exports.map_hold_user(this.#live());
    return new PlaneMap(this.plane, this.address, this.attributes, this.#releasing);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Has `listener` called when the handle is closed, while the map is still there. */
  onClose(listener: () => void): void {
    this.#closing.push(listener);
  }

  /** Has `listener` called once the map is gone: when the last of its handles is closed and no program or map holds it. */
  onRelease(listener: () => void): void {
    this.#releasing.push(listener);
  }

  /**
   * The handle's reference counts as one of programs from now on, until `close`. With the last one of user space (handles, pins) go, as in the kernel, the timers and the work of its
   * values, and elements that have programs, which may hold the map in turn.
   */
  leave(): void {
    if (!this.#ofUserSpace) return;
    this.#ofUserSpace = false;
    if (this.#whole('close', (exports) => exports.map_leave_user(this.address)) !== 0) deleteElementPrograms(this);
  }

  /** Gives the reference back; the handle is dead afterwards. */
  close(): void {
    if (!this.#open) return;
    this.leave();
    this.#open = false;
    for (const listener of this.#closing) listener();
    const last = this.plane.view().getUint32(this.address + MAP_REFERENCES, true) === 1;
    this.#whole('close', (exports) => exports.map_destroy(this.address));
    if (last) for (const listener of this.#releasing.splice(0)) listener();
  }

  /** What ends elements walks what their values own, which may not be whole: throws InputError `SLUICE_MAP_DAMAGED`. */
  #whole<T>(operation: string, call: (exports: PlaneInstance['exports']) => T): T {
    try {
      return call(this.plane.exports);
    } catch (error) {
      throw damageError(this.plane, this.name, operation, error);
    }
  }

  get #keySpace(): number {
    return (this.keySize + 7) & ~7;
  }

  #checkValue(value: Uint8Array): void {
    if (value.length === this.elementSize) return;
    throw new InputError(
      'SLUICE_MAP_VALUE_SIZE',
      `map ${this.name}: values have ${this.elementSize} bytes, not ${value.length}`,
    );
  }

  /** Room for a batch in scratch: u32 count done, position, keys, values, each from a multiple of 8 on. */
  #batch(count: number): { done: number; position: number; keys: number; values: number } {
    this.#live();
    const keySpace = (count * this.keySize + 7) & ~7;
    const done = this.plane.scratch(16 + this.#keySpace + keySpace + count * this.elementSize);
    const keys = done + 16 + this.#keySpace;
    return { done, position: done + 8, keys, values: keys + keySpace };
  }

  #live(): number {
    if (!this.#open) throw new InputError('SLUICE_MAP_CLOSED', `map ${this.name} is closed`);
    return this.address;
  }

  #reserve(behind: number): number {
    this.#live();
    return this.plane.scratch(this.#keySpace + behind);
  }

  /** Puts the key into scratch, with room for `behind` bytes after it. */
  #place(key: Uint8Array, behind: number): number {
    if (key.length !== this.keySize) {
      throw new InputError(
        'SLUICE_MAP_KEY_SIZE',
        `map ${this.name}: keys have ${this.keySize} bytes, not ${key.length}`,
      );
    }
    const at = this.#reserve(behind);
    this.plane.bytes().set(key, at);
    return at;
  }

  /** What was refused, and where the number alone does not tell, why: a map that is full, a quota, or the end of the memory. */
  #error(result: number, operation: string): InputError {
    const full = result === -E2BIG && bounded.has(this.type);
    const why = full
      ? `it has all ${this.maxEntries} entries that it may have`
      : result === -ENOMEM
        ? shortage(this.plane, this.address)
        : undefined;
    return mapError(result, `${this.name}: ${operation}`, why);
  }
}
