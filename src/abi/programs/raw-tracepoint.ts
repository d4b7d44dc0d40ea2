/** Raw tracepoints: struct bpf_raw_tracepoint_args, up to 12 arguments; raw_tp_prog_is_valid_access, bpf_tracing_ctx_access and raw_tp_prog_func_proto, kernel/trace/bpf_trace.c. */
import { field } from '../contexts/fields.ts';
import { tracingBaseHelpers, tracingOutput } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

/** MAX_BPF_FUNC_ARGS arguments of 8 bytes. */
const ARGUMENTS = 96;

const parts = { element: 8, loads: [1, 2, 4, 8] };

export const rawTracepointHelpers = helperSet(tracingBaseHelpers, [...tracingOutput, 'get_attach_cookie']);

export const rawTracepoint: ProgramDeclaration = {
  type: 'raw_tracepoint',
  since: '4.17',
  context: { struct: 'bpf_raw_tracepoint_args', size: ARGUMENTS, fields: [field('args', 0, ARGUMENTS, parts)] },
  helpers: rawTracepointHelpers,
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};

/** Its first argument is a buffer that may be written, as far as the tracepoint says. */
export const rawTracepointWritable: ProgramDeclaration = {
  ...rawTracepoint,
  type: 'raw_tracepoint_writable',
  since: '5.2',
  testRun: false,
  context: {
    struct: 'bpf_raw_tracepoint_args',
    size: ARGUMENTS,
    fields: [
      field('buffer', 0, 8, { kind: 'tp_buffer' }),
      // Linux refuses parts of the pointer only at its first byte.
      field('buffer_tail', 1, 7, { element: 1, loads: [1, 2, 4] }),
      field('args', 8, ARGUMENTS - 8, parts),
    ],
  },
};
