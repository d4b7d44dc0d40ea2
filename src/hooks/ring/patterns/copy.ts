/** Copies from one descriptor to another. */
import type { RingBase } from '../ring.ts';
import { checkedNumber, JOB_SIZE, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';

export interface CopyOptions extends PatternOptions {
  /** Blocks under way at once: 1 to 256, default 8. Pipes, sockets and terminals, on either side, have 1. A destination with O_APPEND needs 1. */
  readonly depth?: number;
  /** Bytes of a block: default 128 KiB. */
  readonly block?: number;
  /**
   * Where to begin in each of the two, if they are files (default 0); what has no positions goes on where it is. 'position': so does the destination, block
   * after block, and its descriptor's position moves on, as that of standard output must.
   */
  readonly fromOffset?: number;
  readonly toOffset?: number | 'position';
  /** At most so many bytes. */
  readonly length?: number;
  /** The destination is on its disk before the promise resolves: with its times, or what is needed to read it again. */
  readonly sync?: boolean | 'data';
}

export interface CopyResult {
  /** Bytes copied, or to the end of the last one where the source changed meanwhile. */
  readonly bytes: number;
}

/** struct copy and struct block of bpf/ring/patterns/copy.bpf.c. */
const FROM = JOB_SIZE;
const TO = FROM + 4;
const BLOCK = FROM + 8;
const DEPTH = FROM + 12;
const FLAGS = FROM + 16;
const FROM_OFFSET = FROM + 24;
const TO_OFFSET = FROM + 32;
const END = FROM + 48;
const LIMIT = FROM + 56;
const HIGH = FROM + 64;
const LOOKED = FROM + 72;
const PIECES = FROM + 80;
const STATX = FROM + 88;
const SIZE = FROM + 96;
const BLOCK_BUFFER = PIECE_SIZE + 8;
const BLOCK_SIZE = PIECE_SIZE + 32;
const STATX_SIZE = 256;
const SYNC = 1;
const TO_STREAM = 4;
const DATA_SYNC = 8;
const NO_END = 2n ** 63n - 1n;

/**
 * Copies from descriptor `from` to descriptor `to`, until the source ends. What is there already beyond the last byte stays. Rejects with RequestError
 * of the first step that failed; the destination then holds what had been written.
 */
export async function copy(ring: RingBase, from: number, to: number, options: CopyOptions = {}): Promise<CopyResult> {
  const depth = checkedNumber('depth', options.depth ?? 8, 1, 256);
  const block = checkedNumber('block', options.block ?? 131072, 1, 2 ** 30);
  const fromOffset = checkedNumber('fromOffset', options.fromOffset ?? 0, 0);
  const atPosition = options.toOffset === 'position';
  const toOffset = atPosition ? 0 : checkedNumber('toOffset', Number(options.toOffset ?? 0), 0);
  const length = options.length === undefined ? NO_END : BigInt(checkedNumber('length', options.length, 0));
  const { sync = false } = options;
  return runJob(
    ring,
    'copy',
    'copy',
    SIZE,
    options,
    (job) => {
      const { address } = job;
      job.u32(address, from, FROM);
      job.u32(address, to, TO);
      job.u32(address, block, BLOCK);
      job.u32(address, depth, DEPTH);
      const durable = sync === false ? 0 : sync === 'data' ? SYNC | DATA_SYNC : SYNC;
      job.u32(address, durable | (atPosition ? TO_STREAM : 0), FLAGS);
      job.u64(address, fromOffset, FROM_OFFSET);
      job.u64(address, toOffset, TO_OFFSET);
      job.u64(address, length, END);
      job.u64(address, length, LIMIT);
      job.u64(address, -1, LOOKED);
      const pieces = job.pieces(depth, BLOCK_SIZE);
      const buffers = job.take(depth * block);
      for (let i = 0; i < depth; i++) job.u64(pieces + i * BLOCK_SIZE, buffers + i * block, BLOCK_BUFFER);
      job.u64(address, pieces, PIECES);
      job.u64(address, job.take(STATX_SIZE), STATX);
    },
    (job) => ({ bytes: job.getU64(HIGH) }),
  );
}
