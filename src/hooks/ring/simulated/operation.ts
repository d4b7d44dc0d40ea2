/** What the simulated kernel knows of an opcode: how to check a request when it is submitted, how to do it, and when its result breaks a chain. */
import type { Kernel } from './kernel.ts';
import type { Request } from './request.ts';

/** Result of what has not ended: the request is parked, or runs on. No errno is that large. */
export const PENDING = -0x10000;

/** Faults that may strike. */
export const MAY_INTERRUPT = 1;
export const MAY_AGAIN = 2;
export const MAY_FAIL_IO = 4;
export const MAY_RESET = 8;
export const MAY_SHRINK = 16;

export interface Operation {
  /** Result, negated errno, or PENDING. */
  execute(kernel: Kernel, request: Request): number;
  /** Reads what the kernel reads at submission. 0, or a negated errno, which fails the whole chain. */
  prepare?(kernel: Kernel, request: Request): number;
  /** `fd` is a file, which is looked up when the request is issued. */
  readonly file?: boolean;
  /** It takes time: always, or where the file is one of a file system. */
  readonly timed?: 'always' | 'files';
  /** Nothing makes the kernel hand it to a worker but the request's own flag. */
  readonly inline?: boolean;
  /** `short`: less than its length breaks a chain; `never`: not even an error does (the kernel's requests on names and sync). Default: errors do. */
  readonly breaks?: 'short' | 'never';
  /** It can take a buffer of a group. */
  readonly select?: boolean;
  /** `ioprio` means something. */
  readonly ioprio?: boolean;
  readonly faults?: number;
}
