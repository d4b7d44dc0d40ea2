/** `sluice ring …`: io_uring, alone and with programs on its completions. */
import { addBench } from './bench.ts';
import { addRingCopy } from './ring-copy.ts';
import { addRingFeatures } from './ring-features.ts';
import { addRingLookup } from './ring-lookup.ts';
import { addRingServe } from './ring-serve.ts';
import { addRingTrace } from './ring-trace.ts';
import type { Verb } from './verb.ts';

export const ringVerb: Verb = (program, finish) => {
  const ring = program.command('ring').description('io_uring, alone and with programs on its completions');
  addRingCopy(ring, finish);
  addRingLookup(ring, finish);
  addRingServe(ring, finish);
  addRingTrace(ring, finish);
  addRingFeatures(ring, finish);
  addBench(ring.command('bench').description('as `bench ring`'), finish, 'ring');
};
