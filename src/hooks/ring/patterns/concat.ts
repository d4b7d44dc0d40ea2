/** Many files into one descriptor. */
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';
import { closeLeft } from './leftovers.ts';

export interface ConcatOptions extends PatternOptions {
  /** Where in `to` to begin; undefined: at its own position, as of pipes, sockets and terminals. */
  readonly toOffset?: number;
  /** Directory that relative paths start in, as a descriptor (default: the working directory). */
  readonly directory?: number;
  /** Bytes that are read and written at once: default 128 KiB. */
  readonly block?: number;
}

export interface ConcatResult {
  readonly files: number;
  readonly bytes: number;
}

/** struct concat of bpf/ring/patterns/concat.bpf.c. */
const PATHS = JOB_SIZE;
const COUNT = JOB_SIZE + 8;
const TO = JOB_SIZE + 16;
const DIRECTORY = JOB_SIZE + 20;
const OFFSET = JOB_SIZE + 24;
const BUFFER = JOB_SIZE + 32;
const BLOCK = JOB_SIZE + 40;
const FD = JOB_SIZE + 52;
const FILES = JOB_SIZE + 60;
const BYTES = JOB_SIZE + 64;
const SIZE = JOB_SIZE + 72;
const AT_FDCWD = -100;

/** Writes the files one behind the other to descriptor `to`. Rejects with RequestError of the first step that failed; what came before is written. */
export async function concat(
  ring: RingBase,
  paths: readonly (string | Uint8Array)[],
  to: number,
  options: ConcatOptions = {},
): Promise<ConcatResult> {
  const block = checkedNumber('block', options.block ?? 131072, 1, 2 ** 30);
  const offset = options.toOffset === undefined ? -1 : checkedNumber('toOffset', options.toOffset, 0);
  let written = 0;
  const prepare = (job: Job) => {
    const { address } = job;
    const places = job.take(paths.length * 8);
    for (const [i, path] of paths.entries()) job.u64(places + i * 8, job.text(path), 0);
    job.u64(address, places, PATHS);
    job.u32(address, paths.length, COUNT);
    job.u32(address, to, TO);
    job.u32(address, options.directory ?? AT_FDCWD, DIRECTORY);
    job.u64(address, offset, OFFSET);
    job.u64(address, job.take(block), BUFFER);
    job.u32(address, block, BLOCK);
    job.u32(address, -1, FD);
    job.pieces(1, PIECE_SIZE);
    written = address;
  };
  const result = (job: Job) => ({ files: job.getU32(FILES), bytes: job.getU64(BYTES) });
  const finish = (job: Job) => closeLeft(job, written, 1, 0, [FD]);
  return runJob(ring, 'concat', 'concat', SIZE, options, prepare, result, { finish });
}
