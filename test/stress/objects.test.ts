/** Trees, per-CPU objects and values of storages under several CPUs: object-scenarios.ts. */
import { describe, it } from 'vitest';
import { objectScenarios, objectScenariosOf } from './object-scenarios.ts';
import { stressFactor } from './stress.ts';

describe('under several CPUs', () => {
  it.each(objectScenarios)('$name', ({ run }) => run({}));
});

// As long as is wanted: `STRESS_ROUNDS=1000` is about a minute each.
describe.runIf(stressFactor > 1).each([2, 7])('under %i CPUs', (workers) => {
  it.each(objectScenariosOf(workers))('$name', ({ run }) => run({}), 600_000);
});
