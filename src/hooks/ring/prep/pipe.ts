/** Requests that move data without copying it through user space, and the pipes for them. */

import { openFlags } from '../../../abi/io-uring/call-flags.ts';
import { spliceFlags } from '../../../abi/io-uring/request-flags.ts';
import { SQE_ADDR, SQE_FILE_INDEX, SQE_OFF } from '../../../plane/layout/sqe.ts';
import {
  type Address,
  begin,
  type RequestOptions,
  refuseIf,
  type Slot,
  type Word64,
  writeAddress,
  writeSlot,
  writeWord,
} from './sqe.ts';

export interface SpliceOptions extends RequestOptions {
  /** spliceFlags. */
  readonly flags?: number;
  /** `input` is the number of a registered file; `fixedFile` says so of `output`. */
  readonly fixedInput?: boolean;
}

/** One of the two is a pipe, whose offset is -1. */
export function splice(
  view: DataView,
  at: number,
  input: number,
  inputOffset: Word64,
  output: number,
  outputOffset: Word64,
  length: number,
  options?: SpliceOptions,
): void {
  begin(view, at, 'splice', output, length, flagsOf(options), options);
  view.setInt32(at + SQE_FILE_INDEX, input, true);
  writeWord(view, at + SQE_ADDR, inputOffset, 'inputOffset');
  writeWord(view, at + SQE_OFF, outputOffset, 'outputOffset');
}

/** Both are pipes. What is in the first one stays there. */
export function tee(
  view: DataView,
  at: number,
  input: number,
  output: number,
  length: number,
  options?: SpliceOptions,
): void {
  begin(view, at, 'tee', output, length, flagsOf(options), options);
  view.setInt32(at + SQE_FILE_INDEX, input, true);
}

function flagsOf(options: SpliceOptions | undefined): number {
  return ((options?.flags ?? 0) | (options?.fixedInput === true ? spliceFlags.FD_IN_FIXED : 0)) >>> 0;
}

export interface PipeOptions extends RequestOptions {
  /** CLOEXEC, NONBLOCK, and O_DIRECT of node:fs. */
  readonly flags?: number;
  /** Both ends become direct descriptors: this slot and the one after it. */
  readonly slot?: Slot;
}

/** `ends`: address of two words of 32 bits, which get the end to read from and the end to write to. */
export function pipe(view: DataView, at: number, ends: Address, options?: PipeOptions): void {
  refuseIf(
    options?.slot !== undefined && ((options.flags ?? 0) & openFlags.CLOEXEC) !== 0,
    'pipe',
    'direct descriptors cannot be CLOEXEC',
  );
  begin(view, at, 'pipe', 0, 0, options?.flags ?? 0, options);
  writeAddress(view, at + SQE_ADDR, ends);
  writeSlot(view, at, options?.slot);
}
