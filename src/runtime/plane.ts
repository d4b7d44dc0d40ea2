/** The data plane as one worker sees it: plane.wasm, instantiated over the shared memory with the worker's own block. */
import { InternalError } from '../errors.ts';
import { wasmBase64 } from '../plane/generated/plane-wasm.ts';
import { WASM_PAGE } from '../plane/layout/memory.ts';
import { WORKER_PAGE_COUNT, WORKER_PAGES } from '../plane/layout/worker.ts';
import { workerAddress } from './memory.ts';

/** Functions of the plane that control code calls; all numbers are u32 or i32. Programs import the others by name. */
export interface PlaneExports {
  /** Address of so many zeroed pages of 64 KiB, 0 if there is no room. */
  pages_alloc(count: number): number;
  pages_free(address: number, count: number): void;
  memory_pages(): number;
  /** Address, or a negated errno from -4095 to -1. See plane/assembly/maps/create.ts. */
  map_create(
    type: number,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    flags: number,
    extraLow: number,
    extraHigh: number,
    seedLow: number,
    seedHigh: number,
    inner: number,
    spinLock: number,
  ): number;
  /** References of user space: address of the map with this id, 0 if there is none; one more; this one is user space's no more (1: none is), and goes with map_destroy. */
  map_open_user(id: number): number;
  map_hold_user(map: number): void;
  map_leave_user(map: number): number;
  map_destroy(map: number): void;
  map_freeze(map: number): number;
  map_user_value_size(map: number): number;
  map_lookup_user(map: number, key: number, out: number, flags: number): number;
  map_update_user(map: number, key: number, value: number, flags: number): number;
  map_delete_user(map: number, key: number): number;
  map_take_user(map: number, key: number, out: number): number;
  map_lookup_batch(
    map: number,
    position: number,
    first: number,
    keys: number,
    values: number,
    count: number,
    remove: number,
    done: number,
  ): number;
  map_update_batch(map: number, keys: number, values: number, count: number, flags: number, done: number): number;
  map_delete_batch(map: number, keys: number, count: number, done: number): number;
  perf_event_lost(ring: number): number;
  map_next_key(map: number, key: number, out: number): number;
  /** Address of pages of an arena, 0 if there is no room; `at` 0: anywhere. */
  arena_take(map: number, at: bigint, count: number): number;
  arena_give(map: number, at: bigint, count: number): void;
  insn_array_connect(map: number, index: number, slot: number): number;
  /** Modelled objects by the addresses of their bodies: plane/assembly/objects.ts. */
  object_create(kind: number): number;
  object_id(body: number): number;
  object_release(body: number): void;
  /** Records of types: plane/assembly/fields/record-set.ts. */
  record_block(set: number): number;
  record_hold(record: number): void;
  record_release(record: number): void;
  /** Of a map that was just created: the record of its values, which it holds. */
  map_set_record(map: number, record: number): void;
  map_element_bytes(map: number): number;
  /** Address of a key's value, 0 if there is none. */
  map_value_peek(map: number, key: number): number;
  /** Its allocators, which it holds from then on; 0: as it was made. 0, or -EINVAL (plane/assembly/maps/allocator.ts). */
  map_set_allocators(map: number, elem: number, kptr: number): number;
  record_set_release(set: number): void;
  ringbuf_next(map: number): number;
  ringbuf_release(map: number, record: number): void;
  ringbuf_wake(map: number): void;
  ringbuf_ready(map: number): number;
  ringbuf_consume(map: number, bytes: number): void;
  /** Timers: see plane/assembly/kfuncs/timer.ts. */
  map_set_timers(map: number, timer: number, work: number, taskWork: number): void;
  timers_begin(): void;
  timers_move(cpu: number): boolean;
  timers_recover(cpu: number): void;
  timers_pass(cpu: number): number;
  timers_first(until: bigint): number;
  timers_holding(first: bigint, count: number): number;
  timers_next(): bigint;
  timers_run(until: bigint, most: number, how: number, fuel: number): number;
  timers_key(room: number): number;
  timers_done(): void;
  /** Allocators, by address (plane/assembly/slab/allocator.ts). */
  allocator_create(quotaLow: number, quotaHigh: number): number;
  allocator_global(): number;
  allocator_hold(allocator: number): void;
  allocator_release(allocator: number): void;
  allocator_alloc(allocator: number, size: number, holder: number): number;
  allocator_free(object: number): void;
  allocator_of(object: number): number;
  allocator_class(size: number): number;
  allocator_rounded(size: number): number;
  allocator_create_in(quotaLow: number, quotaHigh: number, flags: number, group: number): number;
  allocator_prefill(allocator: number, size: number, count: number, holder: number): number;
  allocator_unreserve(allocator: number, holder: number): void;
  allocator_merge(into: number, from: number): number;
  allocators_settle(): number;
  allocator_stats(allocator: number, out: number): number;
  allocator_free_later(object: number): void;
  allocator_check(): number;
  allocator_generation(object: number): number;
  /** Around calls that run programs or operations of maps: plane/assembly/slab/epoch.ts. */
  epoch_enter(): void;
  epoch_exit(): void;
  epoch_depth(): number;
  /** Queues of cpumaps' elements that are no more, and still have frames. */
  queues_closing(): number;
  epoch_target(): number;
  epoch_reached(target: number): number;
  /** Inboxes of CPUs that are threads: plane/assembly/cpus/. */
  inbox_init(inbox: number): void;
  cpu_send(cpu: number, kind: number, a: number, b: number, c: number, d: number): number;
  cpu_sleeps(): number;
  cpu_wakes(): void;
  cpu_turn(most: number): number;
  cpu_stopped(why: number): number;
  cpu_drop_item(): void;
  inbox_count(inbox: number): number;
  item_abandon(cpu: number, inbox: number): number;
  timers_withdraw(inbox: number, asked: number): void;
  frames_recover(cpu: number): void;
  cpu_recover(report: number): void;
  cpu_recover_timer(): boolean;
  cpu_recover_rest(report: number): void;
  cpu_recover_item(report: number): void;
  cpu_recover_end(): void;
  cpu_adopt(cpu: number): void;
  epoch_leave(depth: number): void;
  /** Bits of the live objects of a depot (0: of all), one for 16 bytes of the memory, in zeroed pages: plane/assembly/slab/heap.ts. */
  heap_mark(depot: number, bits: number, waiting: number): void;
  heap_mark_pages(): number;
  readonly [name: string]: (...args: never[]) => unknown;
}

