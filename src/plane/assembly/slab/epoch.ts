// Epochs: what is freed while others may still read it waits until every CPU has left the run, or batch of runs, in which it was freed. A CPU enters and leaves once for
// each call from control code, which costs an increment on one CPU, and two atomic operations with more. Objects wait in chunks of their addresses: they stay as they were.
import { word_wait } from '../locks/wait';
import { elements_trim } from '../maps/element';
import { WORKER } from '../worker';
import { allocator_free } from './allocator';
import { caches_flush } from './cache';
import { check_kept, check_waited, check_waits, has_checks } from './checks';
import { depot_end, has_caches_on } from './depot';
import { memory_fault } from './fault';
import { word_lock, word_unlock } from '../locks/word';
import { meta_alloc, meta_free } from './meta';
import { entry_of } from './piece';
import { retired_end } from './retired';
import {
  DEPOT_CLOSED, DEPOT_FLAGS, DEPOT_NEXT, LIMBO_BYTES, LIMBO_COUNT, LIMBO_EPOCH, LIMBO_NEXT, LIMBO_OBJECTS, LIMBO_URGENT,
  MEMORY_FAULT_NO_OBJECT, MEMORY_FAULT_NO_MEMORY, SLAB_DEPOT, SLAB_OBJECT_SIZE, WAITS_BLOCK, WAITS_BYTES, WAITS_ELEMENT, WAITS_MASK, WAITS_OBJECT,
} from '../../layout/allocator';
import {
  POOL_SMALL, ROOT, ROOT_ALLOCATORS_LOCK, ROOT_CLOSINGS, ROOT_CPU_COUNT, ROOT_DEPOTS, ROOT_EPOCH, WORKERS, WORKER_SIZE,
} from '../../layout/memory';
import {
  WORKER_CLOSINGS, WORKER_CPU, WORKER_EPOCH, WORKER_EPOCH_DEPTH, WORKER_LIMBO_BYTES, WORKER_LIMBO_NEWEST, WORKER_LIMBO_OLDEST, WORKER_OPERATION,
  WORKER_RECLAIMED, WORKER_TRIM,
} from '../../layout/worker';

/** How often, and how long each time, a CPU with much that waits waits itself for one that does not leave: 50 ms in all. */
const URGENT_ROUNDS = 500;
const URGENT_WAIT_NS: i64 = 100_000;

// @ts-ignore: decorator
@inline
function cpu_count(): u32 {
  return load<u32>(ROOT, ROOT_CPU_COUNT);
}

/** Before the first program or operation of a call from control code. Calls may nest. */
export function epoch_enter(): void {
  const depth = load<u32>(WORKER, WORKER_EPOCH_DEPTH);
  store<u32>(WORKER, depth + 1, WORKER_EPOCH_DEPTH);
  if (depth == 0 && cpu_count() != 1) enter_shared();
}

/** After the last one. What has waited long enough is free from here on. */
export function epoch_exit(): void {
  const depth = load<u32>(WORKER, WORKER_EPOCH_DEPTH) - 1;
  store<u32>(WORKER, depth, WORKER_EPOCH_DEPTH);
  if (depth != 0) return;
  if (load<u32>(WORKER, WORKER_TRIM) != 0) elements_trim();
  if (cpu_count() != 1) leave_shared();
  else if (load<u32>(WORKER, WORKER_LIMBO_OLDEST) != 0) limbo_reclaim(u32.MAX_VALUE);
  if (has_checks()) check_kept();
}

/** As epoch_enter, for an operation of user space: a fault ends the operation alone, and nobody else leaves for it (fault.ts). */
export function operation_enter(): void {
  store<u32>(WORKER, load<u32>(WORKER, WORKER_EPOCH_DEPTH) + 1, WORKER_OPERATION);
  epoch_enter();
}

export function operation_exit(): void {
  epoch_exit();
  store<u32>(WORKER, 0, WORKER_OPERATION);
}

