// Reservations: objects of one (allocator, class) that are set apart for a holder (a program, or nobody in particular) in slabs of their own, which nobody else is given
// anything of, merged or not. They are what is left when the caches, the slabs, the quota or the memory have nothing more, and come back when they are freed.
import { ENOMEM } from '../errno';
import { class_bytes } from './class';
import { gather } from './depot';
import { depot_lock, depot_unlock } from './depot-lock';
import { meta_alloc, meta_free } from './meta';
import { entry_link, entry_unlink } from './piece';
import { class_at, slab_assign, slab_create, slab_destroy, slab_list, slab_put, slab_take } from './slab';
import {
  ALLOCATOR_DEPOT, CLASS_OUT, DEPOT_CHARGED, DEPOT_QUOTA, DEPOT_RESERVATIONS, RESERVATION_ALLOCATOR, RESERVATION_BYTES, RESERVATION_CLASS, RESERVATION_COUNT,
  RESERVATION_HOLDER, RESERVATION_NEXT, RESERVATION_OUT, RESERVATION_ROOM, RESERVATION_SLABS, SLAB_END, SLAB_FREE, SLAB_FRESH, SLAB_NEXT, SLAB_OUT, SLAB_RESERVATION,
} from '../../layout/allocator';

/** The caller holds the depot's lock, as in all that follows. */
function find(depot: usize, allocator: usize, number: u32, holder: u32): usize {
  let at = <usize>load<u32>(depot, DEPOT_RESERVATIONS);
  while (at != 0) {
    if (load<u32>(at, RESERVATION_ALLOCATOR) == <u32>allocator && load<u32>(at, RESERVATION_CLASS) == number && load<u32>(at, RESERVATION_HOLDER) == holder) return at;
    at = load<u32>(at, RESERVATION_NEXT);
  }
  return 0;
}

/** Sets `count` objects more of a class apart for `holder` (0: for all who ask this allocator); 0, or -ENOMEM and nothing has changed. */
export function reservation_add(allocator: usize, number: u32, count: u32, holder: u32): i32 {
  const depot = <usize>load<u32>(allocator, ALLOCATOR_DEPOT);
  const result = add(depot, allocator, number, count, holder);
  return result != 0 && gather(depot) ? add(depot, allocator, number, count, holder) : result;
}

function add(depot: usize, allocator: usize, number: u32, count: u32, holder: u32): i32 {
  const fresh = meta_alloc(RESERVATION_BYTES);
  if (fresh == 0) return <i32>ENOMEM;
  depot_lock(depot);
  const found = find(depot, allocator, number, holder);
  const reservation = found == 0 ? fresh : found;
  const bytes = <u64>count * class_bytes(number);
  const quota = load<u64>(depot, DEPOT_QUOTA);
  const charged = load<u64>(depot, DEPOT_CHARGED);
  const fits = quota == 0 || charged + bytes <= quota;
  const wanted = <u64>load<u32>(reservation, RESERVATION_COUNT) + count;
  const before = <usize>load<u32>(reservation, RESERVATION_SLABS);
  const room = load<u32>(reservation, RESERVATION_ROOM);
  while (fits && load<u32>(reservation, RESERVATION_ROOM) < wanted) {
    const entry = slab_create(depot, number);
    if (entry == 0) break;
    store<u32>(entry, <u32>reservation, SLAB_RESERVATION);
    slab_assign(entry, depot);
    entry_link(reservation + RESERVATION_SLABS, entry);
    store<u32>(reservation, load<u32>(reservation, RESERVATION_ROOM) + (load<u32>(entry, SLAB_END) - load<u32>(entry, SLAB_FRESH)) / class_bytes(number), RESERVATION_ROOM);
  }
  const done = fits && load<u32>(reservation, RESERVATION_ROOM) >= wanted;
  if (done) {
    store<u64>(depot, charged + bytes, DEPOT_CHARGED);
    store<u32>(reservation, <u32>wanted, RESERVATION_COUNT);
    if (found == 0) {
      store<u32>(reservation, <u32>allocator, RESERVATION_ALLOCATOR);
      store<u32>(reservation, number, RESERVATION_CLASS);
      store<u32>(reservation, holder, RESERVATION_HOLDER);
      store<u32>(reservation, load<u32>(depot, DEPOT_RESERVATIONS), RESERVATION_NEXT);
      store<u32>(depot, <u32>reservation, DEPOT_RESERVATIONS);
    }
  } else {
    for (let entry = <usize>load<u32>(reservation, RESERVATION_SLABS); entry != before; entry = load<u32>(reservation, RESERVATION_SLABS)) {
      entry_unlink(reservation + RESERVATION_SLABS, entry);
      slab_destroy(depot, entry);
    }
    store<u32>(reservation, room, RESERVATION_ROOM);
  }
  depot_unlock(depot);
  if (!done || found != 0) meta_free(fresh);
  return done ? 0 : <i32>ENOMEM;
}

