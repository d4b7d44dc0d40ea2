// Which objects are live, for maps of the heap and for what is counted by owner: a bit for every 8 bytes (MARK_SHIFT) of the memory, in memory of the caller. True when no CPU is at work.
import { cache_array, cache_head, is_open } from './cache';
import { quarantine_at, quarantine_count } from './checks';
import { address_of, entry_of } from './piece';
import {
  CACHED_CLASSES, CACHE_TOP, DEPOT_HEADS, DEPOT_NEXT, LIMBO_COUNT, LIMBO_NEXT, LIMBO_OBJECTS, MARK_SHIFT, SLAB_DEPOT, SLAB_ENTRY, SLAB_FREE, SLAB_FRESH, SLAB_OBJECT_SIZE, SLAB_START,
  WAITS_MASK, WAITS_OBJECT,
} from '../../layout/allocator';
import { HEAP, META_DEPOT, ROOT, ROOT_CPU_COUNT, ROOT_DEPOTS, ROOT_HEAP_TOP, WORKERS, WORKER_SIZE } from '../../layout/memory';
import { WORKER_LIMBO_OLDEST } from '../../layout/worker';

/** Pages for the bits of the memory as it is now, and what these pages may themselves make it grow by. */
export function heap_mark_pages(): u32 {
  return ((load<u32>(ROOT, ROOT_HEAP_TOP) >> (MARK_SHIFT + 3)) >> 16) + 2;
}

// @ts-ignore: decorator
@inline
function clear(bits: usize, object: usize): void {
  const at = bits + (object >> (MARK_SHIFT + 3));
  store<u8>(at, load<u8>(at) & ~(<u8>1 << <u8>((object >> MARK_SHIFT) & 7)));
}

// @ts-ignore: decorator
@inline
export function is_marked(bits: usize, object: usize): bool {
  return ((load<u8>(bits + (object >> (MARK_SHIFT + 3))) >> <u8>((object >> MARK_SHIFT) & 7)) & 1) != 0;
}

/** First entry of the side table that can be a slab's, and the first that cannot. */
export function first_entry(): usize {
  return entry_of(HEAP);
}

export function last_entry(): usize {
  return entry_of(load<u32>(ROOT, ROOT_HEAP_TOP));
}

/** Whether an entry begins a slab, of this depot, or of any but that of the allocators themselves if it is 0. */
export function is_slab(entry: usize, depot: usize): bool {
  const owner = <usize>load<u32>(entry, SLAB_DEPOT);
  return owner != 0 && (depot == 0 ? owner != META_DEPOT : owner == depot) && <usize>load<u32>(entry, SLAB_START) == address_of(entry);
}

/** Sets the bits of the live objects of a depot (0: of all), in zeroed pages; `waiting`: and of those that were freed and wait. */
export function heap_mark(depot: usize, bits: usize, waiting: bool): void {
  const end = last_entry();
  for (let entry = first_entry(); entry < end; entry += SLAB_ENTRY) {
    if (!is_slab(entry, depot)) continue;
    const size = load<u32>(entry, SLAB_OBJECT_SIZE);
    const fresh = load<u32>(entry, SLAB_FRESH);
    for (let at = load<u32>(entry, SLAB_START); at < fresh; at += size) {
      const place = bits + (at >> (MARK_SHIFT + 3));
      store<u8>(place, load<u8>(place) | (<u8>1 << <u8>((at >> MARK_SHIFT) & 7)));
    }
    for (let at = <usize>load<u32>(entry, SLAB_FREE); at != 0; at = load<u32>(at)) clear(bits, at);
  }
  const cpus = load<u32>(ROOT, ROOT_CPU_COUNT);
  for (let each = <usize>load<u32>(ROOT, ROOT_DEPOTS); each != 0; each = load<u32>(each, DEPOT_NEXT)) {
    const heads = <usize>load<u32>(each, DEPOT_HEADS);
    if (heads == 0) continue;
    for (let cpu: u32 = 0; cpu < cpus; cpu++) {
      for (let number: u32 = 0; number < <u32>CACHED_CLASSES; number++) {
        const head = cache_head(heads, cpu, number);
        if (!is_open(head)) continue;
        const array = cache_array(head, number);
        for (let at = <usize>load<u32>(head, CACHE_TOP); at > array; at -= 4) clear(bits, load<u32>(at));
      }
    }
  }
  for (let i: u32 = 0; i < quarantine_count(); i++) clear(bits, quarantine_at(i));
  if (waiting) return;
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    let chunk = <usize>load<u32>((WORKERS as usize) + <usize>cpu * WORKER_SIZE, WORKER_LIMBO_OLDEST);
    for (; chunk != 0; chunk = load<u32>(chunk, LIMBO_NEXT)) {
      for (let i: u32 = 0; i < load<u32>(chunk, LIMBO_COUNT); i++) {
        const object = <usize>load<u32>(chunk + (<usize>i << 2), LIMBO_OBJECTS);
        if ((object & WAITS_MASK) == WAITS_OBJECT) clear(bits, object);
      }
    }
  }
}
