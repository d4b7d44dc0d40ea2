/**
 * runtime/: the user-space target: memory map, program and map handles, workers as CPUs, clock.
 *
 * This file: the handle types that both targets (this one and linux/) give out.
 */

import type { MapTypeName } from '../abi/map-types.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import type { Value } from '../btf/codec.ts';
import type { RssConfiguration } from '../net/rss/configuration.ts';
import type { MapSpec, ProgramSpec } from '../object/spec.ts';
import type { AllocatorStats } from './allocators/stats.ts';
import type { OwnedField } from './maps/owned.ts';

export type { Value } from '../btf/codec.ts';

export type TargetName = 'user' | 'linux';

/** What `run` takes: the semantics of BPF_PROG_TEST_RUN (kernel net/bpf/test_run.c). */
export interface RunInput {
  /** Packet, for program types that take one. Not kept. */
  readonly data?: Uint8Array;
  /** Context in its UAPI layout (struct xdp_md, …); for XDP, data_meta and data_end are offsets into `data`. */
  readonly context?: Uint8Array;
  /** What the driver knows of an XDP packet, for bpf_xdp_metadata_rx_*. Without, those kfuncs fail with EOPNOTSUPP. Only the user-space target takes it. */
  readonly hints?: XdpHints;
  /** Traits that the packet has before the run, by key (`metadata` of the runtime says which lengths there are). Only the user-space target takes them. */
  readonly traits?: ReadonlyMap<number, Uint8Array>;
  /**
   * The device that asks a steering program (socket_filter, vnet_hash) for a queue, as it is configured: bpf_vnet_rss and bpf_vnet_toeplitz compute by it, and
   * `reported` of the result says what the program set. Without, those kfuncs fail with EOPNOTSUPP. User space only.
   */
  readonly steering?: RssConfiguration;
  /** How often to run over the same input (default 1). With more than 1 the packet changes add up, as in the kernel. */
  readonly repeat?: number;
  /**
   * Body of the socket that the context is of (`createSocket(…).address`), for types without a test run in Linux. By default one that is
   * made of the context's fields. User space only.
   */
  readonly socket?: number;
}

/** With an empty one it is a driver that could say something and does not know: ENODATA. */
export interface XdpHints {
  readonly timestampNs?: bigint;
  /** RSS hash, and enum xdp_rss_hash_type. */
  readonly hash?: { readonly value: number; readonly type: number };
  /** Tag that the device took off: protocol (0x8100, 0x88a8) and TCI. */
  readonly vlan?: { readonly protocol: number; readonly tci: number };
}

export interface RunResult {
  /** u32, as bpf(2) returns it. */
  readonly returnValue: number;
  /** All 64 bits of r0, where the target knows them (the kernel tells only the lower 32). */
  readonly r0: bigint | undefined;
  /** Packet after the run; undefined when none was given. Owned by the caller. */
  readonly data: Uint8Array | undefined;
  /** Context after the run, in its UAPI layout; undefined when none was given. */
  readonly context: Uint8Array | undefined;
  /** Traits that the packet has after the run; undefined without any. */
  readonly traits?: ReadonlyMap<number, Uint8Array>;
  /** What the program stored of an XDP packet (bpf_xdp_store_rx_*); undefined without any. */
  readonly stored?: XdpHints;
  /** With `steering`: hash and `hash_report` that the program set by bpf_vnet_set_hash or in its context; report 0: none. */
  readonly reported?: { readonly hash: number; readonly report: number };
  /** Number that the program gave the packet (well-known trait packet_id); undefined without any. */
  readonly packetId?: bigint;
  /** Mean time of one run in ns, as the target measures it. */
  readonly durationNs: number;
  /** Where the verdict sends the packet; the kernel's test run does not tell. */
  readonly redirect?: RedirectTarget;
  /** After bpf_redirect_map: id of the map, key and flags of the target. */
  readonly redirectMap?: { readonly mapId: number; readonly key: number; readonly flags: number };
  /** Of hooks of control groups: what the system call returns for the verdict and bpf_set_retval, 0 or a negated errno. */
  readonly systemCall?: number;
  /** Body of the socket that the program chose, where it chose one. */
  readonly socket?: number;
  /** Of messages: bytes that the verdict is for (0: all of it), and bytes to wait for before the next run. */
  readonly message?: { readonly apply: number; readonly cork: number };
  /** Copies that bpf_clone_redirect sent, where there are any: how many, and where the last one went. */
  readonly clones?: { readonly count: number; readonly last: RedirectTarget };
}

