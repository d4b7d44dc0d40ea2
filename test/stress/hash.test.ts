/** Hash maps, LRU hashes and arrays under several CPUs (hash-scenarios.ts), on the plane as it is built and on one that stops between accesses. */
import { describe, it } from 'vitest';
import { chaos } from './chaos-plane.ts';
import { hashScenarios } from './hash-scenarios.ts';

describe('under several CPUs', () => {
  it.each(hashScenarios)('$name', ({ run }) => run({}));
});

describe('with stops between accesses', () => {
  it.each(hashScenarios)('$name', ({ run }) => run(chaos(60)));
});
