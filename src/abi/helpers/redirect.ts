/** Where a packet goes: redirects and routing questions. net/core/filter.c. */
import { helper } from './prototype-builder.ts';

export const redirectHelpers = [
  helper('bpf_redirect', ['anything', 'anything'], 'integer'),
  helper('bpf_redirect_map', ['const_map_ptr', 'anything', 'anything'], 'integer'),
  helper('bpf_redirect_neigh', ['anything', 'mem_or_null', 'const_size_or_zero', 'anything'], 'integer'),
  helper('bpf_redirect_peer', ['anything', 'anything'], 'integer'),
  helper('bpf_clone_redirect', ['ctx', 'anything', 'anything'], 'integer', { changesPacketData: true }),
  helper('bpf_fib_lookup', ['ctx', 'mem_write', 'const_size', 'anything'], 'integer', { gplOnly: true }),
  helper('bpf_check_mtu', ['ctx', 'anything', 'fixed_mem_write', 'anything', 'anything'], 'integer', {
    gplOnly: true,
    fixedSize: { 2: 4 },
    aligned: [2],
  }),
];
