/** fentry, fexit, fmod_ret, tp_btf and iterators: arguments by BTF; tracing_prog_is_valid_access and tracing_prog_func_proto, kernel/trace/bpf_trace.c. */
import { socketCasts, tracingBaseHelpers, tracingOutput } from '../helpers/base.ts';
import { helperSet, onlyFor } from '../helpers/helper-set.ts';
import { cookieOfPointer, optionsOfPointer } from '../helpers/socket.ts';
import { tracingSocketStorage } from '../helpers/storage.ts';
import { bufferLengthInTracing } from '../helpers/xdp.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import type { AttachTypeName } from '../program-types.ts';

const trampolines: readonly AttachTypeName[] = ['trace_fentry', 'trace_fexit', 'modify_return'];
const iterators: readonly AttachTypeName[] = ['trace_iter'];

/** What tracing_prog_func_proto gives to every type that goes through it: tracing, LSM, syscall. */
export const tracingHelpers = helperSet(tracingBaseHelpers, [
  ...tracingOutput,
  'skb_output',
  'xdp_output',
  ...socketCasts,
  ...tracingSocketStorage,
  'sock_from_file',
  cookieOfPointer,
  bufferLengthInTracing,
  'd_path',
]);

/** Helpers that need the trampoline of a function (bpf_prog_has_trampoline). */
export const trampolineHelpers = ['get_func_arg', 'get_func_ret', 'get_func_arg_cnt'] as const;

const sequence = ['seq_printf', 'seq_write', 'seq_printf_btf'] as const;

export const tracing: ProgramDeclaration = {
  type: 'tracing',
  since: '5.5',
  context: { struct: 'arguments', size: 96, fields: [], layout: 'btf' },
  helpers: helperSet(tracingHelpers, [...trampolineHelpers, ...sequence, ...optionsOfPointer, 'get_attach_cookie']),
  helperAttachTypes: new Map([
    ...onlyFor(sequence, iterators),
    // Iterators over TCP and Unix sockets only.
    ...onlyFor(['getsockopt', 'setsockopt'], iterators),
    ...onlyFor(trampolineHelpers, trampolines),
    ...onlyFor<AttachTypeName>(['get_attach_cookie'], ['trace_raw_tp', ...trampolines]),
  ]),
  attachTypes: ['trace_raw_tp', ...trampolines, ...iterators],
  attachTypeRequired: true,
  returns: 'any',
  returnsByAttachType: new Map([
    ['trace_fentry', { min: 0, max: 0 }],
    ['trace_fexit', { min: 0, max: 0 }],
    ['trace_iter', { min: 0, max: 1 }],
  ]),
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'may',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
