/** hooks/syscall: programs that user space calls with a context of its own making, and gets it back. bpf_prog_test_run_syscall in net/bpf/test_run.c. */
import { syscall } from '../../abi/programs/syscall.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Executable, Hook } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { runOverContext } from '../context/run.ts';
import { invalid } from '../input.ts';

/** Bytes that the caller leaves away are zero; the kernel refuses too few for what the program reads. */
function testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult {
  const { size } = syscall.context;
  if (input.data !== undefined) throw invalid('a syscall program takes no packet');
  if ((input.repeat ?? 1) !== 1) throw invalid('a syscall program is run once');
  const given = input.context ?? new Uint8Array();
  if (given.length > size) throw invalid(`${given.length} bytes of context: at most ${size}`);
  const { r0, context, durationNs } = runOverContext(runtime, program, given, size);
  return {
    returnValue: Number(r0 & 0xffff_ffffn),
    r0,
    data: undefined,
    context: input.context === undefined ? undefined : context,
    durationNs,
  };
}

export const syscallHook: Hook = { declaration: syscall, testRun };
