// The fuzzer of soundness: nothing wrong with the verifier as it is, and something wrong with it as soon as one line of it is broken.
import { describe, expect, it } from 'vitest';
import { bundleFuzzer, runFuzzer } from '../scripts/soundness.mjs';
import { mutations } from './soundness-mutations.mjs';

const seed = Number(process.env['SLUICE_SEED'] ?? 1);
const milliseconds = Number(process.env['SLUICE_MILLISECONDS'] ?? 8_000);

/** One of each kind that is found soon; `node scripts/soundness.mjs 1 60000 --mutation NAME` tries any of the others. */
const quick = [
  'packet range one byte too long',
  'tnum multiplication loses unknown bits',
  'sign extension as zero extension',
  'pointers are not NULL before they are checked',
  'packet pointers outlive a helper that moves the packet',
  'every scalar is covered by every other',
];

describe('the fuzzer of soundness', () => {
  it(`${milliseconds} ms from seed ${seed}: accepted programs do not fault, each step lies inside the verifier's state`, async () => {
    const { finding, accepted, inside } = await runFuzzer(await bundleFuzzer(undefined), seed, milliseconds);
    expect(finding).toBeNull();
    expect(accepted).toBeGreaterThan(10);
    expect(inside).toBeGreaterThan(1000);
  }, 120_000);

  it('each mutation patches a line that stands in the verifier once', async () => {
    for (const mutation of mutations) await bundleFuzzer(mutation, { write: false });
    expect(mutations.length).toBeGreaterThanOrEqual(20);
  }, 120_000);

  it.each(quick)(
    'finds: %s',
    async (name) => {
      const mutation = mutations.find((each) => each.name === name);
      expect(mutation).toBeDefined();
      const { finding } = await runFuzzer(await bundleFuzzer(mutation), 1, 60_000);
      expect(finding).not.toBeNull();
    },
    180_000,
  );
});
