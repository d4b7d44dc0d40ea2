/**
 * The kfuncs of Linux 6.18 by name: where they are registered (BTF_ID_FLAGS and register_btf_kfunc_id_set in the file named with each
 * set), for which kinds of program, and with which KF_* flags. A kernel has those that it was configured for. Which run here is said in
 * kfuncs.ts.
 */
import type { ProgramTypeName } from './program-types.ts';

/** KF_* of include/linux/btf.h. */
export type KfuncFlag =
  | 'acquire'
  | 'release'
  | 'ret_null'
  | 'trusted_args'
  | 'sleepable'
  | 'destructive'
  | 'rcu'
  | 'rcu_protected'
  | 'iter_new'
  | 'iter_next'
  | 'iter_destroy'
  | 'fastcall'
  | 'arena_ret'
  | 'arena_arg2';

/** Program types of each hook that kfuncs are registered for: bpf_prog_type_to_kfunc_hook, kernel/bpf/btf.c; iouring and vnet_hash are Sluice's own. */
export const kfuncHooks = {
  common: 'all',
  xdp: ['xdp'],
  tc: ['sched_cls'],
  sched_act: ['sched_act'],
  struct_ops: ['struct_ops'],
  tracing: ['tracing', 'tracepoint', 'perf_event', 'lsm'],
  syscall: ['syscall'],
  cgroup: [
    'cgroup_skb',
    'cgroup_sock',
    'cgroup_device',
    'cgroup_sock_addr',
    'cgroup_sockopt',
    'cgroup_sysctl',
    'sock_ops',
  ],
  sk_skb: ['sk_skb'],
  /** vnet_hash is derived from it. */
  socket_filter: ['socket_filter', 'vnet_hash'],
  lwt: ['lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local'],
  netfilter: ['netfilter'],
  kprobe: ['kprobe'],
  iouring: ['iouring'],
} as const satisfies Readonly<Record<string, 'all' | readonly ProgramTypeName[]>>;

export type KfuncHook = keyof typeof kfuncHooks;

export interface LinuxKfunc {
  readonly name: string;
  readonly flags: readonly KfuncFlag[];
  readonly hooks: readonly KfuncHook[];
  /** Source file of the kernel that registers it. */
  readonly source: string;
}

function set(
  source: string,
  hooks: readonly KfuncHook[],
  rows: Readonly<Record<string, readonly KfuncFlag[]>>,
): [string, LinuxKfunc][] {
  return Object.entries(rows).map(([name, flags]) => [name, { name, flags, hooks, source }]);
}

