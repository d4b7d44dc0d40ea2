/** Reads and writes of sysctl files: struct bpf_sysctl; sysctl_is_valid_access and sysctl_func_proto, kernel/bpf/cgroup.c. */
import { narrowU32 } from '../contexts/fields.ts';
import { baseHelpers, cgroupCommon } from '../helpers/base.ts';
import { helperSet, onlyFor } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { cgroupVerdicts } from './verdicts.ts';

export const cgroupSysctl: ProgramDeclaration = {
  type: 'cgroup_sysctl',
  since: '5.2',
  context: {
    struct: 'bpf_sysctl',
    size: 8,
    fields: [narrowU32('write', 0), narrowU32('file_pos', 4, { write: true })],
  },
  helpers: helperSet(baseHelpers, [
    ...cgroupCommon,
    'sysctl_get_name',
    'sysctl_get_current_value',
    'sysctl_get_new_value',
    'sysctl_set_new_value',
    'ktime_get_coarse_ns',
    'perf_event_output',
  ]),
  // Linux takes a program without an attach type for one of cgroup_inet_ingress.
  helperAttachTypes: new Map(onlyFor(['get_retval', 'set_retval'], ['cgroup_sysctl'] as const)),
  attachTypes: ['cgroup_sysctl'],
  attachTypeRequired: false,
  returns: { min: 0, max: 1 },
  verdicts: cgroupVerdicts,
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
