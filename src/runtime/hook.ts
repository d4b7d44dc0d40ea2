/**
 * What a hook gives to the runtime: how programs of one type are fed. The hooks themselves stand in hooks/, one folder each; the runtime
 * knows only this shape.
 */
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import type { RunInput, RunResult } from './handles.ts';
import type { Runtime } from './runtime.ts';

/** One loaded program as a hook calls it, whichever engine runs it. */
export interface Executable {
  /**
   * Function-table index of the program's entry, type (i64 ctx) -> i64, for the plane's loops. 0 for the interpreter, whose
   * programs are reached through `run` only.
   */
  readonly entry: number;
  /** Runs once over the context at `address`; returns r0. Throws ProgramFault where the engine stopped the program. */
  run(address: number): bigint;
}

export interface Hook {
  readonly declaration: ProgramDeclaration;
  /** BPF_PROG_TEST_RUN for this type. Throws InputError for input that the kernel would refuse, with its errno. */
  testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult;
}
