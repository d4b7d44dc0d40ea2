/** Packet headers into flow keys: flow_dissector_is_valid_access and flow_dissector_func_proto, net/core/filter.c. */
import { skbContext } from '../contexts/skb.ts';
import { socketBaseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { verdictNames } from './verdicts.ts';

export const flowDissectorCode = { ok: 0, drop: 2, flow_dissector_continue: 129 } as const;

export const flowDissector: ProgramDeclaration = {
  type: 'flow_dissector',
  since: '4.20',
  context: skbContext({ only: ['data', 'data_end', 'flow_keys'] }),
  helpers: helperSet(socketBaseHelpers, ['skb_load_bytes']),
  attachTypes: ['flow_dissector'],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: verdictNames('BPF_', flowDissectorCode),
  packetAccess: 'read',
  packetArguments: 'flagged',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
