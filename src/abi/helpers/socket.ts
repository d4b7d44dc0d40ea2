/** Sockets: look-up, casts, identity, options. net/core/filter.c. */
import { helper } from './prototype-builder.ts';

const tuple = ['ctx', 'mem', 'const_size_or_zero', 'anything', 'anything'] as const;
const finds = { acquires: true, packetAccess: true };
const cast = (struct: string) => ({ returnsBtfId: struct });
const gets = ['anything', 'anything', 'mem_uninit', 'const_size'] as const;
const sets = ['anything', 'anything', 'mem', 'const_size'] as const;

export const socketHelpers = [
  helper('bpf_sk_lookup_tcp', tuple, 'socket_or_null', finds),
  helper('bpf_sk_lookup_udp', tuple, 'socket_or_null', finds),
  helper('bpf_skc_lookup_tcp', tuple, 'sock_common_or_null', finds),
  helper('bpf_sk_release', ['btf_id_sock_common'], 'integer', { releases: 0 }),
  helper('bpf_sk_assign', ['ctx', 'btf_id_sock_common', 'anything'], 'integer'),
  helper('bpf_sk_fullsock', ['sock_common'], 'socket_or_null'),
  helper('bpf_tcp_sock', ['sock_common'], 'tcp_sock_or_null'),
  helper('bpf_get_listener_sock', ['sock_common'], 'socket_or_null'),
  helper('bpf_skc_to_tcp_sock', ['btf_id_sock_common'], 'btf_id_or_null', cast('tcp_sock')),
  helper('bpf_skc_to_tcp6_sock', ['btf_id_sock_common'], 'btf_id_or_null', cast('tcp6_sock')),
  helper('bpf_skc_to_tcp_timewait_sock', ['btf_id_sock_common'], 'btf_id_or_null', cast('tcp_timewait_sock')),
  helper('bpf_skc_to_tcp_request_sock', ['btf_id_sock_common'], 'btf_id_or_null', cast('tcp_request_sock')),
  helper('bpf_skc_to_udp6_sock', ['btf_id_sock_common'], 'btf_id_or_null', cast('udp6_sock')),
  helper('bpf_skc_to_unix_sock', ['btf_id_sock_common'], 'btf_id_or_null', cast('unix_sock')),
  helper('bpf_skc_to_mptcp_sock', ['sock_common'], 'btf_id_or_null', cast('mptcp_sock')),
  helper('bpf_sock_from_file', ['btf_id'], 'btf_id_or_null', { btfIds: { 0: ['file'] }, returnsBtfId: 'socket' }),
  helper('bpf_get_socket_cookie', ['ctx'], 'integer'),
  helper('bpf_get_socket_uid', ['ctx'], 'integer'),
  helper('bpf_get_netns_cookie', ['ctx_or_null'], 'integer'),
  helper('bpf_getsockopt', ['ctx', ...gets], 'integer'),
  helper('bpf_setsockopt', ['ctx', ...sets], 'integer'),
  helper('bpf_bind', ['ctx', 'mem', 'const_size'], 'integer'),
  helper('bpf_sk_select_reuseport', ['ctx', 'const_map_ptr', 'map_key', 'anything'], 'integer'),
  helper('bpf_tcp_send_ack', ['btf_id', 'anything'], 'integer', { btfIds: { 0: ['tcp_sock'] } }),
];

/** Of cgroup_sock_addr programs, which have no packet: bpf_sock_addr_sk_lookup_tcp_proto and its like. */
export const socketLookupWithoutPacket = [
  helper('bpf_sk_lookup_tcp', tuple, 'socket_or_null', { acquires: true }),
  helper('bpf_sk_lookup_udp', tuple, 'socket_or_null', { acquires: true }),
  helper('bpf_skc_lookup_tcp', tuple, 'sock_common_or_null', { acquires: true }),
];

/** Of sk_lookup programs: bpf_sk_lookup_assign_proto. */
export const assignInSocketLookup = helper('bpf_sk_assign', ['ctx', 'socket_or_null', 'anything'], 'integer');

/** Of programs that hold a socket pointer, not a context with one: bpf_get_socket_ptr_cookie_proto. */
export const cookieOfPointer = helper('bpf_get_socket_cookie', ['btf_id_sock_common_or_null'], 'integer');

/** Of programs that hold a socket pointer: bpf_sk_getsockopt_proto, bpf_sk_setsockopt_proto. */
export const optionsOfPointer = [
  helper('bpf_getsockopt', ['btf_id_sock_common', ...gets], 'integer'),
  helper('bpf_setsockopt', ['btf_id_sock_common', ...sets], 'integer'),
];
