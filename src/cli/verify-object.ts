/** What `verify` does with one object: judge its programs, and say why those that are refused are. */
import { InputError, SluiceError } from '../errors.ts';
import { btfFile } from '../linux/btf-vmlinux.ts';
import type { ObjectChanges } from '../object/changes.ts';
import type { LineInfo } from '../object/spec.ts';
import { type JudgedOwnership, policyProblem } from '../runtime/allocators/object-verdict.ts';
import type { PolicyName } from '../runtime/allocators/policy.ts';
import { KernelLog } from '../verifier/explanation/kernel-log.ts';
import type { Replaced } from '../verifier/program/extension.ts';
import { judge, type ProgramVerdict } from './judge.ts';
import { select } from './selector.ts';
import { describeDiagnostic } from './verdict.ts';

export interface ObjectVerdicts {
  /** As the caller named it: a file, or file:program. */
  readonly selector: string;
  readonly programs: readonly JudgedProgram[];
  /** What policies of allocators say of the programs that the verifier accepts, together; where that was asked for. */
  readonly policies?: readonly PolicyVerdict[];
  /** Why the file could not be read as an object; then there are no programs. */
  readonly error?: { readonly code: string; readonly message: string };
}

export interface PolicyVerdict {
  readonly policy: PolicyName;
  readonly verdict: 'accept' | 'reject';
  /** What meets where, and what to do. */
  readonly problem?: string;
}

export interface JudgedProgram {
  readonly verdict: ProgramVerdict;
  /** Lines for people; none for an accepted program. */
  readonly explanation: readonly string[];
  /** Source lines of a program that is not accepted; none of the others. */
  readonly source: readonly LineInfo[];
  /** What the kernel would have logged, where that was asked for. */
  readonly log?: string;
}

export interface JudgeRequest {
  readonly selector: string;
  /** As log_level of BPF_PROG_LOAD: 1 or 2, plus 4 for the time. Without, no log is written. */
  readonly logLevel?: number;
  /** File with the kernel's types; without, this kernel's. */
  readonly btf?: string;
  /** OBJ:PROGRAM that programs of type ext replace a function of. */
  readonly replaces?: string;
  readonly changes?: ObjectChanges;
  /** Policies to ask, and whether allocators that are alike may be made one. */
  readonly policies?: readonly PolicyName[];
  readonly merge?: boolean;
}

/** Never throws for what is in a file; what is wrong with Sluice is thrown. */
export function judgeObject({
  selector,
  logLevel,
  btf,
  replaces,
  changes,
  policies,
  merge,
}: JudgeRequest): ObjectVerdicts {
  try {
    const vmlinux = btf === undefined ? undefined : btfFile(btf);
    const { object, programs } = select(selector, changes);
    const replaced = replaces === undefined ? undefined : replacedProgram(replaces);
    const owned: JudgedOwnership[] = [];
    return {
      selector,
      programs: programs.map((program) => {
        const log = logLevel === undefined ? undefined : new KernelLog(logLevel & 3);
        const asked = { vmlinux, replaces: replaced };
        const observed = { ...asked, ...(log === undefined ? {} : { observer: log }) };
        const verdict = judge(object, program, observed, true, (ownership) => owned.push({ program, ownership }));
        const explanation = verdict.diagnostics.flatMap((each) => describeDiagnostic(each, program));
        return {
          verdict,
          explanation,
          source: verdict.diagnostics.length > 0 ? program.lines : [],
          ...(log === undefined ? {} : { log: log.finish(verdict, (logLevel! & 4) !== 0 ? verdict.stats : undefined) }),
        };
      }),
      ...(policies === undefined
        ? {}
        : {
            policies: policies.map((policy): PolicyVerdict => {
              const problem = policyProblem(object, owned, policy, merge)?.message;
              return problem === undefined ? { policy, verdict: 'accept' } : { policy, verdict: 'reject', problem };
            }),
          }),
    };
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code === 'SLUICE_INTERNAL') throw error;
    return { selector, programs: [], error: { code: error.code, message: error.message } };
  }
}

function replacedProgram(selector: string): Replaced {
  const { object, programs } = select(selector);
  const [program] = programs;
  if (program === undefined || programs.length > 1)
    throw new InputError(
      'SLUICE_WHICH_PROGRAM',
      `--replaces ${selector}: name one program, as OBJ:PROGRAM, of ${[...object.programs.keys()].join(', ')}`,
    );
  return { program, maps: object.maps, btf: object.btf, license: object.license };
}
