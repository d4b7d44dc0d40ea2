/** Scenarios have teeth: each fails with what it is there for switched off (memory-mutations.ts), on a plane that stops now and then between accesses. */
import { beforeAll, describe, expect, it } from 'vitest';
import { bufferScenarios } from './buffer-scenarios.ts';
import { chaos, chaosPlane } from './chaos-plane.ts';
import { eventScenarios } from './event-scenarios.ts';
import { graceScenarios } from './grace-scenarios.ts';
import { lockScenarios } from './lock-scenarios.ts';
import { lookupScenarios } from './lookup-scenarios.ts';
import { mapMutations } from './map-mutations.ts';
import { memoryMutations } from './memory-mutations.ts';
import { memoryScenarios } from './memory-scenarios.ts';
import { objectScenarios } from './object-scenarios.ts';
import { targetScenarios } from './target-scenarios.ts';

const scenarios = [
  ...graceScenarios,
  ...bufferScenarios,
  ...lookupScenarios,
  ...memoryScenarios,
  ...lockScenarios,
  ...targetScenarios,
  ...eventScenarios,
  ...objectScenarios,
];
const tried = [...memoryMutations, ...mapMutations].filter(
  ({ endless }) => !endless || process.env['STRESS_MUTANTS'] === 'all',
);
/** Runs until a mutation must be seen. */
const MOST = 12;

async function failure(run: () => void | Promise<void>): Promise<string | undefined> {
  for (let i = 0; i < MOST; i++) {
    try {
      await run();
    } catch (error) {
      return (error as Error).message.split('\n')[0];
    }
  }
  return undefined;
}

describe('a plane without', () => {
  beforeAll(() => void chaosPlane(), 120_000);

  it.each(tried.map((mutation) => [mutation.guard, mutation] as const))(
    '%s',
    async (_, mutation) => {
      const scenario = scenarios.find(({ name }) => name.startsWith(mutation.by));
      if (scenario === undefined) throw new Error(`no scenario ${mutation.by}`);
      const variant = { ...chaos(mutation.every ?? 60, mutation), timeout: 4000, stall: 1500 };
      const found = await failure(() => scenario.run(variant));
      if (process.env['STRESS_SAY']) console.log(`${mutation.guard}: ${found}`);
      expect(found).toBeDefined();
    },
    60_000,
  );
});
