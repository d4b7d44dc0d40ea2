/** Requests that wait for what happens elsewhere: readiness of files, words of memory, children. */
import { pollFlags } from '../../../abi/io-uring/request-flags.ts';
import { SQE_ADDR, SQE_ADDR3, SQE_FILE_INDEX, SQE_OFF } from '../../../plane/layout/sqe.ts';
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

export interface PollOptions extends RequestOptions {
  /** Completes each time that the file becomes ready. */
  readonly multishot?: boolean;
}

/** `events`: pollEvents. Completes with those that are there. */
export function pollAdd(view: DataView, at: number, fd: number, events: number, options?: PollOptions): void {
  refuseIf(
    options?.multishot === true && options.skipSuccess === true,
    'poll_add',
    'completions of multishot cannot be skipped',
  );
  begin(view, at, 'poll_add', fd, options?.multishot === true ? pollFlags.ADD_MULTI : 0, events >>> 0, options);
}

/** Ends the poll of that user_data. */
export function pollRemove(view: DataView, at: number, target: Word64, options?: RequestOptions): void {
  begin(view, at, 'poll_remove', -1, 0, 0, options);
  writeWord(view, at + SQE_ADDR, target, 'target');
}

export interface PollUpdateOptions extends PollOptions {
  readonly events?: number;
  readonly newUserData?: Word64;
}

/** Gives the poll of that user_data other events, or another user_data. */
export function pollUpdate(view: DataView, at: number, target: Word64, options: PollUpdateOptions): void {
  const { events, newUserData } = options;
  refuseIf(events === undefined && newUserData === undefined, 'poll_remove', 'an update changes events or newUserData');
  let flags = 0;
  if (events !== undefined) flags |= pollFlags.UPDATE_EVENTS;
  if (newUserData !== undefined) flags |= pollFlags.UPDATE_USER_DATA;
  if (options.multishot === true) flags |= pollFlags.ADD_MULTI;
  begin(view, at, 'poll_remove', -1, flags, (events ?? 0) >>> 0, options);
  writeWord(view, at + SQE_ADDR, target, 'target');
  if (newUserData !== undefined) writeWord(view, at + SQE_OFF, newUserData, 'newUserData');
}

/** `operation`: epollOperations; `event`: address of a struct epoll_event (structures.ts). */
export function epollCtl(
  view: DataView,
  at: number,
  epoll: number,
  operation: number,
  fd: number,
  event: Address,
  options?: RequestOptions,
): void {
  begin(view, at, 'epoll_ctl', epoll, operation, 0, options);
  writeAddress(view, at + SQE_ADDR, event);
  writeWord(view, at + SQE_OFF, checked(fd, 0x7fff_ffff, 'fd'), 'fd');
}

/** `events`: address of up to `count` struct epoll_event. Completes with their number. */
export function epollWait(
  view: DataView,
  at: number,
  epoll: number,
  events: Address,
  count: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'epoll_wait', epoll, count, 0, options);
  writeAddress(view, at + SQE_ADDR, events);
}

/** Completes when the word is woken; -EAGAIN if it is not `value`. `flags`: futexFlags; `mask`: of those who wake. */
export function futexWait(
  view: DataView,
  at: number,
  word: Address,
  value: Word64,
  mask: Word64,
  flags: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'futex_wait', flags, 0, 0, options);
  writeAddress(view, at + SQE_ADDR, word);
  writeWord(view, at + SQE_OFF, value, 'value');
  writeWord(view, at + SQE_ADDR3, mask, 'mask');
}

/** Wakes up to `count`, and completes with their number. */
export function futexWake(
  view: DataView,
  at: number,
  word: Address,
  count: Word64,
  mask: Word64,
  flags: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'futex_wake', flags, 0, 0, options);
  writeAddress(view, at + SQE_ADDR, word);
  writeWord(view, at + SQE_OFF, count, 'count');
  writeWord(view, at + SQE_ADDR3, mask, 'mask');
}

/** `waiters`: address of up to 128 struct futex_waitv (structures.ts). Completes with the number of the one that was woken. */
export function futexWaitv(
  view: DataView,
  at: number,
  waiters: Address,
  count: number,
  options?: RequestOptions,
): void {
  refuseIf(count < 1 || count > 128, 'futex_waitv', `1 to 128 words, not ${count}`);
  begin(view, at, 'futex_waitv', 0, count, 0, options);
  writeAddress(view, at + SQE_ADDR, waiters);
}

/** `type`: waitIdTypes; `what`: waitOptions; `info`: address of 128 bytes for siginfo_t, or 0. */
export function waitid(
  view: DataView,
  at: number,
  type: number,
  id: number,
  info: Address,
  what: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'waitid', id, type, 0, options);
  writeAddress(view, at + SQE_OFF, info);
  view.setUint32(at + SQE_FILE_INDEX, checked(what, 0xffff_ffff, 'what'), true);
}
