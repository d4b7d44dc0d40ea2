/** Trees, per-CPU objects and values of storages under several CPUs: object-scenarios.ts. */
import { describe, it } from 'vitest';
import { objectScenarios } from './object-scenarios.ts';

describe('under several CPUs', () => {
  it.each(objectScenarios)('$name', ({ run }) => run({}));
});
