/** A program of the user-space target. */
import type { ProgramTypeName } from '../abi/program-types.ts';
import type { ProgramSpec } from '../object/spec.ts';
import type { EngineProgram } from './engine.ts';
import type { ProgramHandle, RunInput, RunResult } from './handles.ts';
import type { Hook } from './hook.ts';
import type { Runtime } from './runtime.ts';

export class UserProgram implements ProgramHandle {
  readonly target = 'user';
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly spec: ProgramSpec;
  /** For the loops of hooks. */
  readonly executable: EngineProgram;
  readonly runtime: Runtime;
  readonly hook: Hook;

  constructor(runtime: Runtime, hook: Hook, spec: ProgramSpec, executable: EngineProgram) {
    this.name = spec.name;
    this.type = hook.declaration.type;
    this.spec = spec;
    this.executable = executable;
    this.runtime = runtime;
    this.hook = hook;
  }

  run(input: RunInput): RunResult {
    return this.hook.testRun(this.runtime, this.executable, input);
  }

  close(): void {
    // Programs of an object share a module; the object gives it back.
  }
}
