/** Which socket takes a connection: struct bpf_sk_lookup; sk_lookup_is_valid_access and sk_lookup_func_proto, net/core/filter.c. */
import { address6, field, narrowU32 } from '../contexts/fields.ts';
import { socketBaseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { assignInSocketLookup } from '../helpers/socket.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { skVerdicts } from './verdicts.ts';

export const skLookup: ProgramDeclaration = {
  type: 'sk_lookup',
  since: '5.9',
  context: {
    struct: 'bpf_sk_lookup',
    size: 72,
    fields: [
      field('sk', 0, 8, { kind: 'socket_or_null' }),
      narrowU32('family', 8),
      narrowU32('protocol', 12),
      narrowU32('remote_ip4', 16),
      address6('remote_ip6', 20, { loads: [1, 2, 4] }),
      // Network byte order, and __u16 of zero padding that objects from before 5.18 load with it.
      field('remote_port', 36, 2, { loads: [1, 2, 4] }),
      field('padding', 38, 2, { loads: [1, 2] }),
      narrowU32('local_ip4', 40),
      address6('local_ip6', 44, { loads: [1, 2, 4] }),
      narrowU32('local_port', 60),
      narrowU32('ingress_ifindex', 64),
    ],
  },
  helpers: helperSet(socketBaseHelpers, ['perf_event_output', assignInSocketLookup, 'sk_release']),
  attachTypes: ['sk_lookup'],
  attachTypeRequired: true,
  returns: { min: 0, max: 1 },
  verdicts: skVerdicts,
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
