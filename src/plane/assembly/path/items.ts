// plane/assembly/path/: a packet's way from an interface to its reader (layout/path.ts), without JavaScript in between.
//
// This file: items, which are packets under way: the list of those that are ready, their steps, their ends.
import {
  END_LOST, ITEM_END, ITEM_NEXT, ITEM_READY_NEXT, ITEM_REASON, ITEM_SIZE, ITEM_STEPS, ITEM_STEP_COUNT, NEXT_NOTHING, PATH_ITEMS, PATH_READY_FIRST,
  PATH_READY_LAST, STEP_KIND, STEP_MAX, STEP_PLACE, STEP_RESULT, STEP_SIZE, STEP_SUBJECT,
} from '../../layout/path';

@inline export function itemAt(path: usize, index: u32): usize {
  return <usize>load<u32>(path, PATH_ITEMS) + index * ITEM_SIZE;
}

@inline export function indexOf(path: usize, item: usize): u32 {
  return <u32>(item - load<u32>(path, PATH_ITEMS)) / ITEM_SIZE;
}

/** Behind those that are ready. */
export function makeReady(path: usize, item: usize, next: u32): void {
  const index = indexOf(path, item) + 1;
  const last = load<u32>(path, PATH_READY_LAST);
  store<u32>(item, next, ITEM_NEXT);
  store<u32>(item, 0, ITEM_READY_NEXT);
  if (last == 0) store<u32>(path, index, PATH_READY_FIRST);
  else store<u32>(itemAt(path, last - 1), index, ITEM_READY_NEXT);
  store<u32>(path, index, PATH_READY_LAST);
}

/** The first of those that are ready, 0: none is. */
export function takeReady(path: usize): usize {
  const first = load<u32>(path, PATH_READY_FIRST);
  if (first == 0) return 0;
  const item = itemAt(path, first - 1);
  const next = load<u32>(item, ITEM_READY_NEXT);
  store<u32>(path, next, PATH_READY_FIRST);
  if (next == 0) store<u32>(path, 0, PATH_READY_LAST);
  return item;
}

/** Writes down a step; its address. */
export function step(item: usize, kind: u32, subject: u32, place: u32, result: u32): usize {
  const count = load<u32>(item, ITEM_STEP_COUNT);
  const at = item + ITEM_STEPS + min<u32>(count, STEP_MAX - 1) * STEP_SIZE;
  store<u32>(at, kind, STEP_KIND);
  store<u32>(at, subject, STEP_SUBJECT);
  store<u32>(at, place, STEP_PLACE);
  store<u32>(at, result, STEP_RESULT);
  store<u32>(item, count + 1, ITEM_STEP_COUNT);
  return at;
}

export function end(item: usize, how: u32): void {
  store<u32>(item, how, ITEM_END);
  store<u32>(item, NEXT_NOTHING, ITEM_NEXT);
}

export function lose(item: usize, reason: u32): void {
  store<u32>(item, reason, ITEM_REASON);
  end(item, END_LOST);
}