export interface RedirectTarget {
  readonly ifindex: number;
  /** Into the receive path of the interface (BPF_F_INGRESS), out of it, to its peer in another namespace, or out by way of the neighbour table. */
  readonly to: 'ingress' | 'egress' | 'peer' | 'neighbour';
}

export interface ProgramHandle {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly target: TargetName;
  readonly spec: ProgramSpec;
  /** Throws InputError for an input that the program type does not take, with the kernel's errno in the message. */
  run(input: RunInput): RunResult;
  close(): void;
}

/** The errno of a map operation, thrown as it would be returned by bpf(2). */
export interface MapErrno {
  /** `ENOENT`, `E2BIG`, … */
  readonly errno: string;
}

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST by name; `lock` is BPF_ANY under the value's bpf_spin_lock (BPF_F_LOCK). */
export type UpdateMode = 'any' | 'noexist' | 'exist' | 'lock';

/** What a batch lookup gives: keys and values side by side, values `elementSize` apart. */
export interface MapBatch {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  /** Where the next call goes on; undefined when the end was reached. */
  readonly position: Uint8Array | undefined;
}

/**
 * A map by bytes. `MapHandle` adds the typed view. Values of per-CPU types are the values of all CPUs in order, each rounded up to
 * 8 bytes, as bpf(2) gives them. Errors are InputError with code `SLUICE_MAP_<errno>`.
 */
export interface RawMap {
  /** undefined: no such key (ENOENT). The bytes are a copy. */
  lookup(key: Uint8Array): Uint8Array | undefined;
  update(key: Uint8Array, value: Uint8Array, mode?: UpdateMode): void;
  /** False: no such key. */
  delete(key: Uint8Array): boolean;
  /** First key without an argument, then the one after `key`; undefined at the end (bpf(2) BPF_MAP_GET_NEXT_KEY). */
  nextKey(key?: Uint8Array): Uint8Array | undefined;
}

/** What maps by bytes of both targets do besides. Queues and stacks have empty keys: lookup peeks, update pushes, take pops. */
export interface TargetMap extends RawMap {
  readonly keySize: number;
  /** Bytes of a value as lookup gives and update takes it: all CPUs' values in per-CPU types. */
  readonly elementSize: number;
  /** As lookup; `lock`: under the value's bpf_spin_lock. */
  lookup(key: Uint8Array, mode?: 'lock'): Uint8Array | undefined;
  /** Removes an element and gives its value (BPF_MAP_LOOKUP_AND_DELETE_ELEM); undefined: no such key. */
  take(key?: Uint8Array): Uint8Array | undefined;
  /** Of a bloom filter: false if the value was certainly not added. */
  contains(value: Uint8Array): boolean;
  /** Up to `count` elements from `position` on. `remove` takes them out. A bucket of a hash comes whole: ENOSPC if it has more than `count`. */
  lookupBatch(count: number, position?: Uint8Array, remove?: boolean): MapBatch;
  /** Writes elements in order; the first that is refused throws, earlier ones stay written. */
  updateBatch(keys: Uint8Array, values: Uint8Array, mode?: UpdateMode): void;
  /** Takes elements out in order; a key that is not there throws ENOENT, earlier ones are gone. */
  deleteBatch(keys: Uint8Array): void;
  /** Only of the user-space target: see MapHandle. */
  owned?(key: Uint8Array): readonly OwnedField[] | undefined;
  /** BPF_MAP_FREEZE: from now on writes of user space throw EPERM; programs may still write. */
  freeze(): void;
  pin(path: string): void;
  unpin(path: string): void;
  close(): void;
}

