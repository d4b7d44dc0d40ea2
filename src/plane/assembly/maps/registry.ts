// All maps of the memory, by id, and how long they live: a map goes when its last reference does.
import { pages_free } from '../pages';
import { map_drop_allocators } from './allocator';
import { cgroup_array_release } from './cgroup-array';
import { cpumap_release } from './cpumap';
import { releaseTimersOf } from '../kfuncs/timer';
import { draws_elements, elements_release } from './element';
import { record_end } from './record';
import { release_inner } from './inner';
import { lpm_trie_release } from './lpm-trie';
import { has_timers } from './value';
import { reuseport_sockarray_release } from './reuseport-sockarray';
import { sockmap_release } from './sockmap';
import { CGROUP_ARRAY, CPUMAP, HASH, LPM_TRIE, REUSEPORT_SOCKARRAY, SOCKHASH, SOCKMAP } from './types';
import { word_lock, word_unlock } from '../locks/word';
import { retire } from '../slab/epoch';
import { WAITS_MAP } from '../../layout/allocator';
import { MAP_ID, MAP_NEXT, MAP_PAGES, MAP_PAGE_COUNT, MAP_REFERENCES, MAP_TYPE } from '../../layout/map';
import { ROOT, ROOT_MAPS, ROOT_MAPS_LOCK } from '../../layout/memory';

export function registry_add(map: usize): void {
  word_lock(ROOT + ROOT_MAPS_LOCK);
  store<u32>(map, load<u32>(ROOT, ROOT_MAPS), MAP_NEXT);
  store<u32>(ROOT, <u32>map, ROOT_MAPS);
  word_unlock(ROOT + ROOT_MAPS_LOCK);
}

function remove(map: usize): void {
  word_lock(ROOT + ROOT_MAPS_LOCK);
  let link: usize = ROOT + ROOT_MAPS;
  while (load<u32>(link) != <u32>map) link = <usize>load<u32>(link) + MAP_NEXT;
  store<u32>(link, load<u32>(map, MAP_NEXT));
  word_unlock(ROOT + ROOT_MAPS_LOCK);
}

/** The map with this id, held for the caller; 0 if there is none. */
export function map_by_id(id: u32): usize {
  word_lock(ROOT + ROOT_MAPS_LOCK);
  let map = <usize>load<u32>(ROOT, ROOT_MAPS);
  while (map != 0 && load<u32>(map, MAP_ID) != id) map = load<u32>(map, MAP_NEXT);
  if (map != 0 && !map_try_hold(map)) map = 0;
  word_unlock(ROOT + ROOT_MAPS_LOCK);
  return map;
}

/** One more holder of a map that may have none any more: false, as it is about to go, and to leave the list. */
export function map_try_hold(map: usize): bool {
  let references = atomic.load<u32>(map, MAP_REFERENCES);
  while (references != 0) {
    const before = atomic.cmpxchg<u32>(map, references, references + 1, MAP_REFERENCES);
    if (before == references) return true;
    references = before;
  }
  return false;
}

/** One more holder of the map. */
export function map_hold(map: usize): void {
  atomic.add<u32>(map, 1, MAP_REFERENCES);
}

/** Drops a reference. After the last one nobody finds the map any more, and it ends with the runs that may have found it before, as inner maps are. */
export function map_destroy(map: usize): void {
  if (atomic.sub<u32>(map, 1, MAP_REFERENCES) != 1) return;
  remove(map);
  if (has_timers(map)) releaseTimersOf(map);
  retire(map, WAITS_MAP);
}

/** Gives the memory of a map back, and drops what it holds of other maps and objects. */
export function map_end(map: usize): void {
  // A run that was under way may have begun new ones.
  if (has_timers(map)) releaseTimersOf(map);
  record_end(map);
  const type = load<u32>(map, MAP_TYPE);
  if (type == SOCKMAP || type == SOCKHASH) sockmap_release(map);
  else if (type == REUSEPORT_SOCKARRAY) reuseport_sockarray_release(map);
  else if (type == CGROUP_ARRAY) cgroup_array_release(map);
  else if (type == CPUMAP) cpumap_release(map);
  else release_inner(map);
  if (type == LPM_TRIE) lpm_trie_release(map);
  else if (draws_elements(map)) elements_release(map, type == HASH);
  map_drop_allocators(map);
  pages_free(load<u32>(map, MAP_PAGES), load<u32>(map, MAP_PAGE_COUNT));
}
