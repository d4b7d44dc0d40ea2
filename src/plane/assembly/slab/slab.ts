// Slabs: memory of one (depot, class), cut into objects. What a slab has to give is its own list of objects that came back, and what was never given out. Callers
// hold the depot's lock.
import { pages_alloc, pages_free } from '../pages';
import { WORKER } from '../worker';
import { class_bytes, class_pages } from './class';
import { meta_alloc, meta_free } from './meta';
import { entry_link, entry_of, entry_unlink, piece_alloc, piece_free } from './piece';
import { reservation_put } from './reservation';
import {
  CACHED_CLASSES, CACHE_HEAD, CLASS_OBJECTS, CLASS_OUT, CLASS_SLAB, CLASS_SLABS, DEPOT_CACHED, DEPOT_CHARGED, DEPOT_CLASS, DEPOT_CLASSES, DEPOT_CLOSED, DEPOT_FLAGS,
  DEPOT_HEADS, DEPOT_MERGED, DEPOT_SLAB_BYTES, OBJECT_KEY, RECIPROCAL, SLAB_BYTES, SLAB_CACHE, SLAB_CLASS, SLAB_DEPOT, SLAB_END, SLAB_ENTRY, SLAB_FLAGS, SLAB_FREE, SLAB_FRESH,
  SLAB_INDEX_SHIFT, SLAB_LISTED, SLAB_NEXT, SLAB_OBJECT_SIZE, SLAB_OUT, SLAB_OWNERS, SLAB_PAGES, SLAB_RECIPROCAL, SLAB_RESERVATION, SLAB_START, SLAB_STATES,
} from '../../layout/allocator';
import { META_DEPOT, ROOT, ROOT_FREE_KEY, ROOT_MEMORY_CHECKS, WASM_PAGE, WORKERS } from '../../layout/memory';
import { WORKER_NO_CACHE, WORKER_NO_REFILL } from '../../layout/worker';

// @ts-ignore: decorator
@inline
export function class_at(depot: usize, number: u32): usize {
  return depot + DEPOT_CLASSES + number * DEPOT_CLASS;
}

// @ts-ignore: decorator
@inline
export function free_key(): u32 {
  return load<u32>(ROOT, ROOT_FREE_KEY);
}

/** Bytes of a slab by its first entry. */
export function slab_bytes(entry: usize): u32 {
  const pages = load<u32>(entry, SLAB_PAGES);
  return pages == 0 ? SLAB_BYTES : pages << 16;
}

/** Says of all pieces of a slab whose they are; depot 0: nobody's. */
export function slab_assign(entry: usize, depot: usize): void {
  const bytes = load<u32>(entry, SLAB_OBJECT_SIZE);
  const number = <u32>load<u8>(entry, SLAB_CLASS);
  const start = load<u32>(entry, SLAB_START);
  const cached = depot != 0 && number < <u32>CACHED_CLASSES && load<u32>(entry, SLAB_RESERVATION) == 0
    && (load<u32>(depot, DEPOT_FLAGS) & (DEPOT_CACHED | DEPOT_CLOSED)) == DEPOT_CACHED;
  const cache = cached ? load<u32>(depot, DEPOT_HEADS) + number * CACHE_HEAD - WORKERS - WORKER_NO_CACHE : 0;
  const end = entry + (slab_bytes(entry) / SLAB_BYTES) * SLAB_ENTRY;
  for (let at = entry; at < end; at += SLAB_ENTRY) {
    store<u32>(at, bytes, SLAB_OBJECT_SIZE);
    store<u32>(at, start, SLAB_START);
    store<u32>(at, cache, SLAB_CACHE);
    store<u32>(at, <u32>depot, SLAB_DEPOT);
  }
}

/** Words for each object of a slab: owners, states; 0: no memory. */
export function slab_words(entry: usize): usize {
  return meta_alloc((slab_bytes(entry) >> load<u8>(entry, SLAB_INDEX_SHIFT)) << 1);
}

