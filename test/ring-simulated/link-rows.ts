/**
 * The truth table of links on Linux 6.18 (research on io_uring, measured): what a chain's members end with, in the order of their CQEs. a -> b is
 * IOSQE_IO_LINK, a => b IOSQE_IO_HARDLINK.
 */
import { msgFlags, openFlags } from '../../src/abi/io-uring/call-flags.ts';
import { nopFlags, sqeFlags, timeoutFlags } from '../../src/abi/io-uring/request-flags.ts';
import type { RawRequest } from '../../src/hooks/ring/simulated/raw-ring.ts';
import type { Bed, Step } from './bed.ts';

const { IO_LINK: LINK, IO_HARDLINK: HARD, CQE_SKIP_SUCCESS: SKIP, IO_DRAIN: DRAIN, FIXED_FILE } = sqeFlags;
const ENOENT = 2;
const EIO = 5;
const EBADF = 9;
const EINVAL = 22;
const ETIME = 62;
const EOPNOTSUPP = 95;
const ENOBUFS = 105;
const ECANCELED = 125;
const inject = (res: number): RawRequest => ({ opFlags: nopFlags.INJECT_RESULT, len: res >>> 0 });

/** What the rows work on. */
export interface LinkBed {
  readonly bed: Bed;
  readonly buffer: number;
  /** Time of a LINK_TIMEOUT. */
  readonly time: number;
  readonly path: number;
  readonly missing: number;
  readonly thousand: number;
  readonly target: number;
  readonly pipeRead: number;
  readonly pipeWrite: number;
  readonly near: number;
  readonly far: number;
  fill(fd: number, length: number): void;
}

export function linkBed(bed: Bed): LinkBed {
  const buffer = bed.alloc(8192);
  bed.file('/thousand', 'x'.repeat(1000));
  bed.slots(8);
  const [pipeRead, pipeWrite] = bed.pipe();
  const [near, far] = bed.sockets();
  return {
    bed,
    buffer,
    time: bed.time(20),
    path: bed.path('/thousand'),
    missing: bed.path('/missing'),
    thousand: bed.open('/thousand', 0),
    target: bed.open('/target', openFlags.CREAT | openFlags.WRONLY),
    pipeRead,
    pipeWrite,
    near,
    far,
    fill: (fd, length) => {
      bed.one('write', { fd, addr: buffer, len: length });
    },
  };
}

export interface LinkRow {
  readonly name: string;
  readonly before?: (b: LinkBed) => void;
  readonly steps: (b: LinkBed) => readonly Step[];
  /** [step, result] in the order of the CQEs. */
  readonly cqes: readonly (readonly [number, number])[];
  /** What closing slot 0 answers afterwards: 0 where it leaked. */
  readonly slot?: number;
}

