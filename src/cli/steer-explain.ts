/** `sluice steer explain`: why a packet goes to its queue, step by step. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { explainSteering, type SteeringExplanation } from '../hooks/steering/explanation.ts';
import { describePacket } from '../net/dissect.ts';
import { flowRuleOf, formatFlowRule } from '../net/rss/flow-rules.ts';
import { reportNames } from '../net/rss/hash-types.ts';
import { exitCode } from './exit.ts';
import { integerOption } from './options.ts';
import { type Output, table, toHex } from './output.ts';
import { readInput } from './selector.ts';
import { addPacketOptions, configurationOf, packetsOf, type SteerPacketOptions } from './steer-packets.ts';
import { addContextOptions, type ContextOptions, contextsOf } from './steer-rss.ts';
import type { Finish } from './verb.ts';

interface ExplainOptions extends SteerPacketOptions, ContextOptions {
  readonly packet: number;
}

export function addSteerExplain(steer: Command, finish: Finish): void {
  addContextOptions(
    addPacketOptions(
      steer
        .command('explain')
        .description('why a packet goes to its queue: rule, fields, key windows, hash step by step, index, queue')
        .argument('[packet]', 'file with the packet, from its Ethernet header, or - for stdin; or --pcap and --packet'),
    ),
  )
    .option('--packet <n>', 'which one of the capture, from 1', integerOption(1, Number.MAX_SAFE_INTEGER), 1)
    .option('--json', 'result as JSON (sluice.steer-explain/1)')
    .action((file: string | undefined, options: ExplainOptions) =>
      finish(options.json === true, (output) => {
        const packet = file === undefined ? numbered(options) : readInput(file);
        const { contexts, rules } = contextsOf(options, options.queues);
        const rule = rules[flowRuleOf(packet, rules)];
        const configuration = (rule && contexts.get(rule.context)) ?? configurationOf(options);
        const explanation = explainSteering(packet, configuration, options.queues);
        output.line(describePacket(packet));
        if (rules.length > 0) output.line(`  rule      ${rule === undefined ? 'none fits' : formatFlowRule(rule)}`);
        print(explanation, configuration.table.length, options.queues, output);
        output.document({
          schema: 'sluice.steer-explain/1',
          packet: describePacket(packet),
          rule: rule === undefined ? null : formatFlowRule(rule),
          ...explanation,
          report: reportNames[explanation.report],
        });
        return exitCode.yes;
      }),
    );
}

function numbered(options: ExplainOptions): Uint8Array {
  const packets = packetsOf(options);
  const found = packets[options.packet - 1];
  if (found === undefined)
    throw new InputError('SLUICE_NO_PACKET', `packet ${options.packet}: there are ${packets.length}`);
  return found.data;
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;

function print(
  { headers, enabled, type, report, source, destination, ports, steps, hash, index, entry, queue }: SteeringExplanation,
  entries: number,
  queues: number,
  output: Output,
): void {
  output.line(`  headers   ${headers}`);
  output.line(`  enabled   ${enabled.join(', ') || 'no hash types'}`);
  if (type === undefined || index === undefined) {
    output.line('  hash      none: no enabled type fits; the report is none (0)');
    output.line(
      `  queue     ${entry}, that of packets without a hash${entry === queue ? '' : `: modulo ${queues} ${queue}`}`,
    );
    return;
  }
  output.line(`  type      ${type}: report ${reportNames[report]} (${report})`);
  output.line(
    `  hashed    ${source} > ${destination}${ports === undefined ? '' : `, ports ${ports[0]} and ${ports[1]}`}`,
  );
  for (const line of table([
    ['FIELD', 'AT', 'BYTES', 'KEY WINDOW', 'ADDS', 'HASH'],
    ...steps.map(({ field, inPacket, bytes, window, adds, hash }) => [
      field,
      `+${inPacket}`,
      toHex(bytes),
      hex(window),
      hex(adds),
      hex(hash),
    ]),
  ]))
    output.line(`    ${line}`);
  output.line(`  hash      ${hex(hash)}`);
  output.line(`  index     ${hex(hash)} & ${hex(entries - 1)} = ${index} of ${entries}`);
  output.line(`  queue     table[${index}] = ${entry}${entry === queue ? '' : `, modulo ${queues} queues: ${queue}`}`);
}
