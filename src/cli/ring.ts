/** `sluice ring …`: io_uring, alone and with programs on its completions. */
import { addRingFeatures } from './ring-features.ts';
import type { Verb } from './verb.ts';

export const ringVerb: Verb = (program, finish) => {
  const ring = program.command('ring').description('io_uring, alone and with programs on its completions');
  addRingFeatures(ring, finish);
};
