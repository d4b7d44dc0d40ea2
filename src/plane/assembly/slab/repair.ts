// Slabs after a CPU ended in the middle: lists and counts made anew from the slabs themselves, and what its caches held put back. For the CPU's own worker block.
import { word_lock, word_unlock } from '../locks/word';
import { WORKER } from '../worker';
import { cache_array, cache_head, is_open } from './cache';
import { class_bytes } from './class';
import { depot_lock, depot_unlock } from './depot-lock';
import { first_entry, last_entry } from './heap';
import { address_of, entry_link, entry_of } from './piece';
import { class_at, free_key, object_put, slab_assign, slab_bytes, slab_list } from './slab';
import {
  CACHED_CLASSES, CACHE_TOP, CLASS_COUNT, CLASS_OBJECTS, CLASS_OUT, CLASS_SLABS, CACHE_LIMIT, DEPOT_CHARGED, DEPOT_CLASS, DEPOT_HEADS, DEPOT_NEXT, DEPOT_RESERVATIONS,
  DEPOT_SLAB_BYTES, LIMBO_COUNT, LIMBO_NEXT, LIMBO_OBJECTS, OBJECT_KEY, RESERVATION_COUNT, RESERVATION_NEXT, RESERVATION_OUT, RESERVATION_ROOM,
  RESERVATION_SLABS, RESERVATION_CLASS, SLAB_CLASS, SLAB_DEPOT, SLAB_END, SLAB_ENTRY, SLAB_FLAGS, SLAB_FREE, SLAB_FRESH, SLAB_LISTED, SLAB_OBJECT_SIZE, SLAB_OUT,
  SLAB_PIECE_FREE, SLAB_RESERVATION, SLAB_START,
} from '../../layout/allocator';
import { ROOT, ROOT_ALLOCATORS_LOCK, ROOT_CPU_COUNT, ROOT_DEPOTS, ROOT_PIECES } from '../../layout/memory';
import { WORKER_LIMBO_OLDEST, WORKER_RECLAIMED } from '../../layout/worker';

function is_start(entry: usize, depot: usize): bool {
  return <usize>load<u32>(entry, SLAB_DEPOT) == depot && <usize>load<u32>(entry, SLAB_START) == address_of(entry);
}

/** Lists and counts of a depot whose lock is held. */
export function depot_repair(depot: usize): void {
  for (let number: u32 = 0; number < <u32>CLASS_COUNT; number++) {
    const at = class_at(depot, number);
    memory.fill(at, 0, DEPOT_CLASS);
  }
  store<u64>(depot, 0, DEPOT_SLAB_BYTES);
  let charged: u64 = 0;
  for (let at = <usize>load<u32>(depot, DEPOT_RESERVATIONS); at != 0; at = load<u32>(at, RESERVATION_NEXT)) {
    store<u32>(at, 0, RESERVATION_OUT);
    store<u32>(at, 0, RESERVATION_ROOM);
    store<u32>(at, 0, RESERVATION_SLABS);
    charged += <u64>load<u32>(at, RESERVATION_COUNT) * class_bytes(load<u32>(at, RESERVATION_CLASS));
  }
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) if (is_start(entry, depot)) charged += slab_repair(depot, entry);
  store<u64>(depot, charged, DEPOT_CHARGED);
}

/** Bytes of the slab that count as charged. */
function slab_repair(depot: usize, entry: usize): u64 {
  const size = load<u32>(entry, SLAB_OBJECT_SIZE);
  const start = load<u32>(entry, SLAB_START);
  const room = (load<u32>(entry, SLAB_END) - start) / size;
  let free: u32 = 0;
  for (let at = <usize>load<u32>(entry, SLAB_FREE); at != 0; at = load<u32>(at)) free++;
  const out = (load<u32>(entry, SLAB_FRESH) - start) / size - free;
  store<u32>(entry, out, SLAB_OUT);
  store<u8>(entry, load<u8>(entry, SLAB_FLAGS) & ~SLAB_LISTED, SLAB_FLAGS);
  slab_assign(entry, depot);
  const at = class_at(depot, load<u8>(entry, SLAB_CLASS));
  store<u32>(at, load<u32>(at, CLASS_SLABS) + 1, CLASS_SLABS);
  store<u32>(at, load<u32>(at, CLASS_OBJECTS) + room, CLASS_OBJECTS);
  store<u64>(depot, load<u64>(depot, DEPOT_SLAB_BYTES) + slab_bytes(entry), DEPOT_SLAB_BYTES);
  const reservation = <usize>load<u32>(entry, SLAB_RESERVATION);
  const gives = free != 0 || load<u32>(entry, SLAB_FRESH) != load<u32>(entry, SLAB_END);
  if (reservation != 0) {
    store<u32>(reservation, load<u32>(reservation, RESERVATION_OUT) + out, RESERVATION_OUT);
    store<u32>(reservation, load<u32>(reservation, RESERVATION_ROOM) + room, RESERVATION_ROOM);
    entry_link(reservation + RESERVATION_SLABS, entry);
    return 0;
  }
  store<u32>(at, load<u32>(at, CLASS_OUT) + out, CLASS_OUT);
  if (gives) slab_list(depot, entry);
  return <u64>out * size;
}

