/** Hash maps, LRU hashes and arrays under several CPUs (hash-scenarios.ts), on the plane as it is built and on one that stops between accesses. */
import { describe, it } from 'vitest';
import { chaos } from './chaos-plane.ts';
import { hashScenarios } from './hash-scenarios.ts';
import { stressFactor } from './stress.ts';

// A thread takes longer to start than to finish: the built plane runs a few of them in CI.
const built = hashScenarios.filter(({ name }, i) => stressFactor > 1 || i % 3 === 0 || name.startsWith('lru_hash'));

describe('under several CPUs', () => {
  it.each(built)('$name', ({ run }) => run({}));
});

describe('with stops between accesses', () => {
  it.each(hashScenarios)('$name', ({ run }) => run(chaos(60)));
});
