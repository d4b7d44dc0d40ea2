// Which element of an LRU hash goes: the lists of layout/map-lru.ts. Elements are named by their links here. Facts: bpf_lru_list.c.
import { chain_remove } from './chain';
import { cpu_count, this_cpu } from './header';
import {
  list_add,
  list_empty,
  list_init,
  list_move,
  list_next,
  list_previous,
  list_remove,
} from './link';
import { carry, carry_nothing } from '../locks/held';
import { word_lock, word_unlock } from '../locks/word';
import { BPF_F_NO_COMMON_LRU, MAP_FLAGS, MAP_MAX_ENTRIES, MAP_VALUES } from '../../layout/map';
import { HASH_ELEMENT_HASH, HASH_ELEMENT_SIZE, HASH_EXTRAS } from '../../layout/map-hash';
import {
  LRU_BATCH,
  LRU_LISTS_COUNTS,
  LRU_LISTS_LOCK,
  LRU_LISTS_ROTATION,
  LRU_LISTS_SIZE,
  LRU_LOCAL_FREE,
  LRU_LOCAL_LOCK,
  LRU_LOCAL_PENDING,
  LRU_LOCAL_VICTIM,
  LRU_NODE_CPU,
  LRU_NODE_LINK,
  LRU_NODE_LIST,
  LRU_NODE_REFERENCED,
  LRU_SCANS,
} from '../../layout/map-lru';

// Lists that an element can be in. The first two are counted.
export const ACTIVE: u32 = 0;
export const INACTIVE: u32 = 1;
export const FREE: u32 = 2;
export const LOCAL_FREE: u32 = 3;
export const LOCAL_PENDING: u32 = 4;
/** In none: a CPU has it in hand. */
export const TAKEN: u32 = 5;

/** Most elements that a CPU is handed at a time, and that one rotation looks at; with lists a CPU, both are smaller. */
const COMMON_BATCH: u32 = 128;
const PER_CPU_BATCH: u32 = 4;

// @ts-ignore: decorator
@inline
function element_of(link: usize): usize {
  return link - LRU_NODE_LINK;
}

// @ts-ignore: decorator
@inline
export function list_of(lists: usize, kind: u32): usize {
  return lists + (kind << 3);
}

// @ts-ignore: decorator
@inline
function is_referenced(link: usize): bool {
  return load<u8>(element_of(link), LRU_NODE_REFERENCED) != 0;
}

// @ts-ignore: decorator
@inline
function set_kind(link: usize, kind: u32): void {
  store<u8>(element_of(link), <u8>kind, LRU_NODE_LIST);
}

// @ts-ignore: decorator
@inline
function clear_reference(link: usize): void {
  store<u8>(element_of(link), 0, LRU_NODE_REFERENCED);
}

// @ts-ignore: decorator
@inline
export function count(lists: usize, kind: u32, change: i32): void {
  if (kind > INACTIVE) return;
  const at = lists + (kind << 2);
  store<u32>(at, load<u32>(at, LRU_LISTS_COUNTS) + change, LRU_LISTS_COUNTS);
}

// @ts-ignore: decorator
@inline
export function is_per_cpu(map: usize): bool {
  return (load<u32>(map, MAP_FLAGS) & BPF_F_NO_COMMON_LRU) != 0;
}

/** The common lists, or with BPF_F_NO_COMMON_LRU those of a CPU. */
// @ts-ignore: decorator
@inline
export function lists_of(map: usize, cpu: u32): usize {
  return load<u32>(map, HASH_EXTRAS) + (is_per_cpu(map) ? cpu * LRU_LISTS_SIZE : 0);
}

// @ts-ignore: decorator
@inline
export function local_of(map: usize, cpu: u32): usize {
  return load<u32>(map, HASH_EXTRAS) + (cpu + 1) * LRU_LISTS_SIZE;
}

/** Bytes that the lists of a map need. */
export function lru_lists_bytes(flags: u32): u32 {
  return (cpu_count() + (flags & BPF_F_NO_COMMON_LRU ? 0 : 1)) * LRU_LISTS_SIZE;
}