/** Entry of a new slab that is in no list; 0: no memory, or none may be made now. */
export function slab_create(depot: usize, number: u32): usize {
  if (load<u32>(WORKER, WORKER_NO_REFILL) != 0) return 0;
  const pages = class_pages(number);
  const start = pages == 0 ? piece_alloc() : pages_alloc(pages);
  if (start == 0) return 0;
  const bytes = class_bytes(number);
  const size: u32 = pages == 0 ? SLAB_BYTES : pages << 16;
  const entry = entry_of(start);
  store<u32>(entry, bytes, SLAB_OBJECT_SIZE);
  store<u32>(entry, <u32>start, SLAB_START);
  store<u32>(entry, 0, SLAB_FREE);
  store<u32>(entry, 0, SLAB_OUT);
  store<u32>(entry, <u32>start, SLAB_FRESH);
  store<u32>(entry, <u32>start + (size / bytes) * bytes, SLAB_END);
  store<u32>(entry, 0, SLAB_OWNERS);
  store<u32>(entry, 0, SLAB_RESERVATION);
  store<u32>(entry, 0, SLAB_STATES);
  store<u8>(entry, number, SLAB_CLASS);
  store<u8>(entry, 31 - clz<u32>(bytes), SLAB_INDEX_SHIFT);
  store<u8>(entry, 0, SLAB_FLAGS);
  store<u32>(entry, pages, SLAB_PAGES);
  store<u32>(entry, <u32>((<u64>RECIPROCAL + bytes - 1) / bytes), SLAB_RECIPROCAL);
  const owned = (load<u32>(depot, DEPOT_FLAGS) & DEPOT_MERGED) != 0;
  const checked = load<u32>(ROOT, ROOT_MEMORY_CHECKS) != 0 && depot != META_DEPOT;
  if (owned) store<u32>(entry, <u32>slab_words(entry), SLAB_OWNERS);
  if (checked) store<u32>(entry, <u32>slab_words(entry), SLAB_STATES);
  if ((owned && load<u32>(entry, SLAB_OWNERS) == 0) || (checked && load<u32>(entry, SLAB_STATES) == 0)) {
    slab_release(entry);
    return 0;
  }
  slab_assign(entry, depot);
  const at = class_at(depot, number);
  store<u32>(at, load<u32>(at, CLASS_SLABS) + 1, CLASS_SLABS);
  store<u32>(at, load<u32>(at, CLASS_OBJECTS) + size / bytes, CLASS_OBJECTS);
  store<u64>(depot, load<u64>(depot, DEPOT_SLAB_BYTES) + size, DEPOT_SLAB_BYTES);
  return entry;
}

/** Gives the memory of a slab back. */
function slab_release(entry: usize): void {
  const start = <usize>load<u32>(entry, SLAB_START);
  const pages = load<u32>(entry, SLAB_PAGES);
  const owners = load<u32>(entry, SLAB_OWNERS);
  const states = load<u32>(entry, SLAB_STATES);
  slab_assign(entry, 0);
  if (owners != 0) meta_free(owners);
  if (states != 0) meta_free(states);
  if (pages == 0) piece_free(start);
  else pages_free(start, pages);
}

/** Ends a slab without objects that are out, and not listed. */
export function slab_destroy(depot: usize, entry: usize): void {
  const size = slab_bytes(entry);
  const at = class_at(depot, load<u8>(entry, SLAB_CLASS));
  store<u32>(at, load<u32>(at, CLASS_SLABS) - 1, CLASS_SLABS);
  store<u32>(at, load<u32>(at, CLASS_OBJECTS) - size / load<u32>(entry, SLAB_OBJECT_SIZE), CLASS_OBJECTS);
  store<u64>(depot, load<u64>(depot, DEPOT_SLAB_BYTES) - size, DEPOT_SLAB_BYTES);
  slab_release(entry);
}

/** An object of a slab, 0: it has none left. Never used ones get the mark of free objects, which the others have. */
export function slab_take(entry: usize): usize {
  let object = <usize>load<u32>(entry, SLAB_FREE);
  if (object != 0) {
    store<u32>(entry, load<u32>(object), SLAB_FREE);
  } else {
    object = load<u32>(entry, SLAB_FRESH);
    if (object == load<u32>(entry, SLAB_END)) return 0;
    store<u32>(entry, <u32>object + load<u32>(entry, SLAB_OBJECT_SIZE), SLAB_FRESH);
    store<u32>(object, free_key(), OBJECT_KEY);
  }
  store<u32>(entry, load<u32>(entry, SLAB_OUT) + 1, SLAB_OUT);
  return object;
}

/** Puts an object back into its slab; it is marked as free already. Returns how many are still out. */
export function slab_put(entry: usize, object: usize): u32 {
  store<u32>(object, load<u32>(entry, SLAB_FREE));
  store<u32>(entry, <u32>object, SLAB_FREE);
  const out = load<u32>(entry, SLAB_OUT) - 1;
  store<u32>(entry, out, SLAB_OUT);
  return out;
}

// @ts-ignore: decorator
@inline
function slab_is_listed(entry: usize): bool {
  return (load<u8>(entry, SLAB_FLAGS) & SLAB_LISTED) != 0;
}

export function slab_list(depot: usize, entry: usize): void {
  store<u8>(entry, load<u8>(entry, SLAB_FLAGS) | SLAB_LISTED, SLAB_FLAGS);
  entry_link(class_at(depot, load<u8>(entry, SLAB_CLASS)) + CLASS_SLAB, entry);
}

