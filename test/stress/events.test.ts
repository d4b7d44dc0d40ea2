/** Call stacks, perf events, user ring buffers and struct_ops under several CPUs: event-scenarios.ts. */
import { describe, it } from 'vitest';
import { eventScenarios } from './event-scenarios.ts';

describe('under several CPUs', () => {
  it.each(eventScenarios)('$name', ({ run }) => run({}));
});
