// Objects with a copy for each CPU: one allocation; in front of the first copy how far they lie apart, and their size. Programs hold the address of the first.
import { cpu_count, this_cpu } from '../maps/header';
import { allocator_alloc, allocator_free } from '../slab/allocator';
import { allocator_free_later } from '../slab/epoch';
import { PERCPU_HEADER, PERCPU_OBJECT_SIZE, PERCPU_STRIDE, RECORD_DEFERRED, RECORD_FLAGS, RECORD_SIZE } from '../../layout/record';

/** `allocator`: its address, in the high half the holder. @param record what the type is. */
export function bpf_percpu_obj_new_impl(allocator: u64, record: u64): u64 {
  const size = load<u32>(<usize>record, RECORD_SIZE);
  const stride = (size + 7) & ~7;
  const bytes = stride * cpu_count();
  const from = <usize>(allocator & 0xffff_ffff);
  const holder = <u32>(allocator >> 32);
  const block = allocator_alloc(from, bytes + PERCPU_HEADER, holder);
  if (block == 0) return 0;
  const object = block + PERCPU_HEADER;
  memory.fill(object, 0, <usize>bytes);
  store<u32>(object - PERCPU_HEADER, stride, PERCPU_STRIDE);
  store<u32>(object - PERCPU_HEADER, size, PERCPU_OBJECT_SIZE);
  return <u64>object;
}

export function bpf_percpu_obj_drop_impl(object: u64, record: u64): u64 {
  percpu_free(<usize>object, <usize>(record & 0xffff_ffff));
  return 0;
}

/** `record`: what the type is, 0 where nobody knows: then it is taken to be read by others still. */
export function percpu_free(object: usize, record: usize): void {
  const deferred = record == 0 || (load<u32>(record, RECORD_FLAGS) & RECORD_DEFERRED) != 0;
  if (deferred) allocator_free_later(object - PERCPU_HEADER);
  else allocator_free(object - PERCPU_HEADER);
}

/** The copy of a CPU, 0 for a CPU that there is not. */
export function bpf_per_cpu_ptr(object: u64, cpu: u64): u64 {
  if (object == 0 || <u32>cpu >= cpu_count()) return 0;
  return object + <u64>load<u32>(<usize>object - PERCPU_HEADER, PERCPU_STRIDE) * <u64><u32>cpu;
}

export function bpf_this_cpu_ptr(object: u64): u64 {
  return bpf_per_cpu_ptr(object, this_cpu());
}
