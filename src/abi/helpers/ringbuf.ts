/** Helpers of the ring buffer map; prototypes as in kernel/bpf/ringbuf.c. */
import { helper } from './prototype-builder.ts';

export const ringbufHelpers = [
  helper('bpf_ringbuf_output', ['const_map_ptr', 'mem', 'const_size_or_zero', 'anything'], 'integer'),
  helper('bpf_ringbuf_reserve', ['const_map_ptr', 'const_alloc_size', 'anything'], 'ringbuf_mem_or_null'),
  helper('bpf_ringbuf_submit', ['ringbuf_mem', 'anything'], 'void'),
  helper('bpf_ringbuf_discard', ['ringbuf_mem', 'anything'], 'void'),
  helper('bpf_ringbuf_query', ['const_map_ptr', 'anything'], 'integer'),
];
