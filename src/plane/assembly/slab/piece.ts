// Pieces: pages cut in four, for slabs of small objects. A free piece stands in a list through its entry of the side table; four free ones are a page again.
import { pages_alloc, pages_free } from '../pages';
import { word_lock, word_unlock } from '../locks/word';
import {
  SLAB_BYTES, SLAB_ENTRY, SLAB_ENTRY_SHIFT, SLAB_FLAGS, SLAB_NEXT, SLAB_PIECE_FREE, SLAB_PREVIOUS, SLAB_SHIFT,
} from '../../layout/allocator';
import { ROOT, ROOT_PIECES, ROOT_PIECES_LOCK, SLAB_TABLE, WASM_PAGE } from '../../layout/memory';

/** The side table's entry for an address. */
// @ts-ignore: decorator
@inline
export function entry_of(address: usize): usize {
  return (SLAB_TABLE as usize) + ((address >> SLAB_SHIFT) << SLAB_ENTRY_SHIFT);
}

// @ts-ignore: decorator
@inline
export function address_of(entry: usize): usize {
  return ((entry - SLAB_TABLE) >> SLAB_ENTRY_SHIFT) << SLAB_SHIFT;
}

/** Puts an entry at the front of the list whose first is at `head`. */
export function entry_link(head: usize, entry: usize): void {
  const first = <usize>load<u32>(head);
  store<u32>(entry, <u32>first, SLAB_NEXT);
  store<u32>(entry, 0, SLAB_PREVIOUS);
  if (first != 0) store<u32>(first, <u32>entry, SLAB_PREVIOUS);
  store<u32>(head, <u32>entry);
}

export function entry_unlink(head: usize, entry: usize): void {
  const next = <usize>load<u32>(entry, SLAB_NEXT);
  const previous = <usize>load<u32>(entry, SLAB_PREVIOUS);
  if (next != 0) store<u32>(next, <u32>previous, SLAB_PREVIOUS);
  if (previous == 0) store<u32>(head, <u32>next);
  else store<u32>(previous, <u32>next, SLAB_NEXT);
}

function put(entry: usize): void {
  store<u8>(entry, SLAB_PIECE_FREE, SLAB_FLAGS);
  entry_link(ROOT + ROOT_PIECES, entry);
}

/** A piece with an entry of zeros; 0: no memory. */
export function piece_alloc(): usize {
  word_lock(ROOT + ROOT_PIECES_LOCK);
  const entry = <usize>load<u32>(ROOT, ROOT_PIECES);
  let piece: usize = 0;
  if (entry != 0) {
    entry_unlink(ROOT + ROOT_PIECES, entry);
    store<u8>(entry, 0, SLAB_FLAGS);
    piece = address_of(entry);
  } else {
    piece = pages_alloc(1);
    if (piece != 0) {
      for (let at = piece + WASM_PAGE - SLAB_BYTES; at > piece; at -= SLAB_BYTES) put(entry_of(at));
    }
  }
  word_unlock(ROOT + ROOT_PIECES_LOCK);
  return piece;
}

export function piece_free(piece: usize): void {
  const page = piece & ~<usize>(WASM_PAGE - 1);
  const first = entry_of(page);
  word_lock(ROOT + ROOT_PIECES_LOCK);
  put(entry_of(piece));
  let free = true;
  for (let i: usize = 0; i < 4; i++) free = free && (load<u8>(first + i * SLAB_ENTRY, SLAB_FLAGS) & SLAB_PIECE_FREE) != 0;
  if (free) {
    for (let i: usize = 0; i < 4; i++) {
      entry_unlink(ROOT + ROOT_PIECES, first + i * SLAB_ENTRY);
      store<u8>(first + i * SLAB_ENTRY, 0, SLAB_FLAGS);
    }
  }
  word_unlock(ROOT + ROOT_PIECES_LOCK);
  if (free) pages_free(page, 1);
}
