/** What a ring's thread and the thread of its owner tell each other, in words that they share. */
import type { LinuxRingOptions } from './io-uring.ts';

/** Calls are numbered: the owner writes the next number behind the call, the thread behind its result. */
export const MAIL_ASKED = 0;
export const MAIL_ANSWERED = 1;
export const MAIL_CALL = 2;
/** Up to three arguments. */
export const MAIL_ARGUMENTS = 3;
export const MAIL_RESULT = 6;
/** 1: the thread answers no more. */
export const MAIL_ENDED = 7;
/** 1: the process ends, and the thread is to return at once. */
export const MAIL_STOP = 8;
/** 1: the thread closes its descriptors itself. */
export const MAIL_CLOSES = 9;
/** Number of the thread in this process (gettid), as /proc/self/task has it. */
export const MAIL_THREAD = 10;
export const MAIL_WORDS = 16;

export const CALL_START = 1;
export const CALL_TURN = 2;
export const CALL_QUEUE = 3;
export const CALL_CANCEL = 4;
export const CALL_REGISTER = 5;
/** RingModuleMessages have been sent. */
export const CALL_LOAD = 6;
export const CALL_FINISH = 7;

/** What a ring's thread is made with. */
export interface RingThreadData {
  readonly memory: WebAssembly.Memory;
  readonly plane: WebAssembly.Module;
  readonly cpu: number;
  /** `performance.timeOrigin` of the owner: programs see one clock. */
  readonly timeOrigin: number;
  readonly mail: Int32Array;
  /** Takes RingModuleMessages, and gives RingFaults. */
  readonly port: import('node:worker_threads').MessagePort;
  readonly options: LinuxRingOptions;
}

/** Programs that come, or that nothing leads to any more. */
export interface RingModuleMessage {
  readonly kind: 'load' | 'unload';
  readonly module: import('../runtime/runtime.ts').ProgramModule;
}

/** What stopped a program. */
export interface RingFault {
  readonly message: string;
}

export type RingThreadMessage =
  | {
      readonly kind: 'ready';
      readonly addresses: import('../runtime/ring-backend.ts').RingAddresses;
      readonly base: bigint;
      readonly features: readonly string[];
      readonly supported: readonly number[];
      readonly fd: number;
      readonly eventfd: number;
    }
  | { readonly kind: 'failed'; readonly error: import('../runtime/cpus/sent-error.ts').SentError }
  /** Timers that only the owner's thread can fire wait for it. */
  | { readonly kind: 'timers' }
  | { readonly kind: 'finished' };