export interface MapHandle<K = Value, V = Value> extends Iterable<[K, V]> {
  readonly name: string;
  readonly type: MapTypeName;
  readonly target: TargetName;
  readonly spec: MapSpec;
  readonly raw: RawMap;
  get(key: K): V | undefined;
  set(key: K, value: V, mode?: UpdateMode): void;
  delete(key: K): boolean;
  keys(): IterableIterator<K>;
  /** Every element, `size` of them a call into the target (default 256). Elements that stay while others change are shown once where the type has batches. */
  entries(size?: number): IterableIterator<[K, V]>;
  /** Writes elements in one call, in order; the first that is refused throws, earlier ones stay written. */
  setMany(entries: Iterable<readonly [K, V]>, mode?: UpdateMode): void;
  /** Takes elements out in one call; a key that is not there throws SLUICE_MAP_ENOENT, earlier ones are gone. */
  deleteMany(keys: Iterable<K>): void;
  /** Takes an element out and gives its value; undefined: no such key. */
  remove(key: K): V | undefined;
  /**
   * What the value at `key` owns by its fields (kptrs, lists, trees), with what is owned in turn; undefined: no such key. Other operations see zeros there. Good while
   * no program runs. UnsupportedError in the kernel.
   */
  owned(key: K): readonly OwnedField[] | undefined;
  /** From now on user space may not write (SLUICE_MAP_EPERM); programs may. SLUICE_MAP_ENOTSUPP: values have fields that only programs touch. */
  freeze(): void;
  /**
   * Keeps the map beyond its handles and programs, by a path. In the kernel: in a bpf file system. Here: in its runtime, and in a file of that path, which is
   * written now, when a handle is closed and when the process ends; a later load with this path begins with what it holds. Types of programs,
   * maps, sockets, storage and rings have no elements in a file. Pinning again to the same path writes the file anew. SLUICE_MAP_EEXIST: something is there.
   */
  pin(path: string): void;
  /** Takes the pin away. SLUICE_MAP_ENOENT: there is none. */
  unpin(path: string): void;
  close(): void;
}

/** An array whose values lie side by side in memory: variables of an object, and arrays. */
export interface ArrayHandle<K = Value, V = Value> extends MapHandle<K, V> {
  /** Bytes from one value to the next: the value's size rounded up to 8. */
  readonly stride: number;
  /** `bytes` can be had: no timer, lock or object stands in the values; in the kernel BPF_F_MMAPABLE. */
  readonly inPlace: boolean;
  /**
   * All values, not a copy: programs see what is written there, and the other way round. Good until the map is closed. In the kernel the
   * array must have BPF_F_MMAPABLE (SLUICE_MAP_EPERM), as global variables of objects have.
   */
  bytes(): Uint8Array;
}

/**
 * A ring buffer: records in the order of reservation, each given out once. By key there is nothing in it: get, set, delete and keys throw
 * SLUICE_MAP_ENOTSUPP.
 */
export interface RingbufHandle<E = Value> extends MapHandle {
  /**
   * Takes what is there now, at most `limit` records; returns their number. `event` is the record decoded by the map's BTF value type, where it
   * has one and the record its size, else the same bytes as `record`. A record on which the callback throws is taken.
   */
  consume(callback: (event: E, record: Uint8Array) => void, limit?: number): number;
  /**
   * Calls back with records that are there now where they lie in the memory: address and length in bytes; returns their number, 0 if there is none. About a quarter of the ring at
   * once; their space goes back to the producers when all have been read, also where the callback throws. User space only.
   */
  scan?(callback: (memory: DataView, at: number, length: number) => void): number;
  /**
   * Events as they come, as `consume` decodes them. Waiting keeps the process alive; ends when the map is
   * closed or the signal aborts.
   */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<E>;
  /** Calls back for every event until the function that it returns is called. What the callback throws is an unhandled rejection. */
  on(callback: (event: E) => void): () => void;
}

/** A record that is being written; `bytes` is only good until the memory grows or the record is ended. */
export interface UserRingbufRecord {
  readonly bytes: Uint8Array;
  submit(): void;
  discard(): void;
}

/** User ring buffer: user space writes records, programs drain them. One producer: whoever holds the handle. */
export interface UserRingbufHandle<E = Value> extends MapHandle {
  /** Writes one record, encoded by the map's BTF value type where it has one; false if the ring has no room. */
  push(event: E): boolean;
  /** Room for a record of so many bytes, undefined if the ring has none now. Programs stop at it until it is submitted or discarded. */
  reserve(length: number): UserRingbufRecord | undefined;
  /** Bytes that the next record may have. */
  readonly available: number;
}

/** Arena of the user-space target: pages of 4 KiB that programs and user space share. */
export interface ArenaHandle extends MapHandle {
  /** Address of its first byte in the linear memory: what a program's pointers count from. */
  readonly address: number;
  readonly pagesTaken: number;
  /** All its pages; valid until the memory grows. */
  bytes(): Uint8Array;
  /** Takes pages as bpf_arena_alloc_pages does; their address, undefined if there is no room (at `at`). */
  take(count: number, at?: number): number | undefined;
  give(address: number, count: number): void;
}

