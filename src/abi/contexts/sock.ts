/**
 * Sockets as programs see them, in a context or behind a pointer: struct bpf_sock, bpf_tcp_sock and bpf_xdp_sock. Rights of
 * bpf_sock_is_valid_access, bpf_sock_common_is_valid_access, bpf_tcp_sock_is_valid_access and bpf_xdp_sock_is_valid_access,
 * net/core/filter.c.
 */
import type { ContextField } from '../program-declaration.ts';
import { address6, field, narrowU32, u32, u32Run } from './fields.ts';

const atStart = { narrowAtStart: true };

/** Of a full socket: PTR_TO_SOCKET. All read-only. */
export const sockFields: readonly ContextField[] = [
  u32('bound_dev_if', 0),
  narrowU32('family', 4, atStart),
  narrowU32('type', 8, atStart),
  narrowU32('protocol', 12, atStart),
  u32('mark', 16),
  u32('priority', 20),
  narrowU32('src_ip4', 24),
  address6('src_ip6', 28, { loads: [1, 2, 4] }),
  narrowU32('src_port', 44, atStart),
  // Network byte order, and __u16 of padding that objects from before 5.16 load with it.
  field('dst_port', 48, 2, { loads: [1, 2, 4] }),
  narrowU32('dst_ip4', 52),
  address6('dst_ip6', 56, { loads: [1, 2, 4] }),
  narrowU32('state', 72, atStart),
  narrowU32('rx_queue_mapping', 76, atStart),
];

const fullOnly: readonly string[] = ['type', 'protocol', 'mark', 'priority'];

const tcpSockFields: readonly ContextField[] = [
  ...u32Run(0, [
    'snd_cwnd',
    'srtt_us',
    'rtt_min',
    'snd_ssthresh',
    'rcv_nxt',
    'snd_nxt',
    'snd_una',
    'mss_cache',
    'ecn_flags',
    'rate_delivered',
    'rate_interval_us',
    'packets_out',
    'retrans_out',
    'total_retrans',
    'segs_in',
    'data_segs_in',
    'segs_out',
    'data_segs_out',
    'lost_out',
    'sacked_out',
  ]),
  field('bytes_received', 80, 8),
  field('bytes_acked', 88, 8),
  ...u32Run(96, ['dsack_dups', 'delivered', 'delivered_ce', 'icsk_retransmits']),
];

/** What may be loaded through a socket pointer, by what the pointer is known to be. Nothing may be written. */
export const socketStructs = {
  socket: { struct: 'bpf_sock', size: 80, fields: sockFields },
  sock_common: {
    struct: 'bpf_sock',
    size: 80,
    fields: sockFields.filter(({ name }) => !fullOnly.includes(name)),
  },
  tcp_sock: { struct: 'bpf_tcp_sock', size: 112, fields: tcpSockFields },
  xdp_sock: { struct: 'bpf_xdp_sock', size: 4, fields: [u32('queue_id', 0)] },
} as const;

/** struct bpf_flow_keys: any bytes inside may be read and written (check_flow_keys_access, kernel/bpf/verifier.c). */
export const flowKeysSize = 56;