/** Empty lists, and all elements free. */
export function lru_init(map: usize): void {
  const cpus = cpu_count();
  const per_cpu = is_per_cpu(map);
  const total = load<u32>(map, MAP_MAX_ENTRIES);
  const sets = per_cpu ? cpus : 1;
  for (let i: u32 = 0; i < sets; i++) {
    const lists = lists_of(map, i);
    for (let kind = ACTIVE; kind <= FREE; kind++) list_init(list_of(lists, kind));
    store<u32>(lists, <u32>list_of(lists, INACTIVE), LRU_LISTS_ROTATION);
  }
  if (!per_cpu) {
    for (let cpu: u32 = 0; cpu < cpus; cpu++) {
      const local = local_of(map, cpu);
      list_init(local + LRU_LOCAL_FREE);
      list_init(local + LRU_LOCAL_PENDING);
      store<u32>(local, cpu, LRU_LOCAL_VICTIM);
    }
  }
  store<u32>(map, max<u32>(1, min<u32>(total / cpus / 2, COMMON_BATCH)), LRU_BATCH);
  store<u32>(map, per_cpu ? PER_CPU_BATCH : COMMON_BATCH, LRU_SCANS);
  // With lists a CPU the number of elements is a multiple of the number of CPUs.
  const share = per_cpu ? total / cpus : total;
  let element = <usize>load<u32>(map, MAP_VALUES);
  for (let i: u32 = 0; i < total; i++) {
    const cpu = i / share;
    store<u16>(element, <u16>cpu, LRU_NODE_CPU);
    store<u8>(element, <u8>FREE, LRU_NODE_LIST);
    list_add(list_of(lists_of(map, cpu), FREE), element + LRU_NODE_LINK);
    element += load<u32>(map, HASH_ELEMENT_SIZE);
  }
}

/** Keeps the place of the next rotation off an element that is about to leave it. */
// @ts-ignore: decorator
@inline
function leave_rotation(lists: usize, link: usize): void {
  if (<usize>load<u32>(lists, LRU_LISTS_ROTATION) == link) store<u32>(lists, <u32>list_previous(link), LRU_LISTS_ROTATION);
}

/** From one of `lists` to a free list, which may be a CPU's. */
function release(lists: usize, link: usize, free: usize, kind: u32): void {
  leave_rotation(lists, link);
  count(lists, load<u8>(element_of(link), LRU_NODE_LIST), -1);
  set_kind(link, kind);
  // A CPU's list is rebuilt from the elements that name it.
  if (kind == LOCAL_FREE) store<u16>(element_of(link), <u16>this_cpu(), LRU_NODE_CPU);
  list_move(free, link);
  carry_nothing();
}

/** Between or within `lists`; clears the bit. */
function move(lists: usize, link: usize, kind: u32): void {
  count(lists, load<u8>(element_of(link), LRU_NODE_LIST), -1);
  count(lists, kind, 1);
  set_kind(link, kind);
  clear_reference(link);
  leave_rotation(lists, link);
  list_move(list_of(lists, kind), link);
}

/** From the tail of the active list: what was referenced goes back to the front, the rest becomes inactive. */
function rotate_active(map: usize, lists: usize): void {
  const active = list_of(lists, ACTIVE);
  const first = list_next(active);
  const scans = load<u32>(map, LRU_SCANS);
  let link = list_previous(active);
  for (let i: u32 = 0; i < scans && link != active; i++) {
    const before = list_previous(link);
    move(lists, link, is_referenced(link) ? ACTIVE : INACTIVE);
    if (link == first) break;
    link = before;
  }
}

