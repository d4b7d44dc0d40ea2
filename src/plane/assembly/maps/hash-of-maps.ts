// Hash of maps: a hash map whose values are addresses of maps. Programs only look up; user space writes. Facts: kernel/bpf/hashtab.c.
import { hash_create, hash_delete, hash_lookup, hash_update } from './hash';
import { inner_check, inner_keep, inner_take } from './inner';
import { word_lock, word_unlock } from '../locks/word';
import { map_destroy } from './registry';
import { pages_free } from '../pages';
import { WORKER } from '../worker';
import { EINVAL, ENOENT } from '../errno';
import { MAP_ID, MAP_PAGES, MAP_PAGE_COUNT } from '../../layout/map';
import { WORKER_SCRATCH } from '../../layout/worker';

// Writers' lock, in the private part of the header behind the hash's fields: what was there is read and replaced as one.
export const WRITERS: usize = 144;

export function hash_of_maps_create(
  type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  flags: u32,
  seed: u64,
  inner: usize,
): usize {
  if (value_size != 4) return <usize>EINVAL;
  // Linux checks the attributes first, so the map is made before the inner one is looked at.
  const map = hash_create(type, key_size, value_size, max_entries, flags, seed);
  if (map >= <usize>-4095) return map;
  const refused = inner_check(inner);
  if (refused == 0) {
    inner_keep(map, inner);
    return map;
  }
  // Not among the maps yet: only its pages go.
  pages_free(load<u32>(map, MAP_PAGES), load<u32>(map, MAP_PAGE_COUNT));
  return <usize>refused;
}

/** The map at `key`, 0 if there is none. */
export function hash_of_maps_lookup(map: usize, key: usize): usize {
  const value = hash_lookup(map, key);
  return value == 0 ? 0 : <usize>load<u32>(value);
}

/** User space: the id of the map at `key` to `out`, or -ENOENT. */
export function hash_of_maps_read(map: usize, key: usize, out: usize): i32 {
  const inner = hash_of_maps_lookup(map, key);
  if (inner == 0) return <i32>ENOENT;
  store<u32>(out, load<u32>(inner, MAP_ID));
  return 0;
}

/** User space: puts the map whose id is at `value` there, with a reference, and drops the one on what was there. */
export function hash_of_maps_write(map: usize, key: usize, value: usize, flags: u32): i32 {
  const inner = inner_take(map, load<u32>(value));
  if (inner >= <usize>-4095) return <i32>inner;
  const address = WORKER + WORKER_SCRATCH;
  store<u32>(address, <u32>inner);
  word_lock(map + WRITERS);
  const old = hash_of_maps_lookup(map, key);
  const refused = <i32>hash_update(map, key, address, flags);
  word_unlock(map + WRITERS);
  const dropped = refused == 0 ? old : inner;
  if (dropped != 0) map_destroy(dropped);
  return refused;
}

export function hash_of_maps_remove(map: usize, key: usize): i32 {
  word_lock(map + WRITERS);
  const old = hash_of_maps_lookup(map, key);
  const refused = <i32>hash_delete(map, key);
  word_unlock(map + WRITERS);
  if (refused == 0) map_destroy(old);
  return refused;
}
