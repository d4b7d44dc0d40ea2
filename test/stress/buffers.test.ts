/** Ring buffers, queues, stacks and bloom filters under several CPUs: buffer-scenarios.ts. */
import { describe, it } from 'vitest';
import { bufferScenarios } from './buffer-scenarios.ts';

describe('under several CPUs', () => {
  it.each(bufferScenarios)('$name', ({ run }) => run({}));
});
