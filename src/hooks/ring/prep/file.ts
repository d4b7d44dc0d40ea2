/** Requests on open files: data, size, advice, extended attributes. `offset` -1: the file's position, as for read(2). */
import { fsyncFlags } from '../../../abi/io-uring/request-flags.ts';
import { SQE_ADDR, SQE_BUF_INDEX, SQE_IOPRIO, SQE_OFF } from '../../../plane/layout/sqe.ts';
import { type Address, begin, checked, type RequestOptions, type Word64, writeAddress, writeWord } from './sqe.ts';

export interface TransferOptions extends RequestOptions {
  /** RWF_ flags (rwFlags of call-flags.ts). */
  readonly flags?: number;
  /** I/O priority, as ioprio_set(2) has it. */
  readonly priority?: number;
}

type TransferOpcode =
  | 'read'
  | 'write'
  | 'readv'
  | 'writev'
  | 'read_fixed'
  | 'write_fixed'
  | 'readv_fixed'
  | 'writev_fixed';

function transfer(
  view: DataView,
  at: number,
  opcode: TransferOpcode,
  fd: number,
  address: Address,
  length: number,
  offset: Word64,
  options: TransferOptions | undefined,
): void {
  begin(view, at, opcode, fd, length, options?.flags ?? 0, options);
  writeWord(view, at + SQE_OFF, offset, 'offset');
  writeAddress(view, at + SQE_ADDR, address);
  if (options?.priority !== undefined)
    view.setUint16(at + SQE_IOPRIO, checked(options.priority, 0xffff, 'priority'), true);
}

export function read(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  offset: Word64 = -1,
  options?: TransferOptions,
): void {
  transfer(view, at, 'read', fd, address, length, offset, options);
}

export function write(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  offset: Word64 = -1,
  options?: TransferOptions,
): void {
  transfer(view, at, 'write', fd, address, length, offset, options);
}

/** `vectors`: address of `count` iovecs (structures.ts), whose addresses are those of the process. */
export function readv(
  view: DataView,
  at: number,
  fd: number,
  vectors: Address,
  count: number,
  offset: Word64 = -1,
  options?: TransferOptions,
): void {
  transfer(view, at, 'readv', fd, vectors, count, offset, options);
}

export function writev(
  view: DataView,
  at: number,
  fd: number,
  vectors: Address,
  count: number,
  offset: Word64 = -1,
  options?: TransferOptions,
): void {
  transfer(view, at, 'writev', fd, vectors, count, offset, options);
}

/** Into a part of registered buffer `buffer`. */
export function readFixed(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  offset: Word64,
  buffer: number,
  options?: TransferOptions,
): void {
  transfer(view, at, 'read_fixed', fd, address, length, offset, options);
  view.setUint16(at + SQE_BUF_INDEX, checked(buffer, 0xffff, 'buffer'), true);
}

export function writeFixed(
  view: DataView,
  at: number,
  fd: number,
  address: Address,
  length: number,
  offset: Word64,
  buffer: number,
  options?: TransferOptions,
): void {
  transfer(view, at, 'write_fixed', fd, address, length, offset, options);
  view.setUint16(at + SQE_BUF_INDEX, checked(buffer, 0xffff, 'buffer'), true);
}

/** All of the iovecs lie in registered buffer `buffer`. */
export function readvFixed(
  view: DataView,
  at: number,
  fd: number,
  vectors: Address,
  count: number,
  offset: Word64,
  buffer: number,
  options?: TransferOptions,
): void {
  transfer(view, at, 'readv_fixed', fd, vectors, count, offset, options);
  view.setUint16(at + SQE_BUF_INDEX, checked(buffer, 0xffff, 'buffer'), true);
}

export function writevFixed(
  view: DataView,
  at: number,
  fd: number,
  vectors: Address,
  count: number,
  offset: Word64,
  buffer: number,
  options?: TransferOptions,
): void {
  transfer(view, at, 'writev_fixed', fd, vectors, count, offset, options);
  view.setUint16(at + SQE_BUF_INDEX, checked(buffer, 0xffff, 'buffer'), true);
}

