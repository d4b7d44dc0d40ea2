/**
 * What a hook gives to the runtime: how programs of one type are fed. The hooks themselves stand in hooks/, one folder each; the runtime
 * knows only this shape.
 */
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { RunInput, RunResult } from './handles.ts';
import type { Runtime } from './runtime.ts';

/** One loaded program as a hook calls it, whichever engine runs it. */
export interface Executable {
  /**
   * Function-table index of the program's entry, type (i64 ctx) -> i64, for the plane's loops. 0 for the interpreter, whose
   * programs are reached through `run` only.
   */
  readonly entry: number;
  /** Loop rounds and calls that a run by `entry` may take, which its caller puts into WORKER_FUEL; undefined: any number. */
  readonly fuel?: number | undefined;
  /**
   * Runs once; returns r0. The arguments become r1, r2, …: the address of the context, or for raw programs of their memory, and its
   * length. Throws ProgramFault where the engine stopped the program.
   */
  run(...args: number[]): bigint;
  /** Makes a call that runs the program by its `entry`, with a fresh budget; turns a trap into ProgramFault. */
  enter<T>(call: () => T): T;
}

export interface Hook {
  readonly declaration: ProgramDeclaration;
  /** Why this program of the type has no place here, such as a method that nothing calls; undefined: it has. */
  refuses?(program: ProgramSpec, object: ObjectSpec): string | undefined;
  /** BPF_PROG_TEST_RUN for this type. Throws InputError for input that the kernel would refuse, with its errno. */
  testRun(runtime: Runtime, program: Executable, input: RunInput): RunResult;
}
