/**
 * prep/: requests of io_uring as bytes. One function for each opcode writes an SQE of 64 bytes at `at` of a view of the linear memory, and allocates
 * nothing. What each word means: io_uring_enter(2), and the prep function of the opcode in Linux 6.18.
 *
 * This file: what all of them share.
 */
import { type OpcodeName, opcodes } from '../../../abi/io-uring/opcodes.ts';
import { FILE_INDEX_ALLOC, sqeFlags } from '../../../abi/io-uring/request-flags.ts';
import { InputError } from '../../../errors.ts';
import {
  ADDRESS_OF_PROCESS,
  SQE_BUF_INDEX,
  SQE_CALLBACK,
  SQE_CQ,
  SQE_EXTRA,
  SQE_FD,
  SQE_FILE_INDEX,
  SQE_FLAGS,
  SQE_GROUP,
  SQE_LEN,
  SQE_OP_FLAGS,
  SQE_OPCODE,
  SQE_PERSONALITY,
  SQE_POLICY,
  SQE_USER_DATA,
} from '../../../plane/layout/sqe.ts';

/** 64 bits: a number that is an integer up to 2^53, or a bigint. Negative ones are two's complement: -1 as an offset is the file's position. */
export type Word64 = number | bigint;

/**
 * An address: below 2^32 an offset in the linear memory, 0 is none; a number from 2^32 on, or any bigint, an address of the process, as addresses
 * of Node's buffers are.
 */
export type Address = number | bigint;

/** What every request can have. Undefined is no, or 0. */
export interface RequestOptions {
  readonly userData?: Word64;
  /** The descriptor is the number of a registered file (IOSQE_FIXED_FILE). */
  readonly fixedFile?: boolean;
  /** A worker thread of the kernel from the start (IOSQE_ASYNC). */
  readonly async?: boolean;
  /** Group that the buffer is taken from (IOSQE_BUFFER_SELECT). */
  readonly bufferSelect?: number;
  /** No completion if it succeeds (IOSQE_CQE_SKIP_SUCCESS). */
  readonly skipSuccess?: boolean;
  /** The next request follows this one (IOSQE_IO_LINK), or does so whatever the result (IOSQE_IO_HARDLINK). */
  readonly link?: boolean;
  readonly hardlink?: boolean;
  /** After all before it, in its group (IOSQE_IO_DRAIN). */
  readonly drain?: boolean;
  /** Credentials that were registered. */
  readonly personality?: number;
  /** Completion queue (0: the user's), program or function that the completion runs (from 1). */
  readonly queue?: number;
  readonly callback?: number;
  /** LINK_ constants of plane/layout/ring.ts; RING_FINALLY and its like. */
  readonly policy?: number;
  readonly extra?: number;
  readonly group?: number;
}

/** A slot of the registered files for a new descriptor; 'alloc': the kernel picks one and completes with its number. */
export type Slot = number | 'alloc';

/** Writes a request without its words of 64 bits, which are 0. */
export function begin(
  view: DataView,
  at: number,
  opcode: OpcodeName,
  fd: number,
  length: number,
  flags: number,
  options: RequestOptions | undefined,
): void {
  if ((fd | 0) !== fd) throw new InputError('SLUICE_RING_FD', `${opcode}: no descriptor is ${fd}`);
  if (length >>> 0 !== length)
    throw new InputError('SLUICE_RING_LENGTH', `${opcode}: a length is an integer below 2^32, not ${length}`);
  // As numbers: 0 has no bits, and a bigint would be one to make.
  view.setFloat64(at, 0);
  view.setFloat64(at + 8, 0);
  view.setFloat64(at + 16, 0);
  view.setFloat64(at + 24, 0);
  view.setFloat64(at + 32, 0);
  view.setFloat64(at + 40, 0);
  view.setFloat64(at + 48, 0);
  view.setFloat64(at + 56, 0);
  view.setUint8(at + SQE_OPCODE, opcodes[opcode].number);
  view.setInt32(at + SQE_FD, fd, true);
  view.setUint32(at + SQE_LEN, length, true);
  view.setUint32(at + SQE_OP_FLAGS, flags, true);
  if (options !== undefined) writeOptions(view, at, opcode, options);
}