/** How many calls the CPU is in; a run that was stopped goes back to the number before it by epoch_leave. */
export function epoch_depth(): u32 {
  return load<u32>(WORKER, WORKER_EPOCH_DEPTH);
}

/** As epoch_exit, out of all calls beyond the first `depth`. */
export function epoch_leave(depth: u32): void {
  const now = load<u32>(WORKER, WORKER_EPOCH_DEPTH);
  if (now > depth) {
    store<u32>(WORKER, depth + 1, WORKER_EPOCH_DEPTH);
    epoch_exit();
  } else if (now == 0 && cpu_count() != 1 && (load<u32>(WORKER, WORKER_EPOCH) & 1) != 0) {
    // It was stopped on the way out.
    atomic.store<u32>(WORKER + WORKER_EPOCH, 0);
  }
}

/** Between two runs of one long call, where nothing of a run is held: whether so much waits that the CPU should leave and enter again. */
// @ts-ignore: decorator
@inline
export function epoch_is_urgent(): bool {
  return load<u32>(WORKER, WORKER_LIMBO_BYTES) > <u32>LIMBO_URGENT;
}

export function epoch_pass(): void {
  if (load<u32>(WORKER, WORKER_EPOCH_DEPTH) != 1) return;
  epoch_exit();
  epoch_enter();
}

function announce(): void {
  // Another CPU, which found this one outside, is at its caches.
  while (atomic.cmpxchg<u32>(WORKER + WORKER_EPOCH, 0, (atomic.load<u32>(ROOT + ROOT_EPOCH) << 2) | 1) != 0) {
    word_wait(WORKER + WORKER_EPOCH, atomic.load<u32>(WORKER + WORKER_EPOCH) | 2, URGENT_WAIT_NS);
  }
}

function enter_shared(): void {
  announce();
  close_caches();
}

function leave_shared(): void {
  if (load<u32>(WORKER, WORKER_LIMBO_OLDEST) != 0) {
    atomic.store<u32>(WORKER + WORKER_EPOCH, (atomic.load<u32>(ROOT + ROOT_EPOCH) << 2) | 1);
    limbo_advance();
    for (let i = 0; load<u32>(WORKER, WORKER_LIMBO_BYTES) > <u32>LIMBO_URGENT && i < URGENT_ROUNDS; i++) {
      // Outside, so that two that wait do not wait for each other.
      atomic.store<u32>(WORKER + WORKER_EPOCH, 0);
      word_wait(WORKER + WORKER_EPOCH, 0, URGENT_WAIT_NS);
      announce();
      limbo_advance();
    }
  }
  atomic.store<u32>(WORKER + WORKER_EPOCH, 0);
  if (atomic.load<u32>(ROOT + ROOT_CLOSINGS) != load<u32>(WORKER, WORKER_CLOSINGS)) {
    announce();
    close_caches();
    atomic.store<u32>(WORKER + WORKER_EPOCH, 0);
  }
}

/** Moves the epoch on if all CPUs that are at work are in it, and frees what has waited for two. */
function limbo_advance(): void {
  // Twice, so that what one CPU alone uses is free when it leaves.
  for (let i = 0; i < 2 && epoch_advance(); i++) {
    atomic.store<u32>(WORKER + WORKER_EPOCH, (atomic.load<u32>(ROOT + ROOT_EPOCH) << 2) | 1);
  }
  limbo_reclaim(atomic.load<u32>(ROOT + ROOT_EPOCH));
}

function epoch_advance(): bool {
  const epoch = atomic.load<u32>(ROOT + ROOT_EPOCH);
  const inside = ((epoch << 2) | 1) as u32;
  const cpus = cpu_count();
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const at = atomic.load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_EPOCH);
    if ((at & 1) != 0 && at != inside) return false;
  }
  return atomic.cmpxchg<u32>(ROOT + ROOT_EPOCH, epoch, epoch + 1) == epoch;
}

/** For epoch_reached: what every CPU is under way with now has ended when that is so. */
export function epoch_target(): u32 {
  return atomic.load<u32>(ROOT + ROOT_EPOCH) + 2;
}

