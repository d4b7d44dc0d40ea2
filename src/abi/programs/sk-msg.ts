/** Messages before they are sent: struct sk_msg_md; sk_msg_is_valid_access and sk_msg_func_proto, net/core/filter.c. */
import { address6, field, u32 } from '../contexts/fields.ts';
import { socketBaseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { skVerdicts } from './verdicts.ts';

export const skMsg: ProgramDeclaration = {
  type: 'sk_msg',
  since: '4.17',
  context: {
    struct: 'sk_msg_md',
    size: 80,
    fields: [
      field('data', 0, 8, { kind: 'packet' }),
      field('data_end', 8, 8, { kind: 'packet_end' }),
      u32('family', 16),
      u32('remote_ip4', 20),
      u32('local_ip4', 24),
      address6('remote_ip6', 28),
      address6('local_ip6', 44),
      u32('remote_port', 60),
      u32('local_port', 64),
      u32('size', 68),
      field('sk', 72, 8, { kind: 'socket' }),
    ],
  },
  helpers: helperSet(socketBaseHelpers, [
    'msg_redirect_map',
    'msg_redirect_hash',
    'msg_apply_bytes',
    'msg_cork_bytes',
    'msg_pull_data',
    'msg_push_data',
    'msg_pop_data',
    'perf_event_output',
    'sk_storage_get',
    'sk_storage_delete',
    'get_netns_cookie',
  ]),
  attachTypes: ['sk_msg_verdict'],
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
