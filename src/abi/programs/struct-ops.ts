/** Methods of kernel structs: arguments by BTF; kernel/bpf/bpf_struct_ops.c. Which helpers there are depends on the struct: most have the base set, tcp_congestion_ops the rest (bpf_tcp_ca_get_func_proto, net/ipv4/bpf_tcp_ca.c). */
import { baseHelpers } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { optionsOfPointer } from '../helpers/socket.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

export const structOps: ProgramDeclaration = {
  type: 'struct_ops',
  since: '5.6',
  context: { struct: 'arguments', size: 96, fields: [], layout: 'btf' },
  helpers: helperSet(baseHelpers, [
    'tcp_send_ack',
    'sk_storage_get',
    'sk_storage_delete',
    ...optionsOfPointer,
    'ktime_get_coarse_ns',
  ]),
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'by_target',
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'may',
  gplOnly: true,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
