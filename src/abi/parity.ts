/** What docs/parity.md says besides what the code shows by itself: of what is modelled, with what. Data only. */

/**
 * Helpers whose subject does not exist in user space and is a model here, by name without prefix. Listed as modelled once the plane has a
 * body for them; until then they are refused like any other.
 */
export const modelledHelpers: Readonly<Record<string, string>> = {
  get_current_pid_tgid: 'the process that Sluice runs in, or what the run sets',
  get_current_uid_gid: 'the process that Sluice runs in, or what the run sets',
  get_current_comm: 'the process that Sluice runs in, or what the run sets',
  get_retval: 'what the run of a control group hook returns',
  set_retval: 'what the run of a control group hook returns',
  sysctl_get_name: 'name and values that the run is given',
  sysctl_get_current_value: 'name and values that the run is given',
  sysctl_get_new_value: 'name and values that the run is given',
  sysctl_set_new_value: 'name and values that the run is given',
  bind: 'the modelled socket takes the address; that another has it is not seen',
  setsockopt: 'options of the modelled socket, of those that Linux lets programs set; kept as they are set',
  getsockopt: 'options of the modelled socket as they were set, 0 before',
  sock_ops_cb_flags_set: 'a field of the context',
  msg_apply_bytes: 'reported with the run',
  msg_cork_bytes: 'reported with the run',
  msg_pull_data: 'the message is one piece of memory',
  msg_push_data: 'the message is one piece of memory',
  msg_pop_data: 'the message is one piece of memory',
  get_ns_current_pid_tgid: 'the first namespace of processes, by its inode number',
  get_current_cgroup_id: 'the control group that the run sets, or the root',
  get_current_ancestor_cgroup_id: 'the control group that the run sets, a child of the root, or the root',
  get_stackid: 'call stacks that the run gives, or none: EFAULT; ids are not those of Linux, build ids not known',
  get_stack: 'call stacks that the run gives, or none: 0 bytes; build ids not known',
  current_task_under_cgroup: 'the control group that the run sets; the map holds cgroup objects that the run makes',
  skb_under_cgroup: 'the control group that the run sets; the map holds cgroup objects that the run makes',
  probe_read: 'the one memory of programs; outside of it the errno of Linux',
  probe_read_str: 'the one memory of programs; outside of it the errno of Linux',
  probe_read_user: 'the one memory of programs; outside of it the errno of Linux',
  probe_read_user_str: 'the one memory of programs; outside of it the errno of Linux',
  probe_read_kernel: 'the one memory of programs; outside of it the errno of Linux',
  probe_read_kernel_str: 'the one memory of programs; outside of it the errno of Linux',
  copy_from_user: 'the one memory of programs; outside of it the errno of Linux',
  tcp_raw_gen_syncookie_ipv4: 'secrets from the seed of the runtime',
  tcp_raw_gen_syncookie_ipv6: 'secrets from the seed of the runtime',
  tcp_raw_check_syncookie_ipv4: 'secrets from the seed of the runtime',
  tcp_raw_check_syncookie_ipv6: 'secrets from the seed of the runtime',
  get_numa_node_id: 'one node',
  get_smp_processor_id: 'the worker is the CPU',
  ktime_get_ns: 'the clock of the runtime, which a run can set',
  ktime_get_boot_ns: 'the clock of the runtime, which a run can set',
  ktime_get_coarse_ns: 'the clock of the runtime, which a run can set',
  ktime_get_tai_ns: 'the same clock as ktime_get_ns',
  jiffies64: 'the clock of the runtime, at 250 Hz',
  timer_init: 'the clock of the runtime, which a run can move',
  timer_start:
    'fires as the clock is moved, or in time while it runs, once programs have ended; on the CPU that moves the clock',
  get_prandom_u32: 'a generator of the runtime, which a run can seed',
  trace_printk: 'collected by the runtime',
  trace_vprintk: 'collected by the runtime',
  perf_event_output: 'read by the runtime',
  redirect: 'the verdict and its target are reported to the sink',
  redirect_map: 'the verdict and its target are reported to the sink',
  redirect_neigh: 'the verdict and its target are reported to the sink',
  redirect_peer: 'the verdict and its target are reported to the sink',
  clone_redirect: 'loopback is the one interface; the copy is counted, its target kept',
  skb_get_tunnel_key: 'tunnel key as state of the packet',
  skb_set_tunnel_key: 'tunnel key as state of the packet',
  skb_get_tunnel_opt: 'tunnel options as state of the packet',
  skb_set_tunnel_opt: 'tunnel options as state of the packet',
  get_hash_recalc: 'hash as state of the packet',
  get_socket_cookie: 'socket as state of the packet',
  get_socket_uid: 'a socket of root: always 0',
  get_netns_cookie: 'one network namespace',
  get_cgroup_classid: 'no class is set: always 0',
  skb_cgroup_classid: 'no class is set: always 0',
  skb_cgroup_id: 'the control group that the run sets, or the root',
  skb_ancestor_cgroup_id: 'the control group that the run sets, a child of the root, or the root',
  get_route_realm: 'no route is attached: always 0',
  sk_lookup_tcp: 'sockets that the run makes, by address and port',
  sk_lookup_udp: 'sockets that the run makes, by address and port',
  skc_lookup_tcp: 'sockets that the run makes, by address and port',
  sk_release: 'sockets live as long as user space keeps them',
  tcp_check_syncookie: 'secrets from the seed of the runtime; as if net.ipv4.tcp_syncookies were 2',
  tcp_gen_syncookie: 'secrets from the seed of the runtime; as if net.ipv4.tcp_syncookies were 2',
  sock_map_update: 'sockets that the run makes',
  sock_hash_update: 'sockets that the run makes',
  skb_get_xfrm_state: 'no packet came through IPsec: EINVAL',
  get_current_task: 'a task object of the runtime; its fields are zeros',
  fib_lookup: 'interfaces, routes and neighbours that the run sets; without them, loopback, which forwards nothing',
  check_mtu: 'interfaces that the run sets',
  sk_assign: 'the chosen socket is reported',
  get_current_task_btf: 'a task object of the runtime, for task storage; its fields are zeros',
  sk_storage_get: "the packet's socket, whose storage goes with the run, or a socket that the run made",
  sk_storage_delete: "the packet's socket, or a socket that the run made",
  task_storage_get: 'the task object of the runtime',
  task_storage_delete: 'the task object of the runtime',
  inode_storage_get: 'inode objects that the run makes',
  inode_storage_delete: 'inode objects that the run makes',
  cgrp_storage_get: 'cgroup objects that the run makes',
  cgrp_storage_delete: 'cgroup objects that the run makes',
  get_local_storage: 'the control group that the run sets, or storage of each run',
  sk_redirect_map: 'sockets that the run makes; the target is reported',
  sk_redirect_hash: 'sockets that the run makes; the target is reported',
  msg_redirect_map: 'sockets that the run makes; the target is reported',
  msg_redirect_hash: 'sockets that the run makes; the target is reported',
  sk_select_reuseport: 'the chosen socket is reported',
};

