/** What docs/parity.md says besides what the code shows by itself: of what is modelled, with what. Data only. */

/**
 * Helpers whose subject does not exist in user space and is a model here, by name without prefix. Listed as modelled once the plane has a
 * body for them; until then they are refused like any other.
 */
export const modelledHelpers: Readonly<Record<string, string>> = {
  get_current_pid_tgid: 'the process that Sluice runs in, or what the run sets',
  get_current_uid_gid: 'the process that Sluice runs in, or what the run sets',
  get_current_comm: 'the process that Sluice runs in, or what the run sets',
  get_numa_node_id: 'one node',
  get_smp_processor_id: 'the worker is the CPU',
  ktime_get_ns: 'the clock of the runtime, which a run can set',
  ktime_get_boot_ns: 'the clock of the runtime, which a run can set',
  ktime_get_coarse_ns: 'the clock of the runtime, which a run can set',
  ktime_get_tai_ns: 'the same clock as ktime_get_ns',
  jiffies64: 'the clock of the runtime, at 250 Hz',
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
  skb_cgroup_id: 'control group of the socket, as state of the packet',
  skb_ancestor_cgroup_id: 'the root, which has no ancestor but itself',
  get_route_realm: 'no route is attached: always 0',
  fib_lookup: 'routes that the run sets',
  check_mtu: 'interfaces that the run sets',
  sk_assign: 'the chosen socket is reported',
  sk_select_reuseport: 'the chosen socket is reported',
};

/** Instructions that are not there for every program, by kind of `Operation` (src/isa/operation.ts). */
export const instructionLimits: Readonly<Record<string, string>> = {
  'load-packet': 'program types with a packet, and raw programs',
  'addr-space-cast': 'for pointers into an arena map',
  'jump-indirect': 'jump tables from an instruction array (Linux 6.19) or a read-only map',
  'call-register': 'raw programs: no Linux has it',
};
