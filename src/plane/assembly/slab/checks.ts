// Checks of memory (ROOT_MEMORY_CHECKS): each object has a state and a generation beside its slab, what is freed is filled with a pattern and kept out of use for a while,
// and what finds the pattern changed ends the run. Caches stay closed, so that every allocation and free comes by here.
import { memory_fault } from './fault';
import { first_entry, is_slab, last_entry } from './heap';
import { word_lock, word_unlock } from '../locks/word';
import { depot_lock, depot_unlock } from './depot-lock';
import { meta_alloc } from './meta';
import { entry_of } from './piece';
import { free_key, object_put } from './slab';
import {
  MEMORY_FAULT_DOUBLE_FREE, MEMORY_FAULT_WRITTEN, OBJECT_KEY, QUARANTINE_COUNT, QUARANTINE_FIRST, QUARANTINE_OBJECTS, QUARANTINE_ROOM, SLAB_DEPOT,
  SLAB_ENTRY, SLAB_FRESH, SLAB_INDEX_SHIFT, SLAB_OBJECT_SIZE, SLAB_START, SLAB_STATES, STATE_FREE, STATE_KEPT, STATE_LIVE, STATE_MASK, STATE_SHIFT, STATE_WAITING,
} from '../../layout/allocator';
import { ROOT, ROOT_MEMORY_CHECKS, ROOT_QUARANTINE, ROOT_QUARANTINE_LOCK } from '../../layout/memory';

/** What fills the objects that are free: an address that is in no memory, and no likely number. */
const POISON: u64 = 0x6b6b_6b6b_6b6b_6b6b;

// @ts-ignore: decorator
@inline
export function has_checks(): bool {
  return load<u32>(ROOT, ROOT_MEMORY_CHECKS) != 0;
}

/** Place of the state of an object, 0: its slab has none. */
function state_place(object: usize): usize {
  const entry = entry_of(load<u32>(entry_of(object), SLAB_START));
  const states = <usize>load<u32>(entry, SLAB_STATES);
  if (states == 0) return 0;
  return states + (<usize>((<u32>object - load<u32>(entry, SLAB_START)) >> load<u8>(entry, SLAB_INDEX_SHIFT)) << 1);
}

/** How often the memory of an object has been given out, without what has overflowed 14 bits; for reports. */
export function allocator_generation(object: usize): u32 {
  const place = state_place(object);
  return place == 0 ? 0 : <u32>load<u16>(place) >> STATE_SHIFT;
}

function is_intact(object: usize, size: u32): bool {
  for (let at = object + 8; at < object + size; at += 8) {
    if (load<u64>(at) != POISON) return false;
  }
  return true;
}

/** An object is given out. */
export function check_taken(object: usize): void {
  const place = state_place(object);
  const state = <u32>load<u16>(place);
  const generation = state >> STATE_SHIFT;
  if (generation != 0 && !is_intact(object, load<u32>(entry_of(object), SLAB_OBJECT_SIZE))) memory_fault(MEMORY_FAULT_WRITTEN, object);
  // 0 is for memory that was never given out.
  store<u16>(place, <u16>((((generation + 1) & 0x3fff) | <u32>(generation == 0x3fff)) << STATE_SHIFT) | STATE_LIVE);
}

/** An object waits for the epoch from here on. */
export function check_waits(object: usize): void {
  const place = state_place(object);
  const state = load<u16>(place);
  if ((state & STATE_MASK) != STATE_LIVE) memory_fault(MEMORY_FAULT_DOUBLE_FREE, object);
  store<u16>(place, (state & ~STATE_MASK) | STATE_WAITING);
}

/** And has waited. */
export function check_waited(object: usize): void {
  const place = state_place(object);
  const state = load<u16>(place);
  if ((state & STATE_MASK) == STATE_WAITING) store<u16>(place, (state & ~STATE_MASK) | STATE_LIVE);
}

/** An object is freed: it is kept from use until so many others have been. */
export function check_freed(object: usize): void {
  const place = state_place(object);
  const state = load<u16>(place);
  if ((state & STATE_MASK) != STATE_LIVE) memory_fault(MEMORY_FAULT_DOUBLE_FREE, object);
  const size = load<u32>(entry_of(object), SLAB_OBJECT_SIZE);
  store<u32>(object, 0);
  store<u32>(object, free_key(), OBJECT_KEY);
  for (let at = object + 8; at < object + size; at += 8) store<u64>(at, POISON);
  store<u16>(place, (state & ~STATE_MASK) | STATE_KEPT);
  const oldest = keep(object);
  if (oldest != 0) give_back(oldest);
}

