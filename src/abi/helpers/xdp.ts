/** Packets as struct xdp_md: net/core/filter.c. */
import { helper } from './prototype-builder.ts';

const changes = { changesPacketData: true };

export const xdpHelpers = [
  helper('bpf_xdp_adjust_head', ['ctx', 'anything'], 'integer', changes),
  helper('bpf_xdp_adjust_meta', ['ctx', 'anything'], 'integer', changes),
  helper('bpf_xdp_adjust_tail', ['ctx', 'anything'], 'integer', changes),
  helper('bpf_xdp_get_buff_len', ['ctx'], 'integer'),
  helper('bpf_xdp_load_bytes', ['ctx', 'anything', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_xdp_store_bytes', ['ctx', 'anything', 'mem', 'const_size'], 'integer'),
];

/** Of tracing programs: bpf_xdp_get_buff_len_trace_proto. */
export const bufferLengthInTracing = helper('bpf_xdp_get_buff_len', ['btf_id'], 'integer', {
  btfIds: { 0: ['xdp_buff'] },
});
