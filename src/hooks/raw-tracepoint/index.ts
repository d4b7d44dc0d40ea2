/** hooks/raw-tracepoint: test runs of raw tracepoint programs: up to 12 arguments of 8 bytes, once. bpf_prog_test_run_raw_tp in net/bpf/test_run.c. */
import { rawTracepoint } from '../../abi/programs/raw-tracepoint.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable, Hook } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { runOverContext } from '../context/run.ts';
import { invalid } from '../input.ts';

/** Arguments that the caller leaves away are zero; the kernel refuses too few for what the program reads. */
function testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult {
  const { size } = rawTracepoint.context;
  if (input.data !== undefined) throw invalid('a raw tracepoint program takes no packet');
  if ((input.repeat ?? 1) !== 1) throw invalid('a raw tracepoint program is run once');
  const context = input.context ?? new Uint8Array();
  if (context.length > size) throw invalid(`${context.length} bytes of arguments: at most ${size}`);
  const { r0, durationNs } = runOverContext(runtime, program, context, size);
  return {
    returnValue: Number(r0 & 0xffff_ffffn),
    r0,
    data: undefined,
    context: input.context?.slice(),
    durationNs,
  };
}

export const rawTracepointHook: Hook = { declaration: rawTracepoint, testRun };
