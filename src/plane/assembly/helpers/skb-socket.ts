// Sockets of sk_buffs: struct bpf_sock in the descriptor. It is a full socket that is not of TCP.

export function bpf_sk_fullsock(sock: u64): u64 {
  return sock;
}

export function bpf_tcp_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_get_listener_sock(_sock: u64): u64 {
  return 0;
}

// The modelled socket is none of these.
export function bpf_skc_to_tcp_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_skc_to_tcp6_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_skc_to_tcp_timewait_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_skc_to_tcp_request_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_skc_to_udp6_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_skc_to_unix_sock(_sock: u64): u64 {
  return 0;
}

export function bpf_skc_to_mptcp_sock(_sock: u64): u64 {
  return 0;
}

// The socket is in the root of the control groups, and in the first network namespace.
export function bpf_sk_cgroup_id(_sock: u64): u64 {
  return 1;
}

export function bpf_sk_ancestor_cgroup_id(_sock: u64, level: u64): u64 {
  return <i32>level == 0 ? 1 : 0;
}

export function bpf_get_netns_cookie(_ctx: u64): u64 {
  return 1;
}
