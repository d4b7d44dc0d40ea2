/** Strings: formatted output, numbers read from text, comparison. kernel/bpf/helpers.c, kernel/trace/bpf_trace.c. */
import { helper } from './prototype-builder.ts';

const gplOnly = { gplOnly: true };
const toSequence = { gplOnly: true, btfIds: { 0: ['seq_file'] } };
const toLong = { fixedSize: { 3: 8 }, aligned: [3] };

export const textHelpers = [
  helper('bpf_trace_printk', ['mem', 'const_size', 'dontcare', 'dontcare', 'dontcare'], 'integer', gplOnly),
  helper('bpf_trace_vprintk', ['mem', 'const_size', 'mem_or_null', 'const_size_or_zero'], 'integer', gplOnly),
  helper(
    'bpf_snprintf',
    ['mem_write_or_null', 'const_size_or_zero', 'const_str', 'mem_or_null', 'const_size_or_zero'],
    'integer',
    gplOnly,
  ),
  helper('bpf_snprintf_btf', ['mem_write', 'const_size', 'mem', 'const_size', 'anything'], 'integer'),
  helper('bpf_seq_printf', ['btf_id', 'mem', 'const_size', 'mem_or_null', 'const_size_or_zero'], 'integer', toSequence),
  helper('bpf_seq_write', ['btf_id', 'mem', 'const_size_or_zero'], 'integer', toSequence),
  helper('bpf_seq_printf_btf', ['btf_id', 'mem', 'const_size_or_zero', 'anything'], 'integer', toSequence),
  helper('bpf_strtol', ['mem', 'const_size', 'anything', 'fixed_mem_uninit'], 'integer', toLong),
  helper('bpf_strtoul', ['mem', 'const_size', 'anything', 'fixed_mem_uninit'], 'integer', toLong),
  helper('bpf_strncmp', ['mem', 'const_size', 'const_str'], 'integer'),
];
