/** Light-weight tunnels: lwt_is_valid_access and lwt_*_func_proto, net/core/filter.c; enum bpf_ret_code of include/uapi/linux/bpf.h. */
import { skbContext, socketFields } from '../contexts/skb.ts';
import { socketBaseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { verdictNames } from './verdicts.ts';

export const lwtCode = { ok: 0, drop: 2, redirect: 7, lwt_reroute: 128 } as const;

export const lwtOut: ProgramDeclaration = {
  type: 'lwt_out',
  since: '4.10',
  context: skbContext({
    without: ['tc_classid', 'data_meta', 'tstamp', 'wire_len', 'hwtstamp', ...socketFields],
    writes: ['mark', 'priority', 'cb'],
  }),
  helpers: helperSet(socketBaseHelpers, [
    'skb_load_bytes',
    'skb_pull_data',
    'csum_diff',
    'get_cgroup_classid',
    'get_route_realm',
    'get_hash_recalc',
    'perf_event_output',
    'get_smp_processor_id',
    'skb_under_cgroup',
  ]),
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: verdictNames('BPF_', lwtCode),
  packetAccess: 'read',
  packetArguments: 'flagged',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};

export const lwtIn: ProgramDeclaration = {
  ...lwtOut,
  type: 'lwt_in',
  helpers: helperSet(lwtOut.helpers, ['lwt_push_encap']),
};

export const lwtXmit: ProgramDeclaration = {
  ...lwtOut,
  type: 'lwt_xmit',
  packetAccess: 'write',
  helpers: helperSet(lwtOut.helpers, [
    'skb_get_tunnel_key',
    'skb_set_tunnel_key',
    'skb_get_tunnel_opt',
    'skb_set_tunnel_opt',
    'redirect',
    'clone_redirect',
    'skb_change_tail',
    'skb_change_head',
    'skb_store_bytes',
    'csum_update',
    'csum_level',
    'l3_csum_replace',
    'l4_csum_replace',
    'set_hash_invalid',
    'lwt_push_encap',
  ]),
};

/** Segment routing over IPv6: net/ipv6/seg6_local.c. The kernel has no test run for it. */
export const lwtSeg6local: ProgramDeclaration = {
  ...lwtOut,
  type: 'lwt_seg6local',
  since: '4.18',
  testRun: false,
  helpers: helperSet(lwtOut.helpers, ['lwt_seg6_store_bytes', 'lwt_seg6_action', 'lwt_seg6_adjust_srh']),
};
