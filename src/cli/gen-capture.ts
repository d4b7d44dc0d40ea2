/** `sluice gen capture`: traffic to try programs on. */
import type { Command } from 'commander';
import { generatePackets } from '../net/generator.ts';
import type { ScenarioName } from '../net/scenarios/index.ts';
import { writeCaptureFile } from './capture-file.ts';
import { exitCode } from './exit.ts';
import { integerOption } from './options.ts';
import { trafficOption } from './traffic-option.ts';
import type { Finish } from './verb.ts';

interface GenCaptureOptions {
  readonly out: string;
  readonly count: number;
  readonly seed: number;
  readonly traffic: 'mix' | ScenarioName;
  readonly malformed: number;
  readonly json?: boolean;
}

export function addGenCapture(gen: Command, finish: Finish): void {
  gen
    .command('capture')
    .description('a seeded mix of traffic: VLANs, IPv4, IPv6 with extension headers, fragments, malformed frames')
    .requiredOption('-o, --out <file>', 'capture to write; .pcapng gives pcapng, anything else pcap')
    .option('--count <n>', 'packets', integerOption(1, 100_000_000), 10_000)
    .option('--seed <n>', 'the same seed gives the same bytes on every machine', integerOption(0, 0xffff_ffff), 1)
    .addOption(trafficOption())
    .option('--malformed <percent>', 'share of malformed frames', integerOption(0, 100), 8)
    .option('--json', 'result as JSON')
    .action((options: GenCaptureOptions) =>
      finish(options.json === true, (output) => {
        const { out, count, seed, traffic, malformed } = options;
        const bytes = writeCaptureFile(out, generatePackets({ seed, count, traffic, malformedPercent: malformed }));
        output.line(`${out}: ${count} packets, ${bytes} bytes, seed ${seed}`);
        output.document({ schema: 'sluice.gen-capture/1', file: out, packets: count, bytes, seed });
        return exitCode.yes;
      }),
    );
}
