/** The program tests of bpf/ and the benchmarks with maps, on both engines and in the kernel. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { readTestFile } from '../src/testing/test-file.ts';
import { runTestFile } from '../src/testing/test-run.ts';

const refusal = bpfRefusal();

const folder = fileURLToPath(new URL('../bpf/', import.meta.url));
const names = ['tests/', 'bench/'].flatMap((below) =>
  readdirSync(`${folder}${below}`)
    .filter((name) => name.endsWith('.bpf.test.json'))
    .map((name) => `${below}${name}`),
);

describe.each(names)('%s', (name) => {
  const file = readTestFile(`${folder}${name}`);

  it.each(['jit', 'interpreter'] as const)('%s', async (engine) => {
    const results = await runTestFile(file, engine);
    expect(results.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(results).toHaveLength(file.cases.length);
  });

  it.skipIf(refusal !== undefined)(`linux${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, async () => {
    // What the kernel cannot be told (its clock), or does not keep (traits), is skipped, and nothing else.
    const odd = (await runTestFile(file, 'linux')).filter(({ status }) => status !== 'passed');
    const beyond =
      /^(the kernel's (clock|metadata|hints|steering)( |,).*cannot be set|the kernel keeps neither traits)/;
    expect(odd.filter(({ status, problems }) => status !== 'skipped' || !beyond.test(problems[0] ?? ''))).toEqual([]);
    const traits = file.cases.some(
      ({ traits, hints, steering, expect: { traits: left, stored } }) => traits ?? hints ?? steering ?? left ?? stored,
    );
    expect(odd.length === 0 || file.clock !== undefined || traits).toBe(true);
  });
});
