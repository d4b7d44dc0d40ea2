/** Socket filters: sk_filter_is_valid_access and sk_filter_func_proto, net/core/filter.c. The return value is how many bytes of the packet to keep. */
import { skbContext, socketFields } from '../contexts/skb.ts';
import { socketFilterHelpers } from '../helpers/base.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

export const socketFilter: ProgramDeclaration = {
  type: 'socket_filter',
  since: '3.19',
  context: skbContext({
    without: ['tc_classid', 'data', 'data_end', 'data_meta', 'tstamp', 'wire_len', 'hwtstamp', ...socketFields],
    writes: ['cb'],
  }),
  helpers: socketFilterHelpers,
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: new Map([[0, 'DROP']]),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: true,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