export interface PlaneOptions {
  /** CPU that this worker is (default 0). */
  readonly cpu?: number;
  /** Monotonic clock in ns (default: that of `performance`, which starts with the process). */
  readonly now?: () => number;
  /** plane.wasm as another thread has compiled it. */
  readonly module?: WebAssembly.Module;
  /** Function table that programs are put into; index 0 stays empty. */
  readonly table?: WebAssembly.Table;
  /** Seed of hash maps made by this instance; random by default. With a seed, iteration order is the same in every run. */
  readonly hashSeed?: bigint;
}

export interface PlaneInstance {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly table: WebAssembly.Table;
  readonly exports: PlaneExports;
  readonly cpu: number;
  /** Address of the worker block. */
  readonly worker: number;
  /** The whole memory as it is now; do not keep it, the memory grows. */
  bytes(): Uint8Array;
  /** The same as a DataView. */
  view(): DataView;
  /** Address of at least `size` bytes for arguments and results of one call into the plane; the next caller overwrites them. */
  scratch(size: number): number;
  /** Seed for a new hash map. */
  hashSeed(): bigint;
  /** Functions of JavaScript that rings call in place of programs, by number: from the context's address to what a program would return. */
  readonly ringFunctions: Map<number, (context: number) => number>;
  /** Called while this thread has waited for a lock for a while: who holds it may be a thread that has ended. */
  readonly lockWaits: Set<() => void>;
  /** Threads of other CPUs that this thread owns, by CPU. */
  readonly watches: Map<number, ThreadWatch>;
}

