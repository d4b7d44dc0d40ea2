/** A log: many appends, one fsync. */
import { InputError } from '../../../errors.ts';
import type { RingBase } from '../ring.ts';
import { checkedNumber, duration, JOB_SIZE, type Job, type PatternOptions, PIECE_SIZE, runJob } from './job.ts';
import { RingPatterns } from './programs.ts';

export interface AppendGroupOptions extends PatternOptions {
  /** Where the log ends now: the first append goes there. */
  readonly offset: number;
  /** An fsync begins when so many appends wait for one: 1 to 65536, default 64. */
  readonly group?: number;
  /** Or when the first of them has waited for so long: ms, default 1. */
  readonly delay?: number;
  /** fsync of the file with its times, too (default: of its data and what is needed to read it). */
  readonly times?: boolean;
}

/** struct log and struct append of bpf/ring/patterns/append.bpf.c. */
const FD = JOB_SIZE;
const GROUP = JOB_SIZE + 4;
const DATA_SYNC = JOB_SIZE + 8;
const TAIL = JOB_SIZE + 16;
const SYNC = JOB_SIZE + 48;
const TIMER = JOB_SIZE + 56;
const TIME = JOB_SIZE + 64;
const SYNCS = JOB_SIZE + 80;
const SIZE = JOB_SIZE + 96;
const APPEND_DATA = PIECE_SIZE + 8;
const APPEND_OFFSET = PIECE_SIZE + 16;
const APPEND_ANSWER = PIECE_SIZE + 24;
const APPEND_LENGTH = PIECE_SIZE + 32;
const APPEND_SIZE = PIECE_SIZE + 48;

export class AppendGroup {
  /** Resolves when the log is closed: by `close`, the signal, or the ring. */
  readonly closed: Promise<void>;
  readonly #job: Job;
  readonly #patterns: RingPatterns;
  #open = true;
  #last = { syncs: 0 };

  constructor(job: Job, patterns: RingPatterns, closed: Promise<{ syncs: number }>) {
    this.#job = job;
    this.#patterns = patterns;
    this.closed = closed.then(
      (last) => {
        this.#last = last;
        this.#open = false;
      },
      (error) => {
        this.#open = false;
        throw error;
      },
    );
    this.closed.catch(() => {});
  }

  /** fsyncs so far. */
  get syncs(): number {
    return this.#open ? this.#job.getU64(SYNCS) : this.#last.syncs;
  }

  /**
   * Appends, and resolves with the place in the file once it and all before it are on the disk. After an error, which this and all later appends are rejected
   * with, the log must be opened anew: behind the last append that resolved nothing is certain.
   */
  async append(bytes: Uint8Array): Promise<number> {
    if (!this.#open) throw new InputError('SLUICE_RING_LOG_CLOSED', 'the log is closed');
    const job = this.#job;
    const { ring } = job;
    const { memory } = this.#patterns;
    const append = memory.take(APPEND_SIZE);
    const data = memory.take(bytes.length);
    const answer = ring.answer('append');
    try {
      ring.runtime.bytes().set(bytes, data);
      job.u64(append, job.address, 0);
      job.u64(append, data, APPEND_DATA);
      job.u64(append, answer.userData, APPEND_ANSWER);
      job.u32(append, bytes.length, APPEND_LENGTH);
      try {
        job.kick(append);
      } catch (error) {
        answer.drop();
        throw error;
      }
      await answer.promise;
      return job.getU64(APPEND_OFFSET, append);
    } finally {
      if (!ring.closed) {
        memory.give(append, APPEND_SIZE);
        memory.give(data, bytes.length);
      }
    }
  }

  /** Syncs and answers what waits, and ends. The descriptor stays open. */
  close(): Promise<void> {
    if (this.#open) this.#job.stop();
    return this.closed;
  }
}

/** A log that ends at `offset` of descriptor `fd`, which nobody else writes. */
export async function appendGroup(ring: RingBase, fd: number, options: AppendGroupOptions): Promise<AppendGroup> {
  const offset = checkedNumber('offset', options.offset, 0);
  const group = checkedNumber('group', options.group ?? 64, 1, 65536);
  const delay = options.delay ?? 1;
  let opened: ((job: Job) => void) | undefined;
  const job = new Promise<Job>((resolve) => {
    opened = resolve;
  });
  const prepare = (log: Job) => {
    const { address } = log;
    log.u32(address, fd, FD);
    log.u32(address, group, GROUP);
    log.u32(address, options.times === true ? 0 : 1, DATA_SYNC);
    log.u64(address, offset, TAIL);
    const pieces = log.pieces(2, APPEND_SIZE);
    log.u64(address, pieces, SYNC);
    log.u64(address, pieces + APPEND_SIZE, TIMER);
    log.u64(address, duration(log, 'delay', delay), TIME);
    opened!(log);
  };
  const closed = runJob(ring, 'append', 'appendGroup', SIZE, options, prepare, (log) => ({ syncs: log.getU64(SYNCS) }));
  return new AppendGroup(await Promise.race([job, closed.then(() => job)]), RingPatterns.of(ring), closed);
}