/** Moves the epoch towards `target` as far as CPUs let it; 1 if it is there. The caller is in no epoch. */
export function epoch_reached(target: u32): u32 {
  while (<i32>(atomic.load<u32>(ROOT + ROOT_EPOCH) - target) < 0) if (!epoch_advance()) return 0;
  return 1;
}

/** Frees what went into chunks at least two epochs before `epoch`; u32.MAX_VALUE: all of it. */
function limbo_reclaim(epoch: u32): void {
  let chunk = <usize>load<u32>(WORKER, WORKER_LIMBO_OLDEST);
  while (chunk != 0 && (epoch == u32.MAX_VALUE || <i32>(epoch - load<u32>(chunk, LIMBO_EPOCH)) >= 2)) {
    // One at a time from its end: what stops the run here is not met again.
    for (let count = load<u32>(chunk, LIMBO_COUNT); count != 0; count = load<u32>(chunk, LIMBO_COUNT)) {
      count--;
      const object = <usize>load<u32>(chunk + (<usize>count << 2), LIMBO_OBJECTS);
      store<u32>(WORKER, <u32>object, WORKER_RECLAIMED);
      store<u32>(chunk, count, LIMBO_COUNT);
      store<u32>(WORKER, load<u32>(WORKER, WORKER_LIMBO_BYTES) - waiting_bytes(object), WORKER_LIMBO_BYTES);
      if ((object & WAITS_MASK) != WAITS_OBJECT) {
        // What it held may be put into this very chunk.
        retired_end(object & ~(<usize>WAITS_MASK), <u32>object & WAITS_MASK);
        continue;
      }
      if (has_checks()) check_waited(object);
      allocator_free(object);
      store<u32>(WORKER, 0, WORKER_RECLAIMED);
    }
    const next = <usize>load<u32>(chunk, LIMBO_NEXT);
    store<u32>(WORKER, <u32>next, WORKER_LIMBO_OLDEST);
    if (next == 0) store<u32>(WORKER, 0, WORKER_LIMBO_NEWEST);
    meta_free(chunk);
    chunk = next;
  }
}

/** Gives an object back once no CPU can still read it: when all have left what they run now. Until then it is neither live nor free. */
export function allocator_free_later(object: usize): void {
  const entry = entry_of(object);
  if (load<u32>(entry, SLAB_DEPOT) == 0) memory_fault(MEMORY_FAULT_NO_OBJECT, object);
  if (has_checks()) check_waits(object);
  limbo_put(object);
}

/** As allocator_free_later for what is no object of a slab (WAITS_MAP, …), and out of everybody's reach: retired.ts ends it once nobody can still hold it. */
export function retire(address: usize, kind: u32): void {
  if (cpu_count() == 1 && load<u32>(WORKER, WORKER_EPOCH_DEPTH) == 0) retired_end(address, kind);
  else limbo_put(address | kind);
}

/** For how much an address with its kind counts. */
function waiting_bytes(object: usize): u32 {
  const kind = <u32>object & WAITS_MASK;
  if (kind == WAITS_OBJECT || kind == WAITS_ELEMENT) return load<u32>(entry_of(object), SLAB_OBJECT_SIZE);
  return kind == WAITS_BLOCK ? POOL_SMALL : WAITS_BYTES;
}

function limbo_put(object: usize): void {
  const epoch = atomic.load<u32>(ROOT + ROOT_EPOCH);
  let chunk = <usize>load<u32>(WORKER, WORKER_LIMBO_NEWEST);
  if (chunk == 0 || load<u32>(chunk, LIMBO_COUNT) == (LIMBO_BYTES - LIMBO_OBJECTS) >> 2 || load<u32>(chunk, LIMBO_EPOCH) != epoch) {
    const made = meta_alloc(LIMBO_BYTES);
    if (made == 0) memory_fault(MEMORY_FAULT_NO_MEMORY, object);
    store<u32>(made, epoch, LIMBO_EPOCH);
    if (chunk == 0) store<u32>(WORKER, <u32>made, WORKER_LIMBO_OLDEST);
    else store<u32>(chunk, <u32>made, LIMBO_NEXT);
    store<u32>(WORKER, <u32>made, WORKER_LIMBO_NEWEST);
    chunk = made;
  }
  const count = load<u32>(chunk, LIMBO_COUNT);
  store<u32>(chunk + (<usize>count << 2), <u32>object, LIMBO_OBJECTS);
  store<u32>(chunk, count + 1, LIMBO_COUNT);
  store<u32>(WORKER, load<u32>(WORKER, WORKER_LIMBO_BYTES) + waiting_bytes(object), WORKER_LIMBO_BYTES);
}

