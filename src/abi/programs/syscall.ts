/** Programs that user space runs with a context of its own making: syscall_prog_is_valid_access and syscall_prog_func_proto, kernel/bpf/syscall.c. */
import { field } from '../contexts/fields.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { tracingHelpers } from './tracing.ts';

const SIZE = 0xffff;
const bytes = [1, 2, 4, 8];

export const syscall: ProgramDeclaration = {
  type: 'syscall',
  since: '5.14',
  context: {
    struct: 'arguments',
    size: SIZE,
    fields: [field('arguments', 0, SIZE, { element: 8, write: true, loads: bytes, stores: bytes })],
  },
  helpers: helperSet(tracingHelpers, ['sys_bpf', 'btf_find_by_name_kind', 'sys_close', 'kallsyms_lookup_name']),
  attachTypes: [],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'always',
  gplOnly: false,
  testRun: true,
  stability: { level: 'stable', since: '0.1.0' },
};
