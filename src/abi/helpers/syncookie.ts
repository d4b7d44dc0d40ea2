/** SYN cookies: net/core/filter.c. Sizes are those of struct iphdr (20), ipv6hdr (40) and tcphdr (20). */
import { helper } from './prototype-builder.ts';

const gplAndPacket = { gplOnly: true, packetAccess: true };
const headers = ['btf_id_sock_common', 'mem', 'const_size', 'mem', 'const_size'] as const;

export const syncookieHelpers = [
  helper('bpf_tcp_check_syncookie', headers, 'integer', gplAndPacket),
  helper('bpf_tcp_gen_syncookie', headers, 'integer', gplAndPacket),
  helper('bpf_tcp_raw_gen_syncookie_ipv4', ['fixed_mem', 'mem', 'const_size_or_zero'], 'integer', {
    ...gplAndPacket,
    fixedSize: { 0: 20 },
  }),
  helper('bpf_tcp_raw_gen_syncookie_ipv6', ['fixed_mem', 'mem', 'const_size_or_zero'], 'integer', {
    ...gplAndPacket,
    fixedSize: { 0: 40 },
  }),
  helper('bpf_tcp_raw_check_syncookie_ipv4', ['fixed_mem', 'fixed_mem'], 'integer', {
    ...gplAndPacket,
    fixedSize: { 0: 20, 1: 20 },
  }),
  helper('bpf_tcp_raw_check_syncookie_ipv6', ['fixed_mem', 'fixed_mem'], 'integer', {
    ...gplAndPacket,
    fixedSize: { 0: 40, 1: 20 },
  }),
];