export function slab_unlist(depot: usize, entry: usize): void {
  store<u8>(entry, load<u8>(entry, SLAB_FLAGS) & ~SLAB_LISTED, SLAB_FLAGS);
  entry_unlink(class_at(depot, load<u8>(entry, SLAB_CLASS)) + CLASS_SLAB, entry);
}

/** Up to `most` objects of a slab at words from `to` on; returns how many. */
function slab_take_many(entry: usize, to: usize, most: u32): u32 {
  const end = to + (<usize>most << 2);
  let at = to;
  let object = <usize>load<u32>(entry, SLAB_FREE);
  for (; object != 0 && at < end; at += 4) {
    store<u32>(at, <u32>object);
    object = load<u32>(object);
  }
  store<u32>(entry, <u32>object, SLAB_FREE);
  const key = free_key();
  const size = <usize>load<u32>(entry, SLAB_OBJECT_SIZE);
  const last = <usize>load<u32>(entry, SLAB_END);
  let fresh = <usize>load<u32>(entry, SLAB_FRESH);
  for (; fresh != last && at < end; at += 4) {
    store<u32>(at, <u32>fresh);
    store<u32>(fresh, key, OBJECT_KEY);
    fresh += size;
  }
  store<u32>(entry, <u32>fresh, SLAB_FRESH);
  const taken = <u32>(at - to) >> 2;
  store<u32>(entry, load<u32>(entry, SLAB_OUT) + taken, SLAB_OUT);
  return taken;
}

/** Up to `most` objects of a class at words from `to` on; returns how many. A slab is made only where none has anything left. */
export function objects_take(depot: usize, number: u32, to: usize, most: u32): u32 {
  const at = class_at(depot, number);
  let taken: u32 = 0;
  while (taken < most) {
    let entry = <usize>load<u32>(at, CLASS_SLAB);
    if (entry == 0) {
      if (taken != 0) break;
      entry = slab_create(depot, number);
      if (entry == 0) break;
      slab_list(depot, entry);
    }
    taken += slab_take_many(entry, to + (<usize>taken << 2), most - taken);
    if (load<u32>(entry, SLAB_FREE) == 0 && load<u32>(entry, SLAB_FRESH) == load<u32>(entry, SLAB_END)) slab_unlist(depot, entry);
  }
  count_out(depot, number, <i32>taken);
  return taken;
}

/** So many objects of a class more are out. */
export function count_out(depot: usize, number: u32, count: i32): void {
  const at = class_at(depot, number);
  store<u32>(at, load<u32>(at, CLASS_OUT) + count, CLASS_OUT);
  store<i64>(depot, load<i64>(depot, DEPOT_CHARGED) + <i64>count * class_bytes(number), DEPOT_CHARGED);
}

/** Puts a free object of this depot back. */
export function object_put(depot: usize, object: usize): void {
  const entry = entry_of(load<u32>(entry_of(object), SLAB_START));
  if (load<u32>(entry, SLAB_RESERVATION) != 0) {
    reservation_put(entry, object);
    return;
  }
  count_out(depot, load<u8>(entry, SLAB_CLASS), -1);
  slab_return(depot, entry, object);
}

/** As object_put, of a slab that is not set apart, where the caller counts. The last slab of a class that has something to give stays, however empty, until slabs_trim. */
export function slab_return(depot: usize, entry: usize, object: usize): void {
  const out = slab_put(entry, object);
  if (out != 0 && slab_is_listed(entry)) return;
  if (!slab_is_listed(entry)) slab_list(depot, entry);
  if (out != 0) return;
  const number = <u32>load<u8>(entry, SLAB_CLASS);
  const head = class_at(depot, number) + CLASS_SLAB;
  if (number < <u32>CACHED_CLASSES && <usize>load<u32>(head) == entry && load<u32>(entry, SLAB_NEXT) == 0 && (load<u32>(depot, DEPOT_FLAGS) & DEPOT_CLOSED) == 0) return;
  slab_unlist(depot, entry);
  slab_destroy(depot, entry);
}

/** Gives back all slabs without objects that are out. */
export function slabs_trim(depot: usize): void {
  for (let number: u32 = 0; number < <u32>CACHED_CLASSES; number++) {
    let entry = <usize>load<u32>(class_at(depot, number), CLASS_SLAB);
    while (entry != 0) {
      const next = <usize>load<u32>(entry, SLAB_NEXT);
      if (load<u32>(entry, SLAB_OUT) == 0) {
        slab_unlist(depot, entry);
        slab_destroy(depot, entry);
      }
      entry = next;
    }
  }
}
