/** Transfers of exactly so many bytes, however often they are short, interrupted or not ready. */
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';

export interface ExactOptions extends PatternOptions {
  /** Where in a file; undefined: at the descriptor's own position, as of pipes and terminals. */
  readonly offset?: number;
  /** It is a socket: recv and send, without SIGPIPE. */
  readonly socket?: boolean;
}

/** struct exact of bpf/ring/patterns/exact.bpf.c. */
const FD = JOB_SIZE;
const FLAGS = JOB_SIZE + 4;
const OFFSET = JOB_SIZE + 8;
const ADDRESS = JOB_SIZE + 16;
const LENGTH = JOB_SIZE + 24;
const SIZE = JOB_SIZE + 48;
const WRITE = 1;
const SOCKET = 2;

/** `length` bytes of descriptor `fd`. Rejects with RequestError; ENODATA: it ended before. */
export async function readExactly(
  ring: RingBase,
  fd: number,
  length: number,
  options: ExactOptions = {},
): Promise<Uint8Array> {
  checkedNumber('length', length, 0, 2 ** 31);
  let buffer = 0;
  const prepare = (job: Job) => {
    buffer = job.take(length);
    write(job, fd, buffer, length, options, 0);
  };
  return runJob(ring, 'exact', 'readExactly', SIZE, options, prepare, () =>
    ring.runtime.bytes().slice(buffer, buffer + length),
  );
}

/** Writes all of `bytes` to descriptor `fd`. They are copied first. */
export async function writeExactly(
  ring: RingBase,
  fd: number,
  bytes: Uint8Array,
  options: ExactOptions = {},
): Promise<void> {
  const prepare = (job: Job) => {
    const buffer = job.take(bytes.length);
    ring.runtime.bytes().set(bytes, buffer);
    write(job, fd, buffer, bytes.length, options, WRITE);
  };
  return runJob(ring, 'exact', 'writeExactly', SIZE, options, prepare, () => undefined);
}

function write(job: Job, fd: number, buffer: number, length: number, options: ExactOptions, flags: number): void {
  const { address } = job;
  const { offset } = options;
  job.u32(address, fd, FD);
  job.u32(address, flags | (options.socket === true ? SOCKET : 0), FLAGS);
  job.u64(address, offset === undefined ? -1 : checkedNumber('offset', offset, 0), OFFSET);
  job.u64(address, buffer, ADDRESS);
  job.u64(address, length, LENGTH);
  job.pieces(1, PIECE_SIZE);
}
