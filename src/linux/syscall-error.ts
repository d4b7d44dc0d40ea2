/** Errors of system calls: what the kernel refused, by errno. */
import { errnoName } from '../abi/errno.ts';
import { SluiceError, UnsupportedError } from '../errors.ts';

export { errnoName };

/** The kernel refused a system call. `code` is `SLUICE_LINUX_<errno>`. */
export class SyscallError extends SluiceError {
  /** `EINVAL`, … */
  readonly errno: string;
  readonly errnoNumber: number;
  /** The system call, with the command of bpf(2): `bpf(BPF_MAP_CREATE)`. */
  readonly call: string;

  constructor(call: string, errno: number, detail = '', options?: ErrorOptions) {
    const name = errnoName(errno);
    super(`SLUICE_LINUX_${name}`, `${call}: ${name}${detail === '' ? '' : ` (${detail})`}`, options);
    this.errno = name;
    this.errnoNumber = errno;
    this.call = call;
  }
}

/**
 * The kernel refused a program. Carries the verifier's log; the message holds its last lines, where the reason stands. The
 * verdict as such is data (`verify`); this error is for who asked for a loaded program.
 */
export class ProgramRefusedError extends SyscallError {
  readonly program: string;
  /** Whole log at level 1; '' if the kernel refused before its verifier ran. */
  readonly log: string;

  constructor(program: string, errno: number, log: string) {
    const lines = log
      .split('\n')
      .filter((line) => line !== '' && !/^(processed|verification time|stack depth) /.test(line));
    const last = lines.slice(-4);
    const omitted = lines.length - last.length;
    const text = last.length === 0 ? 'no verifier log' : last.join(' | ');
    super(
      'bpf(BPF_PROG_LOAD)',
      errno,
      `program ${program}: ${omitted > 0 ? `(${omitted} lines omitted) ` : ''}${text}`,
    );
    this.program = program;
    this.log = log;
  }
}

/** What a refused bpf(2) means to the caller: lack of privilege is a missing capability of the machine. */
export function bpfError(call: string, errno: number, detail = ''): SyscallError | UnsupportedError {
  const name = errnoName(errno);
  if (name === 'EPERM' || name === 'ENOSYS') {
    const needs = name === 'EPERM' ? ': needs root (CAP_BPF, CAP_NET_ADMIN)' : '';
    const refusal = `${call} refused: ${name}${detail === '' ? '' : ` (${detail})`}${needs}`;
    return new UnsupportedError('bpf(2)', refusal, undefined, { cause: new SyscallError(call, errno, detail) });
  }
  return new SyscallError(call, errno, detail);
}
