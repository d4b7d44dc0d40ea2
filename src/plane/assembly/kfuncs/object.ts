// Objects of programs' own types: made, given up, counted, exchanged. What the types are the loader passes in the place of arguments (object/resolved.ts).
// Facts: kernel/bpf/helpers.c.
import { object_drop } from '../fields/free';
import { fields_init } from '../fields/init';
import { allocator_alloc } from '../slab/allocator';
import { OBJECT_MAX, SLAB_ENTRY, SLAB_OBJECT_SIZE, SLAB_SHIFT } from '../../layout/allocator';
import { SLAB_TABLE } from '../../layout/memory';
import {
  FIELD_BYTES,
  FIELD_TARGET,
  RECORD_BYTES,
  RECORD_CHOICE,
  RECORD_COUNT,
  RECORD_FIELDS,
  RECORD_FLAGS,
  RECORD_REFCOUNT,
  RECORD_SIZE,
} from '../../layout/record';

/** `allocator`: its address, in the high half the holder of reservations. NULL beyond OBJECT_MAX bytes, or where the allocator has nothing to give. */
export function bpf_obj_new_impl(allocator: u64, record: u64): u64 {
  const type = <usize>record;
  if (load<u32>(type, RECORD_SIZE) > <u32>OBJECT_MAX) return 0;
  const from = <usize>(allocator & 0xffff_ffff);
  const holder = <u32>(allocator >> 32);
  const object = allocator_alloc(from, load<u32>(type, RECORD_BYTES), holder);
  if (object != 0 && load<u32>(type, RECORD_COUNT) != 0) fields_init(type, object);
  return <u64>object;
}

/** `record`: in the low half; of a call that comes with several types, RECORD_CHOICE. */
export function bpf_obj_drop_impl(object: u64, record: u64): u64 {
  object_drop(<usize>object, record_of(<usize>object, <usize><u32>record));
  return 0;
}

/** Counts one more reference; NULL if the last one was given up already. */
export function bpf_refcount_acquire_impl(object: u64, record: u64): u64 {
  const count = <usize>object + load<u32>(record_of(<usize>object, <usize><u32>record), RECORD_REFCOUNT) - 1;
  let seen = atomic.load<u32>(count);
  while (seen != 0) {
    const before = atomic.cmpxchg<u32>(count, seen, seen + 1);
    if (before == seen) return object;
    seen = before;
  }
  return 0;
}

/** Puts a pointer (or NULL) into a field and returns what was there: ownership goes in and comes out. */
export function bpf_kptr_xchg(field: u64, pointer: u64): u64 {
  return atomic.xchg<u64>(<usize>field, pointer);
}

/** Which record of a choice an object is of: the largest that fits its memory, as the next larger one would have been given twice as much. */
function record_of(object: usize, record: usize): usize {
  if ((load<u32>(record, RECORD_FLAGS) & RECORD_CHOICE) == 0) return record;
  const bytes = load<u32>((SLAB_TABLE as usize) + (object >> SLAB_SHIFT) * SLAB_ENTRY, SLAB_OBJECT_SIZE);
  let field = record + RECORD_FIELDS;
  const last = field + <usize>(load<u32>(record, RECORD_COUNT) - 1) * FIELD_BYTES;
  while (field < last && load<u32>(<usize>load<u32>(field, FIELD_TARGET), RECORD_BYTES) > bytes) field += FIELD_BYTES;
  return <usize>load<u32>(field, FIELD_TARGET);
}
