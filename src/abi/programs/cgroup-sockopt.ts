/** Socket options: struct bpf_sockopt; cg_sockopt_is_valid_access and cg_sockopt_func_proto, kernel/bpf/cgroup.c. */
import { field, u32 } from '../contexts/fields.ts';
import { baseHelpers, cgroupCommon } from '../helpers/base.ts';
import { helperSet, onlyFor } from '../helpers/helper-set.ts';
import { optionsOfPointer } from '../helpers/socket.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import type { AttachTypeName } from '../program-types.ts';
import { cgroupVerdicts } from './verdicts.ts';

const gets: readonly AttachTypeName[] = ['cgroup_getsockopt'];
const sets: readonly AttachTypeName[] = ['cgroup_setsockopt'];

export const cgroupSockopt: ProgramDeclaration = {
  type: 'cgroup_sockopt',
  since: '5.3',
  context: {
    struct: 'bpf_sockopt',
    size: 40,
    fields: [
      field('sk', 0, 8, { kind: 'socket' }),
      field('optval', 8, 8, { kind: 'packet' }),
      field('optval_end', 16, 8, { kind: 'packet_end' }),
      u32('level', 24, { write: true, writeAttachTypes: sets }),
      u32('optname', 28, { write: true, writeAttachTypes: sets }),
      u32('optlen', 32, { write: true }),
      u32('retval', 36, { write: true, attachTypes: gets }),
    ],
  },
  helpers: helperSet(baseHelpers, [
    ...cgroupCommon,
    'get_netns_cookie',
    'sk_storage_get',
    'sk_storage_delete',
    ...optionsOfPointer,
    'tcp_sock',
    'perf_event_output',
  ]),
  helperAttachTypes: new Map(onlyFor(['setsockopt', 'getsockopt'], sets)),
  attachTypes: [...gets, ...sets],
  attachTypeRequired: true,
  returns: { min: 0, max: 1 },
  verdicts: cgroupVerdicts,
  packetAccess: 'write',
  packetArguments: 'any',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
