/** What checksum.ts and lines.ts share: a descriptor is read to its end, and a program looks at every byte. */
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';

export interface ScanOptions extends PatternOptions {
  /** Blocks read ahead: 1 to 256, default 4. Pipes, sockets and terminals have 1. */
  readonly depth?: number;
  /** Bytes of a block: default 128 KiB. */
  readonly block?: number;
  /** Where to begin in a file (default 0). */
  readonly offset?: number;
  /** At most so many bytes. */
  readonly length?: number;
}

/** What a scan is for: bits of the program. */
export const SCAN_CRC32 = 1;
export const SCAN_LINES = 2;
export const SCAN_ENDS = 4;

/** struct scan and struct block of bpf/ring/patterns/scan.bpf.c. */
const FD = JOB_SIZE;
const WHAT = JOB_SIZE + 4;
const BLOCK = JOB_SIZE + 8;
const DEPTH = JOB_SIZE + 12;
const OFFSET = JOB_SIZE + 24;
const LOOKED = JOB_SIZE + 40;
const END = JOB_SIZE + 48;
const PIECES = JOB_SIZE + 56;
const STATX = JOB_SIZE + 64;
export const SCAN_CRC = JOB_SIZE + 72;
export const SCAN_SEPARATOR = JOB_SIZE + 76;
export const SCAN_COUNT = JOB_SIZE + 80;
export const SCAN_NEXT_END = JOB_SIZE + 88;
export const SCAN_LAST_END = JOB_SIZE + 96;
export const SCAN_OPEN_LINE = JOB_SIZE + 104;
const SIZE = JOB_SIZE + 112;
const BLOCK_BUFFER = PIECE_SIZE + 8;
const BLOCK_SIZE = PIECE_SIZE + 32;
const STATX_SIZE = 256;
const NO_END = 2n ** 63n - 1n;

/** `prepare` and `result` do what is of one purpose alone; `full` makes room for line ends, and the scan goes on. */
export async function scan<T>(
  ring: RingBase,
  operation: string,
  fd: number,
  what: number,
  options: ScanOptions,
  prepare: (job: Job) => void,
  result: (job: Job, bytes: number) => T,
  full?: (job: Job) => void,
): Promise<T> {
  const depth = checkedNumber('depth', options.depth ?? 4, 1, 256);
  const block = checkedNumber('block', options.block ?? 131072, 1, 2 ** 30);
  const offset = checkedNumber('offset', options.offset ?? 0, 0);
  const length = options.length === undefined ? NO_END : BigInt(checkedNumber('length', options.length, 0));
  const write = (job: Job) => {
    const { address } = job;
    job.u32(address, fd, FD);
    job.u32(address, what, WHAT);
    job.u32(address, block, BLOCK);
    job.u32(address, depth, DEPTH);
    job.u64(address, offset, OFFSET);
    job.u64(address, length, END);
    const pieces = job.pieces(depth, BLOCK_SIZE);
    const buffers = job.take(depth * block);
    for (let i = 0; i < depth; i++) job.u64(pieces + i * BLOCK_SIZE, buffers + i * block, BLOCK_BUFFER);
    job.u64(address, pieces, PIECES);
    job.u64(address, job.take(STATX_SIZE), STATX);
    prepare(job);
  };
  return runJob(
    ring,
    'scan',
    operation,
    SIZE,
    options,
    write,
    (job) => result(job, Math.min(job.getU64(LOOKED), job.getU64(END))),
    {
      again: (job, answer) => {
        if (answer === 1) full?.(job);
        return answer === 1;
      },
    },
  );
}
