/** Tries, maps of maps, storages and socket maps under several CPUs: lookup-scenarios.ts. */
import { describe, it } from 'vitest';
import { lookupScenarios } from './lookup-scenarios.ts';

describe('under several CPUs', () => {
  it.each(lookupScenarios)('$name', ({ run }) => run({}));
});
