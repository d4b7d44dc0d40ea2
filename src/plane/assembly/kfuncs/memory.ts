// Objects from allocators that the program names: bpf/include/sluice/mem.h.
import { bpf_obj_drop_impl, bpf_obj_new_impl } from './object';
import { ENOMEM } from '../errno';
import { allocator_global, allocator_prefill } from '../slab/allocator';
import { MAP_ELEM_ALLOCATOR, MAP_KPTR_ALLOCATOR, MAP_TAG_ELEM, MAP_TAG_KPTR } from '../../layout/map';
import { OBJECT_MAX } from '../../layout/allocator';
import { RECORD_BYTES, RECORD_SIZE } from '../../layout/record';

/**
 * The allocator with its holder in the high half. The loader passes it so where it knows which; else `pointer` is the program's own (a map of type
 * `allocator`, or a map with MAP_TAG_*), and the holder is in the high half of `record`. Maps without an allocator of their own use the global one.
 */
function allocatorOf(pointer: u64, record: u64): u64 {
  if (pointer >> 32 != 0) return pointer;
  const tags = <usize>(MAP_TAG_ELEM | MAP_TAG_KPTR);
  const map = <usize>pointer & ~tags;
  const own = (<usize>pointer & tags) == MAP_TAG_ELEM ? load<u32>(map, MAP_ELEM_ALLOCATOR) : load<u32>(map, MAP_KPTR_ALLOCATOR);
  const allocator = own != 0 ? <usize>own : allocator_global();
  return <u64>allocator | (record & 0xffff_ffff_0000_0000);
}

export function bpf_mem_alloc_impl(allocator: u64, type: u64, record: u64): u64 {
  return bpf_obj_new_impl(allocatorOf(allocator, record), record & 0xffff_ffff);
}

export function bpf_mem_free_impl(object: u64, record: u64): u64 {
  return bpf_obj_drop_impl(object, record);
}

/** Keeps room for `count` more objects for this holder: 0, or -ENOMEM where quota or memory do not allow it. */
export function bpf_mem_prefill_impl(allocator: u64, type: u64, count: u64, record: u64): i64 {
  const from = allocatorOf(allocator, record);
  const of_type = <usize>(record & 0xffff_ffff);
  if (load<u32>(of_type, RECORD_SIZE) > <u32>OBJECT_MAX) return ENOMEM;
  return <i64>allocator_prefill(<usize>(from & 0xffff_ffff), load<u32>(of_type, RECORD_BYTES), <u32>count, <u32>(from >> 32));
}
