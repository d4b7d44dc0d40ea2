/** Maps of redirect targets and of sockets under several CPUs: target-scenarios.ts. */
import { describe, it } from 'vitest';
import { targetScenarios } from './target-scenarios.ts';

describe('under several CPUs', () => {
  it.each(targetScenarios)('$name', ({ run }) => run({}));
});
