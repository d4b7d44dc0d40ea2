/** Our verdict on a program of the selftests, held against the kernel's, or against the program's tags where the kernel gives none. */
import { judge } from '../../src/cli/judge.ts';
import type { ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';
import type { KernelVerdict, KernelVerdicts } from './kernel-verdicts.ts';
import { type Expectation, messagePattern } from './tags.ts';

export interface VerdictComparison {
  readonly kind: 'agree' | 'stricter' | 'laxer' | 'unsupported';
  /** Whether our message is the kernel's, for a refusal that both agree on. */
  readonly said: boolean | undefined;
  readonly ours: ReturnType<typeof judge>;
  readonly there: KernelVerdict;
}

export function compareVerdicts(
  kernel: KernelVerdicts,
  object: ObjectSpec,
  program: ProgramSpec,
  expectation: Expectation,
): VerdictComparison {
  const there = kernel.of(object, program, expectation.flags);
  const expected = there.verdict === 'none' ? expectation.verdict : there.verdict;
  // The kernel was asked by a loader that binds no program to a device.
  const ours = judge(object, program, {
    deviceBound: false,
    strictAlignment: (expectation.flags & 1) !== 0,
    testStateFrequency: (expectation.flags & 8) !== 0,
  });
  if (ours.verdict === 'unsupported') return { kind: 'unsupported', said: undefined, ours, there };
  if (ours.verdict !== expected)
    return { kind: expected === 'accept' ? 'stricter' : 'laxer', said: undefined, ours, there };
  if (ours.verdict === 'accept') return { kind: 'agree', said: undefined, ours, there };
  const problem = ours.diagnostics[0]?.problem ?? '';
  const said =
    there.verdict === 'reject'
      ? problem.split('\n').every((line) => there.log.includes(line))
      : expectation.messages.some((message) => messagePattern(message).test(problem));
  return { kind: 'agree', said, ours, there };
}
