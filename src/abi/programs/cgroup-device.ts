/** Device files of a control group: struct bpf_cgroup_dev_ctx; cgroup_dev_is_valid_access and cgroup_dev_func_proto, kernel/bpf/cgroup.c. */
import { narrowU32, u32 } from '../contexts/fields.ts';
import { baseHelpers, cgroupCommon } from '../helpers/base.ts';
import { helperSet, onlyFor } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { cgroupVerdicts } from './verdicts.ts';

export const cgroupDevice: ProgramDeclaration = {
  type: 'cgroup_device',
  since: '4.15',
  context: {
    struct: 'bpf_cgroup_dev_ctx',
    size: 12,
    // access_type: BPF_DEVCG_ACC_* in the upper half, BPF_DEVCG_DEV_* in the lower.
    fields: [narrowU32('access_type', 0), u32('major', 4), u32('minor', 8)],
  },
  helpers: helperSet(baseHelpers, [...cgroupCommon, 'perf_event_output']),
  // Linux takes a program without an attach type for one of cgroup_inet_ingress.
  helperAttachTypes: new Map(onlyFor(['get_retval', 'set_retval'], ['cgroup_device'] as const)),
  attachTypes: ['cgroup_device'],
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
