/** hooks/context: runs of programs that get nothing but a context, in memory that lasts as long as the run. */
import type { Executable } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';

export interface ContextRun {
  readonly r0: bigint;
  /** Context after the last run. */
  readonly context: Uint8Array;
  readonly durationNs: number;
}

/** Runs `repeat` times over a copy of `context` in `size` bytes of memory; the rest is zero. Changes add up. */
export function runOverContext(
  runtime: Runtime,
  program: Executable,
  context: Uint8Array,
  size: number,
  repeat = 1,
): ContextRun {
  const address = runtime.allocatePages(size);
  try {
    runtime.bytes().set(context, address);
    const start = performance.now();
    let r0 = 0n;
    for (let i = 0; i < repeat; i++) r0 = program.run(address);
    const durationNs = ((performance.now() - start) * 1e6) / repeat;
    return { r0, context: runtime.bytes().slice(address, address + context.length), durationNs };
  } finally {
    runtime.freePages(address, size);
  }
}
