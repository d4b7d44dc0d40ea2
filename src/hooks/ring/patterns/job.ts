/**
 * patterns/: what services do with rings again and again, as verified programs: JavaScript asks, and is woken for the answer. One pattern a file; each is a
 * function over a ring, whose program is loaded at its first use.
 *
 * This file: jobs. A job is what was asked for, in memory that is shared with the programs of the ring (bpf/ring/patterns/job.h).
 */
import { InputError } from '../../../errors.ts';
import { IORING_OP_BPF, RING_HIDDEN } from '../../../plane/layout/ring.ts';
import { SQE_EXTRA, SQE_OFF, SQE_OPCODE, SQE_USER_DATA } from '../../../plane/layout/sqe.ts';
import type { RingBase } from '../ring.ts';
import { type PatternName, RingPatterns } from './programs.ts';

export interface PatternOptions {
  /** Ends it as soon as it can be: descriptors and memory of its own are given back before the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** struct job. */
const JOB_ANSWER = 0;
const JOB_QUEUE = 8;
const JOB_LIVE = 12;
const JOB_STOP = 20;
const JOB_ANSWERED = 24;
export const JOB_SIZE = 32;
/** struct piece: address of the job, handle of the request. */
export const PIECE_SIZE = 16;

/** Memory of one job, as long as it runs. Offsets are those of its struct in bpf/ring/patterns. */
export class Job {
  readonly ring: RingBase;
  readonly address: number;
  readonly #patterns: RingPatterns;
  readonly #program: number;
  readonly #taken: { readonly address: number; readonly length: number }[] = [];
  #first = 0;

  constructor(patterns: RingPatterns, program: number, size: number) {
    this.#patterns = patterns;
    this.ring = patterns.ring;
    this.#program = program;
    this.address = this.take(size);
  }

  /** Zeroed memory that programs reach, until the job is over. */
  take(length: number): number {
    const address = this.#patterns.memory.take(length);
    this.#taken.push({ address, length });
    return address;
  }

  /** A NUL-terminated string. */
  text(text: string | Uint8Array): number {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    if (bytes.includes(0)) throw new InputError('SLUICE_RING_PATH', 'a NUL in a path');
    const address = this.take(bytes.length + 1);
    this.ring.runtime.bytes().set(bytes, address);
    return address;
  }

  /** The same for many, which lie one behind the other. */
  texts(texts: readonly (string | Uint8Array)[]): number[] {
    const strings = texts.filter((text) => typeof text === 'string');
    const bytes = new TextEncoder().encode(`${strings.join('\0')}\0`);
    const address = this.take(bytes.length);
    this.ring.runtime.bytes().set(bytes, address);
    let at = 0;
    const addresses = texts.map((text) => {
      if (typeof text !== 'string') return this.text(text);
      const start = at;
      at = bytes.indexOf(0, start) + 1;
      return address + start;
    });
    // A NUL inside of one has ended it, and another one of them is left.
    if (at !== bytes.length && strings.length > 0) throw new InputError('SLUICE_RING_PATH', 'a NUL in a path');
    return addresses;
  }

  /** Memory whose content is whatever it is: for what the kernel writes. */
  room(length: number): number {
    const address = this.#patterns.memory.take(length, false);
    this.#taken.push({ address, length });
    return address;
  }

  /** Pieces of `size` bytes; the first one stands for the job where user space starts and stops it. */
  pieces(count: number, size: number): number {
    const address = this.take(count * size);
    for (let i = 0; i < count; i++) this.u64(address + i * size, this.address, 0);
    this.#first ||= address;
    return address;
  }

  u32(base: number, value: number, offset: number): void {
    this.ring.runtime.view().setUint32(base + offset, value, true);
  }

  u64(base: number, value: number | bigint, offset: number): void {
    this.ring.runtime.view().setBigUint64(base + offset, BigInt.asUintN(64, BigInt(value)), true);
  }

  getU32(offset: number, base = this.address): number {
    return this.ring.runtime.view().getUint32(base + offset, true);
  }

  getS32(offset: number, base = this.address): number {
    return this.ring.runtime.view().getInt32(base + offset, true);
  }