function writeOptions(view: DataView, at: number, opcode: OpcodeName, options: RequestOptions): void {
  let flags = 0;
  if (options.fixedFile === true) flags |= sqeFlags.FIXED_FILE;
  if (options.drain === true) flags |= sqeFlags.IO_DRAIN;
  if (options.link === true) flags |= sqeFlags.IO_LINK;
  if (options.hardlink === true) flags |= sqeFlags.IO_HARDLINK;
  if (options.async === true) flags |= sqeFlags.ASYNC;
  if (options.skipSuccess === true) flags |= sqeFlags.CQE_SKIP_SUCCESS;
  if (options.fixedFile === true && !opcodes[opcode].file && opcode !== 'nop')
    throw new InputError('SLUICE_RING_REQUEST', `${opcode}: its descriptor cannot be a registered file`);
  if (options.bufferSelect !== undefined) {
    if (!opcodes[opcode].bufferSelect)
      throw new InputError('SLUICE_RING_REQUEST', `${opcode}: takes no buffer from a group`);
    flags |= sqeFlags.BUFFER_SELECT;
    view.setUint16(at + SQE_BUF_INDEX, checked(options.bufferSelect, 0xffff, 'bufferSelect'), true);
  }
  view.setUint8(at + SQE_FLAGS, flags);
  if (options.userData !== undefined) writeWord(view, at + SQE_USER_DATA, options.userData, 'userData');
  if (options.personality !== undefined)
    view.setUint16(at + SQE_PERSONALITY, checked(options.personality, 0xffff, 'personality'), true);
  if (options.queue !== undefined) view.setUint16(at + SQE_CQ, checked(options.queue, 0xffff, 'queue'), true);
  if (options.callback !== undefined)
    view.setUint16(at + SQE_CALLBACK, checked(options.callback, 0xffff, 'callback'), true);
  if (options.policy !== undefined) view.setUint8(at + SQE_POLICY, checked(options.policy, 0xff, 'policy'));
  if (options.extra !== undefined) view.setUint8(at + SQE_EXTRA, checked(options.extra, 0xff, 'extra'));
  if (options.group !== undefined) view.setUint16(at + SQE_GROUP, checked(options.group, 0xffff, 'group'), true);
}

/** `value`, an integer from 0 to `most`. Throws InputError `SLUICE_RING_OPTION`. */
export function checked(value: number, most: number, name: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new InputError('SLUICE_RING_OPTION', `${name}: an integer from 0 to ${most}, not ${value}`);
}

/** A word of 64 bits. Throws InputError `SLUICE_RING_OFFSET`. */
export function writeWord(view: DataView, at: number, value: Word64, name: string): void {
  if (typeof value === 'bigint') {
    if (BigInt.asUintN(64, value) !== value && BigInt.asIntN(64, value) !== value) refuseWord(value, name);
    view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return;
  }
  if (!Number.isSafeInteger(value)) refuseWord(value, name);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32) >>> 0, true);
}

function refuseWord(value: Word64, name: string): never {
  throw new InputError('SLUICE_RING_OFFSET', `${name}: an integer of 64 bits, as a bigint from 2^53 on, not ${value}`);
}

/** Throws InputError `SLUICE_RING_ADDRESS`. */
export function writeAddress(view: DataView, at: number, address: Address): void {
  if (typeof address === 'number') {
    const low = address >>> 0;
    if (low === address) {
      view.setUint32(at, low, true);
      view.setUint32(at + 4, 0, true);
      return;
    }
    if (!Number.isSafeInteger(address) || address < 0) refuseAddress(address);
    view.setUint32(at, low, true);
    view.setUint32(at + 4, (Math.floor(address / 2 ** 32) | ADDRESS_OF_PROCESS) >>> 0, true);
    return;
  }
  if (address < 0n || address >= 2n ** 63n) refuseAddress(address);
  view.setUint32(at, Number(address & 0xffff_ffffn), true);
  view.setUint32(at + 4, (Number(address >> 32n) | ADDRESS_OF_PROCESS) >>> 0, true);
}

function refuseAddress(address: Address): never {
  throw new InputError(
    'SLUICE_RING_ADDRESS',
    `no address: ${address}; below 2^32 an offset in the linear memory, above an address of the process`,
  );
}

/** `file_index`: a slot counts from 1 there. Nothing is written without one. */
export function writeSlot(view: DataView, at: number, slot: Slot | undefined): void {
  if (slot === undefined) return;
  view.setUint32(
    at + SQE_FILE_INDEX,
    slot === 'alloc' ? FILE_INDEX_ALLOC : checked(slot, 2 ** 20 - 1, 'slot') + 1,
    true,
  );
}

/** Refuses what the kernel's prep would: there the request and the whole chain before it would end with -EINVAL. */
export function refuseIf(condition: boolean, opcode: OpcodeName, why: string): void {
  if (condition) throw new InputError('SLUICE_RING_REQUEST', `${opcode}: ${why}`);
}
