// Merging: what two allocators have in slabs becomes one depot's, so that what one has free the other can take. What is live stays told apart, by owners in the slabs.
// Inline allocation names no owner: the caches it knows are closed for good, and it calls allocator_alloc from then on.
import { word_wait } from '../locks/wait';
import { EBUSY, EINVAL, ENOMEM } from '../errno';
import { pages_alloc, pages_free } from '../pages';
import { WORKER } from '../worker';
import { caches_flush, heads_alloc } from './cache';
import { allocator_discard, depot_adopt, depot_discard, depot_dismiss } from './depot';
import { cpu_resume, cpu_stop } from './epoch';
import { first_entry, heap_mark, heap_mark_pages, is_marked, is_slab, last_entry } from './heap';
import { word_lock, word_unlock } from '../locks/word';
import { member_add, owner_place } from './member';
import { meta_alloc, meta_free, meta_trim } from './meta';
import { entry_link, entry_unlink } from './piece';
import { class_at, slab_assign, slab_bytes, slab_words } from './slab';
import {
  ALLOCATOR_CACHES, ALLOCATOR_DEPOT, ALLOCATOR_DRAINING, ALLOCATOR_MEMBER, ALLOCATOR_NEXT_MEMBER, ALLOCATOR_OLD_HEADS, ALLOCATOR_STATE, CLASS_COUNT, CLASS_OBJECTS,
  CLASS_OUT, CLASS_SLAB, CLASS_SLABS, DEPOT_CACHED, DEPOT_CHARGED, DEPOT_CLOSED, DEPOT_FLAGS, DEPOT_GROUP, DEPOT_HEADS, DEPOT_MEMBERS, DEPOT_MEMBER_COUNT,
  DEPOT_MEMBER_ROOM, DEPOT_MERGED, DEPOT_NEXT, DEPOT_OPEN, DEPOT_QUOTA, DEPOT_RESERVATIONS, DEPOT_SLAB_BYTES, RESERVATION_NEXT, SLAB_CLASS, SLAB_ENTRY, SLAB_FLAGS,
  SLAB_FRESH, SLAB_INDEX_SHIFT, SLAB_LISTED, SLAB_OBJECT_SIZE, SLAB_OWNERS, SLAB_START,
} from '../../layout/allocator';
import { ROOT, ROOT_ALLOCATORS_LOCK, ROOT_CPU_COUNT, ROOT_DEPOTS } from '../../layout/memory';
import { WORKER_CPU, WORKER_EPOCH } from '../../layout/worker';

/** How often, and how long each time, to wait for a CPU that is at work: a second in all. */
const STOP_ROUNDS = 10_000;
const STOP_WAIT_NS: i64 = 100_000;

/** Keeps all other CPUs from work; false: one does not end its own. */
function stop_others(): bool {
  const own = load<u32>(WORKER, WORKER_CPU);
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    if (cpu == own) continue;
    let rounds = 0;
    while (!cpu_stop(cpu)) {
      if (++rounds > STOP_ROUNDS) {
        resume_others(cpu);
        return false;
      }
      // Nobody notifies: a wait for a word of this CPU's is a sleep.
      word_wait(WORKER + WORKER_EPOCH, load<u32>(WORKER, WORKER_EPOCH), STOP_WAIT_NS);
    }
  }
  return true;
}

function resume_others(end: u32): void {
  const own = load<u32>(WORKER, WORKER_CPU);
  for (let cpu: u32 = 0; cpu < end; cpu++) {
    if (cpu != own) cpu_resume(cpu);
  }
}

/** Lets the allocators of two depots share slabs from now on. 0, or -EINVAL (their quotas or groups differ, one is closed), -EBUSY (a CPU does not end its run), -ENOMEM. */
export function allocator_merge(into: usize, from: usize): i32 {
  const to = <usize>load<u32>(into, ALLOCATOR_DEPOT);
  const of_from = <usize>load<u32>(from, ALLOCATOR_DEPOT);
  if (to == of_from) return 0;
  const quota = load<u64>(to, DEPOT_QUOTA);
  if (quota != load<u64>(of_from, DEPOT_QUOTA) || load<u32>(to, DEPOT_GROUP) != load<u32>(of_from, DEPOT_GROUP)) return <i32>EINVAL;
  if (quota != 0 && (load<u32>(to, DEPOT_GROUP) == 0 || load<u64>(to, DEPOT_CHARGED) + load<u64>(of_from, DEPOT_CHARGED) > quota)) return <i32>EINVAL;
  if (((load<u32>(to, DEPOT_FLAGS) | load<u32>(of_from, DEPOT_FLAGS)) & DEPOT_CLOSED) != 0) return <i32>EINVAL;
  if (!stop_others()) return <i32>EBUSY;
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  const done = merge(to, of_from);
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  resume_others(load<u32>(ROOT, ROOT_CPU_COUNT));
  if (done) depot_discard(of_from);
  return done ? 0 : <i32>ENOMEM;
}

