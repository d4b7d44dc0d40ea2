// Arena: pages that programs take and give back (layout/map-arena.ts). Facts: kernel/bpf/arena.c.
import { range_best, range_cut, range_holds, range_insert, range_set, range_begin } from './arena-ranges';
import { header_allocate } from './header';
import { word_lock, word_unlock } from '../locks/word';
import { E2BIG, EBUSY, EINVAL, ENOMEM, ERANGE } from '../errno';
import {
  BPF_F_MMAPABLE,
  BPF_F_NO_USER_CONV,
  BPF_F_SEGV_ON_FAULT,
  MAP_HEADER_SIZE,
  MAP_MAX_ENTRIES,
  MAP_VALUES,
} from '../../layout/map';
import { ARENA_ALIGNMENT, ARENA_BITMAP, ARENA_DELTA, ARENA_HAND, ARENA_HAND_COUNT, ARENA_LOCK, ARENA_NODES, ARENA_NODE_SIZE, ARENA_PAGE, ARENA_SLABS, ARENA_SLAB_SIZE, ARENA_TAKEN } from '../../layout/map-arena';

// SZ_4G in pages.
const MOST_PAGES: u32 = 1 << 20;

export function arena_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32, extra: u64): usize {
  const known = BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV;
  if (key_size != 0 || value_size != 0 || max_entries == 0) return <usize>EINVAL;
  if (!(flags & BPF_F_MMAPABLE) || (flags & ~known) != 0) return <usize>EINVAL;
  if ((extra & (ARENA_PAGE - 1)) != 0) return <usize>EINVAL;
  if (max_entries > MOST_PAGES) return <usize>E2BIG;
  const size = <u64>max_entries * ARENA_PAGE;
  // The addresses of user space, which mean nothing here, must not cross a multiple of 4 GiB.
  if (extra >> 32 != (extra + size - 1) >> 32) return <usize>ERANGE;
  const bitmap = ((<u64>max_entries + 31) >> 5) << 2;
  const nodes = <u64>max_entries * ARENA_NODE_SIZE;
  const slabs = <u64>max_entries * ARENA_SLAB_SIZE;
  const slabs_at = (MAP_HEADER_SIZE + bitmap + nodes + 7) & ~(<u64>7);
  const before = (slabs_at + slabs + ARENA_ALIGNMENT - 1) & ~(<u64>ARENA_ALIGNMENT - 1);
  const map = header_allocate(type, key_size, value_size, max_entries, flags, before - MAP_HEADER_SIZE + size);
  if (map == 0) return <usize>ENOMEM;
  store<u32>(map, <u32>map + MAP_HEADER_SIZE, ARENA_BITMAP);
  store<u32>(map, <u32>map + MAP_HEADER_SIZE + <u32>bitmap, ARENA_NODES);
  store<u32>(map, <u32>map + <u32>slabs_at, ARENA_SLABS);
  store<u32>(map, <u32>map + <u32>before, MAP_VALUES);
  range_insert(map, 0, max_entries);
  return map;
}

// @ts-ignore: decorator
@inline
function word_of(map: usize, page: u32): usize {
  return load<u32>(map, ARENA_BITMAP) + ((page >> 5) << 2);
}

function mark(map: usize, page: u32, count: u32, taken: bool): u32 {
  let changed: u32 = 0;
  for (let i = page; i < page + count; i++) {
    const word = word_of(map, i);
    const bit = <u32>1 << (i & 31);
    const bits = load<u32>(word);
    if (((bits & bit) != 0) == taken) continue;
    store<u32>(word, bits ^ bit);
    changed++;
  }
  store<u32>(map, taken ? load<u32>(map, ARENA_TAKEN) + changed : load<u32>(map, ARENA_TAKEN) - changed, ARENA_TAKEN);
  return changed;
}

/** Number of the page that begins at a program's pointer; u32.MAX_VALUE for one that is none. */
function page_at(map: usize, pointer: u64): u32 {
  const address = <u32>pointer + load<u32>(map, ARENA_DELTA);
  const distance = <u64>address - load<u32>(map, MAP_VALUES);
  if (address < load<u32>(map, MAP_VALUES) || (distance & (ARENA_PAGE - 1)) != 0) return u32.MAX_VALUE;
  return <u32>(distance / ARENA_PAGE);
}

