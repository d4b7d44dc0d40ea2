/**
 * What long runs of test/map-sequences.test.ts and test/object-sequences.test.ts came to: SLUICE_PARITY_OPS=1000000, on Linux 6.18 with two CPUs, both targets
 * in one process. A row is put here by hand after a run; docs/parity.md shows them.
 */
import type { MapTypeName } from '../src/abi/map-types.ts';

export interface SequenceRecord {
  readonly type: MapTypeName;
  /** Where there are several: which. */
  readonly variant?: string;
  /** Operations that agreed, and how long both took. */
  readonly operations: number;
  readonly seconds: number;
  /** What differed at first, and is as in Linux now. */
  readonly mended?: string;
}

const million = (type: MapTypeName, seconds: number, variant = '', mended = ''): SequenceRecord => ({
  type,
  operations: 1_000_000,
  seconds,
  ...(variant === '' ? {} : { variant }),
  ...(mended === '' ? {} : { mended }),
});

export const sequenceRecords: readonly SequenceRecord[] = [
  million('hash', 6),
  million('hash', 9, 'without prealloc'),
  million('hash', 5, 'keys of 20 bytes'),
  million('array', 6),
  million('array', 7, 'mmapable'),
  million(
    'prog_array',
    44,
    'used by a program',
    'what is no program was taken: EBADF; programs of another type, attach type, fragments or engine: EINVAL',
  ),
  million('prog_array', 24, 'without an owner'),
  million(
    'perf_event_array',
    28,
    '',
    'the CPU is of the event and not of the index; records take the room that perf gives them, and so does the word of lost ones; what is no event is EBADF',
  ),
  million('percpu_hash', 4),
  million('percpu_hash', 6, 'without prealloc'),
  million('percpu_array', 6),
  million('stack_trace', 86, '', 'lookup-and-delete'),
  million('cgroup_array', 14),
  million('lru_hash', 5),
  million('lru_hash', 9, '600 elements'),
  million('lru_hash', 3, 'lists of each CPU'),
  million('lru_percpu_hash', 3),
  million('lpm_trie', 5, 'IPv4'),
  million('lpm_trie', 5, 'IPv6'),
  million('array_of_maps', 778),
  million('hash_of_maps', 790),
  million('hash_of_maps', 743, 'without prealloc'),
  million('devmap', 6),
  million('devmap_hash', 9),
  million('sockmap', 11, 'values of 4 bytes', 'what is no socket is ENOTSOCK'),
  million('sockmap', 7, 'values of 8 bytes'),
  million('sockhash', 7, 'values of 4 bytes'),
  million('sockhash', 6, 'values of 8 bytes'),
  million('cpumap', 44),
  million('xskmap', 26),
  million('cgroup_storage', 69, 'keys of 8 bytes; user space alone', 'get_next_key'),
  million('percpu_cgroup_storage', 89, 'keys of 8 bytes; user space alone', 'get_next_key'),
  million('reuseport_sockarray', 41, 'values of 4 bytes', 'a TCP socket that does not listen is EINVAL'),
  million('reuseport_sockarray', 23, 'values of 8 bytes'),
  million('queue', 3),
  million('stack', 3),
  million('sk_storage', 134, '', 'the key of what is no socket is ENOTSOCK'),
  million('sk_storage', 17, 'with a spin lock'),
  million('struct_ops', 140, 'tcp_congestion_ops; user space alone'),
  million('inode_storage', 21, 'with a spin lock; user space alone'),
  million('task_storage', 12),
  million('task_storage', 47, 'with a spin lock'),
  million('cgrp_storage', 17, 'with a spin lock', 'programs find groups by bpf_cgroup_from_id'),
  million('bloom_filter', 2),
  million('ringbuf', 3),
  million('user_ringbuf', 5),
  million(
    'arena',
    65,
    'with user space',
    'pages come from the range that fits best, of equal ones the one that changed last; it was the first that fits',
  ),
  million(
    'arena',
    14,
    'with reserved pages',
    'reserved pages have no memory; reserving where no page begins does nothing',
  ),
];
