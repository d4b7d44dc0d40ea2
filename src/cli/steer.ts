/** `sluice steer …`: queues for packets by receive-side scaling or by programs, with the hash reported. */
import { addSteerCompare } from './steer-compare.ts';
import { addSteerExplain } from './steer-explain.ts';
import { addSteerHistogram } from './steer-histogram.ts';
import { addSteerKey } from './steer-key.ts';
import { addSteerRun } from './steer-run.ts';
import { addSteerVhost } from './steer-vhost.ts';
import type { Verb } from './verb.ts';

export const steerVerb: Verb = (program, finish) => {
  const steer = program
    .command('steer')
    .description('queues for packets by receive-side scaling or by programs, with the hash reported');
  addSteerRun(steer, finish);
  addSteerCompare(steer, finish);
  addSteerExplain(steer, finish);
  addSteerHistogram(steer, finish);
  addSteerKey(steer, finish);
  addSteerVhost(steer, finish);
};
