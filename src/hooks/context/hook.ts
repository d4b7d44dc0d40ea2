/** Hooks over a context that is no packet, for which Linux has no test run: what a run of each sets up and tells. */
import type { ProgramDeclaration } from '../../abi/program-declaration.ts';
import { HOOK_CONTEXT } from '../../plane/layout/worker.ts';
import type { RunInput, RunResult } from '../../runtime/handles.ts';
import type { Hook } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { invalid, repeatOf } from '../input.ts';
import { ContextFrame } from './frame.ts';

export interface ContextRules {
  readonly declaration: ProgramDeclaration;
  /** What `data` of the input is; undefined: the type takes none. */
  readonly data?: string;
  /** HOOK_CONTEXT by default. */
  readonly hook?: number;
  prepare?(frame: ContextFrame, input: RunInput, runtime: Runtime): void;
  /** What the result has besides r0, context and time. */
  result?(frame: ContextFrame, r0: number, input: RunInput): Partial<RunResult>;
}

export function contextHook(rules: ContextRules): Hook {
  const { declaration } = rules;
  return {
    declaration,
    testRun(runtime, program, input) {
      if (input.data !== undefined && rules.data === undefined)
        throw invalid(`a program of type ${declaration.type} takes a context, no data`);
      const repeat = repeatOf(input);
      const frame = new ContextFrame(runtime, declaration.context, input);
      try {
        rules.prepare?.(frame, input, runtime);
        const { r0, durationNs } = frame.run(program, rules.hook ?? HOOK_CONTEXT, repeat);
        const returnValue = Number(r0 & 0xffff_ffffn);
        return {
          returnValue,
          r0,
          data: undefined,
          context: frame.context(),
          durationNs,
          ...rules.result?.(frame, returnValue, input),
        };
      } finally {
        frame.free();
      }
    },
  };
}
