/** TCP events and header options: net/core/filter.c. */
import { helper } from './prototype-builder.ts';

export const sockOpsHelpers = [
  helper('bpf_sock_ops_cb_flags_set', ['ctx', 'anything'], 'integer'),
  helper('bpf_load_hdr_opt', ['ctx', 'mem_write', 'const_size', 'anything'], 'integer'),
  helper('bpf_store_hdr_opt', ['ctx', 'mem', 'const_size', 'anything'], 'integer', { changesPacketData: true }),
  helper('bpf_reserve_hdr_opt', ['ctx', 'anything', 'anything'], 'integer'),
];