/** Counts what waits on this CPU anew. */
export function limbo_count(): void {
  let bytes: u32 = 0;
  for (let chunk = <usize>load<u32>(WORKER, WORKER_LIMBO_OLDEST); chunk != 0; chunk = load<u32>(chunk, LIMBO_NEXT)) {
    for (let i: u32 = 0; i < load<u32>(chunk, LIMBO_COUNT); i++) bytes += waiting_bytes(<usize>load<u32>(chunk + (<usize>i << 2), LIMBO_OBJECTS));
  }
  store<u32>(WORKER, bytes, WORKER_LIMBO_BYTES);
}

/** What waits on a CPU without a thread waits on this one, no shorter. */
export function limbo_adopt(cpu: u32): void {
  const other = (WORKERS as usize) + <usize>cpu * WORKER_SIZE;
  const oldest = load<u32>(other, WORKER_LIMBO_OLDEST);
  if (oldest == 0) return;
  const newest = <usize>load<u32>(WORKER, WORKER_LIMBO_NEWEST);
  if (newest == 0) store<u32>(WORKER, oldest, WORKER_LIMBO_OLDEST);
  else store<u32>(newest, oldest, LIMBO_NEXT);
  store<u32>(WORKER, load<u32>(other, WORKER_LIMBO_NEWEST), WORKER_LIMBO_NEWEST);
  store<u32>(WORKER, load<u32>(WORKER, WORKER_LIMBO_BYTES) + load<u32>(other, WORKER_LIMBO_BYTES), WORKER_LIMBO_BYTES);
  store<u64>(other, 0, WORKER_LIMBO_OLDEST);
  store<u32>(other, 0, WORKER_LIMBO_BYTES);
}

/** Keeps a CPU that is not at work from entering; false: it is. */
export function cpu_stop(cpu: u32): bool {
  return atomic.cmpxchg<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_EPOCH, 0, stopped_here()) == 0;
}

// @ts-ignore: decorator
@inline
function stopped_here(): u32 {
  return ((load<u32>(WORKER, WORKER_CPU) + 1) << 2) | 2;
}

/** Whether this CPU keeps another one from entering. */
export function is_stopped_here(cpu: u32): bool {
  return atomic.load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_EPOCH) == stopped_here();
}

export function cpu_resume(cpu: u32): void {
  const word = (WORKERS as usize) + <usize>cpu * WORKER_SIZE + WORKER_EPOCH;
  atomic.store<u32>(word, 0);
  atomic.notify(word, 1);
}

/** Ends this CPU's caches of depots that were closed since it last looked. */
function close_caches(): void {
  const closings = atomic.load<u32>(ROOT + ROOT_CLOSINGS);
  if (load<u32>(WORKER, WORKER_CLOSINGS) == closings) return;
  store<u32>(WORKER, closings, WORKER_CLOSINGS);
  const cpu = load<u32>(WORKER, WORKER_CPU);
  for (;;) {
    // A depot with a cache that is open stays: it is there after the lock.
    word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
    let depot = <usize>load<u32>(ROOT, ROOT_DEPOTS);
    while (depot != 0 && !((load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) != 0 && has_caches_on(depot, cpu))) depot = load<u32>(depot, DEPOT_NEXT);
    word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
    if (depot == 0) return;
    caches_flush(depot, cpu, true);
    depot_end(depot);
  }
}
