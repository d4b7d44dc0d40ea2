/** What vitest's `expect` says of test runs and maps. */
import type { MapHandle, Value } from '../runtime/handles.ts';
import { perCpuTypes } from '../runtime/typed-map.ts';
import { differenceOf, show, sumOverCpus } from './expected-value.ts';
import type { TestRun } from './test-object.ts';
import { passes, verdictName, verdictValue } from './verdict.ts';

interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
}

function goes(run: TestRun, way: 'passes' | 'drops'): MatcherResult {
  const found = passes(run.programType, run.returnValue);
  return {
    pass: found === way,
    message: () =>
      `expected ${run.program} ${found === way ? 'not to' : 'to'} ${way === 'passes' ? 'pass' : 'drop'} the packet; its verdict is ${run.verdict}`,
  };
}

/** For `expect.extend`. */
export const matchers = {
  /** The packet goes on: XDP_PASS, TC_ACT_OK, SK_PASS, … */
  toPass: (run: TestRun) => goes(run, 'passes'),
  /** The packet ends: XDP_DROP, TC_ACT_SHOT, SK_DROP, … */
  toDrop: (run: TestRun) => goes(run, 'drops'),
  toHaveVerdict(run: TestRun, wanted: string | number): MatcherResult {
    const value = verdictValue(run.programType, wanted);
    return {
      pass: value === run.returnValue,
      message: () => `expected verdict ${verdictName(run.programType, value)} of ${run.program}, found ${run.verdict}`,
    };
  },
  toLeavePacketUnchanged(run: TestRun): MatcherResult {
    const difference = run.input === undefined ? 'there is no packet' : differenceOf(run.input, run.data);
    return { pass: difference === undefined, message: () => difference ?? `${run.program} left the packet as it was` };
  },
  /** The members that are named count. Of per-CPU maps a single value is held against the sum over CPUs. */
  toHaveEntry(map: MapHandle, key: Value, value?: Value): MatcherResult {
    const stored = map.get(key);
    const found =
      perCpuTypes.has(map.type) && Array.isArray(stored) && !Array.isArray(value) ? sumOverCpus(stored) : stored;
    const difference =
      found === undefined ? 'there is none' : value === undefined ? undefined : differenceOf(value, found);
    return {
      pass: difference === undefined,
      message: () => `map ${map.name}[${show(key)}]: ${difference ?? `has ${show(found)}`}`,
    };
  },
};
