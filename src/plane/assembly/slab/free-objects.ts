// Whether an object is free: asked where it bears the mark of free objects, which a live one may by chance, and by who looks at the whole heap.
import { cache_array, cache_head, is_open } from './cache';
import { depot_lock, depot_unlock } from './depot-lock';
import { entry_of } from './piece';
import { CACHED_CLASSES, CACHE_TOP, DEPOT_HEADS, SLAB_CLASS, SLAB_DEPOT, SLAB_FREE, SLAB_FRESH, SLAB_START } from '../../layout/allocator';
import { ROOT, ROOT_CPU_COUNT } from '../../layout/memory';

/** Whether an object lies in a cache or in its slab's list; it bears the mark of free objects. */
export function is_free(object: usize): bool {
  const entry = entry_of(load<u32>(entry_of(object), SLAB_START));
  const depot = <usize>load<u32>(entry, SLAB_DEPOT);
  if (object >= <usize>load<u32>(entry, SLAB_FRESH)) return true;
  const number = <u32>load<u8>(entry, SLAB_CLASS);
  let found = false;
  depot_lock(depot);
  for (let at = <usize>load<u32>(entry, SLAB_FREE); at != 0 && !found; at = load<u32>(at)) found = at == object;
  depot_unlock(depot);
  const heads = <usize>load<u32>(depot, DEPOT_HEADS);
  if (found || heads == 0 || number >= <u32>CACHED_CLASSES) return found;
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let cpu: u32 = 0; cpu < cpus && !found; cpu++) {
    const head = cache_head(heads, cpu, number);
    if (!is_open(head)) continue;
    const array = cache_array(head, number);
    for (let at = <usize>load<u32>(head, CACHE_TOP); at > array && !found; at -= 4) found = load<u32>(at) == <u32>object;
  }
  return found;
}