const noTask = 'a task here is a few numbers, no struct of the kernel';
const noStack = 'there is no call stack of a kernel or a process to walk';
const noCounter = 'there are no hardware counters behind a perf_event_array';
const notAttached = 'tracing programs are not attached to anything here';
const noSignal = 'there is no task to send a signal to';
const noFile = 'there are no files, inodes and paths of a kernel';
const noIterator = 'iterators of the kernel are not run here';
const noInfrared = 'there is no infrared device';
const noSegmentRouting = 'lwt_seg6local is not run here';

/** Why a helper is refused, by name without prefix, where it is not simply missing yet. */
export const refusedHelpers: Readonly<Record<string, string>> = {
  perf_event_read: noCounter,
  perf_event_read_value: noCounter,
  perf_prog_read_value: noCounter,
  read_branch_records: noCounter,
  get_branch_snapshot: noCounter,
  get_task_stack: noStack,
  task_pt_regs: noTask,
  find_vma: noTask,
  copy_from_user_task: noTask,
  probe_write_user: 'no process has memory here that a program could write',
  send_signal: noSignal,
  send_signal_thread: noSignal,
  override_return: notAttached,
  get_func_ip: notAttached,
  get_func_arg: notAttached,
  get_func_ret: notAttached,
  get_func_arg_cnt: notAttached,
  get_attach_cookie: notAttached,
  skb_output: notAttached,
  xdp_output: notAttached,
  d_path: noFile,
  sock_from_file: noFile,
  bprm_opts_set: noFile,
  ima_inode_hash: noFile,
  ima_file_hash: noFile,
  seq_printf: noIterator,
  seq_write: noIterator,
  seq_printf_btf: noIterator,
  rc_repeat: noInfrared,
  rc_keydown: noInfrared,
  rc_pointer_rel: noInfrared,
  lwt_seg6_store_bytes: noSegmentRouting,
  lwt_seg6_adjust_srh: noSegmentRouting,
  lwt_seg6_action: noSegmentRouting,
  tcp_send_ack: 'struct_ops programs are not run here',
  sys_bpf: 'a program cannot make maps and programs here',
  sys_close: 'a program holds no descriptors here',
  btf_find_by_name_kind: 'there is no BTF of a kernel in the memory of programs',
  snprintf_btf: 'there is no BTF of a kernel in the memory of programs',
  kallsyms_lookup_name: 'there are no symbols of a kernel',
};

