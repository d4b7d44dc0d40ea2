/** Addresses that a control group binds, connects or sends to: struct bpf_sock_addr; sock_addr_is_valid_access and sock_addr_func_proto, net/core/filter.c. */
import { address6, field, narrowU32, u32 } from '../contexts/fields.ts';
import { cgroupCommon, socketBaseHelpers } from '../helpers/base.ts';
import { helperSet, onlyFor } from '../helpers/helper-set.ts';
import { socketLookupWithoutPacket } from '../helpers/socket.ts';
import type { ProgramDeclaration, ReturnRule } from '../program-declaration.ts';
import type { AttachTypeName } from '../program-types.ts';
import { cgroupVerdicts } from './verdicts.ts';

const bind: readonly AttachTypeName[] = ['cgroup_inet4_bind', 'cgroup_inet6_bind'];
const connect: readonly AttachTypeName[] = ['cgroup_inet4_connect', 'cgroup_inet6_connect'];
const send: readonly AttachTypeName[] = ['cgroup_udp4_sendmsg', 'cgroup_udp6_sendmsg', 'cgroup_unix_sendmsg'];
/** What they report cannot be refused. */
const reports: readonly AttachTypeName[] = [
  'cgroup_udp4_recvmsg',
  'cgroup_udp6_recvmsg',
  'cgroup_unix_recvmsg',
  'cgroup_inet4_getpeername',
  'cgroup_inet6_getpeername',
  'cgroup_unix_getpeername',
  'cgroup_inet4_getsockname',
  'cgroup_inet6_getsockname',
  'cgroup_unix_getsockname',
];
const all: readonly AttachTypeName[] = [...bind, ...connect, 'cgroup_unix_connect', ...send, ...reports];
const answers = all.filter((type) => !reports.includes(type));
const family = (of: '4' | '6') => all.filter((type) => type.includes(`inet${of}`) || type.includes(`udp${of}`));

const write = { write: true };
const parts = { loads: [1, 2, 4, 8], stores: [4, 8] };

export const cgroupSockAddr: ProgramDeclaration = {
  type: 'cgroup_sock_addr',
  since: '4.17',
  context: {
    struct: 'bpf_sock_addr',
    size: 72,
    fields: [
      u32('user_family', 0),
      narrowU32('user_ip4', 4, { ...write, attachTypes: family('4') }),
      address6('user_ip6', 8, { ...write, ...parts, attachTypes: family('6') }),
      narrowU32('user_port', 24, write),
      u32('family', 28),
      u32('type', 32),
      u32('protocol', 36),
      narrowU32('msg_src_ip4', 40, { ...write, attachTypes: ['cgroup_udp4_sendmsg'] }),
      address6('msg_src_ip6', 44, { ...write, ...parts, attachTypes: ['cgroup_udp6_sendmsg'] }),
      field('sk', 64, 8, { kind: 'socket' }),
    ],
  },
  helpers: helperSet(socketBaseHelpers, [
    ...cgroupCommon,
    'bind',
    'get_socket_cookie',
    'get_netns_cookie',
    'perf_event_output',
    ...socketLookupWithoutPacket,
    'sk_release',
    'sk_storage_get',
    'sk_storage_delete',
    'setsockopt',
    'getsockopt',
  ]),
  helperAttachTypes: new Map([...onlyFor(['bind'], connect), ...onlyFor(['get_retval', 'set_retval'], answers)]),
  attachTypes: all,
  attachTypeRequired: true,
  returns: { min: 0, max: 1 },
  returnsByAttachType: new Map<AttachTypeName, ReturnRule>([
    ...reports.map((type) => [type, { min: 1, max: 1 }] as const),
    // Bit 1: the port may be below 1024 without the capability for it.
    ...bind.map((type) => [type, { min: 0, max: 3 }] as const),
  ]),
  verdicts: cgroupVerdicts,
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
