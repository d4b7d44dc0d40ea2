/** The same packets through several subjects: verdicts, packets and, at the end, map contents side by side. */
import { InternalError, SluiceError } from '../errors.ts';
import { ProgramFault } from '../runtime/fault.ts';
import { mapContents } from './map-contents.ts';
import { toHex } from './output.ts';
import type { Subject } from './subjects.ts';

export type Outcome =
  | { readonly kind: 'ran'; readonly verdict: number; readonly data: Uint8Array }
  /** The target does not take such an input. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The engine stopped the program. */
  | { readonly kind: 'fault'; readonly reason: string };

export interface Divergence {
  readonly input: number;
  /** Packet that went in. */
  readonly data: Uint8Array;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** Runs a packet on each subject. The first outcome is the reference; undefined divergence: all agree. */
export function runOnAll(
  subjects: readonly Subject[],
  data: Uint8Array,
  input: number,
): { readonly outcome: Outcome; readonly divergence: Divergence | undefined } {
  const outcomes = new Map<string, Outcome>();
  for (const subject of subjects) outcomes.set(subject.name, runOnce(subject, data));
  const [first, ...others] = outcomes.values();
  const agree = others.every((other) => sameOutcome(first!, other));
  return { outcome: first!, divergence: agree ? undefined : { input, data: data.slice(), outcomes } };
}

function runOnce(subject: Subject, data: Uint8Array): Outcome {
  try {
    const { returnValue, data: after } = subject.program.run({ data });
    return { kind: 'ran', verdict: returnValue, data: after ?? new Uint8Array() };
  } catch (error) {
    if (error instanceof ProgramFault) return { kind: 'fault', reason: error.message };
    // What one target refuses, the others have to refuse too; the wording may differ.
    if (!(error instanceof SluiceError) || error instanceof InternalError) throw error;
    return { kind: 'refused', reason: error.message };
  }
}

function sameOutcome(a: Outcome, b: Outcome): boolean {
  if (a.kind !== 'ran' || b.kind !== 'ran') return a.kind === b.kind;
  return a.verdict === b.verdict && Buffer.compare(a.data, b.data) === 0;
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
    const contents = subjects.map((subject) => mapContents(subject.object.maps[name]!));
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

export function describeOutcome(outcome: Outcome, verdicts: ReadonlyMap<number, string>): string {
  if (outcome.kind !== 'ran') return `${outcome.kind} (${outcome.reason})`;
  return `${verdicts.get(outcome.verdict) ?? outcome.verdict} ${toHex(outcome.data.subarray(0, 64))}${outcome.data.length > 64 ? '…' : ''}`;
}
