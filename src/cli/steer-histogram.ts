/** `sluice steer histogram`: how the packets of a capture spread over queues, and which flows cause what is uneven. */
import type { Command } from 'commander';
import { type SteeringHistogram, steeringHistogram } from '../hooks/steering/histogram.ts';
import { Steering } from '../hooks/steering/steering.ts';
import { reportNames } from '../net/rss/hash-types.ts';
import { assessKey } from '../net/rss/key.ts';
import { exitCode } from './exit.ts';
import { type Output, table } from './output.ts';
import { addPacketOptions, configurationOf, packetsOf, type SteerPacketOptions } from './steer-packets.ts';
import { addContextOptions, type ContextOptions, contextsOf } from './steer-rss.ts';
import type { Finish } from './verb.ts';

export function addSteerHistogram(steer: Command, finish: Finish): void {
  addContextOptions(
    addPacketOptions(
      steer.command('histogram').description('how packets spread over queues, the imbalance, and which flows cause it'),
    ),
  )
    .option('--json', 'result as JSON (sluice.steer-histogram/1)')
    .action((options: SteerPacketOptions & ContextOptions) =>
      finish(options.json === true, (output) => {
        const configuration = configurationOf(options);
        const steering = new Steering({
          queues: options.queues,
          configuration,
          ...contextsOf(options, options.queues),
        });
        try {
          const histogram = steeringHistogram(steering.run(packetsOf(options)), options.queues);
          const bits = Math.max(1, Math.log2(configuration.table.length));
          const key = assessKey(configuration.key, bits);
          print(histogram, output);
          const poor = key.ports < bits || key.addresses < bits;
          output.line(
            `key: ${key.symmetric ? 'symmetric (both directions of a flow go to one queue)' : 'not symmetric'}; ports alone reach ${2 ** key.ports} of ${2 ** bits} entries, addresses ${2 ** key.addresses}${poor ? ': `sluice steer key` suggests one that reaches all' : ''}`,
          );
          const { reports, ...rest } = histogram;
          output.document({
            schema: 'sluice.steer-histogram/1',
            ...rest,
            reports: Object.fromEntries([...reports].map(([report, count]) => [reportNames[report], count])),
            key,
          });
          return exitCode.yes;
        } finally {
          steering.close();
        }
      }),
    );
}

const WIDTH = 40;

function print(
  { packets, queues, imbalance, flowImbalance, causes, reports }: SteeringHistogram,
  output: Output,
): void {
  const most = Math.max(...queues.map((each) => each.packets), 1);
  for (const line of table([
    ['QUEUE', 'PACKETS', 'BYTES', 'FLOWS', 'SHARE', ''],
    ...queues.map(({ queue, packets, bytes, flows, share }) => [
      String(queue),
      String(packets),
      String(bytes),
      String(flows),
      `${(100 * share).toFixed(1)} %`,
      '#'.repeat(Math.round((WIDTH * packets) / most)),
    ]),
  ]))
    output.line(line);
  output.line(
    `${packets} packets; the fullest queue has ${imbalance.toFixed(2)} times the average, ${flowImbalance.toFixed(2)} times if each flow had one packet`,
  );
  output.line(`reports: ${[...reports].map(([report, count]) => `${reportNames[report]} ${count}`).join(', ')}`);
  if (causes.length === 0) return;
  output.line('flows with the most packets in queues above the average');
  for (const line of table([
    ['QUEUE', 'PACKETS', 'OF ITS QUEUE', 'FLOW'],
    ...causes.map(({ queue, packets, ofQueue, flow }) => [
      String(queue),
      String(packets),
      `${(100 * ofQueue).toFixed(1)} %`,
      flow,
    ]),
  ]))
    output.line(`  ${line}`);
}
