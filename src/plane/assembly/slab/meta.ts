// What allocators themselves need: handles, depots, arrays of caches, owners. From a depot of its own, whose place is fixed; zeroed, without caches and quota.
import { class_of } from './class';
import { word_lock, word_unlock } from '../locks/word';
import { object_put, objects_take, slabs_trim } from './slab';
import { DEPOT_LOCK, DEPOT_OBJECT, OBJECT_KEY } from '../../layout/allocator';
import { META_DEPOT, ROOT, ROOT_FREE_KEY } from '../../layout/memory';

/** At least `size` bytes of zeros, aligned to 8; 0: no memory. */
export function meta_alloc(size: u32): usize {
  const at = <usize>META_DEPOT + DEPOT_OBJECT;
  word_lock(META_DEPOT + DEPOT_LOCK);
  const found = objects_take(META_DEPOT, class_of(size), at, 1);
  const object = <usize>load<u32>(at);
  word_unlock(META_DEPOT + DEPOT_LOCK);
  if (found == 0) return 0;
  for (let word = object; word < object + size; word += 8) store<u64>(word, 0);
  return object;
}

export function meta_free(object: usize): void {
  store<u32>(object, load<u32>(ROOT, ROOT_FREE_KEY), OBJECT_KEY);
  word_lock(META_DEPOT + DEPOT_LOCK);
  object_put(META_DEPOT, object);
  word_unlock(META_DEPOT + DEPOT_LOCK);
}

/** Gives back slabs that nothing is in. */
export function meta_trim(): void {
  word_lock(META_DEPOT + DEPOT_LOCK);
  slabs_trim(META_DEPOT);
  word_unlock(META_DEPOT + DEPOT_LOCK);
}
