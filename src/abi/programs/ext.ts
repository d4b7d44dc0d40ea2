/** Replacements of functions of other programs: context, helpers and rights are those of the program that is extended (resolve_prog_type, include/linux/bpf_verifier.h). */
import type { ProgramDeclaration } from '../program-declaration.ts';

export const ext: ProgramDeclaration = {
  type: 'ext',
  since: '5.6',
  context: { struct: 'target', size: 0, fields: [], layout: 'target' },
  helpers: new Map(),
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
