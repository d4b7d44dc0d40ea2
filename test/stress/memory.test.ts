/** Objects, fields, masks, arenas and allocators under several CPUs: memory-scenarios.ts. */
import { describe, it } from 'vitest';
import { memoryScenarios } from './memory-scenarios.ts';

describe('under several CPUs', () => {
  it.each(memoryScenarios)('$name', ({ run }) => run({}));
});
