/** A request in the simulated kernel: the SQE as it was when it was submitted, and what has become of it. */
import { timeoutFlags } from '../../../abi/io-uring/request-flags.ts';
import {
  SQE_ADDR,
  SQE_ADDR3,
  SQE_BUF_INDEX,
  SQE_FD,
  SQE_FILE_INDEX,
  SQE_LEN,
  SQE_OFF,
  SQE_OP_FLAGS,
  SQE_USER_DATA,
} from '../../../plane/layout/sqe.ts';
import type { Timer } from './clock.ts';
import type { OpenFile } from './world/open-file.ts';

/** Copied, not issued: behind a link or a drain. */
export const WAITING = 0;
/** Issued; will be executed at its time, and can be cancelled before `begins`. */
export const SCHEDULED = 1;
/** Tried, and waits for its file to become ready. */
export const PARKED = 2;
/** A timeout that runs. */
export const TIMING = 3;
/** On its way: its result is known, or it is being tried. */
export const RUNNING = 4;
export const ENDED = 5;

/** What requests wait for: a pipe, a socket, a word of memory. */
export interface Waitable {
  readonly waiting: Request[];
}

/** `off` of all ones: at the file's own position. */
export const CURRENT_POSITION = -1;

/** The ring that has the request. */
export interface RequestOwner {
  /** Tries again what had to wait. */
  retry(request: Request): void;
}

export class Request {
  readonly owner: RequestOwner;
  opcode = 0;
  flags = 0;
  ioprio = 0;
  fd = 0;
  /** 64 bits; CURRENT_POSITION, and -2 for other negative ones. Exact below 2^53. */
  off = 0;
  offLow = 0;
  offHigh = 0;
  addrLow = 0;
  addrHigh = 0;
  len = 0;
  opFlags = 0;
  userLow = 0;
  userHigh = 0;
  bufIndex = 0;
  personality = 0;
  fileIndex = 0;
  addr3Low = 0;
  addr3High = 0;

  /** Counts requests of the ring from 1. */
  number = 0;
  state = WAITING;
  /** What follows in the chain. */
  next: Request | undefined;
  failed = false;
  /** No CQE for it. */
  skip = false;
  /** It failed though its success was to be silent: those that follow it are silent too. */
  skipLinks = false;
  result = 0;
  /** Bytes that are not a short transfer. */
  expected = 0;
  /** For its next CQE. */
  cqeFlags = 0;
  /** Never waits: -EAGAIN instead. */
  nowait = false;
  drain = false;
  /** -errno of its preparation. */
  preparation = 0;
  file: OpenFile | undefined;
  timer: Timer | undefined;
  /** Before this moment no worker has begun with it. */
  begins = 0;
  waits: Waitable | undefined;
  /** LINK_TIMEOUT that guards it; of a LINK_TIMEOUT, what it guards. */
  guard: Request | undefined;
  /** Completes more than once. */
  multishot = false;
  /** Bytes that earlier tries have moved. */
  done = 0;
  /** Address and length of each segment: iovecs, or the buffers taken. */
  segments: number[] | undefined;
  /** Paths and other things read from memory at submission. */
  paths: readonly string[] | undefined;
  /** Of timeouts: ns, and completions or repetitions left. */
  interval = 0;
  remaining = 0;
  /** A zero-copy send whose bytes are on their way: the notification comes when they have arrived. */
  carried = false;
  parcels = 0;
  /** Of connect: the first packet has been sent. */
  begun = false;
  /** Live requests in order of submission. */
  older: Request | undefined;
  younger: Request | undefined;

  /** Reads the SQE at `address`. */
  constructor(owner: RequestOwner, words: Uint32Array, address: number) {
    this.owner = owner;
    const word = address >>> 2;
    const first = words[word]!;
    this.opcode = first & 0xff;
    this.flags = (first >>> 8) & 0xff;
    this.ioprio = first >>> 16;
    this.fd = words[word + SQE_FD / 4]! | 0;
    this.offLow = words[word + SQE_OFF / 4]!;
    this.offHigh = words[word + SQE_OFF / 4 + 1]!;
    this.addrLow = words[word + SQE_ADDR / 4]!;
    this.addrHigh = words[word + SQE_ADDR / 4 + 1]!;
    this.len = words[word + SQE_LEN / 4]!;
    this.opFlags = words[word + SQE_OP_FLAGS / 4]!;
    this.userLow = words[word + SQE_USER_DATA / 4]!;
    this.userHigh = words[word + SQE_USER_DATA / 4 + 1]!;
    const buffer = words[word + SQE_BUF_INDEX / 4]!;
    this.bufIndex = buffer & 0xffff;
    this.personality = buffer >>> 16;
    this.fileIndex = words[word + SQE_FILE_INDEX / 4]!;
    this.addr3Low = words[word + SQE_ADDR3 / 4]!;
    this.addr3High = words[word + SQE_ADDR3 / 4 + 1]!;
    this.off = offset(this.offHigh, this.offLow);
    this.expected = this.len;
  }
}

/** A 64-bit offset as a number: CURRENT_POSITION, -2 for other negative ones. */
export function offset(high: number, low: number): number {
  if (high < 0x8000_0000) return high * 0x1_0000_0000 + low;
  return high === 0xffff_ffff && low === 0xffff_ffff ? CURRENT_POSITION : -2;
}

/** When a timeout that is armed now runs out. */
export function deadline(timeout: Request, now: number): number {
  return (timeout.opFlags & timeoutFlags.ABS) !== 0 ? timeout.interval : now + timeout.interval;
}
