/** Frames on several CPUs: frame-scenario.ts, on the plane as it is, on one that stops between accesses, and with what keeps them whole taken away. */
import { describe, expect, it } from 'vitest';
import { chaos } from './chaos-plane.ts';
import { frameMutations } from './frame-mutations.ts';
import { frameScenario } from './frame-scenario.ts';

const sample = process.env['STRESS_MUTANTS'] === 'all' ? frameMutations : frameMutations.slice(2, 6);

describe('frames on several CPUs', () => {
  it('are whole', () => frameScenario.run({}), 30_000);
  it('with stops', () => frameScenario.run(chaos(60)), 30_000);

  it.each(sample)(
    'without this some are lost, run twice, or come back too early: $guard',
    async (mutation) => {
      // Threads that fail, or make no progress, are ended within 8 s.
      const found = await Promise.resolve(frameScenario.run({ ...chaos(0, mutation) })).then(
        () => undefined,
        (error: unknown) => (error as Error).message.split('\n')[0],
      );
      if (process.env['STRESS_SAY']) console.log(`${mutation.guard}: ${found}`);
      expect(found).toMatch(/frame|progress|unreachable|out of bounds|another thread/);
    },
    30_000,
  );
});