/** Completes for each arrival of data, in a buffer of group `bufferSelect`; `length` 0: as many bytes as a buffer holds. */
export function readMultishot(
  view: DataView,
  at: number,
  fd: number,
  length: number,
  offset: Word64,
  options: RequestOptions & { readonly bufferSelect: number },
): void {
  begin(view, at, 'read_multishot', fd, length, 0, options);
  writeWord(view, at + SQE_OFF, offset, 'offset');
}

export interface FsyncOptions extends RequestOptions {
  /** As fdatasync(2). */
  readonly dataOnly?: boolean;
  /** Range; the file as a whole by default. */
  readonly offset?: Word64;
  readonly length?: number;
}

export function fsync(view: DataView, at: number, fd: number, options?: FsyncOptions): void {
  const flags = options?.dataOnly === true ? fsyncFlags.DATASYNC : 0;
  begin(view, at, 'fsync', fd, options?.length ?? 0, flags, options);
  if (options?.offset !== undefined) writeWord(view, at + SQE_OFF, options.offset, 'offset');
}

/** `flags`: syncFileRangeFlags. `length` 0: to the end. */
export function syncFileRange(
  view: DataView,
  at: number,
  fd: number,
  offset: Word64,
  length: number,
  flags: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'sync_file_range', fd, length, flags, options);
  writeWord(view, at + SQE_OFF, offset, 'offset');
}

export function ftruncate(view: DataView, at: number, fd: number, size: Word64, options?: RequestOptions): void {
  begin(view, at, 'ftruncate', fd, 0, 0, options);
  writeWord(view, at + SQE_OFF, size, 'size');
}

/** `mode`: fallocateModes, 0 to allocate and grow. */
export function fallocate(
  view: DataView,
  at: number,
  fd: number,
  mode: number,
  offset: Word64,
  length: Word64,
  options?: RequestOptions,
): void {
  begin(view, at, 'fallocate', fd, mode, 0, options);
  writeWord(view, at + SQE_OFF, offset, 'offset');
  writeWord(view, at + SQE_ADDR, length, 'length');
}

/** `advice`: fadviseAdvice. `length` 0: to the end. Lengths of 64 bits need Linux 6.10. */
export function fadvise(
  view: DataView,
  at: number,
  fd: number,
  offset: Word64,
  length: Word64,
  advice: number,
  options?: RequestOptions,
): void {
  // Older kernels know `len` alone.
  const short = typeof length === 'number' && length >>> 0 === length;
  begin(view, at, 'fadvise', fd, short ? length : 0, advice, options);
  writeWord(view, at + SQE_OFF, offset, 'offset');
  if (!short) writeWord(view, at + SQE_ADDR, length, 'length');
}

/** `advice`: madviseAdvice. */
export function madvise(
  view: DataView,
  at: number,
  address: Address,
  length: number,
  advice: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'madvise', -1, length, advice, options);
  writeAddress(view, at + SQE_ADDR, address);
}

/** `name`: address of a string that ends in NUL; `flags`: xattrFlags. */
export function fsetxattr(
  view: DataView,
  at: number,
  fd: number,
  name: Address,
  value: Address,
  length: number,
  flags = 0,
  options?: RequestOptions,
): void {
  begin(view, at, 'fsetxattr', fd, length, flags, options);
  writeAddress(view, at + SQE_ADDR, name);
  writeAddress(view, at + SQE_OFF, value);
}

/** Completes with the length of the value; `length` 0 asks for it alone. */
export function fgetxattr(
  view: DataView,
  at: number,
  fd: number,
  name: Address,
  value: Address,
  length: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'fgetxattr', fd, length, 0, options);
  writeAddress(view, at + SQE_ADDR, name);
  writeAddress(view, at + SQE_OFF, value);
}
