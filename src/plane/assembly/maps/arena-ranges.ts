// The free pages of an arena as ranges, in the order in which they changed (layout/map-arena.ts). Which range an allocation comes from is Linux's choice: the
// smallest that has room, of equal ones the one that changed last; a range that is cut changes, its left part first. Facts: kernel/bpf/range_tree.c, which
// finds them in trees; here it is a walk over the ranges. All under the arena's lock.
import {
  ARENA_HAND,
  ARENA_HAND_COUNT,
  ARENA_NEWEST,
  ARENA_NODES,
  ARENA_NODE_NEWER,
  ARENA_NODE_OLDER,
  ARENA_NODE_SIZE,
} from '../../layout/map-arena';

// @ts-ignore: decorator
@inline
function node(map: usize, page: u32): usize {
  return load<u32>(map, ARENA_NODES) + page * ARENA_NODE_SIZE;
}

/** A range that no other one touches, as the one that changed last. */
export function range_insert(map: usize, page: u32, count: u32): void {
  const newest = load<u32>(map, ARENA_NEWEST);
  const at = node(map, page);
  store<u32>(at, count);
  store<u32>(at, newest, ARENA_NODE_OLDER);
  store<u32>(at, 0, ARENA_NODE_NEWER);
  if (newest != 0) store<u32>(node(map, newest - 1), page + 1, ARENA_NODE_NEWER);
  store<u32>(map, page + 1, ARENA_NEWEST);
}

function remove(map: usize, page: u32): void {
  const at = node(map, page);
  const older = load<u32>(at, ARENA_NODE_OLDER);
  const newer = load<u32>(at, ARENA_NODE_NEWER);
  if (newer == 0) store<u32>(map, older, ARENA_NEWEST);
  else store<u32>(node(map, newer - 1), older, ARENA_NODE_OLDER);
  if (older != 0) store<u32>(node(map, older - 1), newer, ARENA_NODE_NEWER);
}

/** First page of the range that `count` pages are to come from, u32.MAX_VALUE if none has as many. */
export function range_best(map: usize, count: u32): u32 {
  let best = u32.MAX_VALUE;
  let least = u32.MAX_VALUE;
  for (let next = load<u32>(map, ARENA_NEWEST); next != 0; ) {
    const at = node(map, next - 1);
    const size = load<u32>(at);
    if (size >= count && size < least) {
      best = next - 1;
      least = size;
    }
    next = load<u32>(at, ARENA_NODE_OLDER);
  }
  return best;
}

/** First page of the first range that has one of these pages, u32.MAX_VALUE if none has. */
function overlapping(map: usize, page: u32, count: u32): u32 {
  let first = u32.MAX_VALUE;
  for (let next = load<u32>(map, ARENA_NEWEST); next != 0; ) {
    const start = next - 1;
    const at = node(map, start);
    if (start < page + count && page < start + load<u32>(at) && start < first) first = start;
    next = load<u32>(at, ARENA_NODE_OLDER);
  }
  return first;
}

/** True if all of these pages are free. */
export function range_holds(map: usize, page: u32, count: u32): bool {
  const first = overlapping(map, page, count);
  return first <= page && first + load<u32>(node(map, first)) >= page + count;
}

/** Notes which pages are in hand, all of them free before the change or after it: they are free if the CPU ends in the middle. */
function hold(map: usize, start: u32, end: u32): void {
  store<u32>(map, start, ARENA_HAND);
  store<u32>(map, end - start, ARENA_HAND_COUNT);
}

/** The lock was just taken: no pages are in hand. They are from then on until it is let go. */
// @ts-ignore: decorator
@inline
export function range_begin(map: usize): void {
  store<u32>(map, 0, ARENA_HAND_COUNT);
}

/** None of these pages, all of which one range has, is free any more. */
export function range_cut(map: usize, page: u32, count: u32): void {
  const start = overlapping(map, page, count);
  hold(map, start, start + load<u32>(node(map, start)));
  range_clear(map, page, count);
}

/** None of these pages is free any more. */
export function range_clear(map: usize, page: u32, count: u32): void {
  const end = page + count;
  let start = overlapping(map, page, count);
  while (start != u32.MAX_VALUE) {
    const last = start + load<u32>(node(map, start));
    remove(map, start);
    if (start < page) range_insert(map, start, page - start);
    if (last > end) range_insert(map, end, last - end);
    start = overlapping(map, page, count);
  }
}

/** All of these pages are free; with those beside them they are one range. */
export function range_set(map: usize, page: u32, count: u32): void {
  if (range_holds(map, page, count)) return;
  let start = page;
  let end = page + count;
  let left = page == 0 ? u32.MAX_VALUE : overlapping(map, page - 1, 1);
  let right = overlapping(map, end, 1);
  hold(map, left == u32.MAX_VALUE ? start : left, right == u32.MAX_VALUE ? end : right + load<u32>(node(map, right)));
  range_clear(map, page, count);
  left = page == 0 ? u32.MAX_VALUE : overlapping(map, page - 1, 1);
  right = overlapping(map, end, 1);
  if (left != u32.MAX_VALUE) {
    start = left;
    remove(map, left);
  }
  if (right != u32.MAX_VALUE) {
    end += load<u32>(node(map, right));
    remove(map, right);
  }
  range_insert(map, start, end - start);
}
