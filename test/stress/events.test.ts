/** Call stacks, perf events, user ring buffers and struct_ops under several CPUs: event-scenarios.ts. */
import { describe, it } from 'vitest';
import { eventScenarios, eventScenariosOf } from './event-scenarios.ts';
import { stressFactor } from './stress.ts';

describe('under several CPUs', () => {
  it.each(eventScenarios)('$name', ({ run }) => run({}));
});

// As long as is wanted: `STRESS_ROUNDS=1000` is about a minute each.
describe.runIf(stressFactor > 1).each([2, 7])('under %i CPUs', (workers) => {
  it.each(eventScenariosOf(workers))('$name', ({ run }) => run({}), 600_000);
});