// No other CPU is at work, so that no lock of a depot is needed.
function merge(to: usize, from: usize): bool {
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    caches_flush(to, cpu, true);
    caches_flush(from, cpu, true);
  }
  if (!owners_make(to)) return false;
  if (!owners_make(from)) {
    owners_drop(to);
    return false;
  }
  if (!share(to)) {
    owners_drop(to);
    owners_drop(from);
    return false;
  }
  const alone = (load<u32>(from, DEPOT_FLAGS) & DEPOT_MERGED) == 0;
  const numbers = meta_alloc(max<u32>(1, load<u32>(from, DEPOT_MEMBER_ROOM)) << 1);
  if (numbers == 0 || !members_number(to, from, numbers)) {
    if (numbers != 0) meta_free(numbers);
    owners_drop(from);
    return false;
  }
  slabs_move(to, from, numbers, alone);
  meta_free(numbers);
  members_move(to, from, alone);
  let link: usize = ROOT + ROOT_DEPOTS;
  while (<usize>load<u32>(link) != from) link = <usize>load<u32>(link) + DEPOT_NEXT;
  store<u32>(link, load<u32>(from, DEPOT_NEXT));
  return true;
}

/** Room for owners in all slabs. */
function owners_make(depot: usize): bool {
  if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_MERGED) != 0) return true;
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, depot)) continue;
    const owners = slab_words(entry);
    if (owners == 0) {
      owners_drop(depot);
      return false;
    }
    store<u32>(entry, <u32>owners, SLAB_OWNERS);
  }
  return true;
}

/** Undoes owners_make. */
function owners_drop(depot: usize): void {
  if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_MERGED) != 0) return;
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, depot) || load<u32>(entry, SLAB_OWNERS) == 0) continue;
    meta_free(load<u32>(entry, SLAB_OWNERS));
    store<u32>(entry, 0, SLAB_OWNERS);
  }
}

function owners_fill(entry: usize, number: u32): void {
  const owners = <usize>load<u32>(entry, SLAB_OWNERS);
  const count = slab_bytes(entry) >> load<u8>(entry, SLAB_INDEX_SHIFT);
  for (let i: u32 = 0; i < count; i++) store<u16>(owners + (<usize>i << 1), <u16>number);
}

/** Makes a depot one of merged allocators: the one it has gets a number, and caches that inline code does not know. */
function share(depot: usize): bool {
  const flags = load<u32>(depot, DEPOT_FLAGS);
  if ((flags & DEPOT_MERGED) != 0) return true;
  const allocator = <usize>load<u32>(depot, DEPOT_MEMBERS);
  const cached = (flags & DEPOT_CACHED) != 0;
  const heads = cached ? heads_alloc() : 0;
  if (cached && heads == 0) return false;
  if (!member_add(depot, allocator)) return false;
  store<u32>(allocator, load<u32>(depot, DEPOT_HEADS), ALLOCATOR_OLD_HEADS);
  store<u32>(allocator, 0, ALLOCATOR_CACHES);
  store<u32>(depot, <u32>heads, DEPOT_HEADS);
  store<u32>(depot, flags | DEPOT_MERGED, DEPOT_FLAGS);
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, depot)) continue;
    owners_fill(entry, load<u32>(allocator, ALLOCATOR_MEMBER));
    slab_assign(entry, depot);
  }
  return true;
}

/** Numbers in the new depot for the members of the old one, by their old numbers. */
function members_number(to: usize, from: usize, numbers: usize): bool {
  for (let member = <usize>load<u32>(from, DEPOT_MEMBERS); member != 0; member = load<u32>(member, ALLOCATOR_NEXT_MEMBER)) {
    const before = load<u32>(member, ALLOCATOR_MEMBER);
    // What was numbered so far keeps numbers that nobody has: they cost a word each.
    if (!member_add(to, member)) return false;
    store<u16>(numbers + (<usize>before << 1), load<u16>(member, ALLOCATOR_MEMBER));
  }
  return true;
}

