/** Clocks, random numbers, the CPU and bpf_loop: what nearly every program type may call. Prototypes as in kernel/bpf/helpers.c. */
import { helper } from './prototype-builder.ts';

export const commonHelpers = [
  helper('bpf_ktime_get_ns', [], 'integer'),
  helper('bpf_ktime_get_boot_ns', [], 'integer'),
  helper('bpf_ktime_get_coarse_ns', [], 'integer'),
  helper('bpf_ktime_get_tai_ns', [], 'integer'),
  helper('bpf_jiffies64', [], 'integer'),
  helper('bpf_get_prandom_u32', [], 'integer'),
  helper('bpf_get_smp_processor_id', [], 'integer', { fastcall: true }),
  helper('bpf_get_numa_node_id', [], 'integer'),
  helper('bpf_loop', ['anything', 'func', 'stack_or_null', 'anything'], 'integer'),
];

/** Of types without an own one: bpf_get_raw_smp_processor_id_proto. */
export const rawProcessorId = helper('bpf_get_smp_processor_id', [], 'integer');
