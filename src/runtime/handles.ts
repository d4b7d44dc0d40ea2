/**
 * runtime/: the user-space target: memory map, program and map handles, workers as CPUs, clock.
 *
 * This file: the handle types that both targets (this one and linux/) give out.
 */
import type { MapTypeName } from '../abi/map-types.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import type { Value } from '../btf/codec.ts';
import type { MapSpec, ProgramSpec } from '../object/spec.ts';

export type { Value } from '../btf/codec.ts';

export type TargetName = 'user' | 'linux';

/** What `run` takes: the semantics of BPF_PROG_TEST_RUN (kernel net/bpf/test_run.c). */
export interface RunInput {
  /** Packet, for program types that take one. Not kept. */
  readonly data?: Uint8Array;
  /** Context in its UAPI layout (struct xdp_md, …); for XDP, data_meta and data_end are offsets into `data`. */
  readonly context?: Uint8Array;
  /** How often to run over the same input (default 1). With more than 1 the packet changes add up, as in the kernel. */
  readonly repeat?: number;
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
  /** Mean time of one run in ns, as the target measures it. */
  readonly durationNs: number;
  /** Where the verdict of a program over an sk_buff sends the packet; the kernel's test run does not tell. */
  readonly redirect?: RedirectTarget;
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

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST (and BPF_F_LOCK) by name. */
export type UpdateMode = 'any' | 'noexist' | 'exist';

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
  close(): void;
}

/**
 * A ring buffer: records in the order of reservation, each given out once. By key there is nothing in it: get, set, delete and keys throw
 * SLUICE_MAP_ENOTSUPP.
 */
export interface RingbufHandle<E = Value> extends MapHandle {
  /**
   * Takes what is there now, at most `limit` records; returns their number. `record` is only good during the callback. A record on
   * which the callback throws is taken.
   */
  consume(callback: (record: Uint8Array) => void, limit?: number): number;
  /**
   * Records as they come, decoded by the map's BTF value type where it has one. Waiting keeps the process alive; ends when the map is
   * closed or the signal aborts.
   */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<E>;
  /** Calls back for every event until the function that it returns is called. What the callback throws is an unhandled rejection. */
  on(callback: (event: E) => void): () => void;
}

export function isRingbuf(map: MapHandle): map is RingbufHandle {
  return 'consume' in map;
}

export interface LoadedObject {
  readonly target: TargetName;
  readonly programs: Readonly<Record<string, ProgramHandle>>;
  readonly maps: Readonly<Record<string, MapHandle>>;
  /** Releases programs and maps; handles are dead afterwards. */
  close(): void;
}
