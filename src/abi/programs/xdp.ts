/** XDP: struct xdp_md and enum xdp_action of include/uapi/linux/bpf.h; access rules of xdp_is_valid_access, net/core/filter.c. */
import { u32 } from '../contexts/fields.ts';
import { socketBaseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { verdictNames } from './verdicts.ts';

export const xdpAction = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

export const xdp: ProgramDeclaration = {
  type: 'xdp',
  since: '4.8',
  context: {
    struct: 'xdp_md',
    size: 24,
    fields: [
      u32('data', 0, { kind: 'packet' }),
      u32('data_end', 4, { kind: 'packet_end' }),
      u32('data_meta', 8, { kind: 'packet_meta' }),
      u32('ingress_ifindex', 12),
      u32('rx_queue_index', 16),
      u32('egress_ifindex', 20, { attachTypes: ['xdp_devmap'] }),
    ],
  },
  helpers: helperSet(socketBaseHelpers, [
    'perf_event_output',
    'get_smp_processor_id',
    'csum_diff',
    'xdp_adjust_head',
    'xdp_adjust_meta',
    'xdp_adjust_tail',
    'xdp_get_buff_len',
    'xdp_load_bytes',
    'xdp_store_bytes',
    'redirect',
    'redirect_map',
    'fib_lookup',
    'check_mtu',
    'sk_lookup_tcp',
    'sk_lookup_udp',
    'skc_lookup_tcp',
    'sk_release',
    'tcp_check_syncookie',
    'tcp_gen_syncookie',
    'tcp_raw_gen_syncookie_ipv4',
    'tcp_raw_gen_syncookie_ipv6',
    'tcp_raw_check_syncookie_ipv4',
    'tcp_raw_check_syncookie_ipv6',
  ]),
  attachTypes: ['xdp', 'xdp_devmap', 'xdp_cpumap'],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: verdictNames('XDP_', xdpAction),
  packetAccess: 'write',
  packetArguments: 'flagged',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
