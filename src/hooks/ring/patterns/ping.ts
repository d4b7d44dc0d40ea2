/** Keeps a connection alive, and says when it is not. */
import { InputError } from '../../../errors.ts';
import type { RingBase } from '../ring.ts';
import { checkedNumber, duration, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';

export interface PingOptions extends PatternOptions {
  /** What is sent; an answer has as many bytes. Default: one byte, 0. */
  readonly message?: Uint8Array;
  /** From an answer to the next message: ms, default 1000. */
  readonly interval?: number;
  /** The answer is late after so many ms: default 1000. */
  readonly timeout?: number;
  /** Ends after so many answers (default: never by itself). */
  readonly rounds?: number;
}

export interface PingResult {
  readonly rounds: number;
  /** Round-trip times in ns; 0 without a round. */
  readonly last: number;
  readonly least: number;
  readonly most: number;
  readonly mean: number;
}

/** struct ping and struct talk of bpf/ring/patterns/ping.bpf.c. */
const FD = JOB_SIZE;
const LENGTH = JOB_SIZE + 4;
const ROUNDS = JOB_SIZE + 8;
const ANSWERED = JOB_SIZE + 12;
const MESSAGE = JOB_SIZE + 16;
const ANSWER = JOB_SIZE + 24;
const PATIENCE = JOB_SIZE + 32;
const REST = JOB_SIZE + 40;
const LAST = JOB_SIZE + 56;
const LEAST = JOB_SIZE + 64;
const MOST = JOB_SIZE + 72;
const SUM = JOB_SIZE + 80;
const TIMER = JOB_SIZE + 88;
const SIZE = JOB_SIZE + 104;
const TALK_SIZE = PIECE_SIZE + 8;

/**
 * Sends a message on the connected socket `fd` and waits for the answer, again and again, until `rounds` or the signal, which is no error. Rejects with
 * RequestError: ETIME where an answer is late, ECONNRESET where the peer has closed the connection. Nobody else reads from the socket meanwhile.
 */
export async function ping(ring: RingBase, fd: number, options: PingOptions = {}): Promise<PingResult> {
  const message = options.message ?? new Uint8Array(1);
  if (message.length === 0) throw new InputError('SLUICE_RING_OPTION', 'message: at least one byte');
  const rounds = checkedNumber('rounds', options.rounds ?? 0, 0, 0xffff_ffff);
  const prepare = (job: Job) => {
    const { address } = job;
    job.u32(address, fd, FD);
    job.u32(address, message.length, LENGTH);
    job.u32(address, rounds, ROUNDS);
    const bytes = job.take(message.length);
    ring.runtime.bytes().set(message, bytes);
    job.u64(address, bytes, MESSAGE);
    job.u64(address, job.take(message.length), ANSWER);
    job.u64(address, duration(job, 'timeout', options.timeout ?? 1000), PATIENCE);
    job.u64(address, duration(job, 'interval', options.interval ?? 1000), REST);
    job.u64(address, job.pieces(2, TALK_SIZE) + TALK_SIZE, TIMER);
  };
  return runJob(ring, 'ping', 'ping', SIZE, options, prepare, (job) => {
    const answered = job.getU32(ANSWERED);
    return {
      rounds: answered,
      last: job.getU64(LAST),
      least: job.getU64(LEAST),
      most: job.getU64(MOST),
      mean: answered === 0 ? 0 : job.getU64(SUM) / answered,
    };
  });
}
