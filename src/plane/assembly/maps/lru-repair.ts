// Lists of an LRU hash after a CPU ended in the middle: each list that one of its locks guards is made anew from the elements that say they are in it. What order they
// had is lost.
import { holds, let_go } from '../cpus/report';
import { carry_nothing } from '../locks/held';
import { WORKER } from '../worker';
import { cpu_count } from './header';
import { list_add, list_init } from './link';
import { ACTIVE, FREE, INACTIVE, LOCAL_FREE, LOCAL_PENDING, count, is_per_cpu, list_of, lists_of, local_of } from './lru-list';
import { CARRIES_COUNT } from '../../layout/locks';
import { MAP_MAX_ENTRIES, MAP_VALUES } from '../../layout/map';
import { HASH_ELEMENT_SIZE } from '../../layout/map-hash';
import {
  LRU_LISTS_COUNTS, LRU_LISTS_LOCK, LRU_LISTS_ROTATION, LRU_LOCAL_FREE, LRU_LOCAL_LOCK, LRU_LOCAL_PENDING, LRU_NODE_CPU, LRU_NODE_LINK, LRU_NODE_LIST,
} from '../../layout/map-lru';
import { WORKER_ELEMENT } from '../../layout/worker';

export function lru_repair(map: usize, report: usize): void {
  const cpus = cpu_count();
  const per_cpu = is_per_cpu(map);
  const sets: u32 = per_cpu ? cpus : 1;
  for (let cpu: u32 = 0; cpu < sets; cpu++) {
    const lists = lists_of(map, cpu);
    if (holds(lists + LRU_LISTS_LOCK)) lists_repair(map, lists, cpu, per_cpu);
  }
  for (let cpu: u32 = 0; cpu < cpus && !per_cpu; cpu++) {
    const local = local_of(map, cpu);
    if (holds(local + LRU_LOCAL_LOCK)) local_repair(map, local, cpu);
    listed(map, local + LRU_LOCAL_LOCK);
    let_go(report, local + LRU_LOCAL_LOCK);
  }
  for (let cpu: u32 = 0; cpu < sets; cpu++) {
    listed(map, lists_of(map, cpu) + LRU_LISTS_LOCK);
    let_go(report, lists_of(map, cpu) + LRU_LISTS_LOCK);
  }
}

/** Before the lock goes: an element in hand that is in a free list by now is anybody's from then on. */
function listed(map: usize, lock: usize): void {
  const element = <usize>load<u32>(WORKER, WORKER_ELEMENT);
  if (element <= <usize>CARRIES_COUNT || <usize>load<u32>(WORKER, WORKER_ELEMENT + 4) != map || !holds(lock)) return;
  const kind = <u32>load<u8>(element, LRU_NODE_LIST);
  if (kind == FREE || kind == LOCAL_FREE) carry_nothing();
}

function lists_repair(map: usize, lists: usize, cpu: u32, per_cpu: bool): void {
  for (let kind = ACTIVE; kind <= FREE; kind++) list_init(list_of(lists, kind));
  store<u64>(lists, 0, LRU_LISTS_COUNTS);
  store<u32>(lists, <u32>list_of(lists, INACTIVE), LRU_LISTS_ROTATION);
  let element = <usize>load<u32>(map, MAP_VALUES);
  for (let i = load<u32>(map, MAP_MAX_ENTRIES); i != 0; i--) {
    const kind = <u32>load<u8>(element, LRU_NODE_LIST);
    if (kind <= FREE && (!per_cpu || <u32>load<u16>(element, LRU_NODE_CPU) == cpu)) {
      list_add(list_of(lists, kind), element + LRU_NODE_LINK);
      count(lists, kind, 1);
    }
    element += load<u32>(map, HASH_ELEMENT_SIZE);
  }
}

function local_repair(map: usize, local: usize, cpu: u32): void {
  list_init(local + LRU_LOCAL_FREE);
  list_init(local + LRU_LOCAL_PENDING);
  let element = <usize>load<u32>(map, MAP_VALUES);
  for (let i = load<u32>(map, MAP_MAX_ENTRIES); i != 0; i--) {
    const kind = <u32>load<u8>(element, LRU_NODE_LIST);
    if ((kind == LOCAL_FREE || kind == LOCAL_PENDING) && <u32>load<u16>(element, LRU_NODE_CPU) == cpu) {
      list_add(local + (kind == LOCAL_FREE ? LRU_LOCAL_FREE : LRU_LOCAL_PENDING), element + LRU_NODE_LINK);
    }
    element += load<u32>(map, HASH_ELEMENT_SIZE);
  }
}
