/** Streams between sockets: sk_skb_is_valid_access and sk_skb_func_proto, net/core/filter.c. A parser returns a length, not a verdict. */
import { skbContext } from '../contexts/skb.ts';
import { socketBaseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { skVerdicts } from './verdicts.ts';

export const skSkb: ProgramDeclaration = {
  type: 'sk_skb',
  since: '4.14',
  context: skbContext({
    without: ['tc_classid', 'data_meta', 'tstamp', 'wire_len', 'hwtstamp', 'mark'],
    writes: ['tc_index', 'priority'],
  }),
  helpers: helperSet(socketBaseHelpers, [
    'skb_store_bytes',
    'skb_load_bytes',
    'skb_pull_data',
    'skb_change_tail',
    'skb_change_head',
    'skb_adjust_room',
    'get_socket_cookie',
    'get_socket_uid',
    'sk_redirect_map',
    'sk_redirect_hash',
    'perf_event_output',
    'sk_lookup_tcp',
    'sk_lookup_udp',
    'skc_lookup_tcp',
    'sk_release',
  ]),
  attachTypes: ['sk_skb_stream_parser', 'sk_skb_stream_verdict', 'sk_skb_verdict'],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: skVerdicts,
  packetAccess: 'write',
  packetArguments: 'flagged',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
