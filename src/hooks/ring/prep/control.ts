/** Requests on the ring itself: nothing, cancel, messages between rings, registered files, groups of buffers, programs. */

import { type OpcodeName, opcodes } from '../../../abi/io-uring/opcodes.ts';
import {
  cancelFlags,
  fixedFdFlags,
  msgRingCommands,
  msgRingFlags,
  nopFlags,
} from '../../../abi/io-uring/request-flags.ts';
import { InputError } from '../../../errors.ts';
import {
  MESSAGE_CANCEL,
  MESSAGE_FLAGS,
  MESSAGE_TO_PROGRAM,
  MESSAGE_TO_QUEUE,
  RING_TO_RING,
} from '../../../plane/layout/ring.ts';
import {
  CQE_F_MORE,
  SQE_ADDR,
  SQE_ADDR3,
  SQE_BUF_INDEX,
  SQE_FILE_INDEX,
  SQE_LEN,
  SQE_OFF,
} from '../../../plane/layout/sqe.ts';
import {
  type Address,
  begin,
  checked,
  type RequestOptions,
  refuseIf,
  type Slot,
  type Word64,
  writeAddress,
  writeSlot,
  writeWord,
} from './sqe.ts';

export interface NopOptions extends RequestOptions {
  /** Result of the completion (IORING_NOP_INJECT_RESULT, Linux 6.10): what tests of chains are made of. */
  readonly result?: number;
  /** A descriptor that is looked up, as if it were used. */
  readonly file?: number;
}

export function nop(view: DataView, at: number, options?: NopOptions): void {
  let flags = 0;
  if (options?.result !== undefined) flags |= nopFlags.INJECT_RESULT;
  if (options?.file !== undefined) flags |= nopFlags.FILE;
  if (options?.fixedFile === true) flags |= nopFlags.FIXED_FILE;
  begin(view, at, 'nop', options?.file ?? -1, 0, flags, options);
  if (options?.result === undefined) return;
  if ((options.result | 0) !== options.result)
    throw new InputError('SLUICE_RING_OPTION', `result: an integer of 32 bits, not ${options.result}`);
  view.setInt32(at + SQE_LEN, options.result, true);
}

/** Which requests: by user_data; or by descriptor, opcode, both; or any. */
export interface CancelTarget {
  readonly userData?: Word64;
  readonly fd?: number;
  /** `fd` is the number of a registered file. */
  readonly fixed?: boolean;
  readonly opcode?: OpcodeName;
  readonly any?: boolean;
  /** All that match, and completes with their number; the first one otherwise. */
  readonly all?: boolean;
}

/** Completes with 0, -ENOENT, or -EALREADY where it runs on. The cancelled one has its own completion, and is over only then. */
export function cancel(view: DataView, at: number, target: CancelTarget, options?: RequestOptions): void {
  const { userData, fd, opcode } = target;
  refuseIf(
    userData === undefined && fd === undefined && opcode === undefined && target.any !== true,
    'async_cancel',
    'what to cancel: userData, fd, opcode or any',
  );
  refuseIf(
    target.any === true && (userData !== undefined || fd !== undefined || opcode !== undefined),
    'async_cancel',
    'any stands alone',
  );
  let flags = 0;
  if (target.all === true) flags |= cancelFlags.ALL;
  if (target.any === true) flags |= cancelFlags.ANY;
  if (fd !== undefined) flags |= cancelFlags.FD;
  if (target.fixed === true) flags |= cancelFlags.FD_FIXED;
  if (opcode !== undefined) flags |= cancelFlags.OP;
  // Said only beside others: older kernels know user_data without the flag.
  if (userData !== undefined && (fd !== undefined || opcode !== undefined)) flags |= cancelFlags.USERDATA;
  begin(view, at, 'async_cancel', fd ?? -1, opcode === undefined ? 0 : opcodes[opcode].number, flags, options);
  if (userData !== undefined) writeWord(view, at + SQE_ADDR, userData, 'userData');
}

/** A completion in another ring (`ring`: its descriptor): `result`, `data` as its user_data, and `flags` if given. */
export function messageData(
  view: DataView,
  at: number,
  ring: number,
  result: number,
  data: Word64,
  flags?: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'msg_ring', ring, result >>> 0, flags === undefined ? 0 : msgRingFlags.FLAGS_PASS, options);
  writeWord(view, at + SQE_OFF, data, 'data');
  if (flags !== undefined) view.setUint32(at + SQE_FILE_INDEX, checked(flags, 0xffff_ffff, 'flags'), true);
}

