/** What the owner of a CPU's thread and the thread say to each other in messages. Work that runs per event goes by the CPU's inbox instead (plane/layout/cpu.ts). */
import type { ProgramTypeName } from '../../abi/program-types.ts';
import type { RunInput } from '../handles.ts';
import type { ProgramModule } from '../runtime.ts';
import type { SentError } from './sent-error.ts';

/** What a thread is made with. */
export interface CpuThreadData {
  readonly memory: WebAssembly.Memory;
  readonly plane: WebAssembly.Module;
  readonly cpu: number;
  /** `performance.timeOrigin` of the owner: programs see one clock. */
  readonly timeOrigin: number;
}

export type CpuAsk =
  | { readonly kind: 'load' | 'unload'; readonly module: ProgramModule }
  /** `entry`: as Executable has it. */
  | { readonly kind: 'run'; readonly entry: number; readonly type: ProgramTypeName; readonly input: RunInput }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly (number | bigint)[] }
  /** All programs are there: what is in the inbox may run. */
  | { readonly kind: 'begin' }
  | { readonly kind: 'stop' };

/** Requests are numbered; INBOX_MAIL counts them for the thread. */
export interface CpuRequest {
  readonly number: number;
  readonly ask: CpuAsk;
}

export type CpuMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly number: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly number: number; readonly error: SentError }
  /** Timers that only the owner's thread can fire wait for it. */
  | { readonly kind: 'timers' }
  /** What stopped an item of the inbox, or a callback of a timer. */
  | { readonly kind: 'fault'; readonly error: SentError };

/** The thread's end of the messages. */
export interface CpuPort {
  /** The next one that has come; it does not wait. */
  take(): CpuRequest | undefined;
  post(message: CpuMessage): void;
}

/** The owner's end: a thread that has been started. */
export interface CpuWorker {
  post(request: CpuRequest): void;
  onMessage(handle: (message: CpuMessage) => void): void;
  /** Once, when the thread has ended; the error that ended it, where there was one. */
  onExit(handle: (error: Error | undefined) => void): void;
  /** Whether the thread keeps the process alive. */
  hold(held: boolean): void;
  /** False once the thread has ended, even where the owner has not been told yet. */
  isAlive(): boolean;
  /** Ends the thread where it stands. */
  kill(): Promise<void>;
}

export type StartCpu = (data: CpuThreadData) => CpuWorker;