/** A map of type `allocator`: where programs take objects from (bpf/include/sluice/mem.h). By key there is nothing in it. */
export interface AllocatorHandle extends MapHandle {
  /** Exact while no program runs. */
  stats(): AllocatorStats;
  /** Lets the two share slabs from now on; their numbers stay apart. SLUICE_MAP_EINVAL: their quotas differ, or each has one of its own. */
  merge(other: AllocatorHandle): void;
}

/** struct_ops: programs as the functions of a struct of the kernel. In user space it is modelled: nothing calls the programs. */
export interface StructOpsHandle extends MapHandle {
  readonly state: 'init' | 'inuse' | 'tobefree' | 'ready';
  /** Names of programs by byte offset of the function pointer. */
  readonly programs: ReadonlyMap<number, string>;
  /**
   * Updates the element: once. `bytes`: the struct as the object lays it out, by default as the object has it. In the kernel this registers the struct, or with
   * BPF_F_LINK makes it ready for a link (attachStructOps of sluice/linux). Throws SLUICE_MAP_EBUSY after the first time.
   */
  register(bytes?: Uint8Array): void;
  /** Ends the registration (not with BPF_F_LINK: EOPNOTSUPP). False: it was not registered. */
  unregister(): boolean;
  /** The struct's bytes as they are; zeros before it is registered. In the kernel as the kernel lays it out, with ids of programs for functions. */
  struct(): Uint8Array;
}

/** Devmap, devmap_hash, cpumap or xskmap of the user-space target: where bpf_redirect_map leads. */
export interface RedirectMapHandle extends MapHandle {
  /**
   * Sets an element: `to` is the interface, of a cpumap the length of the queue, of an xskmap the queue that the socket is bound to. `program` runs over frames that
   * go there: of section `xdp/devmap` or `xdp/cpumap`, and it must outlive its place; values must have 8 bytes. Throws InputError `SLUICE_MAP_PROGRAM` for another.
   */
  put(key: number, to: number, program?: ProgramHandle, mode?: UpdateMode): void;
}

/** Queue or stack: values without keys. */
export interface QueueHandle<V = Value> extends MapHandle<Value, V> {
  /** Throws SLUICE_MAP_E2BIG if it is full; with `exist` the oldest value makes room. */
  push(value: V, mode?: 'any' | 'exist'): void;
  /** The oldest value of a queue, the newest of a stack; undefined if it is empty. */
  pop(): V | undefined;
  peek(): V | undefined;
}

export interface BloomFilterHandle<V = Value> extends MapHandle<Value, V> {
  push(value: V): void;
  /** False: certainly not added. */
  contains(value: V): boolean;
}

/** Array or hash of maps. By bytes an inner map is its id. */
export interface MapOfMapsHandle<K = Value> extends MapHandle<K> {
  /** The element holds the map from now on, whether its handle is closed or not. It must be of the same target, and like the inner map declared. */
  put(key: K, map: MapHandle): void;
  /** The map at `key`, by a handle that the caller closes. */
  inner(key: K): MapHandle | undefined;
}

/** Records of bpf_perf_event_output. Until `open` programs get -ENOENT. */
export interface PerfEventHandle extends MapHandle {
  /** Gives each CPU a ring of `pages` pages of 4 KiB, a power of two (default 8). */
  open(pages?: number): void;
  /** Takes what is there now, CPU by CPU; returns the number of records. `record` is a copy. In the kernel it is padded to a multiple of 8 less 4. */
  consume(callback: (record: Uint8Array, cpu: number) => void): number;
  /** Records that found no room since the last call; in the kernel as far as what was consumed tells. */
  lost(): number;
}

export function isAllocator(map: MapHandle): map is AllocatorHandle {
  return map.type === 'allocator' && 'stats' in map;
}

export function isRingbuf(map: MapHandle): map is RingbufHandle {
  return map.type === 'ringbuf' && 'consume' in map;
}

export function isRedirectMap(map: MapHandle): map is RedirectMapHandle {
  return map.target === 'user' && 'put' in map && ['devmap', 'devmap_hash', 'cpumap', 'xskmap'].includes(map.type);
}

export function isArray(map: MapHandle): map is ArrayHandle {
  return map.type === 'array' && 'bytes' in map;
}

export interface LoadedObject {
  readonly target: TargetName;
  readonly programs: Readonly<Record<string, ProgramHandle>>;
  readonly maps: Readonly<Record<string, MapHandle>>;
  /** Releases programs and maps; handles are dead afterwards. */
  close(): void;
}
