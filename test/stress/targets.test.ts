/** Maps of redirect targets and of sockets under several CPUs: target-scenarios.ts. */
import { describe, it } from 'vitest';
import { stressFactor } from './stress.ts';
import { targetScenarios, targetScenariosOf } from './target-scenarios.ts';

describe('under several CPUs', () => {
  it.each(targetScenarios)('$name', ({ run }) => run({}));
});

// As long as is wanted: `STRESS_ROUNDS=1000` is about a minute each.
describe.runIf(stressFactor > 1).each([2, 7])('under %i CPUs', (workers) => {
  it.each(targetScenariosOf(workers))('$name', ({ run }) => run({}), 600_000);
});
