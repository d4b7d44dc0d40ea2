/** Sockets that a control group makes, releases or has bound: struct bpf_sock; sock_filter_is_valid_access, __sock_filter_check_attach_type and sock_filter_func_proto, net/core/filter.c. */
import { sockFields } from '../contexts/sock.ts';
import { baseHelpers, cgroupCommon } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { socketStorageOfContext } from '../helpers/storage.ts';
import type { ContextField, ProgramDeclaration } from '../program-declaration.ts';
import type { AttachTypeName } from '../program-types.ts';
import { cgroupVerdicts } from './verdicts.ts';

const postBind4: readonly AttachTypeName[] = ['cgroup_inet4_post_bind'];
const postBind6: readonly AttachTypeName[] = ['cgroup_inet6_post_bind'];
const makes: readonly AttachTypeName[] = ['cgroup_inet_sock_create', 'cgroup_inet_sock_release'];

/** Fields that only some attach types have; those of `makes` may be written. */
const only: Readonly<Record<string, readonly AttachTypeName[]>> = {
  bound_dev_if: makes,
  mark: makes,
  priority: makes,
  src_ip4: postBind4,
  src_ip6: postBind6,
  src_port: [...postBind4, ...postBind6],
};

function rightsOf(field: ContextField): ContextField {
  const attachTypes = only[field.name];
  return attachTypes === undefined ? field : { ...field, attachTypes, write: attachTypes === makes };
}

export const cgroupSock: ProgramDeclaration = {
  type: 'cgroup_sock',
  since: '4.10',
  context: { struct: 'bpf_sock', size: 80, fields: sockFields.map(rightsOf) },
  helpers: helperSet(baseHelpers, [
    ...cgroupCommon,
    'get_socket_cookie',
    'get_netns_cookie',
    'perf_event_output',
    socketStorageOfContext,
    'ktime_get_coarse_ns',
  ]),
  attachTypes: [...makes, ...postBind4, ...postBind6],
  attachTypeRequired: true,
  defaultAttachType: 'cgroup_inet_sock_create',
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
