/** The current task and its control groups: kernel/bpf/helpers.c, kernel/trace/bpf_trace.c, kernel/bpf/task_iter.c. */
import { helper } from './prototype-builder.ts';

const gplOnly = { gplOnly: true };
const ofTask = { btfIds: { 0: ['task_struct'] } };

export const taskHelpers = [
  helper('bpf_get_current_pid_tgid', [], 'integer'),
  helper('bpf_get_current_uid_gid', [], 'integer'),
  helper('bpf_get_current_comm', ['mem_uninit', 'const_size'], 'integer'),
  helper('bpf_get_current_task', [], 'integer', gplOnly),
  helper('bpf_get_current_task_btf', [], 'trusted_btf_id', { gplOnly: true, returnsBtfId: 'task_struct' }),
  helper('bpf_get_ns_current_pid_tgid', ['anything', 'anything', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_get_current_cgroup_id', [], 'integer'),
  helper('bpf_get_current_ancestor_cgroup_id', ['anything'], 'integer'),
  helper('bpf_current_task_under_cgroup', ['const_map_ptr', 'anything'], 'integer'),
  helper('bpf_task_pt_regs', ['btf_id'], 'btf_id', { ...ofTask, gplOnly: true, returnsBtfId: 'pt_regs' }),
  helper('bpf_get_task_stack', ['btf_id', 'mem_uninit', 'const_size_or_zero', 'anything'], 'integer', ofTask),
  helper('bpf_find_vma', ['btf_id', 'anything', 'func', 'stack_or_null', 'anything'], 'integer', ofTask),
  helper('bpf_send_signal', ['anything'], 'integer'),
  helper('bpf_send_signal_thread', ['anything'], 'integer'),
];
