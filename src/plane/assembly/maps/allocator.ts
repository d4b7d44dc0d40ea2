// Maps of type `allocator`, which are handles of an allocator, and the two allocators that other maps may have (layout/map.ts: MAP_ELEM_ALLOCATOR,
// MAP_KPTR_ALLOCATOR). What they are made of stands in slab/.
import { header_allocate } from './header';
import { elements_draw_from } from './element';
import { LPM_TRIE } from './types';
import { allocator_hold, allocator_release, allocator_rounded } from '../slab/allocator';
import { EINVAL, ENOMEM } from '../errno';
import { MAP_ELEM_ALLOCATOR, MAP_KPTR_ALLOCATOR, MAP_TAGS, MAP_TAG_ELEM, MAP_TYPE } from '../../layout/map';
import { HASH_ELEMENT_SIZE } from '../../layout/map-hash';
import { LPM_NODE_SIZE } from '../../layout/map-lpm';
import { ROOT, ROOT_ELEMENT_ALLOCATOR } from '../../layout/memory';

export function allocator_map_create(type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32): usize {
  if (key_size != 0 || flags != 0) return <usize>EINVAL;
  const map = header_allocate(type, 0, value_size, max_entries, 0, 0);
  return map == 0 ? <usize>ENOMEM : map;
}

/** Gives a map other allocators, which it holds from now on; 0: as it is. What it has of the ones before stays what it is. -EINVAL: elements of this map are not drawn from any; -ENOMEM: the allocator has none to begin with. */
export function map_set_allocators(map: usize, elem: usize, kptr: usize): i32 {
  if (elem != 0) {
    if (load<u32>(map, MAP_ELEM_ALLOCATOR) == 0) return <i32>EINVAL;
    const before = <usize>load<u32>(map, MAP_ELEM_ALLOCATOR);
    const refused = elements_draw_from(map, elem);
    if (refused != 0) return refused;
    allocator_hold(elem);
    drop_elem(before);
  }
  if (kptr != 0) {
    allocator_hold(kptr);
    const before = <usize>load<u32>(map, MAP_KPTR_ALLOCATOR);
    if (before != 0) allocator_release(before);
    store<u32>(map, <u32>kptr, MAP_KPTR_ALLOCATOR);
  }
  return 0;
}

/** The common one is nobody's. */
function drop_elem(elem: usize): void {
  if (elem != 0 && <u32>elem != atomic.load<u32>(ROOT + ROOT_ELEMENT_ALLOCATOR)) allocator_release(elem);
}

/** Bytes that an element takes from the map's allocator. */
export function map_element_bytes(map: usize): u32 {
  if (load<u32>(map, MAP_ELEM_ALLOCATOR) == 0) return 0;
  const size: usize = load<u32>(map, MAP_TYPE) == LPM_TRIE ? LPM_NODE_SIZE : HASH_ELEMENT_SIZE;
  return allocator_rounded(load<u32>(map + size));
}

/** At the end of a map, when its elements are gone. */
export function map_drop_allocators(map: usize): void {
  drop_elem(load<u32>(map, MAP_ELEM_ALLOCATOR));
  const kptr = <usize>load<u32>(map, MAP_KPTR_ALLOCATOR);
  if (kptr != 0) allocator_release(kptr);
}

/** The allocator that a program's pointer means: a map of type `allocator`, or a map's address with MAP_TAG_*; 0: it has none of its own. */
export function allocator_meant(pointer: usize): usize {
  const map = pointer & ~(<usize>MAP_TAGS);
  return <usize>((pointer & MAP_TAGS) == MAP_TAG_ELEM ? load<u32>(map, MAP_ELEM_ALLOCATOR) : load<u32>(map, MAP_KPTR_ALLOCATOR));
}
