// Objects of any size in an arena, as bpf_arena_alloc and bpf_arena_free of Linux's list give them: pages of one power of two each, which objects are out in a map
// of bits beside the arena, where programs cannot write. Larger ones are pages of their own. What is freed and was not given is said in the trace, and stays.
import { bpf_trace_printk } from '../helpers/printk';
import { arena_give, arena_take } from '../maps/arena';
import { word_lock, word_unlock } from '../locks/word';
import { ARENA } from '../maps/types';
import { MAP_ID, MAP_MAX_ENTRIES, MAP_TYPE, MAP_VALUES } from '../../layout/map';
import {
  ARENA_CLASSES, ARENA_DELTA, ARENA_PAGE, ARENA_SLABS, ARENA_SLABS_LOCK, ARENA_SLAB_BITS, ARENA_SLAB_COUNT, ARENA_SLAB_NEXT, ARENA_SLAB_ORDER,
  ARENA_SLAB_PREVIOUS, ARENA_SLAB_SIZE,
} from '../../layout/map-arena';

const SMALLEST: u32 = 4;
const LARGEST: u32 = 12;
/** In place of a power of two: the first of ARENA_SLAB_COUNT pages; one of those behind it. */
const RUN: u32 = 13;
const BEHIND: u32 = 14;

// "arena %u: free of %llx, which bpf_arena_alloc has not given"
const NOT_ALLOCATED: usize = memory.data<u8>([97, 114, 101, 110, 97, 32, 37, 117, 58, 32, 102, 114, 101, 101, 32, 111, 102, 32, 37, 108, 108, 120, 44, 32, 119, 104, 105, 99, 104, 32, 98, 112, 102, 95, 97, 114, 101, 110, 97, 95, 97, 108, 108, 111, 99, 32, 104, 97, 115, 32, 110, 111, 116, 32, 103, 105, 118, 101, 110, 0]);
// "arena %u: free of %llx, which is free"
const TWICE: usize = memory.data<u8>([97, 114, 101, 110, 97, 32, 37, 117, 58, 32, 102, 114, 101, 101, 32, 111, 102, 32, 37, 108, 108, 120, 44, 32, 119, 104, 105, 99, 104, 32, 105, 115, 32, 102, 114, 101, 101, 0]);
// "arena %u: free of %llx, which is inside of an object"
const INSIDE: usize = memory.data<u8>([97, 114, 101, 110, 97, 32, 37, 117, 58, 32, 102, 114, 101, 101, 32, 111, 102, 32, 37, 108, 108, 120, 44, 32, 119, 104, 105, 99, 104, 32, 105, 115, 32, 105, 110, 115, 105, 100, 101, 32, 111, 102, 32, 97, 110, 32, 111, 98, 106, 101, 99, 116, 0]);
// "arena %u: free of pages at %llx, which hold objects"
const PAGES: usize = memory.data<u8>([97, 114, 101, 110, 97, 32, 37, 117, 58, 32, 102, 114, 101, 101, 32, 111, 102, 32, 112, 97, 103, 101, 115, 32, 97, 116, 32, 37, 108, 108, 120, 44, 32, 119, 104, 105, 99, 104, 32, 104, 111, 108, 100, 32, 111, 98, 106, 101, 99, 116, 115, 0]);

/** Bytes of the longest of these texts, or more. */
const TEXT: u64 = 64;

function report(text: usize, map: usize, pointer: u64): void {
  bpf_trace_printk(<u64>text, text_size(text), <u64>load<u32>(map, MAP_ID), pointer, 0);
}

function text_size(text: usize): u64 {
  let size: u64 = 1;
  while (size < TEXT && load<u8>(text + <usize>size - 1) != 0) size++;
  return size;
}

@inline function slab_of(map: usize, page: u32): usize {
  return <usize>load<u32>(map, ARENA_SLABS) + <usize>page * ARENA_SLAB_SIZE;
}

@inline function head_of(map: usize, order: u32): usize {
  return map + ARENA_CLASSES + ((order - SMALLEST) << 2);
}

@inline function order_of(slab: usize): u32 {
  return load<u8>(slab, ARENA_SLAB_ORDER);
}