  /** As a number: exact to 2^53. */
  getU64(offset: number, base = this.address): number {
    return Number(this.ring.runtime.view().getBigUint64(base + offset, true));
  }

  /** Runs the program for a piece: by itself it has no result. */
  kick(piece = this.#first): void {
    const { ring } = this;
    ring.stage((view, at) => {
      view.setUint8(at + SQE_OPCODE, IORING_OP_BPF);
      view.setUint32(at + SQE_OFF, this.#program - 1, true);
      view.setUint32(at + SQE_USER_DATA, piece, true);
      view.setUint8(at + SQE_EXTRA, RING_HIDDEN);
    });
    this.u32(this.address, this.getU32(JOB_LIVE) + 1, JOB_LIVE);
  }

  /** Asks for the end. */
  stop(): void {
    if (this.getU32(JOB_ANSWERED) !== 0) return;
    this.u32(this.address, 1, JOB_STOP);
    try {
      this.kick();
    } catch {
      // Every request of the ring is taken: once more when some have ended.
      setTimeout(() => this.#taken.length > 0 && this.stop(), 1);
    }
  }

  /** Starts it. The promise settles when the program has answered; the memory is still there then. */
  start(operation: string, signal: AbortSignal | undefined): Promise<number> {
    const answer = this.ring.answer(operation, signal);
    this.u64(this.address, answer.userData, JOB_ANSWER);
    this.u32(this.address, answer.queue, JOB_QUEUE);
    this.u32(this.address, 0, JOB_ANSWERED);
    try {
      this.kick();
    } catch (error) {
      answer.drop();
      throw error;
    }
    return answer.promise;
  }

  release(): void {
    // A stop that came with the answer has not run yet.
    if (!this.ring.closed && this.getU32(JOB_LIVE) !== 0) setTimeout(() => this.release(), 1);
    else for (const { address, length } of this.#taken.splice(0)) this.#patterns.memory.give(address, length);
  }
}

export interface JobHooks {
  /** True: it is not over, and is started once more. */
  readonly again?: (job: Job, answer: number) => boolean;
  /** Comes last, in any case, and is waited for. */
  readonly finish?: (job: Job) => void | Promise<void>;
}

/** A job from its start to its answer. `prepare` writes it; `result` reads it once it succeeded, and gets what the program answered. */
export async function runJob<T>(
  ring: RingBase,
  pattern: PatternName,
  operation: string,
  size: number,
  options: PatternOptions,
  prepare: (job: Job) => void,
  result: (job: Job, answer: number) => T,
  more: JobHooks = {},
): Promise<T> {
  const { signal } = options;
  signal?.throwIfAborted();
  const patterns = RingPatterns.of(ring);
  const program = patterns.number(pattern) ?? (await patterns.load(pattern));
  signal?.throwIfAborted();
  const job = new Job(patterns, program, size);
  const stop = () => job.stop();
  let forget = () => {};
  try {
    prepare(job);
    signal?.addEventListener('abort', stop, { once: true });
    for (;;) {
      const answered = job.start(operation, signal);
      forget = patterns.add({ stop, settled: answered });
      const answer = await answered;
      if (more.again?.(job, answer) !== true) return result(job, answer);
      forget();
      signal?.throwIfAborted();
    }
  } finally {
    forget();
    signal?.removeEventListener('abort', stop);
    await more.finish?.(job);
    job.release();
  }
}

/** Throws InputError `SLUICE_RING_OPTION`. */
export function checkedNumber(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InputError('SLUICE_RING_OPTION', `${name}: an integer from ${least} to ${most}, not ${value}`);
}

/** Address of a struct __kernel_timespec of so many ms. */
export function duration(job: Job, name: string, ms: number): number {
  if (!(ms >= 0 && ms < 2 ** 31)) throw new InputError('SLUICE_RING_OPTION', `${name}: ms, not ${ms}`);
  const time = job.take(16);
  const ns = Math.round(ms * 1e6);
  job.u64(time, Math.floor(ns / 1e9), 0);
  job.u64(time, ns % 1e9, 8);
  return time;
}
