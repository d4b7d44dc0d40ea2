// What a CPU leaves behind whose thread has ended in the middle of anything: locks, an epoch, things in hand, caches, an item of its inbox. This runs in the CPU's own name, by
// an instance of the plane with its worker block, in whatever thread: locks that it holds are its own, what it had begun it ends.
//
// The order is that of locks, the innermost first: what a repair needs has been repaired before. Whoever waits for one of these locks finds what it guards whole.
import { timer_try_done, timers_rebuild, timers_recover } from '../kfuncs/timer-firing';
import { tree_repair } from '../kfuncs/rbtree';
import { baseOf } from '../kfuncs/timer-queue';
import { cpu_count } from '../maps/header';
import { bit_lock_repair, element_recover, maps_repair } from '../maps/repair';
import { allocator_free } from '../slab/allocator';
import { cpu_resume, epoch_leave, is_stopped_here, limbo_adopt, limbo_count } from '../slab/epoch';
import { is_free } from '../slab/free-objects';
import { caches_recover, depot_repair, is_in_slab, is_waiting, pieces_repair } from '../slab/repair';
import { WORKER } from '../worker';
import { retired_end } from '../slab/retired';
import { DEPOT_LOCK, WAITS_MASK, WAITS_OBJECT } from '../../layout/allocator';
import { CPU_NOTHING, ITEM_KIND, STOPPED_CRASH } from '../../layout/cpu';
import { PROGRAM_LOCKS } from '../../layout/locks';
import {
  META_DEPOT, ROOT, ROOT_ALLOCATORS_LOCK, ROOT_EPOCH, ROOT_HEADS_LOCK, ROOT_MAPS_LOCK, ROOT_OBJECTS_LOCK, ROOT_PAGE_LOCK, ROOT_PIECES_LOCK, ROOT_POOL_LOCK,
  ROOT_QUARANTINE_LOCK,
} from '../../layout/memory';
import { RECOVERED_BYTES, RECOVERED_ITEMS, RECOVERED_OBJECTS, RECOVERED_VALUES } from '../../layout/recovery';
import {
  WORKER_CPU, WORKER_DEPOT, WORKER_EPOCH, WORKER_EPOCH_DEPTH, WORKER_FIELD_LOCK, WORKER_INBOX, WORKER_ITEM, WORKER_LOCK_HELD, WORKER_OPERATION, WORKER_PAGE_COUNT, WORKER_PAGES, WORKER_PATH, WORKER_PROGRAM_LOCKS, WORKER_RECLAIMED,
  WORKER_RUN_STORAGE, WORKER_THROWN, WORKER_TIMER_LIST_LOCK, WORKER_TIMER_LOCK, WORKER_TREE,
} from '../../layout/worker';
import { pages_free } from '../pages';
import { wake } from './inbox';
import { queue_reschedule } from './map-queue';
import { holds, let_go, recovered } from './report';
import { cpu_stopped } from './turn';

/**
 * First: what the CPU of this worker block held as locks is made whole, and let go; what was done is counted in RECOVERED_BYTES at `report`. No thread runs the CPU. Waits for nothing, as
 * the caller may itself be waiting for one of those locks, and hold others.
 */
export function cpu_recover(report: usize): void {
  memory.fill(report, 0, RECOVERED_BYTES);
  // In an epoch from here on, so that nothing goes that is looked at.
  atomic.store<u32>(WORKER + WORKER_EPOCH, (atomic.load<u32>(ROOT + ROOT_EPOCH) << 2) | 1);
  store<u32>(WORKER, 1, WORKER_EPOCH_DEPTH);
  store<u32>(WORKER, 0, WORKER_OPERATION);
  store<u32>(WORKER, 0, WORKER_PATH);
  store<u32>(WORKER, 0, WORKER_THROWN);
  allocators_recover(report);
  for (let cpu: u32 = 0; cpu < cpu_count(); cpu++) {
    if (holds(baseOf(cpu) + WORKER_TIMER_LOCK)) timers_rebuild(cpu);
    let_go(report, baseOf(cpu) + WORKER_TIMER_LOCK);
    let_go(report, baseOf(cpu) + WORKER_TIMER_LIST_LOCK);
  }
  // Lists whose changes are one store each.
  let_go(report, ROOT + ROOT_OBJECTS_LOCK);
  let_go(report, ROOT + ROOT_MAPS_LOCK);
  bit_lock_repair(report);
  maps_repair(report);
  values_recover(report);
}

/** Meanwhile, where somebody may wait for a callback of the CPU's and has no lock of timers: it counts as ended. False: a lock is held. */
export function cpu_recover_timer(): bool {
  return timer_try_done();
}