/** Puts a page with room at the front of its class. Pages in links count from 1. */
function enlist(map: usize, page: u32, order: u32): void {
  const head = head_of(map, order);
  const first = load<u32>(head);
  store<u32>(slab_of(map, page), first, ARENA_SLAB_NEXT);
  store<u32>(slab_of(map, page), 0, ARENA_SLAB_PREVIOUS);
  if (first != 0) store<u32>(slab_of(map, first - 1), page + 1, ARENA_SLAB_PREVIOUS);
  store<u32>(head, page + 1);
}

function unlist(map: usize, page: u32, order: u32): void {
  const next = load<u32>(slab_of(map, page), ARENA_SLAB_NEXT);
  const previous = load<u32>(slab_of(map, page), ARENA_SLAB_PREVIOUS);
  if (previous == 0) store<u32>(head_of(map, order), next);
  else store<u32>(slab_of(map, previous - 1), next, ARENA_SLAB_NEXT);
  if (next != 0) store<u32>(slab_of(map, next - 1), previous, ARENA_SLAB_PREVIOUS);
}

/** Number of the arena's page that a program's pointer lies in; MAP_MAX_ENTRIES or more for one outside. */
@inline function page_of(map: usize, pointer: u64): u32 {
  const distance = <u32>pointer + load<u32>(map, ARENA_DELTA) - load<u32>(map, MAP_VALUES);
  return distance / ARENA_PAGE;
}

/** Pages for an object or for a class: their first, u32.MAX_VALUE if there are none. */
function take_pages(map: usize, order: u32, count: u32): u32 {
  const pointer = arena_take(map, 0, count);
  if (pointer == 0) return u32.MAX_VALUE;
  const page = page_of(map, <u64>pointer);
  const slab = slab_of(map, page);
  memory.fill(slab, 0, ARENA_SLAB_SIZE);
  store<u8>(slab, <u8>order, ARENA_SLAB_ORDER);
  if (order == RUN) store<u32>(slab, count, ARENA_SLAB_COUNT);
  for (let i: u32 = 1; i < count; i++) store<u8>(slab_of(map, page + i), <u8>BEHIND, ARENA_SLAB_ORDER);
  return page;
}

/** Zeroed bytes, aligned to their size rounded up to a power of two, at most to a page; 0: the arena has no room. */
export function bpf_arena_alloc(map: u64, size: u64): u64 {
  const arena = <usize>map;
  const bytes = <u32>size;
  if (load<u32>(arena, MAP_TYPE) != ARENA || bytes == 0 || bytes > <u32>i32.MAX_VALUE) return 0;
  const values = load<u32>(arena, MAP_VALUES) - load<u32>(arena, ARENA_DELTA);
  word_lock(arena + ARENA_SLABS_LOCK);
  let at: u32 = 0;
  if (bytes > <u32>ARENA_PAGE) {
    const page = take_pages(arena, RUN, (bytes + ARENA_PAGE - 1) / ARENA_PAGE);
    if (page != u32.MAX_VALUE) at = values + page * ARENA_PAGE;
  } else {
    const order: u32 = bytes <= 16 ? SMALLEST : 32 - clz<u32>(bytes - 1);
    at = take_object(arena, order, values);
  }
  word_unlock(arena + ARENA_SLABS_LOCK);
  return <u64>at;
}

function take_object(arena: usize, order: u32, values: u32): u32 {
  let page = load<u32>(head_of(arena, order)) - 1;
  if (page == u32.MAX_VALUE) {
    page = take_pages(arena, order, 1);
    if (page == u32.MAX_VALUE) return 0;
    enlist(arena, page, order);
  }
  const slab = slab_of(arena, page);
  let word = slab + ARENA_SLAB_BITS;
  while (load<u64>(word) == u64.MAX_VALUE) word += 8;
  const bit = <u32>ctz<u64>(~load<u64>(word));
  store<u64>(word, load<u64>(word) | ((<u64>1) << bit));
  const used = load<u32>(slab, ARENA_SLAB_COUNT) + 1;
  store<u32>(slab, used, ARENA_SLAB_COUNT);
  if (used == <u32>1 << (LARGEST - order)) unlist(arena, page, order);
  const offset = ((<u32>(word - slab - ARENA_SLAB_BITS) << 3) + bit) << order;
  const at = values + page * ARENA_PAGE + offset;
  memory.fill(<usize>(at + load<u32>(arena, ARENA_DELTA)), 0, (<usize>1) << order);
  return at;
}

