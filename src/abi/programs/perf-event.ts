/** Samples of perf events: struct bpf_perf_event_data, with pt_regs of x86-64; pe_prog_is_valid_access and pe_prog_func_proto, kernel/trace/bpf_trace.c. */
import { field } from '../contexts/fields.ts';
import { tracingBaseHelpers, tracingOutput } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { stackIdOfPerfEvent } from '../helpers/tracing.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

const narrow = { loads: [1, 2, 4, 8] };

export const perfEvent: ProgramDeclaration = {
  type: 'perf_event',
  since: '4.9',
  context: {
    struct: 'bpf_perf_event_data',
    size: 184,
    fields: [
      field('regs', 0, 168, { element: 8 }),
      field('sample_period', 168, 8, narrow),
      field('addr', 176, 8, narrow),
    ],
  },
  helpers: helperSet(tracingBaseHelpers, [
    ...tracingOutput,
    'get_attach_cookie',
    stackIdOfPerfEvent,
    'perf_prog_read_value',
    'read_branch_records',
  ]),
  attachTypes: ['perf_event'],
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
