/** Requests on paths: open, close, look, link, remove. A path is the address of a string that ends in NUL; it may be used again once the request is submitted. */
import { AT_FDCWD, openFlags } from '../../../abi/io-uring/call-flags.ts';
import { SQE_ADDR, SQE_ADDR3, SQE_LEN, SQE_OFF } from '../../../plane/layout/sqe.ts';
import { type Address, begin, type RequestOptions, refuseIf, type Slot, writeAddress, writeSlot } from './sqe.ts';

export interface PathOptions extends RequestOptions {
  /** Directory that a relative path starts in (default: the working directory). */
  readonly directory?: number;
}

export interface OpenOptions extends PathOptions {
  /** The file becomes a direct descriptor in this slot; it has no descriptor of the process then. */
  readonly slot?: Slot;
}

/** `flags`: openFlags, and those of node:fs. Add CLOEXEC, but not for a slot. */
export function openat(
  view: DataView,
  at: number,
  path: Address,
  flags: number,
  mode = 0,
  options?: OpenOptions,
): void {
  refuseIf(
    options?.slot !== undefined && (flags & openFlags.CLOEXEC) !== 0,
    'openat',
    'a direct descriptor cannot be CLOEXEC',
  );
  begin(view, at, 'openat', options?.directory ?? AT_FDCWD, mode, flags >>> 0, options);
  writeAddress(view, at + SQE_ADDR, path);
  writeSlot(view, at, options?.slot);
}

/** `how`: address of a struct open_how (structures.ts). */
export function openat2(
  view: DataView,
  at: number,
  path: Address,
  how: Address,
  length: number,
  options?: OpenOptions,
): void {
  begin(view, at, 'openat2', options?.directory ?? AT_FDCWD, length, 0, options);
  writeAddress(view, at + SQE_ADDR, path);
  writeAddress(view, at + SQE_OFF, how);
  writeSlot(view, at, options?.slot);
}

export function close(view: DataView, at: number, fd: number, options?: RequestOptions): void {
  begin(view, at, 'close', fd, 0, 0, options);
}

/** Empties a slot of the registered files. */
export function closeDirect(view: DataView, at: number, slot: number, options?: RequestOptions): void {
  begin(view, at, 'close', 0, 0, 0, options);
  writeSlot(view, at, slot);
}

/** `mask`: statxMask; `result`: address of 256 bytes (statx.ts); `flags`: atFlags. */
export function statx(
  view: DataView,
  at: number,
  path: Address,
  flags: number,
  mask: number,
  result: Address,
  options?: PathOptions,
): void {
  begin(view, at, 'statx', options?.directory ?? AT_FDCWD, mask, flags, options);
  writeAddress(view, at + SQE_ADDR, path);
  writeAddress(view, at + SQE_OFF, result);
}

/** `flags`: atFlags.REMOVEDIR for a directory, or 0. */
export function unlinkat(view: DataView, at: number, path: Address, flags = 0, options?: PathOptions): void {
  begin(view, at, 'unlinkat', options?.directory ?? AT_FDCWD, 0, flags, options);
  writeAddress(view, at + SQE_ADDR, path);
}

export function mkdirat(view: DataView, at: number, path: Address, mode: number, options?: PathOptions): void {
  begin(view, at, 'mkdirat', options?.directory ?? AT_FDCWD, mode, 0, options);
  writeAddress(view, at + SQE_ADDR, path);
}

export interface TwoPathsOptions extends PathOptions {
  /** Directory that the second path starts in (default: the working directory). */
  readonly newDirectory?: number;
}

/** `flags`: renameFlags. */
export function renameat(
  view: DataView,
  at: number,
  from: Address,
  to: Address,
  flags = 0,
  options?: TwoPathsOptions,
): void {
  begin(view, at, 'renameat', options?.directory ?? AT_FDCWD, 0, flags, options);
  writeTwoPaths(view, at, from, to, options);
}

/** `flags`: atFlags.SYMLINK_FOLLOW, EMPTY_PATH. */
export function linkat(
  view: DataView,
  at: number,
  from: Address,
  to: Address,
  flags = 0,
  options?: TwoPathsOptions,
): void {
  begin(view, at, 'linkat', options?.directory ?? AT_FDCWD, 0, flags, options);
  writeTwoPaths(view, at, from, to, options);
}

/** The second directory is in `len`. */
function writeTwoPaths(view: DataView, at: number, from: Address, to: Address, options?: TwoPathsOptions): void {
  writeAddress(view, at + SQE_ADDR, from);
  writeAddress(view, at + SQE_OFF, to);
  view.setInt32(at + SQE_LEN, options?.newDirectory ?? AT_FDCWD, true);
}

/** A link at `path` (which starts in `directory`) that names `target`. */
export function symlinkat(view: DataView, at: number, target: Address, path: Address, options?: PathOptions): void {
  begin(view, at, 'symlinkat', options?.directory ?? AT_FDCWD, 0, 0, options);
  writeAddress(view, at + SQE_ADDR, target);
  writeAddress(view, at + SQE_OFF, path);
}

/** `name`: address of a string that ends in NUL; `flags`: xattrFlags. The path starts in the working directory. */
export function setxattr(
  view: DataView,
  at: number,
  path: Address,
  name: Address,
  value: Address,
  length: number,
  flags = 0,
  options?: RequestOptions,
): void {
  begin(view, at, 'setxattr', 0, length, flags, options);
  writeAddress(view, at + SQE_ADDR, name);
  writeAddress(view, at + SQE_OFF, value);
  writeAddress(view, at + SQE_ADDR3, path);
}

/** Completes with the length of the value; `length` 0 asks for it alone. */
export function getxattr(
  view: DataView,
  at: number,
  path: Address,
  name: Address,
  value: Address,
  length: number,
  options?: RequestOptions,
): void {
  begin(view, at, 'getxattr', 0, length, 0, options);
  writeAddress(view, at + SQE_ADDR, name);
  writeAddress(view, at + SQE_OFF, value);
  writeAddress(view, at + SQE_ADDR3, path);
}
