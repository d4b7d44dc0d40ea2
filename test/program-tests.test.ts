/** The program tests of bpf/, on both engines and in the kernel. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { readTestFile } from '../src/testing/test-file.ts';
import { runTestFile } from '../src/testing/test-run.ts';

const refusal = bpfRefusal();

describe.each(['xdp_firewall', 'xdp_parser'])('%s', (name) => {
  const file = readTestFile(fileURLToPath(new URL(`../bpf/tests/${name}.bpf.test.json`, import.meta.url)));

  it.each(['jit', 'interpreter'] as const)('%s', async (engine) => {
    const results = await runTestFile(file, engine);
    expect(results.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(results).toHaveLength(file.cases.length);
  });

  it.skipIf(refusal !== undefined)(`linux${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, async () => {
    expect((await runTestFile(file, 'linux')).filter(({ status }) => status !== 'passed')).toEqual([]);
  });
});
