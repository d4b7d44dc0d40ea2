/** What may go wrong in a simulated ring, and how long things take. All times are virtual nanoseconds, all chances from 0 to 1. */
import type { OpcodeName } from '../../../abi/io-uring/opcodes.ts';

export interface Faults {
  /** A read or receive gives less than is there; a write or send takes less than it could. */
  readonly shortTransfer: number;
  /** -EINTR from what reads, writes, opens, accepts or connects; from the waiting enter. */
  readonly interrupted: number;
  /** -EAGAIN from reads and writes, as in a ring under memory pressure. */
  readonly again: number;
  /** -EIO from reads, writes and fsync of files. */
  readonly ioError: number;
  /** A connection is reset by its peer while a request uses it. */
  readonly reset: number;
  /** No buffer for a request that takes one from a group, though there is one. */
  readonly noBuffers: number;
  /** A file becomes shorter just before it is read. */
  readonly shrink: number;
  /** A completion goes to the overflow list though the CQ has room. */
  readonly overflow: number;
  /** What would complete at once goes to a worker. */
  readonly punt: number;
  /** A cancellation comes too late (-EALREADY) though the request has not begun. */
  readonly lateCancel: number;
  /** A request takes up to 20 times as long, so that others overtake it. */
  readonly reorder: number;
  /** What is sent arrives in several pieces. */
  readonly split: number;
  /** Bytes that files can still grow by before -ENOSPC; undefined: no end. */
  readonly spaceBytes?: number;
}

/** Nothing goes wrong. */
export const noFaults: Faults = {
  shortTransfer: 0,
  interrupted: 0,
  again: 0,
  ioError: 0,
  reset: 0,
  noBuffers: 0,
  shrink: 0,
  overflow: 0,
  punt: 0,
  lateCancel: 0,
  reorder: 0,
  split: 0,
};

/** Everything goes wrong now and then. What loses data for good (resets, EIO, shrinking files) is rare enough that most runs get far. */
export const chaos: Faults = {
  shortTransfer: 0.2,
  interrupted: 0.03,
  again: 0.03,
  ioError: 0.01,
  reset: 0.01,
  noBuffers: 0.05,
  shrink: 0.01,
  overflow: 0.05,
  punt: 0.3,
  lateCancel: 0.3,
  reorder: 0.2,
  split: 0.4,
};

/** Uniform between `min` and `max`; with the chance `inline` it takes no time and completes while it is submitted. */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly inline?: number;
}

/** By opcode; `other`: those not named that work on files; `network`: from one end of a connection to the other; `worker`: what a worker adds; `enter`: the call itself. */
export type Latency = Readonly<Partial<Record<OpcodeName | 'other' | 'network' | 'worker' | 'enter', Range>>>;

const none: Range = { min: 0, max: 0, inline: 1 };

/** Everything is in memory, and completes while it is submitted. */
export const cachedLatency: Latency = {
  other: none,
  network: { min: 0, max: 0 },
  worker: { min: 2_000, max: 10_000 },
  enter: { min: 200, max: 200 },
};

/** Half of what is read is cached; the rest, and what a disk must keep, takes as long as on flash; connections are local. */
export const mixedLatency: Latency = {
  other: { min: 1_000, max: 20_000, inline: 0.5 },
  read: { min: 5_000, max: 100_000, inline: 0.5 },
  readv: { min: 5_000, max: 100_000, inline: 0.5 },
  read_fixed: { min: 5_000, max: 100_000, inline: 0.5 },
  write: { min: 2_000, max: 30_000, inline: 0.3 },
  writev: { min: 2_000, max: 30_000, inline: 0.3 },
  write_fixed: { min: 2_000, max: 30_000, inline: 0.3 },
  fsync: { min: 20_000, max: 2_000_000 },
  splice: { min: 1_000, max: 10_000 },
  tee: { min: 1_000, max: 10_000 },
  network: { min: 5_000, max: 50_000 },
  worker: { min: 2_000, max: 10_000 },
  enter: { min: 200, max: 600 },
};
