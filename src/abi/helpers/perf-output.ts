/** Records into a perf event array, with or without a part of the packet: net/core/filter.c, kernel/trace/bpf_trace.c. */
import { helper } from './prototype-builder.ts';

const record = ['const_map_ptr', 'anything', 'mem', 'const_size_or_zero'] as const;

export const perfOutputHelpers = [
  helper('bpf_perf_event_output', ['ctx', ...record], 'integer', { gplOnly: true }),
  helper('bpf_skb_output', ['btf_id', ...record], 'integer', { gplOnly: true, btfIds: { 0: ['sk_buff'] } }),
  helper('bpf_xdp_output', ['btf_id', ...record], 'integer', { gplOnly: true, btfIds: { 0: ['xdp_buff'] } }),
];
