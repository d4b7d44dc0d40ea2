/** What the two sides of mem-cross.ts tell each other. */

export interface CrossData {
  readonly kind: 'ours';
  readonly memory: WebAssembly.Memory;
  readonly plane: WebAssembly.Module;
  readonly programs: WebAssembly.Module;
  /** Their place in the function table, and how many elements they take. */
  readonly base: number;
  readonly size: number;
  /** Room for a context and a packet. */
  readonly scratch: number;
  /** i32: turn, odd ones are this thread's, CROSS_STOP ends it; f64 at 8: ns of the last one. */
  readonly turns: SharedArrayBuffer;
  /** Runs of a turn. */
  readonly runs: number;
}

/** File descriptors of the two programs. */
export interface KernelCrossData {
  readonly kind: 'kernel';
  readonly alloc: number;
  readonly free: number;
  readonly rounds: number;
}

export const CROSS_STOP = -1;
