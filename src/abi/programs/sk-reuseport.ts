/** Which of the sockets that share a port: struct sk_reuseport_md; sk_reuseport_is_valid_access and sk_reuseport_func_proto, net/core/filter.c. */
import { field, narrowU32, u32 } from '../contexts/fields.ts';
import { baseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { cookieOfPointer } from '../helpers/socket.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { skVerdicts } from './verdicts.ts';

export const skReuseport: ProgramDeclaration = {
  type: 'sk_reuseport',
  since: '4.19',
  context: {
    struct: 'sk_reuseport_md',
    size: 56,
    fields: [
      field('data', 0, 8, { kind: 'packet' }),
      field('data_end', 8, 8, { kind: 'packet_end' }),
      narrowU32('len', 16),
      // A __be16 inside the kernel: single bytes of it are refused.
      u32('eth_protocol', 20, { loads: [2, 4] }),
      narrowU32('ip_protocol', 24),
      narrowU32('bind_inany', 28),
      u32('hash', 32),
      field('sk', 40, 8, { kind: 'socket' }),
      field('migrating_sk', 48, 8, { kind: 'sock_common_or_null' }),
    ],
  },
  helpers: helperSet(baseHelpers, [
    'sk_select_reuseport',
    'skb_load_bytes',
    'skb_load_bytes_relative',
    cookieOfPointer,
    'ktime_get_coarse_ns',
  ]),
  attachTypes: ['sk_reuseport_select', 'sk_reuseport_select_or_migrate'],
  attachTypeRequired: true,
  defaultAttachType: 'sk_reuseport_select',
  returns: 'any',
  verdicts: skVerdicts,
  packetAccess: 'read',
  packetArguments: 'flagged',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
