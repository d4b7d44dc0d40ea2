/** What an object needs, against this version of Sluice and against this machine's kernel. */
import { release } from 'node:os';
import { bindKfunc } from '../abi/stability/shims.ts';
import { version } from '../abi/stability/version.ts';
import { SluiceError } from '../errors.ts';
import { offeredInterfaces } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { type KernelAnswer, kernelAnswer } from '../linux/kernel-interfaces.ts';
import { type Need, needsOf } from '../object/needs.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { judge } from './judge.ts';
import { type Output, table } from './output.ts';

export interface AnsweredNeed extends Need {
  /** `shim`: as it was in an earlier version, which is kept; `changed`: declared otherwise than it is. */
  readonly sluice: 'yes' | 'shim' | 'changed' | 'no';
  /** Who had the form that the shim stands for. */
  readonly had?: string;
  readonly origin?: string;
  readonly since?: string;
  readonly stability?: 'stable' | 'experimental';
  readonly fingerprint?: string;
  /** Undefined where the kernel cannot be asked. */
  readonly linux?: KernelAnswer;
}

export interface AnsweredNeeds {
  readonly version: string;
  /** Release of the kernel, undefined where it was not asked. */
  readonly kernel: string | undefined;
  readonly needs: readonly AnsweredNeed[];
  /** Programs whose use of contexts is not known, as the verifier did not accept them. */
  readonly unknownContexts: readonly string[];
}

/** Verifies the programs, as only then their use of contexts is known. */
export function answerNeeds(object: ObjectSpec, programs: readonly ProgramSpec[]): AnsweredNeeds {
  const fields = new Map(programs.map((each) => [each.name, judge(object, each).contextFields]));
  const offered = offeredInterfaces();
  const kernel = bpfRefusal() === undefined;
  return {
    version,
    kernel: kernel ? release() : undefined,
    needs: needsOf(object, programs, ({ name }) => fields.get(name)).map((need) => {
      const binding = need.kind === 'kfunc' ? bindKfunc(need.name, need.shape) : undefined;
      const shim = binding?.kind === 'bound' ? binding.shim : undefined;
      const promise = offered.find(({ kind, name }) => kind === need.kind && name === (shim?.becomes ?? need.name));
      const linux = kernel ? ask(need, object) : undefined;
      return {
        ...need,
        sluice:
          promise === undefined ? 'no' : shim !== undefined ? 'shim' : binding?.kind === 'changed' ? 'changed' : 'yes',
        ...(shim === undefined ? undefined : { had: shim.had }),
        ...(promise === undefined
          ? undefined
          : {
              origin: promise.origin,
              since: promise.stability.since,
              stability: promise.stability.level,
              fingerprint: promise.fingerprint,
            }),
        ...(linux === undefined ? undefined : { linux }),
      };
    }),
    unknownContexts: [...fields].filter(([, used]) => used === undefined).map(([name]) => name),
  };
}

function ask(need: Need, object: ObjectSpec): KernelAnswer | undefined {
  try {
    return kernelAnswer(need, object);
  } catch (error) {
    if (error instanceof SluiceError) return undefined;
    throw error;
  }
}

export function printNeeds({ needs, kernel, unknownContexts }: AnsweredNeeds, output: Output): void {
  const linux = kernel === undefined ? 'LINUX' : `LINUX ${kernel}`;
  output.line(`\n${output.colors.bold('Needs')}`);
  const rows = [['WHAT', 'NAME', 'FROM', 'SINCE', 'STABILITY', 'FINGERPRINT', `SLUICE ${version}`, linux]];
  for (const { kind, name, weak, origin, since, stability, fingerprint, sluice, had, linux } of needs)
    rows.push([
      kind,
      name,
      origin ?? '?',
      since ?? '',
      stability ?? '',
      fingerprint ?? '',
      sluice === 'shim' ? `as in ${had}` : weak && sluice === 'no' ? 'no, and does without' : sluice,
      weak && linux === 'no' ? 'no, and does without' : (linux ?? '?'),
    ]);
  for (const row of table(rows)) output.line(`  ${row}`);
  if (unknownContexts.length > 0)
    output.line(`  fields of contexts are not known of ${unknownContexts.join(', ')}: see \`sluice verify\``);
}
