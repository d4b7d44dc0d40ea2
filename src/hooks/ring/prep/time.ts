/** Timeouts. `time` is the address of a timespec (structures.ts). */
import { timeoutFlags } from '../../../abi/io-uring/request-flags.ts';
import { SQE_ADDR, SQE_OFF } from '../../../plane/layout/sqe.ts';
import {
  type Address,
  begin,
  checked,
  type RequestOptions,
  refuseIf,
  type Word64,
  writeAddress,
  writeWord,
} from './sqe.ts';

export type RingClock = 'monotonic' | 'boottime' | 'realtime';

export interface ClockOptions extends RequestOptions {
  /** A point in time of `clock`, instead of a duration. */
  readonly absolute?: boolean;
  /** Default: monotonic. */
  readonly clock?: RingClock;
}

export interface TimeoutOptions extends ClockOptions {
  /** Completes with 0 after this many completions of the ring, if that is earlier; with `multishot`, how often (0: without end). */
  readonly count?: number;
  readonly multishot?: boolean;
  /** Its end is no failure: what is linked to it goes on (Linux 5.16). */
  readonly etimeSuccess?: boolean;
}

/** Completes with -ETIME when the time is over. */
export function timeout(view: DataView, at: number, time: Address, options?: TimeoutOptions): void {
  refuseIf(
    options?.multishot === true && options.absolute === true,
    'timeout',
    'multishot needs a duration, not a point in time',
  );
  let flags = clockFlags(options);
  if (options?.multishot === true) flags |= timeoutFlags.MULTISHOT;
  if (options?.etimeSuccess === true) flags |= timeoutFlags.ETIME_SUCCESS;
  begin(view, at, 'timeout', -1, 1, flags, options);
  writeAddress(view, at + SQE_ADDR, time);
  if (options?.count !== undefined)
    writeWord(view, at + SQE_OFF, checked(options.count, 0xffff_ffff, 'count'), 'count');
}

/** Ends the timeout of that user_data, which completes with -ECANCELED. -ENOENT if it is over. */
export function timeoutRemove(view: DataView, at: number, target: Word64, options?: RequestOptions): void {
  begin(view, at, 'timeout_remove', -1, 0, 0, options);
  writeWord(view, at + SQE_ADDR, target, 'target');
}

export interface TimeoutUpdateOptions extends RequestOptions {
  readonly absolute?: boolean;
  /** The timeout is a link_timeout. */
  readonly linked?: boolean;
}

/** Gives the timeout of that user_data another time. */
export function timeoutUpdate(
  view: DataView,
  at: number,
  target: Word64,
  time: Address,
  options?: TimeoutUpdateOptions,
): void {
  // Without UPDATE it would be a removal.
  const kind = timeoutFlags.UPDATE | (options?.linked === true ? timeoutFlags.LINK_UPDATE : 0);
  begin(view, at, 'timeout_remove', -1, 0, kind | (options?.absolute === true ? timeoutFlags.ABS : 0), options);
  writeWord(view, at + SQE_ADDR, target, 'target');
  writeAddress(view, at + SQE_OFF, time);
}

/** Limits the request that it is linked to (`link` of the one before), which ends with -ECANCELED then. */
export function linkTimeout(view: DataView, at: number, time: Address, options?: ClockOptions): void {
  begin(view, at, 'link_timeout', -1, 1, clockFlags(options), options);
  writeAddress(view, at + SQE_ADDR, time);
}

function clockFlags(options: ClockOptions | undefined): number {
  let flags = options?.absolute === true ? timeoutFlags.ABS : 0;
  if (options?.clock === 'boottime') flags |= timeoutFlags.BOOTTIME;
  else if (options?.clock === 'realtime') flags |= timeoutFlags.REALTIME;
  return flags;
}
