/** Exit codes: what scripts rely on. */
import { InputError, UnsupportedError } from '../errors.ts';
import { RequestError } from '../hooks/ring/request-error.ts';
import { ProgramRefusedError, SyscallError } from '../linux/syscall-error.ts';

export const exitCode = {
  /** The answer is yes; it worked. */
  yes: 0,
  /** It worked, and the answer is no: rejected, differs, test failed. */
  no: 1,
  usage: 2,
  /** Bad input: object, capture, program text. */
  input: 3,
  /** A capability that was asked for is missing. */
  missing: 4,
  /** Our bug. */
  internal: 70,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** Wrong use of the command line, found after the options were parsed. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return exitCode.usage;
  if (error instanceof InputError) return exitCode.input;
  if (error instanceof UnsupportedError) return exitCode.missing;
  if (error instanceof ProgramRefusedError) return exitCode.no;
  if (error instanceof SyscallError || error instanceof RequestError) return exitCode.input;
  return exitCode.internal;
}