export const linuxKfuncs: ReadonlyMap<string, LinuxKfunc> = new Map([
  ...set('drivers/hid/bpf/hid_bpf_dispatch.c', ['struct_ops'], {
    hid_bpf_get_data: ['ret_null'],
    hid_bpf_try_input_report: [],
  }),
  ...set('drivers/hid/bpf/hid_bpf_dispatch.c', ['struct_ops', 'syscall'], {
    hid_bpf_allocate_context: ['acquire', 'ret_null', 'sleepable'],
    hid_bpf_release_context: ['release', 'sleepable'],
    hid_bpf_hw_request: ['sleepable'],
    hid_bpf_hw_output_report: ['sleepable'],
    hid_bpf_input_report: ['sleepable'],
  }),
  ...set('fs/bpf_fs_kfuncs.c', ['tracing'], {
    bpf_get_task_exe_file: ['acquire', 'trusted_args', 'ret_null'],
    bpf_put_file: ['release'],
    bpf_path_d_path: ['trusted_args'],
    bpf_get_dentry_xattr: ['sleepable', 'trusted_args'],
    bpf_get_file_xattr: ['sleepable', 'trusted_args'],
    bpf_set_dentry_xattr: ['sleepable', 'trusted_args'],
    bpf_remove_dentry_xattr: ['sleepable', 'trusted_args'],
  }),
  ...set('fs/verity/measure.c', ['tracing'], {
    bpf_get_fsverity_digest: ['trusted_args'],
  }),
  ...set('kernel/bpf/arena.c', ['common'], {
    bpf_arena_alloc_pages: ['trusted_args', 'sleepable', 'arena_ret', 'arena_arg2'],
    bpf_arena_free_pages: ['trusted_args', 'sleepable', 'arena_arg2'],
    bpf_arena_reserve_pages: ['trusted_args', 'sleepable', 'arena_arg2'],
  }),
  ...set('kernel/bpf/cpumask.c', ['tracing', 'struct_ops', 'syscall'], {
    bpf_cpumask_create: ['acquire', 'ret_null'],
    bpf_cpumask_release: ['release'],
    bpf_cpumask_acquire: ['acquire', 'trusted_args'],
    bpf_cpumask_first: ['rcu'],
    bpf_cpumask_first_zero: ['rcu'],
    bpf_cpumask_first_and: ['rcu'],
    bpf_cpumask_set_cpu: ['rcu'],
    bpf_cpumask_clear_cpu: ['rcu'],
    bpf_cpumask_test_cpu: ['rcu'],
    bpf_cpumask_test_and_set_cpu: ['rcu'],
    bpf_cpumask_test_and_clear_cpu: ['rcu'],
    bpf_cpumask_setall: ['rcu'],
    bpf_cpumask_clear: ['rcu'],
    bpf_cpumask_and: ['rcu'],
    bpf_cpumask_or: ['rcu'],
    bpf_cpumask_xor: ['rcu'],
    bpf_cpumask_equal: ['rcu'],
    bpf_cpumask_intersects: ['rcu'],
    bpf_cpumask_subset: ['rcu'],
    bpf_cpumask_empty: ['rcu'],
    bpf_cpumask_full: ['rcu'],
    bpf_cpumask_copy: ['rcu'],
    bpf_cpumask_any_distribute: ['rcu'],
    bpf_cpumask_any_and_distribute: ['rcu'],
    bpf_cpumask_weight: ['rcu'],
    bpf_cpumask_populate: ['rcu'],
  }),
  ...set('kernel/bpf/crypto.c', ['syscall'], {
    bpf_crypto_ctx_create: ['acquire', 'ret_null', 'sleepable'],
    bpf_crypto_ctx_release: ['release'],
    bpf_crypto_ctx_acquire: ['acquire', 'rcu', 'ret_null'],
  }),
  ...set('kernel/bpf/crypto.c', ['tc', 'sched_act', 'xdp'], {
    bpf_crypto_decrypt: ['rcu'],
    bpf_crypto_encrypt: ['rcu'],
  }),
  ...set('kernel/bpf/helpers.c', ['common'], {
    bpf_cast_to_kern_ctx: ['fastcall'],
    bpf_rdonly_cast: ['fastcall'],
    bpf_rcu_read_lock: [],
    bpf_rcu_read_unlock: [],
    bpf_dynptr_slice: ['ret_null'],
    bpf_dynptr_slice_rdwr: ['ret_null'],
    bpf_iter_num_new: ['iter_new'],
    bpf_iter_num_next: ['iter_next', 'ret_null'],
    bpf_iter_num_destroy: ['iter_destroy'],
    bpf_iter_task_vma_new: ['iter_new', 'rcu'],
    bpf_iter_task_vma_next: ['iter_next', 'ret_null'],
    bpf_iter_task_vma_destroy: ['iter_destroy'],
    bpf_iter_css_task_new: ['iter_new', 'trusted_args'],
    bpf_iter_css_task_next: ['iter_next', 'ret_null'],
    bpf_iter_css_task_destroy: ['iter_destroy'],
    bpf_iter_css_new: ['iter_new', 'trusted_args', 'rcu_protected'],
    bpf_iter_css_next: ['iter_next', 'ret_null'],
    bpf_iter_css_destroy: ['iter_destroy'],
    bpf_iter_task_new: ['iter_new', 'trusted_args', 'rcu_protected'],
    bpf_iter_task_next: ['iter_next', 'ret_null'],
    bpf_iter_task_destroy: ['iter_destroy'],
    bpf_dynptr_adjust: [],
    bpf_dynptr_is_null: [],
    bpf_dynptr_is_rdonly: [],
    bpf_dynptr_size: [],
    bpf_dynptr_clone: [],
    bpf_dynptr_copy: [],
    bpf_dynptr_memset: [],
    bpf_modify_return_test_tp: [],
    bpf_wq_init: [],
    bpf_wq_set_callback_impl: [],
    bpf_wq_start: [],
    bpf_preempt_disable: [],
    bpf_preempt_enable: [],
    bpf_iter_bits_new: ['iter_new'],
    bpf_iter_bits_next: ['iter_next', 'ret_null'],
    bpf_iter_bits_destroy: ['iter_destroy'],
    bpf_copy_from_user_str: ['sleepable'],
    bpf_copy_from_user_task_str: ['sleepable'],
    bpf_get_kmem_cache: [],
    bpf_iter_kmem_cache_new: ['iter_new', 'sleepable'],
    bpf_iter_kmem_cache_next: ['iter_next', 'ret_null', 'sleepable'],
    bpf_iter_kmem_cache_destroy: ['iter_destroy', 'sleepable'],
    bpf_local_irq_save: [],
    bpf_local_irq_restore: [],
    bpf_probe_read_user_dynptr: [],
    bpf_probe_read_kernel_dynptr: [],
    bpf_probe_read_user_str_dynptr: [],
    bpf_probe_read_kernel_str_dynptr: [],
    bpf_copy_from_user_dynptr: ['sleepable'],
    bpf_copy_from_user_str_dynptr: ['sleepable'],
    bpf_copy_from_user_task_dynptr: ['sleepable', 'trusted_args'],
    bpf_copy_from_user_task_str_dynptr: ['sleepable', 'trusted_args'],
    bpf_iter_dmabuf_new: ['iter_new', 'sleepable'],
    bpf_iter_dmabuf_next: ['iter_next', 'ret_null', 'sleepable'],
    bpf_iter_dmabuf_destroy: ['iter_destroy', 'sleepable'],
    __bpf_trap: [],
    bpf_strcmp: [],
    bpf_strcasecmp: [],
    bpf_strchr: [],
    bpf_strchrnul: [],
    bpf_strnchr: [],
    bpf_strrchr: [],
    bpf_strlen: [],
    bpf_strnlen: [],
    bpf_strspn: [],
    bpf_strcspn: [],
    bpf_strstr: [],
    bpf_strnstr: [],
    bpf_cgroup_read_xattr: ['rcu'],
    bpf_stream_vprintk_impl: ['trusted_args'],
    bpf_task_work_schedule_signal_impl: ['trusted_args'],
    bpf_task_work_schedule_resume_impl: ['trusted_args'],
  }),
  ...set('kernel/bpf/helpers.c', ['tracing', 'tc', 'xdp', 'struct_ops', 'syscall', 'cgroup'], {
    crash_kexec: ['destructive'],
    bpf_obj_new_impl: ['acquire', 'ret_null'],
    bpf_percpu_obj_new_impl: ['acquire', 'ret_null'],
    bpf_obj_drop_impl: ['release'],
    bpf_percpu_obj_drop_impl: ['release'],
    bpf_refcount_acquire_impl: ['acquire', 'ret_null', 'rcu'],
    bpf_list_push_front_impl: [],
    bpf_list_push_back_impl: [],
    bpf_list_pop_front: ['acquire', 'ret_null'],
    bpf_list_pop_back: ['acquire', 'ret_null'],
    bpf_list_front: ['ret_null'],
    bpf_list_back: ['ret_null'],
    bpf_task_acquire: ['acquire', 'rcu', 'ret_null'],
    bpf_task_release: ['release'],
    bpf_rbtree_remove: ['acquire', 'ret_null'],
    bpf_rbtree_add_impl: [],
    bpf_rbtree_first: ['ret_null'],
    bpf_rbtree_root: ['ret_null'],
    bpf_rbtree_left: ['ret_null'],
    bpf_rbtree_right: ['ret_null'],
    bpf_cgroup_acquire: ['acquire', 'rcu', 'ret_null'],
    bpf_cgroup_release: ['release'],
    bpf_cgroup_ancestor: ['acquire', 'rcu', 'ret_null'],
    bpf_cgroup_from_id: ['acquire', 'ret_null'],
    bpf_task_under_cgroup: ['rcu'],
    bpf_task_get_cgroup1: ['acquire', 'rcu', 'ret_null'],
    bpf_task_from_pid: ['acquire', 'ret_null'],
    bpf_task_from_vpid: ['acquire', 'ret_null'],
    bpf_throw: [],
    bpf_send_signal_task: ['trusted_args'],
    bpf_lookup_user_key: ['acquire', 'ret_null', 'sleepable'],
    bpf_lookup_system_key: ['acquire', 'ret_null'],
    bpf_key_put: ['release'],
    bpf_verify_pkcs7_signature: ['sleepable'],
  }),
  ...set('kernel/bpf/map_iter.c', ['common'], {
    bpf_map_sum_elem_count: ['trusted_args'],
  }),
  ...set('kernel/bpf/rqspinlock.c', ['common'], {
    bpf_res_spin_lock: ['ret_null'],
    bpf_res_spin_unlock: [],
    bpf_res_spin_lock_irqsave: ['ret_null'],
    bpf_res_spin_unlock_irqrestore: [],
  }),
  ...set('kernel/cgroup/rstat.c', ['tracing'], {
    css_rstat_updated: [],
    css_rstat_flush: ['sleepable'],
  }),
  ...set('kernel/sched/ext.c', ['struct_ops'], {
    scx_bpf_dsq_insert: ['rcu'],
    scx_bpf_dsq_insert_vtime: ['rcu'],
    scx_bpf_dispatch_nr_slots: [],
    scx_bpf_dispatch_cancel: [],
    scx_bpf_dsq_move_to_local: [],
    scx_bpf_reenqueue_local: [],
  }),
  ...set('kernel/sched/ext.c', ['struct_ops', 'syscall'], {
    scx_bpf_dsq_move_set_slice: ['rcu'],
    scx_bpf_dsq_move_set_vtime: ['rcu'],
    scx_bpf_dsq_move: ['rcu'],
    scx_bpf_dsq_move_vtime: ['rcu'],
    scx_bpf_create_dsq: ['sleepable'],
  }),
  ...set('kernel/sched/ext.c', ['struct_ops', 'tracing', 'syscall'], {
    scx_bpf_kick_cpu: [],
    scx_bpf_dsq_nr_queued: [],
    scx_bpf_destroy_dsq: [],
    bpf_iter_scx_dsq_new: ['iter_new', 'rcu_protected'],
    bpf_iter_scx_dsq_next: ['iter_next', 'ret_null'],
    bpf_iter_scx_dsq_destroy: ['iter_destroy'],
    scx_bpf_exit_bstr: ['trusted_args'],
    scx_bpf_error_bstr: ['trusted_args'],
    scx_bpf_dump_bstr: ['trusted_args'],
    scx_bpf_cpuperf_cap: [],
    scx_bpf_cpuperf_cur: [],
    scx_bpf_cpuperf_set: [],
    scx_bpf_nr_node_ids: [],
    scx_bpf_nr_cpu_ids: [],
    scx_bpf_get_possible_cpumask: ['acquire'],
    scx_bpf_get_online_cpumask: ['acquire'],
    scx_bpf_put_cpumask: ['release'],
    scx_bpf_task_running: ['rcu'],
    scx_bpf_task_cpu: ['rcu'],
    scx_bpf_cpu_rq: [],
    scx_bpf_locked_rq: ['ret_null'],
    scx_bpf_cpu_curr: ['ret_null', 'rcu_protected'],
    scx_bpf_task_cgroup: ['rcu', 'acquire'],
    scx_bpf_now: [],
    scx_bpf_events: ['trusted_args'],
  }),
  ...set('kernel/sched/ext_idle.c', ['struct_ops', 'tracing', 'syscall'], {
    scx_bpf_cpu_node: [],
    scx_bpf_get_idle_cpumask_node: ['acquire'],
    scx_bpf_get_idle_cpumask: ['acquire'],
    scx_bpf_get_idle_smtmask_node: ['acquire'],
    scx_bpf_get_idle_smtmask: ['acquire'],
    scx_bpf_put_idle_cpumask: ['release'],
    scx_bpf_test_and_clear_cpu_idle: [],
    scx_bpf_pick_idle_cpu_node: ['rcu'],
    scx_bpf_pick_idle_cpu: ['rcu'],
    scx_bpf_pick_any_cpu_node: ['rcu'],
    scx_bpf_pick_any_cpu: ['rcu'],
    scx_bpf_select_cpu_and: ['rcu'],
    scx_bpf_select_cpu_dfl: ['rcu'],
  }),
  ...set('kernel/trace/bpf_trace.c', ['kprobe'], {
    bpf_session_is_return: [],
    bpf_session_cookie: [],
  }),
  ...set('net/bpf/test_run.c', ['tc', 'tracing', 'syscall'], {
    bpf_kfunc_call_test_release: ['release'],
    bpf_kfunc_call_memb_release: ['release'],
  }),
  ...set('net/core/filter.c', ['cgroup'], {
    bpf_sock_addr_set_sun_path: [],
    bpf_sock_ops_enable_tx_tstamp: ['trusted_args'],
  }),
  ...set('net/core/filter.c', ['tc'], {
    bpf_sk_assign_tcp_reqsk: ['trusted_args'],
  }),
  ...set('net/core/filter.c', ['tc', 'sched_act'], {
    bpf_dynptr_from_skb_meta: ['trusted_args'],
  }),
  ...set(
    'net/core/filter.c',
    ['tc', 'sched_act', 'sk_skb', 'socket_filter', 'cgroup', 'lwt', 'netfilter', 'tracing', 'struct_ops'],
    {
      bpf_dynptr_from_skb: ['trusted_args'],
    },
  ),
  ...set('net/core/filter.c', ['tracing'], {
    bpf_sock_destroy: ['trusted_args'],
  }),
  ...set('net/core/filter.c', ['xdp'], {
    bpf_dynptr_from_xdp: [],
    bpf_xdp_pull_data: [],
  }),
  ...set('net/core/xdp.c', ['xdp'], {
    bpf_xdp_metadata_rx_timestamp: ['trusted_args'],
    bpf_xdp_metadata_rx_hash: ['trusted_args'],
    bpf_xdp_metadata_rx_vlan_tag: ['trusted_args'],
  }),
  ...set('net/ipv4/bpf_tcp_ca.c', ['struct_ops'], {
    tcp_reno_ssthresh: [],
    tcp_reno_cong_avoid: [],
    tcp_reno_undo_cwnd: [],
    tcp_slow_start: [],
    tcp_cong_avoid_ai: [],
  }),
  ...set('net/ipv4/fou_bpf.c', ['tc'], {
    bpf_skb_set_fou_encap: [],
    bpf_skb_get_fou_encap: [],
  }),
  ...set('net/ipv4/tcp_bbr.c', ['struct_ops'], {
    bbr_init: [],
    bbr_main: [],
    bbr_sndbuf_expand: [],
    bbr_undo_cwnd: [],
    bbr_cwnd_event: [],
    bbr_ssthresh: [],
    bbr_min_tso_segs: [],
    bbr_set_state: [],
  }),
  ...set('net/ipv4/tcp_cubic.c', ['struct_ops'], {
    cubictcp_init: [],
    cubictcp_recalc_ssthresh: [],
    cubictcp_cong_avoid: [],
    cubictcp_state: [],
    cubictcp_cwnd_event: [],
    cubictcp_acked: [],
  }),
  ...set('net/ipv4/tcp_dctcp.c', ['struct_ops'], {
    dctcp_init: [],
    dctcp_update_alpha: [],
    dctcp_cwnd_event: [],
    dctcp_ssthresh: [],
    dctcp_cwnd_undo: [],
    dctcp_state: [],
  }),
  ...set('net/netfilter/nf_conntrack_bpf.c', ['xdp', 'tc'], {
    bpf_xdp_ct_alloc: ['acquire', 'ret_null'],
    bpf_xdp_ct_lookup: ['acquire', 'ret_null'],
    bpf_skb_ct_alloc: ['acquire', 'ret_null'],
    bpf_skb_ct_lookup: ['acquire', 'ret_null'],
    bpf_ct_insert_entry: ['acquire', 'ret_null', 'release'],
    bpf_ct_release: ['release'],
    bpf_ct_set_timeout: ['trusted_args'],
    bpf_ct_change_timeout: ['trusted_args'],
    bpf_ct_set_status: ['trusted_args'],
    bpf_ct_change_status: ['trusted_args'],
  }),
  ...set('net/netfilter/nf_flow_table_bpf.c', ['xdp'], {
    bpf_xdp_flow_lookup: ['trusted_args', 'ret_null'],
  }),
  ...set('net/netfilter/nf_nat_bpf.c', ['xdp', 'tc'], {
    bpf_ct_set_nat_info: ['trusted_args'],
  }),
  ...set('net/sched/bpf_qdisc.c', ['struct_ops'], {
    bpf_skb_get_hash: ['trusted_args'],
    bpf_kfree_skb: ['release'],
    bpf_qdisc_skb_drop: ['release'],
    bpf_qdisc_watchdog_schedule: ['trusted_args'],
    bpf_qdisc_init_prologue: ['trusted_args'],
    bpf_qdisc_reset_destroy_epilogue: ['trusted_args'],
    bpf_qdisc_bstats_update: ['trusted_args'],
  }),
  ...set('net/xfrm/xfrm_interface_bpf.c', ['tc'], {
    bpf_skb_get_xfrm_info: [],
    bpf_skb_set_xfrm_info: [],
  }),
  ...set('net/xfrm/xfrm_state_bpf.c', ['xdp'], {
    bpf_xdp_get_xfrm_state: ['ret_null', 'acquire'],
    bpf_xdp_xfrm_state_release: ['release'],
  }),
]);
