/** The guards of hash maps have teeth: without one of them a scenario of hash-scenarios.ts breaks a promise. */
import { describe, expect, it } from 'vitest';
import { chaos } from './chaos-plane.ts';
import { type HashMutation, hashMutations } from './hash-mutations.ts';
import { hashScenarios } from './hash-scenarios.ts';

/** Runs of a scenario before a mutation is taken to have been missed by none. */
const RUNS = 20;

/** What a scenario says of a plane without the guard, undefined where it finds nothing. */
async function found(mutation: HashMutation): Promise<string | undefined> {
  const scenario = hashScenarios.find(({ name }) => name.startsWith(mutation.missed));
  if (scenario === undefined) throw new Error(`no scenario ${mutation.missed}`);
  for (let run = 0; run < RUNS; run++) {
    try {
      // Now many short stops, now few long walks in between.
      await scenario.run({ ...chaos([60, 12, 30][run % 3], mutation), stall: 500 });
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

describe('without', () => {
  it.each(hashMutations)('$guard', async (mutation) => expect(await found(mutation)).toBeTypeOf('string'));
});