/** What becomes of a message in the other ring: a program of that one runs (by its number from 1; 0: the one for messages), or it goes to a queue (default: 0). */
export interface RingMessageOptions extends RequestOptions {
  readonly program?: number;
  readonly toQueue?: number;
  /** The request of that ring with `data` as user_data ends. */
  readonly cancels?: boolean;
  /** Of the completion there, below 0x800, without CQE_F_MORE. */
  readonly flags?: number;
}

/** A message to a ring of this memory, `number`: its result and all 64 bits of `data`. */
export function messageToRing(
  view: DataView,
  at: number,
  number: number,
  result: number,
  data: Word64,
  options: RingMessageOptions = {},
): void {
  const { program, toQueue, cancels = false, flags = 0, extra = 0 } = options;
  refuseIf(
    Number(program !== undefined) + Number(toQueue !== undefined) + Number(cancels) > 1,
    'msg_ring',
    'one of program, toQueue, cancels',
  );
  if (checked(flags, MESSAGE_FLAGS - 1, 'flags') & CQE_F_MORE)
    throw new InputError('SLUICE_RING_OPTION', 'flags: CQE_F_MORE is not for messages');
  const kind = program !== undefined ? MESSAGE_TO_PROGRAM : cancels ? MESSAGE_CANCEL : MESSAGE_TO_QUEUE;
  const target = checked(program ?? toQueue ?? 0, 0xffff, program === undefined ? 'toQueue' : 'program');
  begin(view, at, 'msg_ring', number, result >>> 0, 0, { ...options, extra: extra | RING_TO_RING });
  writeWord(view, at + SQE_OFF, data, 'data');
  view.setUint32(at + SQE_FILE_INDEX, ((target << 16) | kind | flags) >>> 0, true);
}

/** A registered file goes to another ring, into `slot` of its files, with a completion there unless `silent`. */
export function messageFile(
  view: DataView,
  at: number,
  ring: number,
  file: number,
  slot: Slot,
  data: Word64,
  options?: RequestOptions & { readonly silent?: boolean },
): void {
  begin(view, at, 'msg_ring', ring, 0, options?.silent === true ? msgRingFlags.CQE_SKIP : 0, options);
  view.setUint32(at + SQE_ADDR, msgRingCommands.SEND_FD, true);
  writeWord(view, at + SQE_OFF, data, 'data');
  writeWord(view, at + SQE_ADDR3, checked(file, 2 ** 20 - 1, 'file'), 'file');
  writeSlot(view, at, slot);
}

/** `descriptors`: address of `count` words of 32 bits, put into the registered files from `first` on; -1 empties a slot. */
export function filesUpdate(
  view: DataView,
  at: number,
  descriptors: Address,
  count: number,
  first: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'files_update', -1, count, 0, options);
  writeAddress(view, at + SQE_ADDR, descriptors);
  writeWord(view, at + SQE_OFF, checked(first, 0xffff_ffff, 'first'), 'first');
}

/** The registered file `slot` gets a descriptor of the process as well, which is the result. */
export function fixedFdInstall(
  view: DataView,
  at: number,
  slot: number,
  options?: RequestOptions & { readonly keepOnExec?: boolean },
): void {
  begin(view, at, 'fixed_fd_install', slot, 0, options?.keepOnExec === true ? fixedFdFlags.NO_CLOEXEC : 0, {
    ...options,
    fixedFile: true,
  });
}

/** `count` buffers of `length` bytes each, one after the other, with the numbers from `first` on. */
export function provideBuffers(
  view: DataView,
  at: number,
  address: Address,
  length: number,
  count: number,
  bufferGroup: number,
  first: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'provide_buffers', checked(count, 0x1_0000, 'count'), length, 0, options);
  writeAddress(view, at + SQE_ADDR, address);
  writeWord(view, at + SQE_OFF, checked(first, 0xffff, 'first'), 'first');
  view.setUint16(at + SQE_BUF_INDEX, checked(bufferGroup, 0xffff, 'bufferGroup'), true);
}

export function removeBuffers(
  view: DataView,
  at: number,
  count: number,
  bufferGroup: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'remove_buffers', checked(count, 0x1_0000, 'count'), 0, 0, options);
  view.setUint16(at + SQE_BUF_INDEX, checked(bufferGroup, 0xffff, 'bufferGroup'), true);
}

/**
 * Program `index` (from 0) as a request: it runs at once, or when queue `waitQueue` holds `waitCount` completions. Its context is `userData` of the options.
 */
export function program(
  view: DataView,
  at: number,
  index: number,
  waitCount = 0,
  waitQueue = 0,
  options?: RequestOptions,
): void {
  begin(view, at, 'bpf', -1, waitCount, checked(waitQueue, 0xffff, 'waitQueue'), options);
  writeWord(view, at + SQE_OFF, checked(index, 0xfffe, 'index'), 'index');
}