function slabs_move(to: usize, from: usize, numbers: usize, alone: bool): void {
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, from)) continue;
    if (alone) owners_fill(entry, load<u16>(numbers));
    else {
      const owners = <usize>load<u32>(entry, SLAB_OWNERS);
      const count = slab_bytes(entry) >> load<u8>(entry, SLAB_INDEX_SHIFT);
      for (let i: usize = 0; i < <usize>count; i++) store<u16>(owners + (i << 1), load<u16>(numbers + (<usize>load<u16>(owners + (i << 1)) << 1)));
    }
    if ((load<u8>(entry, SLAB_FLAGS) & SLAB_LISTED) != 0) {
      const number = <u32>load<u8>(entry, SLAB_CLASS);
      entry_unlink(class_at(from, number) + CLASS_SLAB, entry);
      entry_link(class_at(to, number) + CLASS_SLAB, entry);
    }
    slab_assign(entry, to);
  }
  for (let number: u32 = 0; number < <u32>CLASS_COUNT; number++) {
    const a = class_at(to, number);
    const b = class_at(from, number);
    store<u32>(a, load<u32>(a, CLASS_SLABS) + load<u32>(b, CLASS_SLABS), CLASS_SLABS);
    store<u32>(a, load<u32>(a, CLASS_OUT) + load<u32>(b, CLASS_OUT), CLASS_OUT);
    store<u32>(a, load<u32>(a, CLASS_OBJECTS) + load<u32>(b, CLASS_OBJECTS), CLASS_OBJECTS);
  }
  store<u64>(to, load<u64>(to, DEPOT_CHARGED) + load<u64>(from, DEPOT_CHARGED), DEPOT_CHARGED);
  store<u64>(to, load<u64>(to, DEPOT_SLAB_BYTES) + load<u64>(from, DEPOT_SLAB_BYTES), DEPOT_SLAB_BYTES);
  let link = to + DEPOT_RESERVATIONS;
  while (load<u32>(link) != 0) link = <usize>load<u32>(link) + RESERVATION_NEXT;
  store<u32>(link, load<u32>(from, DEPOT_RESERVATIONS));
}

function members_move(to: usize, from: usize, alone: bool): void {
  for (let member = <usize>load<u32>(from, DEPOT_MEMBERS); member != 0; ) {
    const next = <usize>load<u32>(member, ALLOCATOR_NEXT_MEMBER);
    if (alone) {
      store<u32>(member, load<u32>(from, DEPOT_HEADS), ALLOCATOR_OLD_HEADS);
      store<u32>(from, 0, DEPOT_HEADS);
      store<u32>(member, 0, ALLOCATOR_CACHES);
    }
    depot_adopt(to, member);
    member = next;
  }
  store<u32>(to, load<u32>(to, DEPOT_OPEN) + load<u32>(from, DEPOT_OPEN), DEPOT_OPEN);
}

/** Ends merged allocators that nobody holds and of which nothing is live or waits, when no CPU is at work; how many. */
export function allocators_settle(): u32 {
  let settled: u32 = 0;
  const pages = heap_mark_pages();
  const bits = pages_alloc(pages);
  if (bits == 0) return 0;
  word_lock(ROOT + ROOT_ALLOCATORS_LOCK);
  for (let depot = <usize>load<u32>(ROOT, ROOT_DEPOTS); depot != 0; depot = load<u32>(depot, DEPOT_NEXT)) {
    if ((load<u32>(depot, DEPOT_FLAGS) & DEPOT_MERGED) == 0 || load<u32>(depot, DEPOT_MEMBER_COUNT) == load<u32>(depot, DEPOT_OPEN)) continue;
    const seen = meta_alloc(load<u32>(depot, DEPOT_MEMBER_ROOM));
    if (seen == 0) continue;
    heap_mark(depot, bits, true);
    owners_seen(depot, bits, seen);
    for (let member = <usize>load<u32>(depot, DEPOT_MEMBERS); member != 0; ) {
      const next = <usize>load<u32>(member, ALLOCATOR_NEXT_MEMBER);
      if (load<u32>(member, ALLOCATOR_STATE) == ALLOCATOR_DRAINING && load<u8>(seen + load<u32>(member, ALLOCATOR_MEMBER)) == 0) {
        depot_dismiss(depot, member);
        allocator_discard(member);
        settled++;
      }
      member = next;
    }
    meta_free(seen);
  }
  word_unlock(ROOT + ROOT_ALLOCATORS_LOCK);
  pages_free(bits, pages);
  if (settled != 0) meta_trim();
  return settled;
}

function owners_seen(depot: usize, bits: usize, seen: usize): void {
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, depot)) continue;
    const size = load<u32>(entry, SLAB_OBJECT_SIZE);
    for (let at = <usize>load<u32>(entry, SLAB_START); at < <usize>load<u32>(entry, SLAB_FRESH); at += size) {
      if (is_marked(bits, at)) store<u8>(seen + load<u16>(owner_place(at)), 1);
    }
  }
}