export const linkRows: readonly LinkRow[] = [
  {
    name: 'READ 4096 of 1000 -> WRITE',
    steps: (b) => [
      ['read', { fd: b.thousand, addr: b.buffer, len: 4096, flags: LINK }],
      ['write', { fd: b.target, addr: b.buffer, len: 10 }],
    ],
    cqes: [
      [0, 1000],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'READ 4096 of 1000 => WRITE',
    steps: (b) => [
      ['read', { fd: b.thousand, addr: b.buffer, len: 4096, flags: HARD }],
      ['write', { fd: b.target, addr: b.buffer, len: 10 }],
    ],
    cqes: [
      [0, 1000],
      [1, 10],
    ],
  },
  {
    name: 'READ at the end -> NOP',
    steps: (b) => [
      ['read', { fd: b.thousand, addr: b.buffer, len: 10, off: 1000, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 0],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'RECV 3 of 100 -> NOP',
    before: (b) => b.fill(b.far, 3),
    steps: (b) => [
      ['recv', { fd: b.near, addr: b.buffer, len: 100, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 3],
      [1, 0],
    ],
  },
  {
    name: 'RECV 3 of 100 with WAITALL, then the end -> NOP',
    before: (b) => {
      b.fill(b.far, 3);
      b.bed.one('shutdown', { fd: b.far, len: 1 });
    },
    steps: (b) => [
      ['recv', { fd: b.near, addr: b.buffer, len: 100, opFlags: msgFlags.WAITALL, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 3],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'pipe READ 5 of 100 -> NOP',
    before: (b) => b.fill(b.pipeWrite, 5),
    steps: (b) => [
      ['read', { fd: b.pipeRead, addr: b.buffer, len: 100, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 5],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'SPLICE 5 of 100 -> NOP',
    before: (b) => b.fill(b.pipeWrite, 5),
    steps: (b) => [
      ['splice', { fd: b.target, off: 0, addr: -1, fileIndex: b.pipeRead, len: 100, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 5],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'NOP +42 -> NOP',
    steps: () => [
      ['nop', { ...inject(42), flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 42],
      [1, 0],
    ],
  },
  {
    name: 'NOP -EIO -> NOP -> NOP',
    steps: () => [
      ['nop', { ...inject(-EIO), flags: LINK }],
      ['nop', { flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -EIO],
      [1, -ECANCELED],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'SKIP NOP -EIO -> SKIP NOP -> NOP',
    steps: () => [
      ['nop', { ...inject(-EIO), flags: LINK | SKIP }],
      ['nop', { flags: LINK | SKIP }],
      ['nop', {}],
    ],
    cqes: [[0, -EIO]],
  },
  {
    name: 'NOP -EIO -> SKIP NOP -> SKIP NOP',
    steps: () => [
      ['nop', { ...inject(-EIO), flags: LINK }],
      ['nop', { flags: LINK | SKIP }],
      ['nop', { flags: SKIP }],
    ],
    cqes: [
      [0, -EIO],
      [1, -ECANCELED],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'TIMEOUT -> NOP',
    steps: (b) => [
      ['timeout', { addr: b.time, len: 1, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -ETIME],
      [1, -ECANCELED],
    ],
  },
  {
    name: 'TIMEOUT with ETIME_SUCCESS -> NOP',
    steps: (b) => [
      ['timeout', { addr: b.time, len: 1, opFlags: timeoutFlags.ETIME_SUCCESS, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -ETIME],
      [1, 0],
    ],
  },
  {
    name: 'pipe READ -> LINK_TIMEOUT -> NOP',
    steps: (b) => [
      ['read', { fd: b.pipeRead, addr: b.buffer, len: 10, flags: LINK }],
      ['link_timeout', { addr: b.time, len: 1, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [1, -ETIME],
      [0, -ECANCELED],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'pipe READ that ends in time -> LINK_TIMEOUT -> NOP',
    before: (b) => b.fill(b.pipeWrite, 10),
    steps: (b) => [
      ['read', { fd: b.pipeRead, addr: b.buffer, len: 10, flags: LINK }],
      ['link_timeout', { addr: b.time, len: 1, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 10],
      [1, -ECANCELED],
      [2, 0],
    ],
  },
  {
    name: 'NOP -> READ of no file -> NOP',
    steps: (b) => [
      ['nop', { flags: LINK }],
      ['read', { fd: 777, addr: b.buffer, len: 10, flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, 0],
      [1, -EBADF],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'NOP -> bad opcode -> NOP',
    steps: () => [
      ['nop', { flags: LINK }],
      [120, { flags: LINK }],
      ['nop', {}],
    ],
    cqes: [
      [0, -ECANCELED],
      [1, -EINVAL],
      [2, -ECANCELED],
    ],
  },
  {
    name: 'OPENAT_DIRECT -> READ short -> CLOSE_DIRECT: the slot leaks',
    steps: (b) => [
      ['openat', { fd: -100, addr: b.path, fileIndex: 1, flags: LINK }],
      ['read', { fd: 0, addr: b.buffer, len: 4096, flags: LINK | FIXED_FILE }],
      ['close', { fileIndex: 1 }],
    ],
    cqes: [
      [0, 0],
      [1, 1000],
      [2, -ECANCELED],
    ],
    slot: 0,
  },
  {
    name: 'OPENAT_DIRECT -> READ short => CLOSE_DIRECT: it does not',
    steps: (b) => [
      ['openat', { fd: -100, addr: b.path, fileIndex: 1, flags: LINK }],
      ['read', { fd: 0, addr: b.buffer, len: 4096, flags: HARD | FIXED_FILE }],
      ['close', { fileIndex: 1 }],
    ],
    cqes: [
      [0, 0],
      [1, 1000],
      [2, 0],
    ],
    slot: -EBADF,
  },
  {
    name: 'OPENAT_DIRECT of nothing => READ => CLOSE_DIRECT',
    steps: (b) => [
      ['openat', { fd: -100, addr: b.missing, fileIndex: 1, flags: HARD }],
      ['read', { fd: 0, addr: b.buffer, len: 4096, flags: HARD | FIXED_FILE }],
      ['close', { fileIndex: 1 }],
    ],
    cqes: [
      [0, -ENOENT],
      [1, -EBADF],
      [2, -EBADF],
    ],
  },
  {
    name: 'SKIP, then DRAIN',
    steps: () => [
      ['nop', { flags: SKIP }],
      ['nop', { flags: DRAIN }],
    ],
    cqes: [[1, -EOPNOTSUPP]],
  },
  {
    name: 'DRAIN with SKIP',
    steps: () => [['nop', { flags: DRAIN | SKIP }]],
    cqes: [[0, -EOPNOTSUPP]],
  },
  {
    name: 'RECV from an empty group',
    steps: (b) => [['recv', { fd: b.near, len: 100, flags: sqeFlags.BUFFER_SELECT, bufIndex: 7 }]],
    cqes: [[0, -ENOBUFS]],
  },
];