/** An object that is set apart for this holder, or for all; 0: there is none. */
export function reservation_take(allocator: usize, number: u32, holder: u32): usize {
  const depot = <usize>load<u32>(allocator, ALLOCATOR_DEPOT);
  if (load<u32>(depot, DEPOT_RESERVATIONS) == 0) return 0;
  depot_lock(depot);
  let object = holder == 0 ? <usize>0 : take(find(depot, allocator, number, holder));
  if (object == 0) object = take(find(depot, allocator, number, 0));
  depot_unlock(depot);
  return object;
}

function take(reservation: usize): usize {
  if (reservation == 0) return 0;
  const out = load<u32>(reservation, RESERVATION_OUT);
  if (out == load<u32>(reservation, RESERVATION_COUNT)) return 0;
  for (let entry = <usize>load<u32>(reservation, RESERVATION_SLABS); entry != 0; entry = load<u32>(entry, SLAB_NEXT)) {
    const object = slab_take(entry);
    if (object == 0) continue;
    store<u32>(reservation, out + 1, RESERVATION_OUT);
    // Slabs with something to give stand in front.
    if (<usize>load<u32>(reservation, RESERVATION_SLABS) != entry) {
      entry_unlink(reservation + RESERVATION_SLABS, entry);
      entry_link(reservation + RESERVATION_SLABS, entry);
    }
    return object;
  }
  return 0;
}

/** Puts a free object of a slab that is set apart back. */
export function reservation_put(entry: usize, object: usize): void {
  const reservation = <usize>load<u32>(entry, SLAB_RESERVATION);
  slab_put(entry, object);
  store<u32>(reservation, load<u32>(reservation, RESERVATION_OUT) - 1, RESERVATION_OUT);
  if (<usize>load<u32>(reservation, RESERVATION_SLABS) == entry) return;
  entry_unlink(reservation + RESERVATION_SLABS, entry);
  entry_link(reservation + RESERVATION_SLABS, entry);
}

/** Ends what is set apart for a holder of this allocator; `all`: for every holder. Their live objects stay, and become objects as all others. */
export function reservations_end(allocator: usize, holder: u32, all: bool): void {
  const depot = <usize>load<u32>(allocator, ALLOCATOR_DEPOT);
  let ended: usize = 0;
  depot_lock(depot);
  let link = depot + DEPOT_RESERVATIONS;
  for (let at = <usize>load<u32>(link); at != 0; at = load<u32>(link)) {
    if (load<u32>(at, RESERVATION_ALLOCATOR) != <u32>allocator || (!all && load<u32>(at, RESERVATION_HOLDER) != holder)) {
      link = at + RESERVATION_NEXT;
      continue;
    }
    store<u32>(link, load<u32>(at, RESERVATION_NEXT));
    dissolve(depot, at);
    store<u32>(at, <u32>ended, RESERVATION_NEXT);
    ended = at;
  }
  depot_unlock(depot);
  while (ended != 0) {
    const next = <usize>load<u32>(ended, RESERVATION_NEXT);
    meta_free(ended);
    ended = next;
  }
}

function dissolve(depot: usize, reservation: usize): void {
  const number = load<u32>(reservation, RESERVATION_CLASS);
  const out = load<u32>(reservation, RESERVATION_OUT);
  const at = class_at(depot, number);
  store<u32>(at, load<u32>(at, CLASS_OUT) + out, CLASS_OUT);
  const unused = <u64>(load<u32>(reservation, RESERVATION_COUNT) - out) * class_bytes(number);
  store<u64>(depot, load<u64>(depot, DEPOT_CHARGED) - unused, DEPOT_CHARGED);
  for (let entry = <usize>load<u32>(reservation, RESERVATION_SLABS); entry != 0; ) {
    const next = <usize>load<u32>(entry, SLAB_NEXT);
    store<u32>(entry, 0, SLAB_RESERVATION);
    slab_assign(entry, depot);
    if (load<u32>(entry, SLAB_OUT) == 0) slab_destroy(depot, entry);
    else if (load<u32>(entry, SLAB_FREE) != 0 || load<u32>(entry, SLAB_FRESH) != load<u32>(entry, SLAB_END)) slab_list(depot, entry);
    entry = next;
  }
}
