/** Control groups: the groups of packets and sockets, return values of cgroup hooks, sysctl. net/core/filter.c, kernel/bpf/cgroup.c. */
import { helper } from './prototype-builder.ts';

export const cgroupHelpers = [
  helper('bpf_skb_under_cgroup', ['ctx', 'const_map_ptr', 'anything'], 'integer'),
  helper('bpf_skb_cgroup_classid', ['ctx'], 'integer'),
  helper('bpf_skb_cgroup_id', ['ctx'], 'integer'),
  helper('bpf_skb_ancestor_cgroup_id', ['ctx', 'anything'], 'integer'),
  helper('bpf_sk_cgroup_id', ['btf_id_sock_common'], 'integer'),
  helper('bpf_sk_ancestor_cgroup_id', ['btf_id_sock_common', 'anything'], 'integer'),
  helper('bpf_get_cgroup_classid', ['ctx'], 'integer'),
  helper('bpf_get_retval', [], 'integer'),
  helper('bpf_set_retval', ['anything'], 'integer'),
  helper('bpf_sysctl_get_name', ['ctx', 'mem_write', 'const_size', 'anything'], 'integer'),
  helper('bpf_sysctl_get_current_value', ['ctx', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_sysctl_get_new_value', ['ctx', 'mem_uninit', 'const_size'], 'integer'),
  helper('bpf_sysctl_set_new_value', ['ctx', 'mem', 'const_size'], 'integer'),
];

/** Of types whose context is no packet: bpf_get_cgroup_classid_curr_proto. */
export const classidOfTask = helper('bpf_get_cgroup_classid', [], 'integer');
