/** Netfilter hooks: struct bpf_nf_ctx; nf_is_valid_access and bpf_nf_func_proto, net/netfilter/nf_bpf_link.c. */
import { field } from '../contexts/fields.ts';
import { baseHelpers } from '../helpers/base.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { verdictNames } from './verdicts.ts';

export const netfilter: ProgramDeclaration = {
  type: 'netfilter',
  since: '6.4',
  context: {
    struct: 'bpf_nf_ctx',
    size: 16,
    fields: [
      field('state', 0, 8, { kind: 'btf_id', btfId: 'nf_hook_state' }),
      field('skb', 8, 8, { kind: 'btf_id', btfId: 'sk_buff' }),
    ],
  },
  helpers: baseHelpers,
  attachTypes: ['netfilter'],
  attachTypeRequired: true,
  returns: { min: 0, max: 1 },
  verdicts: verdictNames('NF_', { drop: 0, accept: 1 }),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