/** Second: what the CPU had in hand is put where it belongs. The caller holds no lock, and may wait for those of others. */
export function cpu_recover_rest(report: usize): void {
  // Before anything is freed in its name: a cache that was being emptied still has what it gave.
  const own = load<u32>(WORKER, WORKER_CPU);
  let cached = caches_recover(own);
  element_recover(report);
  reclaimed_recover(report);
  // Others whose caches it was emptying wait for it.
  for (let cpu: u32 = 0; cpu < cpu_count(); cpu++) {
    if (!is_stopped_here(cpu)) continue;
    cached += caches_recover(cpu);
    cpu_resume(cpu);
  }
  store<u32>(report, load<u32>(report, RECOVERED_OBJECTS) + cached, RECOVERED_OBJECTS);
  timers_recover(own);
  queue_reschedule();
}

/** Third: the item of its inbox that was under way ends. Where that leads to nothing that is there, this traps: cpu_drop_item. */
export function cpu_recover_item(report: usize): void {
  const item = <usize>load<u32>(WORKER, WORKER_ITEM);
  const ends = item == 0 || load<u32>(item, ITEM_KIND) != CPU_NOTHING;
  if (cpu_stopped(STOPPED_CRASH) != 0 && ends) recovered(report, RECOVERED_ITEMS);
}

/** And last: it leaves its epoch, and who may not have been told of work that it gave them looks. */
export function cpu_recover_end(): void {
  limbo_count();
  epoch_leave(0);
  for (let cpu: u32 = 0; cpu < cpu_count(); cpu++) {
    const inbox = <usize>atomic.load<u32>(baseOf(cpu) + WORKER_INBOX);
    if (inbox != 0) wake(inbox);
  }
  const pages = load<u32>(WORKER, WORKER_PAGES);
  store<u32>(WORKER, 0, WORKER_PAGES);
  pages_free(pages, load<u32>(WORKER, WORKER_PAGE_COUNT));
}

function allocators_recover(report: usize): void {
  let_go(report, ROOT + ROOT_PAGE_LOCK);
  if (holds(ROOT + ROOT_PIECES_LOCK)) pieces_repair();
  let_go(report, ROOT + ROOT_PIECES_LOCK);
  let_go(report, ROOT + ROOT_HEADS_LOCK);
  depot_recover(report, META_DEPOT);
  const depot = <usize>load<u32>(WORKER, WORKER_DEPOT);
  if (depot != 0) depot_recover(report, depot);
  store<u32>(WORKER, 0, WORKER_DEPOT);
  let_go(report, ROOT + ROOT_QUARANTINE_LOCK);
  let_go(report, ROOT + ROOT_ALLOCATORS_LOCK);
  let_go(report, ROOT + ROOT_POOL_LOCK);
}

function depot_recover(report: usize, depot: usize): void {
  if (holds(depot + DEPOT_LOCK)) {
    depot_repair(depot);
    // What was given back is anybody's once the lock is free.
    const object = <usize>load<u32>(WORKER, WORKER_RECLAIMED);
    if (object != 0 && ((<u32>object) & WAITS_MASK) == WAITS_OBJECT && is_in_slab(depot, object)) store<u32>(WORKER, 0, WORKER_RECLAIMED);
  }
  let_go(report, depot + DEPOT_LOCK);
}

/** An object that was being freed: it is free, or waits, or goes now. */
function reclaimed_recover(report: usize): void {
  const object = <usize>load<u32>(WORKER, WORKER_RECLAIMED);
  store<u32>(WORKER, 0, WORKER_RECLAIMED);
  const kind = <u32>object & WAITS_MASK;
  if (object == 0 || is_waiting(object) || (kind == WAITS_OBJECT && is_free(object))) return;
  if (kind == WAITS_OBJECT) allocator_free(object);
  else retired_end(object & ~(<usize>WAITS_MASK), kind);
  recovered(report, RECOVERED_OBJECTS);
}

/** Locks in values: what they guard may be half written, as the program left it; lists and trees of objects are whole. */
function values_recover(report: usize): void {
  const tree = <usize>load<u32>(WORKER, WORKER_TREE);
  if (tree != 0) tree_repair(tree);
  store<u32>(WORKER, 0, WORKER_TREE);
  const count = min<u32>(load<u32>(WORKER, WORKER_PROGRAM_LOCKS), PROGRAM_LOCKS);
  for (let i: u32 = 0; i < count; i++) value_let_go(report, load<u32>(WORKER + (<usize>i << 2), WORKER_PROGRAM_LOCKS + 4));
  value_let_go(report, load<u32>(WORKER, WORKER_FIELD_LOCK));
  store<u32>(WORKER, 0, WORKER_PROGRAM_LOCKS);
  store<u32>(WORKER, 0, WORKER_FIELD_LOCK);
  store<u32>(WORKER, 0, WORKER_LOCK_HELD);
  store<u32>(WORKER, 0, WORKER_RUN_STORAGE);
}

function value_let_go(report: usize, word: usize): void {
  if (word == 0 || !holds(word)) return;
  recovered(report, RECOVERED_VALUES);
  let_go(report, word);
}

/** For another CPU's instance: what waits for an epoch on a CPU that has no thread any more waits on this one. */
export function cpu_adopt(cpu: u32): void {
  limbo_adopt(cpu);
}
