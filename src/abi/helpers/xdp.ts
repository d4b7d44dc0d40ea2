/** Helpers of XDP programs: xdp_func_proto in net/core/filter.c. */
import { helper } from './prototype-builder.ts';

export const xdpHelpers = [
  helper(
    'bpf_csum_diff',
    ['mem_or_null', 'const_size_or_zero', 'mem_or_null', 'const_size_or_zero', 'anything'],
    'integer',
  ),
  helper('bpf_xdp_adjust_head', ['ctx', 'anything'], 'integer', { changesPacketData: true }),
  helper('bpf_xdp_adjust_meta', ['ctx', 'anything'], 'integer', { changesPacketData: true }),
  helper('bpf_xdp_adjust_tail', ['ctx', 'anything'], 'integer', { changesPacketData: true }),
  helper('bpf_xdp_get_buff_len', ['ctx'], 'integer'),
  helper('bpf_xdp_load_bytes', ['ctx', 'anything', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_xdp_store_bytes', ['ctx', 'anything', 'mem', 'const_size'], 'integer'),
  helper('bpf_redirect', ['anything', 'anything'], 'integer'),
];