/** Address of `count` zeroed pages in a row: those from `at` on, or with `at` 0 of the range that fits best. 0 if there are none. */
export function arena_take(map: usize, at: u64, count: u32): usize {
  const pages = load<u32>(map, MAP_MAX_ENTRIES);
  if (count == 0 || count > pages) return 0;
  const wanted: u32 = at == 0 ? 0 : page_at(map, at);
  if (at != 0 && (wanted == u32.MAX_VALUE || wanted > pages - count)) return 0;
  word_lock(map + ARENA_LOCK);
  range_begin(map);
  const page = at == 0 ? range_best(map, count) : range_holds(map, wanted, count) ? wanted : u32.MAX_VALUE;
  if (page != u32.MAX_VALUE) {
    range_cut(map, page, count);
    mark(map, page, count, true);
  }
  word_unlock(map + ARENA_LOCK);
  if (page == u32.MAX_VALUE) return 0;
  const address = load<u32>(map, MAP_VALUES) + page * ARENA_PAGE;
  memory.fill(address, 0, <usize>count * ARENA_PAGE);
  return address - load<u32>(map, ARENA_DELTA);
}

/** Gives pages back, as far as they lie in the arena; those that are free already stay so. */
export function arena_give(map: usize, at: u64, count: u32): void {
  const pages = load<u32>(map, MAP_MAX_ENTRIES);
  const page = page_at(map, <u64>(<u32>at & ~(<u32>ARENA_PAGE - 1)));
  if (page >= pages || count == 0) return;
  const given = min<u32>(count, pages - page);
  word_lock(map + ARENA_LOCK);
  range_begin(map);
  // Who reads on there sees zeros, as in Linux. Before another CPU can take the pages: what it writes there stays.
  memory.fill(load<u32>(map, MAP_VALUES) + page * ARENA_PAGE, 0, <usize>given * ARENA_PAGE);
  range_set(map, page, given);
  mark(map, page, given, false);
  word_unlock(map + ARENA_LOCK);
}

/** After the CPU that holds the lock has ended in the middle: the pages that it had in hand are free, and free pages are not taken. */
export function arena_repair(map: usize): void {
  const held = load<u32>(map, ARENA_HAND_COUNT);
  if (held != 0) {
    range_set(map, load<u32>(map, ARENA_HAND), held);
    mark(map, load<u32>(map, ARENA_HAND), held, false);
  }
  range_begin(map);
  let taken: u32 = 0;
  const words = (load<u32>(map, MAP_MAX_ENTRIES) + 31) >> 5;
  for (let i: u32 = 0; i < words; i++) taken += popcnt<u32>(load<u32>(load<u32>(map, ARENA_BITMAP) + (i << 2)));
  store<u32>(map, taken, ARENA_TAKEN);
}

/** bpf_arena_reserve_pages: keeps pages from being taken. 0, -EINVAL, or -EBUSY if one is not free. */
export function arena_reserve(map: usize, at: u64, count: u32): i32 {
  const pages = load<u32>(map, MAP_MAX_ENTRIES);
  // Where no page begins, nothing is reserved, and Linux does not say so.
  if (count == 0 || (at & (ARENA_PAGE - 1)) != 0) return 0;
  const page = page_at(map, at);
  if (page == u32.MAX_VALUE || count > pages || page > pages - count) return <i32>EINVAL;
  word_lock(map + ARENA_LOCK);
  range_begin(map);
  const free = range_holds(map, page, count);
  if (free) range_cut(map, page, count);
  word_unlock(map + ARENA_LOCK);
  return free ? 0 : <i32>EBUSY;
}

/** What an access at `address` of a program's arena pointer reaches: the address, or `nowhere` where no page was taken, as in Linux. */
export function arena_at(map: usize, pointer: usize, nowhere: usize): usize {
  const address = pointer + load<u32>(map, ARENA_DELTA);
  const page = <u32>(address - load<u32>(map, MAP_VALUES)) / ARENA_PAGE;
  if (page >= load<u32>(map, MAP_MAX_ENTRIES) || address < <usize>load<u32>(map, MAP_VALUES)) return nowhere;
  return (load<u32>(word_of(map, page)) >> (page & 31)) & 1 ? address : nowhere;
}
