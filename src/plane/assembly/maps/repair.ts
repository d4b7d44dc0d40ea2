// Maps after a CPU ended in the middle of an operation: what its locks guard made whole, and what it had in hand put where it belongs. For the CPU's own worker block.
import { holds, let_go, recovered } from '../cpus/report';
import { arena_objects_repair } from '../kfuncs/arena-objects';
import { WORKER } from '../worker';
import { arena_repair } from './arena';
import { bucket_of, first_of, next_of } from './chain';
import { draws_elements, trimmed_give } from './element';
import { hash_give } from './hash';
import { lpm_repair } from './lpm-repair';
import { list_init } from './link';
import { TAKEN, lru_give } from './lru-list';
import { lru_repair } from './lru-repair';
import { ringbuf_recover } from './ringbuf-repair';
import { is_storage } from './storage-types';
import {
  ARENA, DEVMAP_HASH, HASH, HASH_OF_MAPS, LPM_TRIE, LRU_HASH, LRU_PERCPU_HASH, PERCPU_HASH, QUEUE, REUSEPORT_SOCKARRAY, RINGBUF, SOCKHASH,
  SOCKMAP, STACK, STACK_TRACE, STRUCT_OPS, USER_RINGBUF, XSKMAP,
} from './types';
import { CARRIES_COUNT } from '../../layout/locks';
import { MAP_NEXT, MAP_TYPE } from '../../layout/map';
import { ARENA_LOCK, ARENA_SLABS_LOCK } from '../../layout/map-arena';
import { HASH_BUCKETS, HASH_ELEMENT_HASH, HASH_LOCKED, HASH_MASK, HASH_TRIMS, HASH_UNUSED } from '../../layout/map-hash';
import { LRU_NODE_LINK, LRU_NODE_LIST } from '../../layout/map-lru';
import { LPM_LOCK } from '../../layout/map-lpm';
import { QUEUE_LOCK } from '../../layout/map-queue';
import { RINGBUF_PRODUCER_LOCK } from '../../layout/map-ringbuf';
import { SOCKMAP_LOCK } from '../../layout/map-socket';
import { XSKMAP_LOCK } from '../../layout/map-target';
import { USER_RINGBUF_BUSY } from '../../layout/map-user-ringbuf';
import { ROOT, ROOT_MAPS } from '../../layout/memory';
import { RECOVERED_ELEMENTS, RECOVERED_LOCKS } from '../../layout/recovery';
import { TRACE_LOCK } from '../../layout/stack-trace';
import { WORKER_BIT_LOCK, WORKER_ELEMENT } from '../../layout/worker';
import { STRUCT_OPS_LOCK } from './struct-ops';
import { WRITERS } from './hash-of-maps';

/** A lock in a bit: the word says no more than that it is held. What stands behind it is as it was, or as it was to be: each change is one store. */
export function bit_lock_repair(report: usize): void {
  const at = <usize>load<u32>(WORKER, WORKER_BIT_LOCK);
  if (at == 0) return;
  store<u32>(WORKER, 0, WORKER_BIT_LOCK);
  const word = atomic.load<u64>(at);
  if ((word & <u64>HASH_LOCKED) == 0) return;
  recovered(report, RECOVERED_LOCKS);
  // Readers of a bucket look again where the upper half changes; a producer's position stays.
  atomic.store<u64>(at, is_bucket(at) ? ((word & ~(<u64>HASH_LOCKED)) + ((<u64>1) << 32)) : word & ~(<u64>HASH_LOCKED));
}

function is_bucket(at: usize): bool {
  for (let map = <usize>load<u32>(ROOT, ROOT_MAPS); map != 0; map = load<u32>(map, MAP_NEXT)) {
    if (!has_buckets(load<u32>(map, MAP_TYPE))) continue;
    const first = <usize>load<u32>(map, HASH_BUCKETS);
    if (at >= first && at <= first + (<usize>load<u32>(map, HASH_MASK) << 3)) return true;
  }
  return false;
}

function has_buckets(type: u32): bool {
  return type == HASH || type == PERCPU_HASH || type == LRU_HASH || type == LRU_PERCPU_HASH || type == HASH_OF_MAPS || type == SOCKHASH || is_storage(type) || type == DEVMAP_HASH;
}

/** Locks of all maps. The CPU is in an epoch: maps stay. */
export function maps_repair(report: usize): void {
  for (let map = <usize>load<u32>(ROOT, ROOT_MAPS); map != 0; map = load<u32>(map, MAP_NEXT)) {
    const type = load<u32>(map, MAP_TYPE);
    if (type == LPM_TRIE) {
      if (holds(map + LPM_LOCK)) lpm_repair(map);
      let_go(report, map + LPM_LOCK);
    } else if (type == QUEUE || type == STACK) let_go(report, map + QUEUE_LOCK);
    else if (type == ARENA) {
      if (holds(map + ARENA_LOCK)) arena_repair(map);
      let_go(report, map + ARENA_LOCK);
      if (holds(map + ARENA_SLABS_LOCK)) arena_objects_repair(map);
      let_go(report, map + ARENA_SLABS_LOCK);
    } else if (type == RINGBUF || type == USER_RINGBUF) {
      let_go(report, map + RINGBUF_PRODUCER_LOCK);
      if (type == RINGBUF) ringbuf_recover(map, report);
      else let_go(report, map + USER_RINGBUF_BUSY);
    } else if (type == STACK_TRACE) let_go(report, map + TRACE_LOCK);
    else if (type == STRUCT_OPS) let_go(report, map + STRUCT_OPS_LOCK);
    else if (type == HASH_OF_MAPS) let_go(report, map + WRITERS);
    else if (type == SOCKMAP || type == SOCKHASH || type == REUSEPORT_SOCKARRAY) let_go(report, map + SOCKMAP_LOCK);
    else if (type == XSKMAP) let_go(report, map + XSKMAP_LOCK);
    else if (type == LRU_HASH || type == LRU_PERCPU_HASH) lru_repair(map, report);
    else if (draws_elements(map)) {
      if (holds(map + HASH_TRIMS)) trimmed_give(map, u32.MAX_VALUE);
      let_go(report, map + HASH_TRIMS);
    }
  }
}

/** The element in hand: into the free list, if it is in no chain. */
export function element_recover(report: usize): void {
  const element = <usize>load<u32>(WORKER, WORKER_ELEMENT);
  if (element == 0) return;
  const map = <usize>load<u32>(WORKER, WORKER_ELEMENT + 4);
  if (element == CARRIES_COUNT) {
    atomic.sub<u32>(map, 1, HASH_UNUSED);
  } else if (!is_chained(map, element)) {
    const type = load<u32>(map, MAP_TYPE);
    if (type == LRU_HASH || type == LRU_PERCPU_HASH) {
      // In no list, or in one that was made anew without it.
      if (load<u8>(element, LRU_NODE_LIST) == TAKEN) list_init(element + LRU_NODE_LINK);
      lru_give(map, element);
    }
    else hash_give(map, element);
    recovered(report, RECOVERED_ELEMENTS);
  }
  store<u32>(WORKER, 0, WORKER_ELEMENT);
}

function is_chained(map: usize, element: usize): bool {
  let at = first_of(atomic.load<u64>(bucket_of(map, load<u32>(element, HASH_ELEMENT_HASH))));
  while (at != 0 && at != element) at = next_of(at);
  return at != 0;
}
