/** Locks of programs under several CPUs: lock-scenarios.ts. */
import { describe, it } from 'vitest';
import { lockScenarios } from './lock-scenarios.ts';

describe('under several CPUs', () => {
  it.each(lockScenarios)('$name', ({ run }) => run({}));
});
