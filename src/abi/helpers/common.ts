/** Helpers that most program types share: bpf_base_func_proto in kernel/bpf/helpers.c. */
import { helper } from './prototype-builder.ts';

export const commonHelpers = [
  helper('bpf_ktime_get_ns', [], 'integer'),
  helper('bpf_ktime_get_boot_ns', [], 'integer'),
  helper('bpf_ktime_get_coarse_ns', [], 'integer'),
  helper('bpf_ktime_get_tai_ns', [], 'integer'),
  helper('bpf_jiffies64', [], 'integer'),
  helper('bpf_get_prandom_u32', [], 'integer'),
  helper('bpf_get_smp_processor_id', [], 'integer'),
  helper('bpf_get_numa_node_id', [], 'integer'),
  helper('bpf_trace_printk', ['mem', 'const_size', 'dontcare', 'dontcare', 'dontcare'], 'integer', { gplOnly: true }),
  helper('bpf_strncmp', ['mem', 'const_size', 'const_str'], 'integer'),
  helper('bpf_loop', ['anything', 'func', 'stack_or_null', 'anything'], 'integer'),
];
