/** The lines that the selftests expect in the verifier's log (`__msg`), and our log. */
import { judge } from '../../src/cli/judge.ts';
import type { ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';
import { KernelLog } from '../../src/verifier/explanation/kernel-log.ts';
import { type Expectation, messagePattern } from './tags.ts';

/** As log_level of BPF_PROG_LOAD where a program has no tag. */
const LEVEL = 1;

export function ourLog(object: ObjectSpec, program: ProgramSpec, { flags, logLevel = LEVEL }: Expectation): string {
  const log = new KernelLog(logLevel);
  const options = {
    observer: log,
    deviceBound: false,
    strictAlignment: (flags & 1) !== 0,
    testStateFrequency: (flags & 8) !== 0,
  };
  const verdict = judge(object, program, options);
  return log.finish(verdict, (logLevel & 4) !== 0 ? verdict.stats : undefined);
}

/** Which of the lines are in the log, each behind the one before. */
export function linesFound(log: string, messages: readonly string[]): boolean[] {
  let rest = log;
  return messages.map((message) => {
    const match = messagePattern(message).exec(rest);
    if (match === null) return false;
    rest = rest.slice(match.index + match[0].length);
    return true;
  });
}
