/** LSM programs: kernel/bpf/bpf_lsm.c. */
import { helper } from './prototype-builder.ts';

const hash = ['btf_id', 'mem_uninit', 'const_size'] as const;

export const securityHelpers = [
  helper('bpf_bprm_opts_set', ['btf_id', 'anything'], 'integer', { btfIds: { 0: ['linux_binprm'] } }),
  helper('bpf_ima_inode_hash', hash, 'integer', { sleepable: true, btfIds: { 0: ['inode'] } }),
  helper('bpf_ima_file_hash', hash, 'integer', { sleepable: true, btfIds: { 0: ['file'] } }),
];
