/** What `verify` does with one object: judge its programs, and say why those that are refused are. */
import { SluiceError } from '../errors.ts';
import type { LineInfo } from '../object/spec.ts';
import { judge, type ProgramVerdict } from './judge.ts';
import { select } from './selector.ts';
import { describeDiagnostic } from './verdict.ts';

export interface ObjectVerdicts {
  /** As the caller named it: a file, or file:program. */
  readonly selector: string;
  readonly programs: readonly JudgedProgram[];
  /** Why the file could not be read as an object; then there are no programs. */
  readonly error?: { readonly code: string; readonly message: string };
}

export interface JudgedProgram {
  readonly verdict: ProgramVerdict;
  /** Lines for people; none for an accepted program. */
  readonly explanation: readonly string[];
  /** Source lines of a program that is not accepted; none of the others. */
  readonly source: readonly LineInfo[];
}

/** Never throws for what is in the file; what is wrong with Sluice is thrown. */
export function judgeObject(selector: string): ObjectVerdicts {
  try {
    const { object, programs } = select(selector);
    return {
      selector,
      programs: programs.map((program) => {
        const verdict = judge(object, program);
        const explanation = verdict.diagnostics.flatMap((each) => describeDiagnostic(each, program));
        return { verdict, explanation, source: verdict.diagnostics.length > 0 ? program.lines : [] };
      }),
    };
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code === 'SLUICE_INTERNAL') throw error;
    return { selector, programs: [], error: { code: error.code, message: error.message } };
  }
}
