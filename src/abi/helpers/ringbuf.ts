/** Helpers of the ring buffers, from and to programs; prototypes as in kernel/bpf/ringbuf.c. */
import { helper } from './prototype-builder.ts';

const releasesRecord = { releases: 0 };
const releasesDynptr = { releases: 0, dynptrType: 'ringbuf' } as const;

export const ringbufHelpers = [
  helper('bpf_ringbuf_output', ['const_map_ptr', 'mem', 'const_size_or_zero', 'anything'], 'integer'),
  helper('bpf_ringbuf_reserve', ['const_map_ptr', 'const_alloc_size', 'anything'], 'ringbuf_mem_or_null', {
    acquires: true,
  }),
  helper('bpf_ringbuf_submit', ['ringbuf_mem', 'anything'], 'void', releasesRecord),
  helper('bpf_ringbuf_discard', ['ringbuf_mem', 'anything'], 'void', releasesRecord),
  helper('bpf_ringbuf_query', ['const_map_ptr', 'anything'], 'integer'),
  helper('bpf_ringbuf_reserve_dynptr', ['const_map_ptr', 'anything', 'anything', 'dynptr_uninit'], 'integer', {
    dynptrType: 'ringbuf',
  }),
  helper('bpf_ringbuf_submit_dynptr', ['dynptr', 'anything'], 'void', releasesDynptr),
  helper('bpf_ringbuf_discard_dynptr', ['dynptr', 'anything'], 'void', releasesDynptr),
  helper('bpf_user_ringbuf_drain', ['const_map_ptr', 'func', 'stack_or_null', 'anything'], 'integer'),
];
