/** What the two sides of scale-threads.ts tell each other: 32-bit words in shared memory, 128 bytes a thread, so that no two write to one cache line. */
import type { ProgramModule } from '../runtime/runtime.ts';

export interface ScaleThreadData {
  readonly memory: WebAssembly.Memory;
  readonly plane: WebAssembly.Module;
  readonly modules: readonly ProgramModule[];
  /** CPU of the runtime; the thread stays on processor `index`, counted round. */
  readonly cpu: number;
  readonly index: number;
  readonly board: SharedArrayBuffer;
  /** Address of a ring buffer that it reads; undefined: it runs a program. */
  readonly ring: number | undefined;
}

/** How many threads are to work now; those with a lower index do, and the reader of a ring as well. */
export const BOARD_ACTIVE = 0;
export const BOARD_END = -1;
/** First word of a thread's own. */
export const boardOf = (index: number): number => 32 * (index + 1);
/** Runs, or records that were read, modulo 2^32; 1 once it is ready. */
export const BOARD_DONE = 0;
export const BOARD_READY = 1;
/** What it runs: entry of the program, first frame and number of frames. */
export const BOARD_ENTRY = 2;
export const BOARD_FRAMES = 3;
export const BOARD_COUNT = 4;
export const BOARD_BYTES = 128 * 66;
