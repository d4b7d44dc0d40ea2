/** Packets that steering is looked at with: a capture, or generated ones. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import type { CapturedPacket } from '../net/captured-packet.ts';
import { generateCapture } from '../net/generator.ts';
import { type RssConfiguration, verificationKey } from '../net/rss/configuration.ts';
import { HASH_TYPES_ALL } from '../net/rss/hash-types.ts';
import { readEthernetCapture } from './capture-file.ts';
import { integerOption } from './options.ts';
import { readRssConfiguration } from './steer-rss.ts';

export interface SteerPacketOptions {
  readonly pcap?: string;
  readonly seed: number;
  readonly count: number;
  readonly queues: number;
  readonly rss?: string;
  readonly json?: boolean;
}

export function addPacketOptions(command: Command): Command {
  return command
    .option('--queues <n>', 'queues of the device', integerOption(1, 256), 4)
    .option(
      '--rss <config.json>',
      'receive-side scaling, as for `steer run` (default: all hash types, the well-known key)',
    )
    .option('--pcap <file>', 'packets of a capture (default: generated ones, of every kind that has a rule)')
    .option('--seed <n>', 'of the generated packets', integerOption(0, 0xffffffff), 1)
    .option('--count <n>', 'how many are generated', integerOption(1, 1_000_000), 2000);
}

/** At least one. Throws InputError `SLUICE_NO_PACKET`, and those of reading. */
export function packetsOf({ pcap, seed, count }: SteerPacketOptions): CapturedPacket[] {
  if (pcap === undefined) return [...generateCapture({ seed, count, traffic: 'steering' })];
  const packets = [...readEthernetCapture(pcap)];
  if (packets.length === 0) throw new InputError('SLUICE_NO_PACKET', 'has no packets', { input: pcap });
  return packets;
}

export function configurationOf({ rss, queues }: SteerPacketOptions): RssConfiguration {
  if (rss !== undefined) return readRssConfiguration(rss, queues);
  return {
    hashTypes: HASH_TYPES_ALL,
    table: Array.from({ length: 128 }, (_, i) => i % queues),
    unclassifiedQueue: 0,
    key: verificationKey,
  };
}