/** From where the last one ended, towards the front: what was referenced becomes active, the rest stays where it is. */
function rotate_inactive(map: usize, lists: usize): void {
  const inactive = list_of(lists, INACTIVE);
  if (list_empty(inactive)) return;
  const scans = load<u32>(map, LRU_SCANS);
  let link = <usize>load<u32>(lists, LRU_LISTS_ROTATION);
  let last = list_next(link);
  if (last == inactive) last = list_next(last);
  let before = inactive;
  let i: u32 = 0;
  while (i < scans) {
    if (link == inactive) {
      link = list_previous(link);
      continue;
    }
    before = list_previous(link);
    if (is_referenced(link)) move(lists, link, ACTIVE);
    if (link == last) break;
    link = before;
    i++;
  }
  store<u32>(lists, <u32>before, LRU_LISTS_ROTATION);
}

function rotate(map: usize, lists: usize): void {
  if (load<u32>(lists, LRU_LISTS_COUNTS + 4) < load<u32>(lists, LRU_LISTS_COUNTS)) rotate_active(map, lists);
  rotate_inactive(map, lists);
}

/** Frees up to `wanted` inactive elements that were not referenced, oldest first; if there is none, one element whatever it is. */
function shrink(map: usize, lists: usize, wanted: u32, free: usize, kind: u32): void {
  const inactive = list_of(lists, INACTIVE);
  const scans = load<u32>(map, LRU_SCANS);
  let freed: u32 = 0;
  let link = list_previous(inactive);
  for (let i: u32 = 0; i < scans && link != inactive; i++) {
    const before = list_previous(link);
    if (is_referenced(link)) {
      move(lists, link, ACTIVE);
    } else if (chain_remove(map, element_of(link))) {
      release(lists, link, free, kind);
      if (++freed == wanted) return;
    }
    link = before;
  }
  if (freed != 0) return;
  const list = list_empty(inactive) ? list_of(lists, ACTIVE) : inactive;
  link = list_previous(list);
  while (link != list) {
    const before = list_previous(link);
    if (chain_remove(map, element_of(link))) {
      release(lists, link, free, kind);
      return;
    }
    link = before;
  }
}

/** Hands the elements that a CPU has filled to the common lists, and the CPU a batch of free ones. */
function refill(map: usize, local: usize): void {
  const lists = lists_of(map, 0);
  word_lock(lists + LRU_LISTS_LOCK);
  const pending = local + LRU_LOCAL_PENDING;
  while (!list_empty(pending)) {
    const link = list_previous(pending);
    const kind = is_referenced(link) ? ACTIVE : INACTIVE;
    count(lists, kind, 1);
    set_kind(link, kind);
    clear_reference(link);
    list_move(list_of(lists, kind), link);
  }
  rotate(map, lists);
  const batch = load<u32>(map, LRU_BATCH);
  const free = list_of(lists, FREE);
  let got: u32 = 0;
  while (got < batch && !list_empty(free)) {
    release(lists, list_next(free), local + LRU_LOCAL_FREE, LOCAL_FREE);
    got++;
  }
  if (got < batch) shrink(map, lists, batch - got, local + LRU_LOCAL_FREE, LOCAL_FREE);
  word_unlock(lists + LRU_LISTS_LOCK);
}

/** A free element of a CPU, 0 if it has none. Under the CPU's lock, as the next two. */
function pop_free(map: usize, local: usize): usize {
  const free = local + LRU_LOCAL_FREE;
  if (list_empty(free)) return 0;
  const link = list_next(free);
  list_leave(map, link);
  return link;
}

/** Out of its list, into this CPU's hands. */
function list_leave(map: usize, link: usize): void {
  carry(map, element_of(link));
  set_kind(link, TAKEN);
  list_remove(link);
}

/** An element that a CPU has filled lately, taken out of the map: the oldest that was not referenced, else the oldest. */
function pop_pending(map: usize, local: usize): usize {
  const pending = local + LRU_LOCAL_PENDING;
  for (let force = 0; force < 2; force++) {
    for (let link = list_previous(pending); link != pending; link = list_previous(link)) {
      if ((force == 0 && is_referenced(link)) || !chain_remove(map, element_of(link))) continue;
      list_leave(map, link);
      return link;
    }
  }
  return 0;
}

