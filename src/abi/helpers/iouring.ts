/**
 * Helpers of programs on rings as the patches of 2021 had them: RFC v2 (164 to 167), its third version (170 to 172), and what programs
 * of that time added (memchr). Numbers are of the type `iouring` alone: Linux gave them to others.
 */
import type { ArgType } from '../prototype.ts';
import { helper, numberedHelper } from './prototype-builder.ts';

const submit: readonly ArgType[] = ['ctx', 'mem', 'const_size'];
const emit: readonly ArgType[] = ['ctx', 'anything', 'anything', 'anything', 'anything'];
const reap: readonly ArgType[] = ['ctx', 'anything', 'mem_uninit', 'const_size'];
// Whatever it is given: programs of that time pass sizes that nothing bounds. The body reads what can be read.
const memchr: readonly ArgType[] = ['anything', 'anything', 'anything'];

export const iouringHelpers = [
  numberedHelper(164, 'bpf_iouring_queue_sqe', submit, 'integer'),
  numberedHelper(165, 'bpf_iouring_emit_cqe', emit, 'integer', { body: 'bpf_ring_emit' }),
  numberedHelper(166, 'bpf_iouring_reap_cqe', reap, 'integer', { body: 'bpf_ring_reap' }),
  numberedHelper(167, 'bpf_copy_to_user', ['anything', 'mem', 'const_size_or_zero'], 'integer'),
  numberedHelper(168, 'bpf_memchr', memchr, 'integer'),
  numberedHelper(170, 'bpf_io_uring_submit', submit, 'integer', { body: 'bpf_iouring_queue_sqe' }),
  numberedHelper(171, 'bpf_io_uring_emit_cqe', emit, 'integer', { body: 'bpf_ring_emit' }),
  numberedHelper(172, 'bpf_io_uring_reap_cqe', reap, 'integer', { body: 'bpf_ring_reap' }),
  numberedHelper(173, 'bpf_memchr', memchr, 'integer'),
  // The third version's programs all sleep, whatever their section's name; here no copy does.
  helper('bpf_copy_from_user', ['mem_uninit', 'const_size_or_zero', 'anything'], 'integer', {
    body: 'bpf_iouring_copy_from_user',
  }),
];
