/** `sluice steer key`: what a key does, a better one, and ports that bring a flow to a wanted queue. */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { parseIpv4, parseIpv6 } from '../net/addresses.ts';
import { assessKey, type Flow, portsForQueue, suggestKey } from '../net/rss/key.ts';
import { exitCode, UsageError } from './exit.ts';
import { integerOption } from './options.ts';
import { toHex } from './output.ts';
import { readRssConfiguration } from './steer-rss.ts';
import type { Finish } from './verb.ts';

interface KeyOptions {
  readonly rss?: string;
  readonly queues: number;
  readonly symmetric?: boolean;
  readonly length: number;
  readonly entries: number;
  readonly flow?: string;
  readonly queue?: number;
  readonly json?: boolean;
}

export function addSteerKey(steer: Command, finish: Finish): void {
  steer
    .command('key')
    .description('a key whose hash reaches every entry of the table, and the ports that bring a flow to a queue')
    .option('--symmetric', 'both directions of a flow get one hash')
    .option('--length <bytes>', 'of a new key', integerOption(40, 255), 40)
    .option('--entries <n>', 'of the indirection table, a power of two', integerOption(2, 32768), 128)
    .option('--rss <config.json>', 'look at the key and table of a configuration instead of making one')
    .option('--queues <n>', 'queues of the device', integerOption(1, 256), 4)
    .option('--flow <flow>', 'SRC:PORT>DST:PORT, IPv6 addresses in brackets: which source ports bring it to --queue')
    .option('--queue <n>', 'the wanted queue', integerOption(0, 255))
    .option('--json', 'result as JSON (sluice.steer-key/1)')
    .action((options: KeyOptions) =>
      finish(options.json === true, (output) => {
        if (options.flow === undefined && options.queue !== undefined)
          throw new UsageError('--queue is the wanted queue of a --flow: give one');
        if (options.queue !== undefined && options.queue >= options.queues)
          throw new UsageError(
            `--queue ${options.queue}: there are ${options.queues} queues (--queues), counted from 0`,
          );
        if (options.rss !== undefined && options.symmetric === true)
          throw new UsageError('--symmetric is of a new key, and --rss looks at the one that it has: give one of them');
        const flow = options.flow === undefined ? undefined : parseFlow(options.flow);
        const bits = Math.log2(options.entries);
        if (!Number.isInteger(bits))
          throw new InputError('SLUICE_STEER_ENTRIES', `${options.entries} entries: a power of two`);
        const given = options.rss === undefined ? undefined : readRssConfiguration(options.rss, options.queues);
        const key =
          given?.key ??
          suggestKey((length) => new Uint8Array(randomBytes(length)), {
            length: options.length,
            bits,
            symmetric: options.symmetric === true,
          });
        const table = given?.table ?? Array.from({ length: options.entries }, (_, i) => i % options.queues);
        const assessment = assessKey(key, Math.max(1, Math.log2(table.length)));
        output.line(toHex(key));
        output.note(
          `${assessment.symmetric ? 'symmetric' : 'not symmetric'}; of ${table.length} entries, source ports reach ${2 ** assessment.sourcePort}, destination ports ${2 ** assessment.destinationPort}, both ${2 ** assessment.ports}, IPv4 addresses ${2 ** assessment.addresses}`,
        );
        const ports = flow === undefined ? undefined : portsForQueue({ key, table }, flow, options.queue ?? 0);
        if (ports !== undefined)
          output.line(
            ports.length === 0
              ? `no source port brings the flow to queue ${options.queue ?? 0}`
              : `source ports for queue ${options.queue ?? 0}: ${ports.slice(0, 16).join(', ')}${ports.length > 16 ? `, … (${ports.length})` : ''}`,
          );
        output.document({
          schema: 'sluice.steer-key/1',
          key: toHex(key),
          ...assessment,
          ...(ports === undefined ? {} : { ports }),
        });
        return exitCode.yes;
      }),
    );
}

function parseFlow(text: string): Flow {
  const end = '(?:\\[([0-9a-fA-F:.]+)\\]|([0-9.]+)):([0-9]{1,5})';
  const match = new RegExp(`^${end}>${end}$`).exec(text.replaceAll(' ', ''));
  const refuse = () => new InputError('SLUICE_STEER_FLOW', `${text}: SRC:PORT>DST:PORT, as 10.0.0.1:1234>192.0.2.1:80`);
  if (match === null) throw refuse();
  const address = (six: string | undefined, four: string | undefined) =>
    six === undefined ? parseIpv4(four ?? '') : parseIpv6(six);
  const source = address(match[1], match[2]);
  const destination = address(match[4], match[5]);
  const [sourcePort, destinationPort] = [Number(match[3]), Number(match[6])];
  if (source.length !== destination.length || sourcePort > 65535 || destinationPort > 65535) throw refuse();
  return { source, destination, sourcePort, destinationPort };
}
