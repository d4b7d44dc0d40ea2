/**
 * io_uring_setup(2): which flags are in force, and how the kernel's rings come into the linear memory.
 *
 * Best is IORING_SETUP_NO_MMAP (6.5): the kernel uses pages of the linear memory. Before that they are mapped over pages of it, which kernels since 6.3
 * refuse (io_uring_get_unmapped_area); then they stay elsewhere, and each enter copies.
 */
import { readFileSync } from 'node:fs';
import { ringFeatures, type SetupFlag, setupFlags } from '../abi/io-uring/ring-flags.ts';
import { UnsupportedError } from '../errors.ts';
import { addressOf, syscall } from './ffi.ts';
import { SyscallError } from './syscall-error.ts';

/** struct io_uring_params: 40 bytes, then struct io_sqring_offsets and struct io_cqring_offsets of 40 bytes each. */
export const PARAMS_SIZE = 120;
const SQ_OFFSETS = 40;
const CQ_OFFSETS = 80;

/** What io_uring_setup(2) answered. Offsets in bytes from the start of the rings. */
export interface RingSetup {
  readonly fd: number;
  readonly flags: number;
  readonly features: number;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly sqHead: number;
  readonly sqTail: number;
  readonly sqFlags: number;
  /** 0 with NO_SQARRAY. */
  readonly sqArray: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqOverflow: number;
  readonly cqFlags: number;
  readonly cqes: number;
}

export interface RingMemoryAddresses {
  /** Process addresses, for NO_MMAP. */
  readonly rings: number;
  readonly sqes: number;
}

/** Flags that make a ring faster, newest first: what an old kernel does not know is left out in this order. */
const wanted: readonly SetupFlag[] = [
  'NO_SQARRAY',
  'NO_MMAP',
  'DEFER_TASKRUN',
  'SINGLE_ISSUER',
  'TASKRUN_FLAG',
  'COOP_TASKRUN',
  'SUBMIT_ALL',
  'CQSIZE',
];

/** The flags without those that say nothing beside the others, or that need them. */
function consistent(flags: ReadonlySet<SetupFlag>): Set<SetupFlag> {
  const kept = new Set(flags);
  if (!kept.has('SINGLE_ISSUER')) kept.delete('DEFER_TASKRUN');
  if (kept.has('DEFER_TASKRUN')) kept.delete('COOP_TASKRUN');
  else if (!kept.has('COOP_TASKRUN')) kept.delete('TASKRUN_FLAG');
  return kept;
}

/**
 * Sets a ring up with as many of the flags as the kernel takes, none of `without`. `cqEntries` is what the kernel makes of it (twice the SQ's) where it
 * cannot be chosen. Throws UnsupportedError where io_uring is not there or forbidden, SyscallError for other refusals.
 */
export function setupRing(
  entries: number,
  cqEntries: number,
  memory: RingMemoryAddresses,
  without: ReadonlySet<string>,
): RingSetup {
  let flags = new Set(wanted.filter((flag) => !without.has(flag)));
  for (;;) {
    const first = trySetup(entries, cqEntries, memory, consistent(flags));
    if (typeof first === 'object') return first;
    if (first !== EINVAL || flags.size === 0) throw setupError(first);
    // Kernels take back single features, NO_MMAP where pages are not in a row among them: one flag less may do.
    for (const flag of flags) {
      const fewer = new Set(flags);
      fewer.delete(flag);
      const setup = trySetup(entries, cqEntries, memory, consistent(fewer));
      if (typeof setup === 'object') return setup;
    }
    flags = new Set([...flags].slice(1));
  }
}

/** The ring, or the errno. */
function trySetup(
  entries: number,
  cqEntries: number,
  memory: RingMemoryAddresses,
  flags: ReadonlySet<SetupFlag>,
): RingSetup | number {
  const params = new DataView(new ArrayBuffer(PARAMS_SIZE));
  let bits = 0;
  for (const flag of flags) bits |= setupFlags[flag];
  params.setUint32(4, flags.has('CQSIZE') ? cqEntries : 0, true);
  params.setUint32(8, bits, true);
  if (flags.has('NO_MMAP')) {
    params.setBigUint64(SQ_OFFSETS + 32, BigInt(memory.sqes), true);
    params.setBigUint64(CQ_OFFSETS + 32, BigInt(memory.rings), true);
  }
  const fd = syscall('io_uring_setup', entries, addressOf(params));
  if (fd < 0) return -fd;
  const word = (at: number) => params.getUint32(at, true);
  return {
    fd,
    flags: word(8),
    features: word(20),
    sqEntries: word(0),
    cqEntries: word(4),
    sqHead: word(SQ_OFFSETS),
    sqTail: word(SQ_OFFSETS + 4),
    sqFlags: word(SQ_OFFSETS + 16),
    sqArray: flags.has('NO_SQARRAY') ? 0 : word(SQ_OFFSETS + 24),
    cqHead: word(CQ_OFFSETS),
    cqTail: word(CQ_OFFSETS + 4),
    cqOverflow: word(CQ_OFFSETS + 16),
    cqes: word(CQ_OFFSETS + 20),
    cqFlags: word(CQ_OFFSETS + 24),
  };
}

const EPERM = 1;
const ENOMEM = 12;
const EINVAL = 22;
const ENOSYS = 38;

/** Why there is no ring, and what the user can do. */
function setupError(errno: number): SyscallError | UnsupportedError {
  const cause = new SyscallError('io_uring_setup', errno);
  if (errno === ENOSYS)
    return new UnsupportedError(
      'io_uring',
      'io_uring_setup: ENOSYS: this kernel is built without io_uring (CONFIG_IO_URING), or a seccomp filter hides it: allow io_uring_setup, io_uring_enter and io_uring_register in the filter of the container',
      '5.11',
      { cause },
    );
  if (errno === EPERM) return new UnsupportedError('io_uring', permissionMessage(), undefined, { cause });
  if (errno === ENOMEM)
    return new SyscallError(
      'io_uring_setup',
      errno,
      'the rings count as locked memory: raise RLIMIT_MEMLOCK (ulimit -l), or ask for fewer entries',
    );
  return cause;
}

function permissionMessage(): string {
  const disabled = sysctl('io_uring_disabled');
  if (disabled === '2')
    return 'io_uring_setup: EPERM: kernel.io_uring_disabled is 2, nobody may use io_uring: sysctl kernel.io_uring_disabled=0';
  if (disabled === '1')
    return `io_uring_setup: EPERM: kernel.io_uring_disabled is 1: only members of the group kernel.io_uring_group (${sysctl('io_uring_group') ?? 'unset'}) and CAP_SYS_ADMIN may use io_uring: join it, or sysctl kernel.io_uring_disabled=0`;
  return 'io_uring_setup: EPERM: a security policy forbids io_uring, as the seccomp filter of a container does: allow io_uring_setup, io_uring_enter and io_uring_register in it';
}

/** kernel.NAME; undefined where the kernel has none. */
export function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/kernel/${name}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Without waits that end (5.11) a ring cannot be driven. Throws UnsupportedError. */
export function requireFeatures(setup: RingSetup): void {
  if ((setup.features & ringFeatures.EXT_ARG) === 0)
    throw new UnsupportedError(
      'io_uring',
      'this kernel has io_uring without timeouts of io_uring_enter: Linux 5.11 is needed',
      '5.11',
    );
}
