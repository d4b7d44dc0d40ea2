/** Internet checksums: net/core/filter.c. */
import { helper } from './prototype-builder.ts';

const replaces = ['ctx', 'anything', 'anything', 'anything', 'anything'] as const;

export const checksumHelpers = [
  helper(
    'bpf_csum_diff',
    ['mem_or_null', 'const_size_or_zero', 'mem_or_null', 'const_size_or_zero', 'anything'],
    'integer',
    { packetAccess: true },
  ),
  helper('bpf_csum_update', ['ctx', 'anything'], 'integer'),
  helper('bpf_csum_level', ['ctx', 'anything'], 'integer'),
  helper('bpf_l3_csum_replace', replaces, 'integer', { changesPacketData: true }),
  helper('bpf_l4_csum_replace', replaces, 'integer', { changesPacketData: true }),
];
