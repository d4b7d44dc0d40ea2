/** Syscall programs: kernel/bpf/syscall.c, kernel/bpf/btf.c. */
import { helper } from './prototype-builder.ts';

export const syscallHelpers = [
  helper('bpf_sys_bpf', ['anything', 'mem', 'const_size'], 'integer'),
  helper('bpf_btf_find_by_name_kind', ['mem', 'const_size', 'anything', 'anything'], 'integer'),
  helper('bpf_sys_close', ['anything'], 'integer'),
  helper('bpf_kallsyms_lookup_name', ['mem', 'const_size_or_zero', 'anything', 'fixed_mem_uninit'], 'integer', {
    fixedSize: { 3: 8 },
    aligned: [3],
  }),
];
