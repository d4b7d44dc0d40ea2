/** `sluice steer …`: queues for packets by receive-side scaling or by programs, with the hash reported. */
import { addSteerRun } from './steer-run.ts';
import type { Verb } from './verb.ts';

export const steerVerb: Verb = (program, finish) => {
  const steer = program
    .command('steer')
    .description('queues for packets by receive-side scaling or by programs, with the hash reported');
  addSteerRun(steer, finish);
};
