/** Dynptrs over memory: kernel/bpf/helpers.c. Those of the ring buffer stand in ringbuf.ts. */
import { helper } from './prototype-builder.ts';

export const dynptrHelpers = [
  helper('bpf_dynptr_from_mem', ['mem_uninit', 'const_size_or_zero', 'anything', 'dynptr_uninit'], 'integer', {
    dynptrType: 'local',
  }),
  helper('bpf_dynptr_read', ['mem_uninit', 'const_size_or_zero', 'dynptr', 'anything', 'anything'], 'integer'),
  helper('bpf_dynptr_write', ['dynptr', 'anything', 'mem', 'const_size_or_zero', 'anything'], 'integer'),
  helper('bpf_dynptr_data', ['dynptr', 'anything', 'const_alloc_size'], 'dynptr_mem_or_null'),
];