export function bpf_arena_free(map: u64, pointer: u64): u64 {
  const arena = <usize>map;
  if (load<u32>(arena, MAP_TYPE) != ARENA || <u32>pointer == 0) return 0;
  word_lock(arena + ARENA_SLABS_LOCK);
  const refused = give_object(arena, pointer);
  word_unlock(arena + ARENA_SLABS_LOCK);
  if (refused != 0) report(refused, arena, pointer);
  return 0;
}

/** 0, or what is wrong with the pointer. */
function give_object(arena: usize, pointer: u64): usize {
  const page = page_of(arena, pointer);
  if (page >= load<u32>(arena, MAP_MAX_ENTRIES)) return NOT_ALLOCATED;
  const slab = slab_of(arena, page);
  const order = order_of(slab);
  if (order == 0) return NOT_ALLOCATED;
  const start = load<u32>(arena, MAP_VALUES) - load<u32>(arena, ARENA_DELTA) + page * ARENA_PAGE;
  const offset = <u32>pointer - start;
  if (order == BEHIND) return INSIDE;
  if (order == RUN) {
    if (offset != 0) return INSIDE;
    const count = load<u32>(slab, ARENA_SLAB_COUNT);
    for (let i: u32 = 0; i < count; i++) store<u8>(slab_of(arena, page + i), 0, ARENA_SLAB_ORDER);
    arena_give(arena, <u64>start, count);
    return 0;
  }
  if ((offset & ((<u32>1 << order) - 1)) != 0) return INSIDE;
  const number = offset >> order;
  const word = slab + ARENA_SLAB_BITS + (<usize>(number >> 6) << 3);
  const bit = (<u64>1) << (<u64>(number & 63));
  if ((load<u64>(word) & bit) == 0) return TWICE;
  store<u64>(word, load<u64>(word) & ~bit);
  const used = load<u32>(slab, ARENA_SLAB_COUNT) - 1;
  store<u32>(slab, used, ARENA_SLAB_COUNT);
  const full = used + 1 == <u32>1 << (LARGEST - order);
  if (used != 0) {
    if (full) enlist(arena, page, order);
    return 0;
  }
  if (!full) unlist(arena, page, order);
  store<u8>(slab, 0, ARENA_SLAB_ORDER);
  arena_give(arena, <u64>start, 1);
  return 0;
}

/** After the CPU that holds the lock has ended in the middle: counts and lists by the bits of each page. */
export function arena_objects_repair(arena: usize): void {
  for (let order = SMALLEST; order <= LARGEST; order++) store<u32>(head_of(arena, order), 0);
  const pages = load<u32>(arena, MAP_MAX_ENTRIES);
  for (let page: u32 = 0; page < pages; page++) {
    const slab = slab_of(arena, page);
    const order = order_of(slab);
    if (order < SMALLEST || order > LARGEST) continue;
    let used: u32 = 0;
    for (let word = slab + ARENA_SLAB_BITS; word < slab + ARENA_SLAB_SIZE; word += 8) used += <u32>popcnt<u64>(load<u64>(word));
    store<u32>(slab, used, ARENA_SLAB_COUNT);
    if (used != <u32>1 << (LARGEST - order)) enlist(arena, page, order);
  }
}

/** True if none of the pages holds objects; else it is said, and they stay. */
export function may_free_pages(map: usize, pointer: u64, count: u32): bool {
  const pages = load<u32>(map, MAP_MAX_ENTRIES);
  const page = page_of(map, pointer);
  for (let i: u32 = 0; i < count && page + i < pages; i++) {
    if (order_of(slab_of(map, page + i)) == 0) continue;
    report(PAGES, map, pointer);
    return false;
  }
  return true;
}
