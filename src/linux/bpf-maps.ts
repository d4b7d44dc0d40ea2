/** bpf(2)'s commands on maps, by descriptor. Operations on elements return the negative errno: a missing key is no error. */
import { type MapTypeName, mapTypes } from '../abi/map-types.ts';
import { Attr, type BpfCommand, mapBatchAttr, mapCreateAttr, mapElementAttr, objectName } from './attr.ts';
import { bpf, bpfResult } from './bpf.ts';
import { bpfError } from './syscall-error.ts';

export interface MapCreate {
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly name?: string;
  /** BPF_F_*. */
  readonly flags?: number;
  readonly innerMapFd?: number;
  /** Used with BPF_F_NUMA_NODE. */
  readonly numaNode?: number;
  readonly mapExtra?: bigint;
  /** BTF with the types of key and value. */
  readonly btf?: { readonly fd: number; readonly keyTypeId: number; readonly valueTypeId: number };
  /** Type of the value in vmlinux BTF: struct_ops. */
  readonly btfVmlinuxValueTypeId?: number;
  /** BTF of the module that this type is of; used with BPF_F_VTYPE_BTF_OBJ_FD. */
  readonly valueTypeBtfFd?: number;
}

/** BPF_MAP_CREATE: the descriptor, which the caller owns. */
export function createMap(map: MapCreate): number {
  const at = mapCreateAttr;
  const attr = new Attr(at.size)
    .u32(at.mapType, mapTypes[map.type])
    .u32(at.keySize, map.keySize)
    .u32(at.valueSize, map.valueSize)
    .u32(at.maxEntries, map.maxEntries)
    .u32(at.mapFlags, map.flags ?? 0)
    .u32(at.innerMapFd, map.innerMapFd ?? 0)
    .u32(at.numaNode, map.numaNode ?? 0)
    .text(at.mapName, objectName(map.name ?? ''), 16)
    .u32(at.btfVmlinuxValueTypeId, map.btfVmlinuxValueTypeId ?? 0)
    .u64(at.mapExtra, map.mapExtra ?? 0n)
    .u32(at.valueTypeBtfFd, map.valueTypeBtfFd ?? 0);
  if (map.btf !== undefined)
    attr.u32(at.btfFd, map.btf.fd).u32(at.btfKeyTypeId, map.btf.keyTypeId).u32(at.btfValueTypeId, map.btf.valueTypeId);
  return bpf('BPF_MAP_CREATE', attr, `map ${map.name ?? '(unnamed)'} of type ${map.type}`);
}

/** BPF_MAP_FREEZE: system calls may no longer write; the verifier takes a read-only map's content as constant. */
export function freezeMap(fd: number): void {
  bpf('BPF_MAP_FREEZE', new Attr(mapElementAttr.size).u32(mapElementAttr.mapFd, fd));
}

/** Element operations of one map over buffers of its own: no allocation a call. */
export class MapElements {
  /** What the next operation takes, and what lookup and nextKey leave. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly #attr: Attr;
  // BPF_MAP_DELETE_ELEM and the first BPF_MAP_GET_NEXT_KEY want the fields that they do not know to be zero.
  readonly #keyOnly: Attr;
  readonly #next: Attr;
  readonly #nextKey: Uint8Array;
  readonly #first: Attr;

  /** `valueSize`: bytes that the kernel copies, all CPUs of a per-CPU map included. */
  constructor(fd: number, keySize: number, valueSize: number) {
    const at = mapElementAttr;
    this.key = new Uint8Array(keySize);
    this.value = new Uint8Array(valueSize);
    this.#nextKey = new Uint8Array(keySize);
    this.#attr = new Attr(at.size).u32(at.mapFd, fd).pointer(at.key, this.key).pointer(at.value, this.value);
    this.#keyOnly = new Attr(at.size).u32(at.mapFd, fd).pointer(at.key, this.key);
    this.#next = new Attr(at.size).u32(at.mapFd, fd).pointer(at.key, this.key).pointer(at.value, this.#nextKey);
    this.#first = new Attr(at.size).u32(at.mapFd, fd).pointer(at.value, this.#nextKey);
  }

  lookup(flags = 0): number {
    return this.#run('BPF_MAP_LOOKUP_ELEM', flags);
  }

  update(flags = 0): number {
    return this.#run('BPF_MAP_UPDATE_ELEM', flags);
  }

  delete(): number {
    return bpfResult('BPF_MAP_DELETE_ELEM', this.#keyOnly);
  }

  /** Queues and stacks pop by this. */
  lookupAndDelete(flags = 0): number {
    return this.#run('BPF_MAP_LOOKUP_AND_DELETE_ELEM', flags);
  }

  /** Leaves the key after `key` (or the first one) in `key`. */
  next(first: boolean): number {
    const result = bpfResult('BPF_MAP_GET_NEXT_KEY', first ? this.#first : this.#next);
    if (result === 0) this.key.set(this.#nextKey);
    return result;
  }

  #run(command: BpfCommand, flags: number): number {
    this.#attr.u32(mapElementAttr.flags, flags);
    return bpfResult(command, this.#attr);
  }
}

export interface Batch {
  /** How many elements were done. */
  readonly count: number;
  /** True when a lookup has reached the end of the map. */
  readonly done: boolean;
}

/**
 * BPF_MAP_LOOKUP_BATCH and BPF_MAP_LOOKUP_AND_DELETE_BATCH: fills `keys` and `values` with up to `count` elements. `position` (at
 * least 4 and at least key-size bytes) carries the place from call to call; `first` starts over. ENOSPC is thrown if a bucket has more elements than fit.
 */
export function lookupBatch(
  fd: number,
  position: Uint8Array,
  first: boolean,
  keys: Uint8Array,
  values: Uint8Array,
  count: number,
  remove = false,
): Batch {
  const at = mapBatchAttr;
  const attr = new Attr(at.size)
    .pointer(at.inBatch, first ? undefined : position)
    .pointer(at.outBatch, position)
    .pointer(at.keys, keys)
    .pointer(at.values, values)
    .u32(at.count, count)
    .u32(at.mapFd, fd);
  const command = remove ? 'BPF_MAP_LOOKUP_AND_DELETE_BATCH' : 'BPF_MAP_LOOKUP_BATCH';
  const result = bpfResult(command, attr);
  if (result === -ENOENT) return { count: attr.readU32(at.count), done: true };
  if (result < 0) throw bpfError(`bpf(${command})`, -result);
  return { count: attr.readU32(at.count), done: false };
}

/** BPF_MAP_UPDATE_BATCH: all of `count` elements, or throws with the kernel's errno; earlier ones stay written. */
export function updateBatch(fd: number, keys: Uint8Array, values: Uint8Array, count: number, elementFlags = 0): void {
  const at = mapBatchAttr;
  const attr = new Attr(at.size)
    .pointer(at.keys, keys)
    .pointer(at.values, values)
    .u32(at.count, count)
    .u32(at.mapFd, fd)
    .u64(at.elementFlags, BigInt(elementFlags));
  bpf('BPF_MAP_UPDATE_BATCH', attr);
}

export function deleteBatch(fd: number, keys: Uint8Array, count: number): void {
  const at = mapBatchAttr;
  bpf('BPF_MAP_DELETE_BATCH', new Attr(at.size).pointer(at.keys, keys).u32(at.count, count).u32(at.mapFd, fd));
}

const ENOENT = 2;