/** Of a thread: what its owner can learn while it waits for it, where no event reaches it. */
export interface ThreadWatch {
  /** Whether the thread has ended; then what the CPU was in the middle of is in order. The caller holds no lock. */
  hasEnded(): boolean;
}

let compiled: WebAssembly.Module | undefined;

/** plane.wasm, compiled once per thread. Other workers may be sent the module. */
export function planeModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(wasmBase64), (c) => c.charCodeAt(0)));
  return compiled;
}

/** Names of what the plane exports: functions for control code, and bodies of helpers and kfuncs. */
export function planeExports(): ReadonlySet<string> {
  return new Set(WebAssembly.Module.exports(planeModule()).map(({ name }) => name));
}

/** The plane's functions for a worker block alone, without what goes with an instance of a thread's. `imports` that are not given do nothing. */
export function instantiatePlane(
  memory: WebAssembly.Memory,
  worker: number,
  imports: WebAssembly.ModuleImports = {},
  module = planeModule(),
): PlaneExports {
  const table = imports['table'] ?? new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
  const nothing = { now: () => performance.now() * 1e6, ring_function: () => 0, lock_waits: () => {} };
  const instance = new WebAssembly.Instance(module, { env: { ...nothing, ...imports, table, memory, worker } });
  // What the module exports is fixed by its sources; the interface above states it.
  return instance.exports as unknown as PlaneExports;
}

/** Instantiates the plane over a memory from createMemory. */
export function createPlane(memory: WebAssembly.Memory, options: PlaneOptions = {}): PlaneInstance {
  const cpu = options.cpu ?? 0;
  const worker = workerAddress(cpu);
  const table = options.table ?? new WebAssembly.Table({ initial: 1, element: 'anyfunc' });
  const now = options.now ?? (() => performance.now() * 1e6);
  const ringFunctions = new Map<number, (context: number) => number>();
  const ring_function = (number: number, context: number) => ringFunctions.get(number)?.(context >>> 0) ?? 0;
  const lockWaits = new Set<() => void>();
  const lock_waits = () => {
    for (const each of lockWaits) each();
  };
  const exports = instantiatePlane(memory, worker, { table, now, ring_function, lock_waits }, options.module);

  let bytes = new Uint8Array(memory.buffer);
  let view = new DataView(memory.buffer);
  let pages = exports.memory_pages();
  function refresh(): void {
    // Growing a shared memory leaves the old buffer valid, and shorter. Asking for the buffer costs more than a call.
    const now = exports.memory_pages();
    if (now === pages) return;
    bytes = new Uint8Array(memory.buffer);
    // Where another thread has grown it, this one's buffer may follow a moment later.
    pages = bytes.length / WASM_PAGE;
    view = new DataView(memory.buffer);
  }

  let scratch = 0;
  let scratchPages = 0;
  // Written down for who comes after this thread, if it is ended.
  function note(address: number): void {
    const words = new DataView(memory.buffer);
    words.setUint32(worker + WORKER_PAGE_COUNT, scratchPages, true);
    words.setUint32(worker + WORKER_PAGES, address, true);
  }
  function reserve(size: number): number {
    const pages = Math.max(1, Math.ceil(size / WASM_PAGE));
    if (pages > scratchPages) {
      note(0);
      exports.pages_free(scratch, scratchPages);
      scratch = exports.pages_alloc(pages) >>> 0;
      scratchPages = scratch === 0 ? 0 : pages;
      note(scratch);
      if (scratch === 0) throw new InternalError(`no memory for ${pages} pages of scratch`);
    }
    return scratch;
  }
  reserve(WASM_PAGE);

  return {
    memory,
    module: options.module ?? planeModule(),
    table,
    exports,
    cpu,
    worker,
    ringFunctions,
    lockWaits,
    watches: new Map(),
    bytes() {
      refresh();
      return bytes;
    },
    view() {
      refresh();
      return view;
    },
    scratch: reserve,
    hashSeed() {
      if (options.hashSeed !== undefined) return options.hashSeed;
      return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
    },
  };
}
