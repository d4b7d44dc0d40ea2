import { beforeEach, describe, expect, it, vi } from 'vitest';
import { setupFlags } from '../abi/io-uring/ring-flags.ts';

/** What the kernel answers to the flags of io_uring_setup(2): the descriptor, or a negated errno. */
let answer: (flags: number) => number;
let asked: number[];
let params: DataView;

vi.mock('./ffi.ts', async (original) => ({
  ...(await original<typeof import('./ffi.ts')>()),
  addressOf: (view: DataView) => {
    params = view;
    return 4096;
  },
  syscall: () => {
    const flags = params.getUint32(8, true);
    asked.push(flags);
    return answer(flags);
  },
}));

const { setupRing } = await import('./io-uring-setup.ts');

const setup = () => setupRing(8, 32, { rings: 8192, sqes: 16384 }, new Set());
const { NO_MMAP, NO_SQARRAY, SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG, COOP_TASKRUN, SUBMIT_ALL, CQSIZE } =
  setupFlags;

beforeEach(() => {
  asked = [];
});

describe('flags of a ring', () => {
  /** A kernel that knows some flags. */
  const knows = (...flags: number[]) => {
    const known = flags.reduce((all, flag) => all | flag, 0);
    answer = (asked) => ((asked & ~known) !== 0 ? -22 : 5);
  };

  it('are all asked for at once', () => {
    answer = () => 5;
    expect(setup()).toMatchObject({
      fd: 5,
      flags: NO_MMAP | NO_SQARRAY | SINGLE_ISSUER | DEFER_TASKRUN | TASKRUN_FLAG | SUBMIT_ALL | CQSIZE,
    });
    expect(asked).toHaveLength(1);
  });

  it('are left out alone where one does not do', () => {
    // NO_MMAP before 6.10 needs pages in a row.
    knows(NO_SQARRAY, SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG, COOP_TASKRUN, SUBMIT_ALL, CQSIZE);
    expect(setup().flags).toBe(NO_SQARRAY | SINGLE_ISSUER | DEFER_TASKRUN | TASKRUN_FLAG | SUBMIT_ALL | CQSIZE);
  });

  it('are those of old kernels', () => {
    knows(CQSIZE); // 5.11
    expect(setup().flags).toBe(CQSIZE);
    knows(CQSIZE, SUBMIT_ALL, COOP_TASKRUN, TASKRUN_FLAG); // 5.19
    expect(setup().flags).toBe(CQSIZE | SUBMIT_ALL | COOP_TASKRUN | TASKRUN_FLAG);
    knows(CQSIZE, SUBMIT_ALL, COOP_TASKRUN, TASKRUN_FLAG, SINGLE_ISSUER, DEFER_TASKRUN); // 6.1
    expect(setup().flags).toBe(CQSIZE | SUBMIT_ALL | TASKRUN_FLAG | SINGLE_ISSUER | DEFER_TASKRUN);
    knows(); // 5.4
    expect(setup().flags).toBe(0);
  });
});

describe('a ring that is refused', () => {
  it('says what can be done', () => {
    answer = () => -38;
    expect(setup).toThrow(expect.objectContaining({ code: 'SLUICE_UNSUPPORTED', feature: 'io_uring' }));
    expect(setup).toThrow('seccomp');
    answer = () => -1;
    expect(setup).toThrow(expect.objectContaining({ code: 'SLUICE_UNSUPPORTED' }));
    expect(setup).toThrow(/EPERM.*(seccomp|io_uring_disabled=0)/);
    answer = () => -12;
    expect(setup).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_ENOMEM' }));
    expect(setup).toThrow('RLIMIT_MEMLOCK');
    answer = () => -24;
    expect(setup).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_EMFILE' }));
    answer = () => -22;
    expect(setup).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_EINVAL' }));
  });
});
