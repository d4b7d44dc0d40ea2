/** The same inputs through several subjects: verdicts, packets, contexts and, at the end, map contents side by side. */

import type { ProgramTypeName } from '../abi/program-types.ts';
import { InternalError, SluiceError } from '../errors.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { RunInput, RunResult } from '../runtime/handles.ts';
import { mapContents } from './map-contents.ts';
import { toHex, toJson } from './output.ts';
import type { Subject } from './subjects.ts';
import { verdictName } from './verdicts.ts';

export type Outcome =
  | {
      readonly kind: 'ran';
      readonly verdict: number;
      readonly data: Uint8Array;
      readonly context: Uint8Array;
      /** What the packet carries; undefined in the kernel, where packets have no traits. */
      readonly carried: Pick<RunResult, 'traits' | 'stored' | 'packetId'> | undefined;
    }
  /** The target does not take such an input. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The engine stopped the program. */
  | { readonly kind: 'fault'; readonly reason: string };

export interface Divergence {
  readonly input: number;
  /** Packet or context that went in. */
  readonly given: RunInput;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** Runs an input on each subject. The first outcome is the reference; undefined divergence: all agree. */
export function runOnAll(
  subjects: readonly Subject[],
  given: RunInput,
  input: number,
): { readonly outcome: Outcome; readonly divergence: Divergence | undefined } {
  const outcomes = new Map<string, Outcome>();
  for (const subject of subjects) outcomes.set(subject.name, runOnce(subject, given));
  const [first, ...others] = outcomes.values();
  const agree = others.every((other) => sameOutcome(first!, other));
  return { outcome: first!, divergence: agree ? undefined : { input, given, outcomes } };
}

function runOnce(subject: Subject, given: RunInput): Outcome {
  try {
    const inKernel = subject.name === 'linux';
    const { returnValue, data, context, traits, stored, packetId } = subject.program.run(
      inKernel ? forKernel(given) : given,
    );
    return {
      kind: 'ran',
      verdict: returnValue,
      data: data ?? new Uint8Array(),
      context: context ?? new Uint8Array(),
      carried: inKernel
        ? undefined
        : {
            ...(traits === undefined ? {} : { traits }),
            ...(stored === undefined ? {} : { stored }),
            ...(packetId === undefined ? {} : { packetId }),
          },
    };
  } catch (error) {
    if (error instanceof ProgramFault) return { kind: 'fault', reason: error.message };
    // What one target refuses, the others have to refuse too; the wording may differ.
    if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
    return { kind: 'refused', reason: error.message };
  }
}

/** The kernel's test run has no driver, and its packets no traits; programs that ask for them do not load there. */
function forKernel(given: RunInput): RunInput {
  const { hints: _, traits: __, ...rest } = given;
  return rest;
}

function sameOutcome(a: Outcome, b: Outcome): boolean {
  if (a.kind !== 'ran' || b.kind !== 'ran') return a.kind === b.kind;
  const carried = a.carried === undefined || b.carried === undefined || toJson(a.carried) === toJson(b.carried);
  return (
    carried &&
    a.verdict === b.verdict &&
    Buffer.compare(a.data, b.data) === 0 &&
    Buffer.compare(a.context, b.context) === 0
  );
}

export interface MapDivergence {
  readonly map: string;
  readonly key: string;
  /** Value as hex by subject; undefined: the key is not there. */
  readonly values: ReadonlyMap<string, string | undefined>;
}

/** Keys whose values differ between subjects, map by map; `compared` counts the keys that were held against each other. */
export function compareMaps(subjects: readonly Subject[]): {
  readonly compared: number;
  readonly divergences: MapDivergence[];
} {
  const divergences: MapDivergence[] = [];
  let compared = 0;
  for (const name of Object.keys(subjects[0]!.object.maps)) {
    const contents = subjects.map((subject) => mapContents(subject.object.maps[name]!, subject.btf));
    const keys = new Set(contents.flatMap((each) => [...each.keys()]));
    for (const key of keys) {
      compared++;
      const values = contents.map((each) => each.get(key));
      if (values.every((value) => value === values[0])) continue;
      divergences.push({ map: name, key, values: new Map(subjects.map((subject, i) => [subject.name, values[i]])) });
    }
  }
  return { compared, divergences };
}

export function describeOutcome(outcome: Outcome, type: ProgramTypeName): string {
  if (outcome.kind !== 'ran') return `${outcome.kind} (${outcome.reason})`;
  const { data, context } = outcome;
  const packet = `${toHex(data.subarray(0, 64))}${data.length > 64 ? '…' : ''}`;
  return `${verdictName(type, outcome.verdict)} ${packet}${context.length === 0 ? '' : ` context ${toHex(context)}`}`;
}
