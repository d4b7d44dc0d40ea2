/** Special fields of map values, spin lock, timer and kptr, and percpu variables of the kernel: kernel/bpf/helpers.c. */
import { helper } from './prototype-builder.ts';

const gplOnly = { gplOnly: true };

export const valueFieldHelpers = [
  helper('bpf_spin_lock', ['spin_lock'], 'void'),
  helper('bpf_spin_unlock', ['spin_lock'], 'void'),
  helper('bpf_timer_init', ['timer', 'const_map_ptr', 'anything'], 'integer', gplOnly),
  helper('bpf_timer_set_callback', ['timer', 'func'], 'integer', gplOnly),
  helper('bpf_timer_start', ['timer', 'anything', 'anything'], 'integer', gplOnly),
  helper('bpf_timer_cancel', ['timer'], 'integer', gplOnly),
  // Both structs are what the field is declared as.
  helper('bpf_kptr_xchg', ['kptr', 'btf_id_or_null'], 'btf_id_or_null', { releases: 1, acquires: true }),
  helper('bpf_per_cpu_ptr', ['percpu_btf_id', 'anything'], 'mem_or_btf_id_or_null'),
  helper('bpf_this_cpu_ptr', ['percpu_btf_id'], 'mem_or_btf_id'),
];
