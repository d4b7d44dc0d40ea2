/** Steering programs in the kernel: the queue that BPF_PROG_TEST_RUN says is the device's own, packet for packet. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InputError } from '../src/errors.ts';
import { fillRssMaps } from '../src/hooks/steering/rss-maps.ts';
import { load } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { generateCapture } from '../src/net/generator.ts';
import { rss } from '../src/net/rss/compute.ts';
import { type RssConfiguration, verificationKey } from '../src/net/rss/configuration.ts';
import { HASH_TYPES_ALL } from '../src/net/rss/hash-types.ts';

const refusal = bpfRefusal();
const configuration: RssConfiguration = {
  hashTypes: HASH_TYPES_ALL,
  table: Array.from({ length: 128 }, (_, index) => (index * 11) % 97),
  unclassifiedQueue: 100,
  key: verificationKey,
};
const packets = [
  ...generateCapture({ seed: 12, count: 2500, traffic: 'steering' }),
  ...generateCapture({ seed: 12, count: 500, malformedPercent: 30 }),
].map(({ data }) => data);

describe.skipIf(refusal !== undefined)(
  `steering programs in the kernel${refusal === undefined ? '' : `: ${refusal}`}`,
  () => {
    it.each(['rss_socket', 'rss_report'])('%s gives the queue of the reference', async (name) => {
      const bytes = new Uint8Array(readFileSync(new URL(`../bpf/objects/steering/${name}.bpf.o`, import.meta.url)));
      const loaded = await load(bytes, { target: 'linux' });
      const [program] = Object.values(loaded.programs);
      let refused = 0;
      const queues = new Set<number>();
      for (const hashTypes of [HASH_TYPES_ALL, 0x3f, 0x1c0]) {
        const with_ = { ...configuration, hashTypes };
        fillRssMaps(loaded.maps, with_);
        for (const data of packets) {
          try {
            const { returnValue } = program!.run({ data });
            expect(returnValue, Buffer.from(data).toString('hex')).toBe(rss(data, with_).queue);
            queues.add(returnValue);
          } catch (error) {
            // A test run wants whole IP headers behind Ethernet.
            if (!(error instanceof InputError)) throw error;
            refused++;
          }
        }
      }
      loaded.close();
      expect(refused).toBeLessThan(packets.length * 3 * 0.15);
      expect(queues.size).toBe(98);
    });
  },
);
