/** Sets that many program types share, each after the function of the kernel that gives it. */
import { classidOfTask } from './cgroup.ts';
import { rawProcessorId } from './common.ts';
import { helperSet } from './helper-set.ts';
import { socketHelpers } from './socket.ts';

/** bpf_base_func_proto, kernel/bpf/helpers.c. */
export const baseHelpers = helperSet(new Map(), [
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'map_push_elem',
  'map_pop_elem',
  'map_peek_elem',
  'map_lookup_percpu_elem',
  'for_each_map_elem',
  'tail_call',
  'loop',
  'get_prandom_u32',
  rawProcessorId,
  'get_numa_node_id',
  'ktime_get_ns',
  'ktime_get_boot_ns',
  'ktime_get_tai_ns',
  'jiffies64',
  'ringbuf_output',
  'ringbuf_reserve',
  'ringbuf_submit',
  'ringbuf_discard',
  'ringbuf_query',
  'ringbuf_reserve_dynptr',
  'ringbuf_submit_dynptr',
  'ringbuf_discard_dynptr',
  'user_ringbuf_drain',
  'dynptr_from_mem',
  'dynptr_read',
  'dynptr_write',
  'dynptr_data',
  'spin_lock',
  'spin_unlock',
  'timer_init',
  'timer_set_callback',
  'timer_start',
  'timer_cancel',
  'kptr_xchg',
  'per_cpu_ptr',
  'this_cpu_ptr',
  'trace_printk',
  'trace_vprintk',
  'snprintf',
  'snprintf_btf',
  'strncmp',
  'strtol',
  'strtoul',
  'get_current_pid_tgid',
  'get_ns_current_pid_tgid',
  'get_current_uid_gid',
  'get_current_comm',
  'get_current_task',
  'get_current_task_btf',
  'get_current_cgroup_id',
  'get_current_ancestor_cgroup_id',
  'current_task_under_cgroup',
  classidOfTask,
  'task_pt_regs',
  'get_task_stack',
  'find_vma',
  'send_signal',
  'send_signal_thread',
  'cgrp_storage_get',
  'cgrp_storage_delete',
  'task_storage_get',
  'task_storage_delete',
  'probe_read_user',
  'probe_read_user_str',
  'probe_read_kernel',
  'probe_read_kernel_str',
  'copy_from_user',
  'copy_from_user_task',
  'perf_event_read',
  'perf_event_read_value',
  'get_branch_snapshot',
]);

/** Casts of socket pointers to the kernel's structs. */
export const socketCasts = socketHelpers.filter(({ name }) => name.startsWith('bpf_skc_to_'));

/** bpf_sk_base_func_proto, net/core/filter.c. */
export const socketBaseHelpers = helperSet(baseHelpers, [...socketCasts, 'ktime_get_coarse_ns']);

/** sk_filter_func_proto, net/core/filter.c. */
export const socketFilterHelpers = helperSet(socketBaseHelpers, [
  'skb_load_bytes',
  'skb_load_bytes_relative',
  'get_socket_cookie',
  'get_netns_cookie',
  'get_socket_uid',
  'perf_event_output',
]);

/** cgroup_common_func_proto, kernel/bpf/cgroup.c. */
export const cgroupCommon = ['get_local_storage', 'get_retval', 'set_retval'] as const;

/** bpf_tracing_func_proto, kernel/trace/bpf_trace.c. probe_read and its like: x86, and others with one address space for both. */
export const tracingBaseHelpers = helperSet(baseHelpers, [
  'get_smp_processor_id',
  'probe_read',
  'probe_read_str',
  'probe_write_user',
  'get_func_ip',
]);

/** What every tracing type has on top; the bodies differ, the prototypes mostly do not. */
export const tracingOutput = ['perf_event_output', 'get_stackid', 'get_stack'] as const;
