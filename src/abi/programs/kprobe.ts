/**
 * kprobes and uprobes: struct pt_regs of x86-64; kprobe_prog_is_valid_access and kprobe_prog_func_proto, kernel/trace/bpf_trace.c.
 * Early 6.18 lets uprobes write registers (6.18.19 does), 6.18.44 refuses it: refused here.
 */
import { field } from '../contexts/fields.ts';
import { tracingBaseHelpers, tracingOutput } from '../helpers/base.ts';
import { helperSet } from '../helpers/helper-set.ts';
import { functionOfMultiProbe } from '../helpers/tracing.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import type { AttachTypeName } from '../program-types.ts';

const sessions: readonly AttachTypeName[] = ['trace_kprobe_session', 'trace_uprobe_session'];
const multi: readonly AttachTypeName[] = ['trace_kprobe_multi', 'trace_uprobe_multi', ...sessions];

export const kprobe: ProgramDeclaration = {
  type: 'kprobe',
  since: '4.1',
  context: {
    struct: 'pt_regs',
    size: 168,
    fields: [field('regs', 0, 168, { element: 8, loads: [1, 2, 4, 8] })],
  },
  helpers: helperSet(tracingBaseHelpers, [...tracingOutput, 'get_attach_cookie', 'override_return']),
  helperVariants: [{ attachTypes: multi, helpers: helperSet(new Map(), [functionOfMultiProbe]) }],
  attachTypes: multi,
  attachTypeRequired: false,
  returns: 'any',
  returnsByAttachType: new Map(sessions.map((type) => [type, { min: 0, max: 1 }])),
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'may',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
