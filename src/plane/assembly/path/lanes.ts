// A path on several CPUs: what a cpumap sends to a CPU that a thread runs goes on there, in that CPU's lane (layout/path.ts). A lane has lists of its own and shares programs and
// items with the path; an item is that side's in whose lists it stands. Between turns all lists are the path's thread's, which hands items from lane to lane.
import {
  ITEM_CPU, ITEM_END, ITEM_NEXT, ITEM_READY_NEXT, LOST_CRASH, NEXT_CPUMAP, NEXT_NOTHING, PATH_AWAY_FIRST, PATH_AWAY_LAST, PATH_COUNTER, PATH_HELD_COUNT, PATH_LANES, PATH_READY_FIRST,
  PATH_READY_LAST, PATH_UNDER_WAY,
} from '../../layout/path';
import { CPU_NOTHING, CPU_PATH, INBOX_HEAD, ITEM_A, ITEM_KIND } from '../../layout/cpu';
import { MAX_CPUS } from '../../layout/memory';
import { cpu_send, inbox_count, item_at } from '../cpus/inbox';
import { indexOf, itemAt, lose, makeReady } from './items';

@inline function laneOf(path: usize, cpu: u32): usize {
  return cpu < <u32>MAX_CPUS ? <usize>load<u32>(<usize>load<u32>(path, PATH_LANES) + (<usize>cpu << 2)) : 0;
}

/** The item's CPU is a thread's, and not this one's; or no thread runs it, which then is for the path's own. */
@inline export function isElsewhere(path: usize, item: usize): bool {
  if (load<u32>(path, PATH_LANES) == 0) return false;
  const to = laneOf(path, load<u32>(item, ITEM_CPU) - 1);
  return to == path ? false : to != 0 || isLane(path);
}

function isLane(path: usize): bool {
  for (let cpu: u32 = 0; cpu < <u32>MAX_CPUS; cpu++) if (laneOf(path, cpu) == path) return true;
  return false;
}

/** Behind those that leave the lane; it waits for its CPU. */
export function sendAway(path: usize, item: usize): void {
  const index = indexOf(path, item) + 1;
  const last = load<u32>(path, PATH_AWAY_LAST);
  store<u32>(item, 0, ITEM_READY_NEXT);
  store<u32>(item, NEXT_NOTHING, ITEM_NEXT);
  if (last == 0) store<u32>(path, index, PATH_AWAY_FIRST);
  else store<u32>(itemAt(path, last - 1), index, ITEM_READY_NEXT);
  store<u32>(path, index, PATH_AWAY_LAST);
}

function share(path: usize, from: usize): u32 {
  let moved: u32 = 0;
  let number = load<u32>(from, PATH_AWAY_FIRST);
  store<u32>(from, 0, PATH_AWAY_FIRST);
  store<u32>(from, 0, PATH_AWAY_LAST);
  while (number != 0) {
    const item = itemAt(path, number - 1);
    number = load<u32>(item, ITEM_READY_NEXT);
    if (load<u32>(item, ITEM_END) != 0) continue;
    const lane = laneOf(path, load<u32>(item, ITEM_CPU) - 1);
    makeReady(lane == 0 ? path : lane, item, NEXT_CPUMAP);
    moved++;
  }
  return moved;
}

/** Hands on what has left the path and its lanes, in the order in which each sent it; how many items. No lane is under way. */
export function path_share(path: usize): u32 {
  let moved = share(path, path);
  for (let cpu: u32 = 0; cpu < <u32>MAX_CPUS; cpu++) {
    const lane = laneOf(path, cpu);
    if (lane != 0) moved += share(path, lane);
  }
  return moved;
}

/** Gives lanes that have items to their CPUs; how many of them found no room in an inbox, and are to be tried again. */
export function path_send(path: usize): u32 {
  let left: u32 = 0;
  for (let cpu: u32 = 0; cpu < <u32>MAX_CPUS; cpu++) {
    const lane = laneOf(path, cpu);
    if (lane == 0 || load<u32>(lane, PATH_READY_FIRST) == 0 || atomic.load<u32>(lane + PATH_UNDER_WAY) != 0) continue;
    atomic.store<u32>(lane + PATH_UNDER_WAY, 1);
    if (cpu_send(cpu, CPU_PATH, <u32>lane, 0, 0, 0) != 0) continue;
    atomic.store<u32>(lane + PATH_UNDER_WAY, 0);
    left++;
  }
  return left;
}

/** The CPU's thread has ended, and what it left is in order: what it had of the path is lost, and its inbox says nothing of the lane. */
export function path_abandon(path: usize, cpu: u32, inbox: usize): void {
  const lane = laneOf(path, cpu);
  const head = load<u32>(inbox, INBOX_HEAD);
  const waiting = inbox_count(inbox);
  for (let i: u32 = 0; i < waiting; i++) {
    const item = item_at(inbox, head + i);
    if (load<u32>(item, ITEM_KIND) == CPU_PATH && load<u32>(item, ITEM_A) == <u32>lane) store<u32>(item, CPU_NOTHING, ITEM_KIND);
  }
  store<u32>(lane, 0, PATH_READY_FIRST);
  store<u32>(lane, 0, PATH_READY_LAST);
  store<u32>(lane, 0, PATH_HELD_COUNT);
  const count = load<u32>(<usize>load<u32>(path, PATH_COUNTER));
  for (let index: u32 = 0; index < count; index++) {
    const item = itemAt(path, index);
    if (load<u32>(item, ITEM_CPU) == cpu + 1 && load<u32>(item, ITEM_END) == 0) lose(item, LOST_CRASH);
  }
  atomic.store<u32>(lane + PATH_UNDER_WAY, 0);
}
