/** The guards of hash maps have teeth: without one of them a scenario of hash-scenarios.ts breaks a promise. */
import { describe, expect, it } from 'vitest';
import { chaos } from './chaos-plane.ts';
import { type HashMutation, hashMutations } from './hash-mutations.ts';
import { hashScenarios } from './hash-scenarios.ts';
import { stressFactor } from './stress.ts';

/** Runs of a scenario before a mutation is taken to have been missed by none. */
const RUNS = 20;
const RARE_RUNS = 1000;

/** What a scenario says of a plane without the guard, undefined where it finds nothing. */
async function found(mutation: HashMutation): Promise<string | undefined> {
  const scenario = hashScenarios.find(({ name }) => name.startsWith(mutation.missed));
  if (scenario === undefined) throw new Error(`no scenario ${mutation.missed}`);
  for (let run = 0; run < (mutation.rare ? RARE_RUNS : RUNS); run++) {
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
  const often = hashMutations.filter(({ rare }) => !rare);
  it.each(often)('$guard', async (mutation) => expect(await found(mutation)).toBeTypeOf('string'));

  const rare = hashMutations.filter(({ rare }) => rare);
  it.runIf(stressFactor > 1).each(rare)(
    '$guard',
    async (mutation) => expect(await found(mutation)).toBeTypeOf('string'),
    600_000,
  );
});
