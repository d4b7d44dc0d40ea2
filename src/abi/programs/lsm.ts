/** Security hooks: arguments by BTF; bpf_lsm_func_proto and bpf_lsm_get_retval_range, kernel/bpf/bpf_lsm.c. */
import { cgroupCommon } from '../helpers/base.ts';
import { helperSet, onlyFor } from '../helpers/helper-set.ts';
import { optionsOfPointer } from '../helpers/socket.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import type { AttachTypeName } from '../program-types.ts';
import { tracingHelpers, trampolineHelpers } from './tracing.ts';

const cgroup: readonly AttachTypeName[] = ['lsm_cgroup'];
/** Those that get arguments through a trampoline of their own. */
const mac: readonly AttachTypeName[] = ['lsm_mac'];

export const lsm: ProgramDeclaration = {
  type: 'lsm',
  since: '5.7',
  context: { struct: 'arguments', size: 96, fields: [], layout: 'btf' },
  helpers: helperSet(tracingHelpers, [
    ...cgroupCommon,
    ...trampolineHelpers,
    'get_attach_cookie',
    'inode_storage_get',
    'inode_storage_delete',
    'sk_storage_get',
    'sk_storage_delete',
    'bprm_opts_set',
    'ima_inode_hash',
    'ima_file_hash',
    ...optionsOfPointer,
  ]),
  helperAttachTypes: new Map([
    ...onlyFor(cgroupCommon, cgroup),
    // Where the hook has a socket.
    ...onlyFor(['getsockopt', 'setsockopt'], cgroup),
    ...onlyFor([...trampolineHelpers, 'get_attach_cookie'], mac),
  ]),
  attachTypes: [...mac, ...cgroup],
  attachTypeRequired: true,
  returns: 'by_target',
  returnsByAttachType: new Map([['lsm_cgroup', { min: 0, max: 1 }]]),
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'may',
  gplOnly: true,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
