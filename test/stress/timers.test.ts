/** Timers and work on several CPUs: timer-scenarios.ts, on the plane as it is, and on one that stops between accesses; and with what holds them together taken away. */
import { describe, expect, it } from 'vitest';
import { chaos } from './chaos-plane.ts';
import { staleScenario, timerModelScenario } from './timer-model.ts';
import { timerMutations } from './timer-mutations.ts';
import { timerScenarios } from './timer-scenarios.ts';

const all = [staleScenario, timerModelScenario, ...timerScenarios];

describe('timers of several CPUs', () => {
  it.each(all)('$name', ({ run }) => run({}), 60_000);
  it.each(timerScenarios)('with stops: $name', ({ run }) => run(chaos(40)), 60_000);
});

describe('timers of several CPUs, when this is not so', () => {
  it.each(timerMutations.filter(({ endless }) => !endless || process.env['STRESS_MUTANTS'] === 'all'))(
    '$guard',
    async (mutation) => {
      const variant = { ...chaos(20, mutation), timeout: 2500 };
      // What threads do is not the same twice: a few tries.
      for (let round = 0; round < 4; round++) {
        for (const { run } of all) {
          try {
            await run(variant);
          } catch {
            return;
          }
        }
      }
      expect.fail('no scenario has failed');
    },
    120_000,
  );
});
