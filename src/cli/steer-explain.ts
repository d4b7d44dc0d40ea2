/** `sluice steer explain`: why a packet goes to its queue, step by step. */
import { type Command, InvalidArgumentError } from 'commander';
import { InputError } from '../errors.ts';
import { explainSteering, type SteeringExplanation } from '../hooks/steering/explanation.ts';
import { get32 } from '../net/bytes.ts';
import { describePacket } from '../net/dissect.ts';
import { flowRuleOf, formatFlowRule } from '../net/rss/flow-rules.ts';
import { FlowMemory } from '../net/rss/flows.ts';
import { reportNames } from '../net/rss/hash-types.ts';
import { readEthernetCapture } from './capture-file.ts';
import { exitCode, UsageError } from './exit.ts';
import { integerOption } from './options.ts';
import { type Output, table, toHex } from './output.ts';
import { readInput } from './selector.ts';
import { addPacketOptions, configurationOf, packetsOf, type SteerPacketOptions } from './steer-packets.ts';
import { addContextOptions, type ContextOptions, contextsOf } from './steer-rss.ts';
import type { Finish } from './verb.ts';

interface ExplainOptions extends SteerPacketOptions, ContextOptions {
  readonly packet: number;
  readonly sent?: readonly SentOption[];
}

/** Packets that were sent on a queue before the one that is explained. */
interface SentOption {
  readonly queue: number;
  readonly path: string;
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
    .option(
      '--sent <queue=file>',
      'a capture of what was sent on a queue in the 3 s before, for automatic steering; may be given several times',
      (text: string, before: readonly SentOption[] = []) => [...before, sentOption(text)],
    )
    .option('--packet <n>', 'which one of the capture, from 1', integerOption(1, Number.MAX_SAFE_INTEGER), 1)
    .option('--json', 'result as JSON (sluice.steer-explain/1)')
    .action((file: string | undefined, options: ExplainOptions) =>
      finish(options.json === true, (output) => {
        const packet = file === undefined ? numbered(options) : onePacket(file);
        const { contexts, rules } = contextsOf(options, options.queues);
        const rule = rules[flowRuleOf(packet, rules)];
        const configuration = (rule && contexts.get(rule.context)) ?? configurationOf(options);
        const { automatic = false, tunnelTypes } = configuration;
        if (options.sent !== undefined && configurationOf(options).automatic !== true)
          throw new UsageError(
            '--sent: queues depend on what was sent where steering is automatic ("automatic": true in --rss)',
          );
        const sent = automatic ? sentBefore(options, tunnelTypes).find(packet, 0) : undefined;
        const explanation = explainSteering(packet, configuration, options.queues, sent?.queue);
        output.line(describePacket(packet));
        if (rules.length > 0) output.line(`  rule      ${rule === undefined ? 'none fits' : formatFlowRule(rule)}`);
        print(explanation, configuration.table.length, options.queues, automatic, sent?.note, output);
        output.document({
          schema: 'sluice.steer-explain/1',
          packet: describePacket(packet),
          rule: rule === undefined ? null : formatFlowRule(rule),
          ...explanation,
          ...(automatic ? { sent: sent ?? null } : {}),
          report: reportNames[explanation.report],
        });
        return exitCode.yes;
      }),
    );
}

/** Magic numbers of captures, which are no packets. */
const CAPTURES = new Set([0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1, 0x0a0d0d0a]);

function onePacket(path: string): Uint8Array {
  const packet = readInput(path);
  if (packet.length === 0) throw new InputError('SLUICE_NO_PACKET', 'is empty', { input: path });
  if (packet.length >= 4 && CAPTURES.has(get32(packet, 0)))
    throw new InputError('SLUICE_NO_PACKET', 'is a capture: give it as --pcap FILE --packet N', { input: path });
  return packet;
}

function sentOption(text: string): SentOption {
  const [, queue, path] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (path === undefined)
    throw new InvalidArgumentError('must be QUEUE=FILE, a capture of what was sent on the queue.');
  return { queue: Number(queue), path };
}

function sentBefore({ sent = [], queues }: ExplainOptions, tunnelTypes?: number): FlowMemory<string> {
  const memory = new FlowMemory<string>(tunnelTypes);
  for (const { queue, path } of sent) {
    if (queue >= queues) throw new UsageError(`--sent ${queue}=${path}: there are ${queues} queues, counted from 0`);
    let number = 0;
    for (const { data } of readEthernetCapture(path)) memory.learn(data, queue, 0, `packet ${++number} of ${path}`);
  }
  return memory;
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
  explanation: SteeringExplanation,
  entries: number,
  queues: number,
  automatic: boolean,
  sent: string | undefined,
  output: Output,
): void {
  const { decided, tableHash, index, entry, queue } = explanation;
  output.line(`  headers   ${explanation.headers}`);
  output.line(`  enabled   ${explanation.enabled.join(', ') || 'no hash types'}`);
  printHash(explanation, output);
  const modulo = entry === queue ? '' : `, modulo ${queues} queues: ${queue}`;
  if (automatic)
    output.line(
      `  flow      ${sent === undefined ? 'not known: nothing that was sent is of it' : `known: ${sent} was sent on queue ${entry}`}`,
    );
  if (decided === 'sent') output.line(`  queue     ${entry}, that of the flow${modulo}`);
  else if (tableHash === undefined || index === undefined)
    output.line(`  queue     ${entry}, that of packets without a hash${modulo}`);
  else {
    const whose = decided === 'flow hash' ? ' (the hash that the device knows flows by)' : '';
    output.line(`  index     ${hex(tableHash)} & ${hex(entries - 1)} = ${index} of ${entries}${whose}`);
    output.line(`  queue     table[${index}] = ${entry}${modulo}`);
  }
}

function printHash(
  { type, report, source, destination, ports, steps, hash }: SteeringExplanation,
  output: Output,
): void {
  if (type === undefined) {
    output.line('  hash      none: no enabled type fits; the report is none (0)');
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
}