/** Instructions that are not there for every program, by kind of `Operation` (src/isa/operation.ts). */
export const instructionLimits: Readonly<Record<string, string>> = {
  'load-packet': 'program types with a packet, and raw programs',
  'addr-space-cast': 'for pointers into an arena map',
  'jump-indirect': 'jump tables from an instruction array (Linux 6.19) or a read-only map',
  'call-register': 'raw programs: no Linux has it',
};

const noKernelObject = 'no struct of a kernel stands behind it';

/** Why a kfunc is refused, by the start of its name; the first that fits. */
export const refusedKfuncs: readonly (readonly [start: RegExp, why: string])[] = [
  [/^(bpf_task_(?!work)|bpf_get_task_|bpf_iter_(task|css_task))/, noTask],
  [/^(bpf_iter_|bpf_cgroup_|bpf_get_mem_cgroup|bpf_put_mem_cgroup|css_|cgroup_|bpf_iter_css)/, noIterator],
  [
    /^(bpf_path|bpf_get_file|bpf_put_file|bpf_get_dentry|bpf_set_dentry|bpf_remove_dentry|bpf_cgroup_read_xattr|bpf_file)/,
    noFile,
  ],
  [/^(bpf_ct_|bpf_skb_ct_|bpf_xdp_ct_|bpf_xdp_flow)/, 'there is no connection tracking'],
  [/^(bpf_(xdp_get|xdp|skb_get|skb_set)_xfrm)/, 'there is no IPsec'],
  [/^(bpf_crypto|bpf_key_|bpf_lookup_|bpf_verify_)/, 'there are no keys and ciphers of a kernel'],
  [/^(scx_|bpf_sched_|hid_|tcp_|bbr_|cubictcp_|dctcp_|bpf_qdisc|bpf_kfree_skb|bpf_skb_set_dev)/, noKernelObject],
];

/** What the reader and the loader do not take, or take otherwise than libbpf and the kernel. */
export const objectLimits: readonly (readonly [what: string, here: string, why: string])[] = [
  [
    'several files of one program',
    'refused',
    'link them first: `bpftool gen object OUT.o A.o B.o`; what it writes is read',
  ],
  ['pinning other than none and by name', 'refused', 'as libbpf does'],
  ['map definitions in `maps` (before libbpf 1.0)', 'works', ''],
  [
    'kernel options in `.kconfig`',
    'modelled',
    'those of src/runtime/kconfig.ts, and what the run sets; on the linux target the kernel’s',
  ],
  ['CO-RE', 'modelled', "against the object's own types; on the linux target the kernel's"],
  ['arenas of 4 GiB', 'refused', 'ENOMEM: the memory that all programs share has 4 GiB'],
  [
    'methods of kernel structs (struct_ops)',
    'refused',
    'nothing here calls them, but loop_step of io_uring_bpf_ops (Linux 7.1), which a ring runs; all are verified',
  ],
  [
    'programs of USDT, kprobe and tracepoint sections',
    'refused',
    'nothing of a kernel or a process is traced here; they are verified and loaded into the kernel',
  ],
];
