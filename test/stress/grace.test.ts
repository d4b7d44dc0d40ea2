/** Grace periods, step by step on one thread: grace-scenarios.ts. */
import { describe, it } from 'vitest';
import { graceScenarios } from './grace-scenarios.ts';

describe('until a run of another CPU has ended', () => {
  it.each(graceScenarios)('$name', ({ run }) => run({}));
});
