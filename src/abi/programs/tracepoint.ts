/** Tracepoints of the kernel: the event's record, whose first 8 bytes are not for programs; tp_prog_is_valid_access and tp_prog_func_proto, kernel/trace/bpf_trace.c. */
import { field } from '../contexts/fields.ts';
import { tracingBaseHelpers, tracingOutput } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

const PERF_MAX_TRACE_SIZE = 8192;

export const tracepoint: ProgramDeclaration = {
  type: 'tracepoint',
  since: '4.7',
  context: {
    struct: 'event record',
    size: PERF_MAX_TRACE_SIZE,
    fields: [field('record', 8, PERF_MAX_TRACE_SIZE - 8, { element: 8, loads: [1, 2, 4, 8] })],
  },
  helpers: helperSet(tracingBaseHelpers, [...tracingOutput, 'get_attach_cookie']),
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
