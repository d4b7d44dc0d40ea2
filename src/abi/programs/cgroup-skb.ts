/** Packets of a control group: cg_skb_is_valid_access and cg_skb_func_proto, net/core/filter.c. */
import { skbContext } from '../contexts/skb.ts';
import { socketFilterHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

const range = (max: number) => ({ min: 0, max });

export const cgroupSkb: ProgramDeclaration = {
  type: 'cgroup_skb',
  since: '4.10',
  context: skbContext({
    without: ['tc_classid', 'data_meta', 'wire_len'],
    writes: ['mark', 'priority', 'cb', 'tstamp'],
  }),
  helpers: helperSet(socketFilterHelpers, [
    'get_local_storage',
    'sk_fullsock',
    'sk_storage_get',
    'sk_storage_delete',
    'skb_cgroup_id',
    'skb_ancestor_cgroup_id',
    'sk_cgroup_id',
    'sk_ancestor_cgroup_id',
    'sk_lookup_tcp',
    'sk_lookup_udp',
    'skc_lookup_tcp',
    'sk_release',
    'tcp_sock',
    'get_listener_sock',
    'skb_ecn_set_ce',
  ]),
  attachTypes: ['cgroup_inet_ingress', 'cgroup_inet_egress'],
  attachTypeRequired: true,
  defaultAttachType: 'cgroup_inet_ingress',
  returns: range(1),
  returnsByAttachType: new Map([['cgroup_inet_egress', range(3)]]),
  verdicts: new Map([
    [0, 'DROP'],
    [1, 'PASS'],
    // Egress only: the packet passes or not, and the sender is told of congestion.
    [2, 'DROP_CN'],
    [3, 'PASS_CN'],
  ]),
  packetAccess: 'read',
  packetArguments: 'flagged',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