/** The list of free pieces, whose lock is held. */
export function pieces_repair(): void {
  store<u32>(ROOT, 0, ROOT_PIECES);
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if ((load<u8>(entry, SLAB_FLAGS) & SLAB_PIECE_FREE) != 0) entry_link(ROOT + ROOT_PIECES, entry);
  }
}

/** Whether an object that was given back lies in its slab, whose depot's lock is held, or has gone with it. */
export function is_in_slab(depot: usize, object: usize): bool {
  const entry = entry_of(load<u32>(entry_of(object), SLAB_START));
  if (<usize>load<u32>(entry, SLAB_DEPOT) != depot) return false;
  for (let at = <usize>load<u32>(entry, SLAB_FREE); at != 0; at = load<u32>(at)) if (at == object) return true;
  return false;
}

/** Puts what the CPU's caches hold back, and what was on its way between them and the slabs; the number of objects. */
export function caches_recover(cpu: u32): u32 {
  let count: u32 = 0;
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  for (let depot = <usize>load<u32>(ROOT, ROOT_DEPOTS); depot != 0; depot = load<u32>(depot, DEPOT_NEXT)) {
    const heads = <usize>load<u32>(depot, DEPOT_HEADS);
    if (heads == 0) continue;
    for (let number: u32 = 0; number < <u32>CACHED_CLASSES; number++) {
      const head = cache_head(heads, cpu, number);
      if (is_open(head)) count += cache_recover(depot, head, number, cpu);
    }
  }
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  return count;
}

function cache_recover(depot: usize, head: usize, number: u32, cpu: u32): u32 {
  const array = cache_array(head, number);
  const last = <usize>load<u32>(head, CACHE_LIMIT);
  let count: u32 = 0;
  store<u32>(head, <u32>array, CACHE_TOP);
  depot_lock(depot);
  // Beyond the top too: what was being handed over lies there. What is live or in other hands since is told by its mark, or by where it is.
  for (let at = array + 4; at <= last; at += 4) {
    const object = <usize>load<u32>(at);
    if (object == 0 || !is_astray(depot, object, number, cpu)) continue;
    object_put(depot, object);
    // Anybody's, once the lock is free.
    if (<usize>load<u32>(WORKER, WORKER_RECLAIMED) == object) store<u32>(WORKER, 0, WORKER_RECLAIMED);
    count++;
  }
  depot_unlock(depot);
  return count;
}

/** Whether an address is a free object of the class that is in no slab's list and no other CPU's cache; with the depot's lock. */
function is_astray(depot: usize, object: usize, number: u32, own: u32): bool {
  const entry = entry_of(object);
  if (!is_start(entry, depot) || load<u8>(entry, SLAB_CLASS) != number || load<u32>(object, OBJECT_KEY) != free_key()) return false;
  if (object >= <usize>load<u32>(entry, SLAB_FRESH)) return false;
  for (let at = <usize>load<u32>(entry, SLAB_FREE); at != 0; at = load<u32>(at)) if (at == object) return false;
  const heads = <usize>load<u32>(depot, DEPOT_HEADS);
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const head = cache_head(heads, cpu, number);
    if (cpu == own || !is_open(head)) continue;
    for (let at = <usize>load<u32>(head, CACHE_LIMIT); at > cache_array(head, number); at -= 4) if (<usize>load<u32>(at) == object) return false;
  }
  return true;
}

/** Whether an object waits for the epoch on this CPU. */
export function is_waiting(object: usize): bool {
  for (let chunk = <usize>load<u32>(WORKER, WORKER_LIMBO_OLDEST); chunk != 0; chunk = load<u32>(chunk, LIMBO_NEXT)) {
    for (let i: u32 = 0; i < load<u32>(chunk, LIMBO_COUNT); i++) if (<usize>load<u32>(chunk + (<usize>i << 2), LIMBO_OBJECTS) == object) return true;
  }
  return false;
}
