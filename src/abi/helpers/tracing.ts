/** Helpers of tracing programs: kernel/trace/bpf_trace.c, kernel/bpf/stackmap.c, kernel/bpf/helpers.c. */
import { helper } from './prototype-builder.ts';

const gplOnly = { gplOnly: true };
const reads = ['mem_uninit', 'const_size_or_zero', 'anything'] as const;
const writesLong = (argument: number) => ({ fixedSize: { [argument]: 8 }, aligned: [argument] });

export const tracingHelpers = [
  helper('bpf_probe_read', reads, 'integer', gplOnly),
  helper('bpf_probe_read_str', reads, 'integer', gplOnly),
  helper('bpf_probe_read_user', reads, 'integer', gplOnly),
  helper('bpf_probe_read_user_str', reads, 'integer', gplOnly),
  helper('bpf_probe_read_kernel', reads, 'integer', gplOnly),
  helper('bpf_probe_read_kernel_str', reads, 'integer', gplOnly),
  helper('bpf_probe_write_user', ['anything', 'mem', 'const_size'], 'integer', gplOnly),
  helper('bpf_copy_from_user', reads, 'integer', { sleepable: true }),
  helper('bpf_copy_from_user_task', [...reads, 'btf_id', 'anything'], 'integer', {
    gplOnly: true,
    sleepable: true,
    btfIds: { 3: ['task_struct'] },
  }),
  helper('bpf_perf_event_read', ['const_map_ptr', 'anything'], 'integer', gplOnly),
  helper('bpf_perf_event_read_value', ['const_map_ptr', 'anything', 'mem_uninit', 'const_size'], 'integer', gplOnly),
  helper('bpf_perf_prog_read_value', ['ctx', 'mem_uninit', 'const_size'], 'integer', gplOnly),
  helper('bpf_read_branch_records', ['ctx', 'mem_write_or_null', 'const_size_or_zero', 'anything'], 'integer', gplOnly),
  helper('bpf_get_branch_snapshot', ['mem_uninit', 'const_size_or_zero'], 'integer', gplOnly),
  helper('bpf_get_stackid', ['ctx', 'const_map_ptr', 'anything'], 'integer', gplOnly),
  helper('bpf_get_stack', ['ctx', 'mem_uninit', 'const_size_or_zero', 'anything'], 'integer', gplOnly),
  helper('bpf_override_return', ['ctx', 'anything'], 'integer', gplOnly),
  helper('bpf_get_func_ip', ['ctx'], 'integer', gplOnly),
  helper('bpf_get_func_arg', ['ctx', 'anything', 'fixed_mem_uninit'], 'integer', writesLong(2)),
  helper('bpf_get_func_ret', ['ctx', 'fixed_mem_uninit'], 'integer', writesLong(1)),
  helper('bpf_get_func_arg_cnt', ['ctx'], 'integer'),
  helper('bpf_get_attach_cookie', ['ctx'], 'integer'),
  helper('bpf_d_path', ['btf_id', 'mem_write', 'const_size_or_zero'], 'integer', { btfIds: { 0: ['path'] } }),
];

/** Of perf_event programs: bpf_get_stackid_proto_pe. */
export const stackIdOfPerfEvent = helper('bpf_get_stackid', ['ctx', 'const_map_ptr', 'anything'], 'integer');

/** Of kprobe.multi and uprobe.multi programs: bpf_get_func_ip_proto_kprobe_multi. */
export const functionOfMultiProbe = helper('bpf_get_func_ip', ['ctx'], 'integer');
