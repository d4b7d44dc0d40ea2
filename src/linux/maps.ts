/** Maps of the kernel: created from a MapSpec, read and written by bytes. The typed view is in map-handle.ts. */
import { unlinkSync } from 'node:fs';
import type { MapTypeName } from '../abi/map-types.ts';
import { InputError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import type { MapBatch, TargetMap, UpdateMode } from '../runtime/handles.ts';
import { pinObject } from './bpf.ts';
import { createMap, deleteBatch, freezeMap, lookupBatch, MapElements, updateBatch } from './bpf-maps.ts';
import { possibleCpus } from './cpus.ts';
import {
  close,
  MAP_FIXED_NOREPLACE,
  MAP_SHARED,
  type Mapping,
  memoryAt,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  pageSize,
} from './ffi.ts';
import type { KernelStruct } from './struct-ops.ts';
import { errnoName, SyscallError } from './syscall-error.ts';

export const BPF_F_RDONLY_PROG = 1 << 7;
export const BPF_F_MMAPABLE = 1 << 10;
export const BPF_F_NUMA_NODE = 1 << 2;
const BPF_F_VTYPE_BTF_OBJ_FD = 1 << 15;

const perCpuTypes: ReadonlySet<MapTypeName> = new Set([
  'percpu_hash',
  'percpu_array',
  'lru_percpu_hash',
  'percpu_cgroup_storage',
]);

/** True for types whose element has a value for each CPU. */
export function isPerCpu(type: MapTypeName): boolean {
  return perCpuTypes.has(type);
}

const updateFlags: Readonly<Record<UpdateMode, number>> = { any: 0, noexist: 1, exist: 2, lock: 4 };

export interface MapOptions {
  /** Loaded BTF; used when the spec knows the ids of key and value. */
  readonly btfFd?: number;
  /** Descriptor of a map that shows array- and hash-of-maps what they hold. */
  readonly innerMapFd?: number;
  /** The kernel's struct, of a struct_ops map: its value, whatever the size of the object's. */
  readonly structOps?: Pick<KernelStruct, 'valueId' | 'valueSize'> & { readonly btfFd?: number };
}

/** Types whose creation refuses BTF ids of key or value (kernel: no map_check_btf, or a special value). libbpf leaves them out too. */
const typesWithoutBtf: ReadonlySet<MapTypeName> = new Set([
  'perf_event_array',
  'cgroup_array',
  'stack_trace',
  'array_of_maps',
  'hash_of_maps',
  'devmap',
  'devmap_hash',
  'cpumap',
  'xskmap',
  'sockmap',
  'sockhash',
  'queue',
  'stack',
  'ringbuf',
  'user_ringbuf',
  'prog_array',
  'insn_array',
]);

/**
 * A map of the kernel by descriptor. Owns the descriptor: `close()` drops it, the map itself lives for as long as a program or another
 * descriptor holds it.
 */
export class KernelMap implements TargetMap {
  readonly name: string;
  readonly type: MapTypeName;
  readonly fd: number;
  readonly keySize: number;
  /** Bytes of one value, without the rounding and repetition of per-CPU types. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly mapExtra: bigint;
  readonly #elements: MapElements;
  #mapping: Mapping | undefined;
  #unmap: (() => void) | undefined;
  #open = true;

  constructor(
    fd: number,
    spec: Pick<MapSpec, 'name' | 'type' | 'keySize' | 'valueSize' | 'maxEntries' | 'flags' | 'mapExtra'>,
  ) {
    this.fd = fd;
    this.name = spec.name;
    this.type = spec.type;
    this.keySize = spec.keySize;
    this.valueSize = spec.valueSize;
    this.maxEntries = spec.maxEntries;
    this.flags = spec.flags;
    this.mapExtra = spec.mapExtra;
    this.#elements = new MapElements(fd, spec.keySize, this.elementSize);
  }

  /** Creates an empty map. Throws as bpf.ts says. */
  static create(spec: MapSpec, options: MapOptions = {}): KernelMap {
    const flags = spec.numaNode > 0 ? spec.flags | BPF_F_NUMA_NODE : spec.flags;
    // perf_event_array without a size has one entry a CPU, as libbpf fills in.
    const maxEntries = spec.type === 'perf_event_array' && spec.maxEntries === 0 ? possibleCpus() : spec.maxEntries;
    // A ring's value type describes its records (RingbufHandle.events); the kernel wants no sizes.
    const sized = spec.type !== 'ringbuf' && spec.type !== 'user_ringbuf';
    const { structOps } = options;
    const [keySize, valueSize] = sized ? [spec.keySize, structOps?.valueSize ?? spec.valueSize] : [0, 0];
    const withBtf = options.btfFd !== undefined && spec.valueTypeId > 0 && !typesWithoutBtf.has(spec.type);
    // The type of a struct_ops map's value is the kernel's, but it wants to be shown the object's BTF.
    const typeIds = structOps === undefined ? spec : { keyTypeId: 0, valueTypeId: 0 };
    const fd = createMap({
      type: spec.type,
      keySize,
      valueSize,
      maxEntries,
      name: spec.name,
      flags: structOps?.btfFd === undefined ? flags : flags | BPF_F_VTYPE_BTF_OBJ_FD,
      numaNode: spec.numaNode,
      mapExtra: spec.mapExtra,
      ...(structOps === undefined ? {} : { btfVmlinuxValueTypeId: structOps.valueId }),
      ...(structOps?.btfFd === undefined ? {} : { valueTypeBtfFd: structOps.btfFd }),
      ...(options.innerMapFd === undefined ? {} : { innerMapFd: options.innerMapFd }),
      ...(withBtf
        ? { btf: { fd: options.btfFd!, keyTypeId: typeIds.keyTypeId, valueTypeId: typeIds.valueTypeId } }
        : undefined),
    });
    return new KernelMap(fd, { ...spec, keySize, valueSize, flags, maxEntries });
  }

  /** Bytes that bpf(2) copies for one element: all CPUs of a per-CPU type, each rounded up to 8. */
  get elementSize(): number {
    if (!isPerCpu(this.type)) return this.valueSize;
    return ((this.valueSize + 7) & ~7) * possibleCpus();
  }

  lookup(key: Uint8Array, mode?: 'lock'): Uint8Array | undefined {
    this.#setKey(key);
    const result = this.#elements.lookup(mode === undefined ? 0 : updateFlags[mode]);
    if (result === -ENOENT) return undefined;
    this.#check(result, 'lookup');
    return this.#elements.value.slice();
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    this.#setKey(key);
    if (value.length !== this.elementSize)
      throw this.#error('EINVAL', `a value has ${this.elementSize} bytes, not ${value.length}`);
    this.#elements.value.set(value);
    this.#check(this.#elements.update(updateFlags[mode]), 'update');
  }

  delete(key: Uint8Array): boolean {
    this.#setKey(key);
    const result = this.#elements.delete();
    if (result === -ENOENT) return false;
    this.#check(result, 'delete');
    return true;
  }

  /** Removes an element and gives its value: BPF_MAP_LOOKUP_AND_DELETE_ELEM. Pops queues and stacks (with an empty key). */
  take(key: Uint8Array = new Uint8Array(0)): Uint8Array | undefined {
    this.#setKey(key);
    const result = this.#elements.lookupAndDelete();
    if (result === -ENOENT) return undefined;
    this.#check(result, 'lookup and delete');
    return this.#elements.value.slice();
  }

  contains(value: Uint8Array): boolean {
    this.#alive();
    this.#elements.value.set(value);
    const result = this.#elements.lookup();
    if (result === -ENOENT) return false;
    this.#check(result, 'lookup');
    return true;
  }

  lookupBatch(count: number, position?: Uint8Array, remove = false): MapBatch {
    this.#alive();
    const keys = new Uint8Array(count * this.keySize);
    const values = new Uint8Array(count * this.elementSize);
    const at = position?.slice() ?? new Uint8Array(Math.max(4, this.keySize));
    const batch = this.#tell(() => lookupBatch(this.fd, at, position === undefined, keys, values, count, remove));
    return {
      count: batch.count,
      keys: keys.subarray(0, batch.count * this.keySize),
      values: values.subarray(0, batch.count * this.elementSize),
      position: batch.done ? undefined : at,
    };
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, mode: UpdateMode = 'any'): void {
    this.#alive();
    this.#tell(() => updateBatch(this.fd, keys, values, keys.length / this.keySize, updateFlags[mode]));
  }

  deleteBatch(keys: Uint8Array): void {
    this.#alive();
    this.#tell(() => deleteBatch(this.fd, keys, keys.length / this.keySize));
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    if (key !== undefined) this.#setKey(key);
    else this.#alive();
    const result = this.#elements.next(key === undefined);
    if (result === -ENOENT) return undefined;
    this.#check(result, 'next key');
    return this.#elements.key.slice();
  }

  /** `path`: in a bpf file system. The pin holds the map until it is taken away. */
  pin(path: string): void {
    this.#alive();
    this.#tell(() => pinObject(path, this.fd), 'pin');
  }

  unpin(path: string): void {
    try {
      unlinkSync(path);
    } catch (error) {
      const errno = error instanceof Error && 'code' in error ? String(error.code) : 'EIO';
      throw this.#error(errno, `unpin ${path}`);
    }
  }

  /** No more writes by system calls; content of a read-only map becomes known to the verifier. */
  freeze(): void {
    this.#alive();
    freezeMap(this.fd);
  }

  /**
   * The values themselves, shared with the kernel (BPF_F_MMAPABLE arrays): element i at i * (value size rounded up to 8). An arena: its
   * pages, which have to be mapped before a program can use it. Valid until `close()`; a later access is a fault of the process.
   */
  mapped(writable = true): Uint8Array {
    this.#alive();
    const page = pageSize();
    const arena = this.type === 'arena';
    const size = (arena ? page : (this.valueSize + 7) & ~7) * this.maxEntries;
    const length = Math.ceil(size / page) * page;
    // An arena's map_extra is the address that its pointers hold; objects are not trusted not to name one of ours.
    const flags = arena && this.mapExtra > 0n ? MAP_SHARED | MAP_FIXED_NOREPLACE : MAP_SHARED;
    const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    this.#mapping ??= mmap(length, protection, flags, this.fd, 0, arena ? this.mapExtra : 0);
    return new Uint8Array(memoryAt(this.#mapping.address, length));
  }

  /** It is mapped there already; `unmap` ends that. */
  place(address: number, length: number, unmap: () => void): void {
    this.#mapping = { address, length };
    this.#unmap = unmap;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#unmap !== undefined) this.#unmap();
    else if (this.#mapping !== undefined) munmap(this.#mapping);
    close(this.fd);
  }

  #alive(): void {
    // The descriptor's number may belong to someone else by now.
    if (!this.#open) throw new InputError('SLUICE_MAP_EBADF', `map ${this.name} is closed`);
  }

  #setKey(key: Uint8Array): void {
    this.#alive();
    if (key.length !== this.keySize) throw this.#error('EINVAL', `a key has ${this.keySize} bytes, not ${key.length}`);
    this.#elements.key.set(key);
  }

  /** What bpf(2) refuses as the map's error. */
  #tell<T>(call: () => T, what = 'batch'): T {
    try {
      return call();
    } catch (error) {
      if (error instanceof SyscallError) throw this.#error(error.errno, what);
      throw error;
    }
  }

  #check(result: number, operation: string): void {
    if (result < 0) throw this.#error(errnoName(-result), operation);
  }

  #error(errno: string, what: string): InputError {
    return new InputError(`SLUICE_MAP_${errno}`, `map ${this.name} (${this.type}): ${what}: ${errno}`);
  }
}

const ENOENT = 2;