/** Puts an object into the ring of those that are kept; returns the one that it pushes out, or itself where there is no ring. */
function keep(object: usize): usize {
  word_lock(ROOT + ROOT_QUARANTINE_LOCK);
  let ring = <usize>load<u32>(ROOT, ROOT_QUARANTINE);
  if (ring == 0) {
    ring = meta_alloc(QUARANTINE_OBJECTS + (QUARANTINE_ROOM << 2));
    store<u32>(ROOT, <u32>ring, ROOT_QUARANTINE);
  }
  let oldest = object;
  if (ring != 0) {
    const first = load<u32>(ring, QUARANTINE_FIRST);
    const count = load<u32>(ring, QUARANTINE_COUNT);
    oldest = 0;
    if (count == <u32>QUARANTINE_ROOM) {
      oldest = load<u32>(ring + (<usize>first << 2), QUARANTINE_OBJECTS);
      store<u32>(ring, (first + 1) & (QUARANTINE_ROOM - 1), QUARANTINE_FIRST);
    } else {
      store<u32>(ring, count + 1, QUARANTINE_COUNT);
    }
    store<u32>(ring + (<usize>((first + count) & (QUARANTINE_ROOM - 1)) << 2), <u32>object, QUARANTINE_OBJECTS);
  }
  word_unlock(ROOT + ROOT_QUARANTINE_LOCK);
  return oldest;
}

function give_back(object: usize): void {
  if (!is_intact(object, load<u32>(entry_of(object), SLAB_OBJECT_SIZE))) memory_fault(MEMORY_FAULT_WRITTEN, object);
  const place = state_place(object);
  store<u16>(place, (load<u16>(place) & ~STATE_MASK) | STATE_FREE);
  const depot = <usize>load<u32>(entry_of(object), SLAB_DEPOT);
  depot_lock(depot);
  object_put(depot, object);
  depot_unlock(depot);
}

/** Gives back all that is kept of a depot; whether there was anything. */
export function quarantine_empty(depot: usize): bool {
  const ring = <usize>load<u32>(ROOT, ROOT_QUARANTINE);
  if (ring == 0) return false;
  let any = false;
  for (let left = load<u32>(ring, QUARANTINE_COUNT); left != 0; left--) {
    word_lock(ROOT + ROOT_QUARANTINE_LOCK);
    const first = load<u32>(ring, QUARANTINE_FIRST);
    const count = load<u32>(ring, QUARANTINE_COUNT);
    const object = count == 0 ? <usize>0 : load<u32>(ring + (<usize>first << 2), QUARANTINE_OBJECTS);
    const of_depot = object != 0 && <usize>load<u32>(entry_of(object), SLAB_DEPOT) == depot;
    if (object != 0) {
      store<u32>(ring, (first + 1) & (QUARANTINE_ROOM - 1), QUARANTINE_FIRST);
      if (of_depot) store<u32>(ring, count - 1, QUARANTINE_COUNT);
      else store<u32>(ring + (<usize>((first + count) & (QUARANTINE_ROOM - 1)) << 2), <u32>object, QUARANTINE_OBJECTS);
    }
    word_unlock(ROOT + ROOT_QUARANTINE_LOCK);
    if (!of_depot) continue;
    any = true;
    give_back(object);
  }
  return any;
}

/** Number of objects that are kept, and one of them; control code that counts calls this at rest. */
export function quarantine_count(): u32 {
  const ring = <usize>load<u32>(ROOT, ROOT_QUARANTINE);
  return ring == 0 ? 0 : load<u32>(ring, QUARANTINE_COUNT);
}

export function quarantine_at(index: u32): usize {
  const ring = <usize>load<u32>(ROOT, ROOT_QUARANTINE);
  return load<u32>(ring + (<usize>((load<u32>(ring, QUARANTINE_FIRST) + index) & (QUARANTINE_ROOM - 1)) << 2), QUARANTINE_OBJECTS);
}

/** When a run ends: what is kept must be as it was left. Under the lock: what leaves the ring is another CPU's to write. */
export function check_kept(): void {
  let written: usize = 0;
  word_lock(ROOT + ROOT_QUARANTINE_LOCK);
  const key = free_key();
  for (let i: u32 = 0; i < quarantine_count() && written == 0; i++) {
    const object = quarantine_at(i);
    if (!is_intact(object, load<u32>(entry_of(object), SLAB_OBJECT_SIZE)) || load<u32>(object, OBJECT_KEY) != key) written = object;
  }
  word_unlock(ROOT + ROOT_QUARANTINE_LOCK);
  if (written != 0) memory_fault(MEMORY_FAULT_WRITTEN, written);
}

/** Looks at all of the heap: address of the first free object that was written after it was freed, 0: there is none, or there are no checks. */
export function allocator_check(): usize {
  if (!has_checks()) return 0;
  const end = last_entry();
  const key = free_key();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, 0) || load<u32>(entry, SLAB_STATES) == 0) continue;
    const size = load<u32>(entry, SLAB_OBJECT_SIZE);
    for (let at = <usize>load<u32>(entry, SLAB_START); at < <usize>load<u32>(entry, SLAB_FRESH); at += size) {
      const state = <u32>load<u16>(state_place(at));
      if ((state & STATE_MASK) == STATE_LIVE || (state & STATE_MASK) == STATE_WAITING || state >> STATE_SHIFT == 0) continue;
      if (!is_intact(at, size) || load<u32>(at, OBJECT_KEY) != key) return at;
    }
  }
  return 0;
}