function push_pending(local: usize, cpu: u32, link: usize, hash: u32): void {
  const element = element_of(link);
  store<u32>(element, hash, HASH_ELEMENT_HASH);
  store<u16>(element, <u16>cpu, LRU_NODE_CPU);
  set_kind(link, LOCAL_PENDING);
  clear_reference(link);
  list_add(local + LRU_LOCAL_PENDING, link);
}

/** An element for a key with this hash, which the CPU has in hand then, taken from another key if none is free; 0 if not even that can be. */
export function lru_take(map: usize, hash: u32): usize {
  const link = is_per_cpu(map) ? take_per_cpu(map, hash) : take_common(map, hash);
  return link == 0 ? 0 : element_of(link);
}

function take_common(map: usize, hash: u32): usize {
  const cpu = this_cpu();
  const local = local_of(map, cpu);
  word_lock(local + LRU_LOCAL_LOCK);
  let link = pop_free(map, local);
  if (link == 0) {
    refill(map, local);
    link = pop_free(map, local);
  }
  if (link != 0) push_pending(local, cpu, link, hash);
  word_unlock(local + LRU_LOCAL_LOCK);
  return link != 0 ? link : steal(map, local, cpu, hash);
}

/** Nothing is free and the common lists are empty: all elements are with CPUs, this one included. */
function steal(map: usize, local: usize, cpu: u32, hash: u32): usize {
  const cpus = cpu_count();
  const first = load<u32>(local, LRU_LOCAL_VICTIM);
  let victim = first;
  let link: usize = 0;
  do {
    const other = local_of(map, victim);
    word_lock(other + LRU_LOCAL_LOCK);
    link = pop_free(map, other);
    if (link == 0) link = pop_pending(map, other);
    word_unlock(other + LRU_LOCAL_LOCK);
    victim = victim + 1 == cpus ? 0 : victim + 1;
  } while (link == 0 && victim != first);
  store<u32>(local, victim, LRU_LOCAL_VICTIM);
  if (link == 0) return 0;
  word_lock(local + LRU_LOCAL_LOCK);
  push_pending(local, cpu, link, hash);
  word_unlock(local + LRU_LOCAL_LOCK);
  return link;
}

function take_per_cpu(map: usize, hash: u32): usize {
  const lists = lists_of(map, this_cpu());
  word_lock(lists + LRU_LISTS_LOCK);
  rotate(map, lists);
  const free = list_of(lists, FREE);
  if (list_empty(free)) shrink(map, lists, PER_CPU_BATCH, free, FREE);
  let link: usize = 0;
  if (!list_empty(free)) {
    link = list_next(free);
    carry(map, element_of(link));
    store<u32>(element_of(link), hash, HASH_ELEMENT_HASH);
    move(lists, link, INACTIVE);
  }
  word_unlock(lists + LRU_LISTS_LOCK);
  return link;
}

/** Gives an element back that is no longer in the map. */
export function lru_give(map: usize, element: usize): void {
  const link = element + LRU_NODE_LINK;
  const cpu = <u32>load<u16>(element, LRU_NODE_CPU);
  if (!is_per_cpu(map) && load<u8>(element, LRU_NODE_LIST) == LOCAL_PENDING) {
    const local = local_of(map, cpu);
    word_lock(local + LRU_LOCAL_LOCK);
    // It may have gone to the common lists while the lock was waited for.
    if (load<u8>(element, LRU_NODE_LIST) == LOCAL_PENDING) {
      set_kind(link, LOCAL_FREE);
      clear_reference(link);
      list_move(local + LRU_LOCAL_FREE, link);
      carry_nothing();
      word_unlock(local + LRU_LOCAL_LOCK);
      return;
    }
    word_unlock(local + LRU_LOCAL_LOCK);
  }
  const lists = lists_of(map, cpu);
  word_lock(lists + LRU_LISTS_LOCK);
  move(lists, link, FREE);
  carry_nothing();
  word_unlock(lists + LRU_LISTS_LOCK);
}
