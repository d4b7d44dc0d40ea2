/**
 * How long sequences are run on maps here and in the kernel: in rounds, each with new maps. SLUICE_PARITY_OPS: operations a type (default 3000; a
 * million was run for every type, see docs/maps.md); SLUICE_SEED: start of the sequences.
 */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect } from 'vitest';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs } from './clang.ts';
import type { SequenceResult } from './map-sequences.ts';

export const missing =
  bpfRefusal() ??
  (clangs.length === 0 ? 'no clang' : spawnSync('taskset', ['-V']).status === 0 ? undefined : 'no taskset');
export const count = Number(process.env['SLUICE_PARITY_OPS'] ?? 3000);
export const seed = Number(process.env['SLUICE_SEED'] ?? (Math.random() * 2 ** 32) >>> 0);
/** Limit of a test of a million. */
export const HOURS = 2 * 3_600_000;

/** What is of a CPU must be of ours, which is CPU 0: for the tests of a `describe`. */
export function pinToOurCpu(): void {
  let before = '';
  beforeAll(() => {
    before = spawnSync('taskset', ['-p', String(process.pid)], { encoding: 'utf8' })
      .stdout.split(' ')
      .at(-1)!
      .trim();
    expect(spawnSync('taskset', ['-p', '1', String(process.pid)]).status).toBe(0);
  });
  afterAll(() => {
    spawnSync('taskset', ['-p', before, String(process.pid)]);
  });
}

/**
 * Runs `round` (with a seed, and a number of operations) until there were as many operations as wanted: new maps now and then, because most differences show
 * while one fills. `most`: where each operation takes the kernel long.
 */
export async function agree(
  title: string,
  round: (seed: number, operations: number) => Promise<SequenceResult>,
  most = count,
): Promise<void> {
  const wanted = Math.min(count, most);
  const part = Math.max(1500, Math.ceil(wanted / 50));
  const start = performance.now();
  let operations = 0;
  for (let n = 0; operations < wanted; n++) {
    const result = await round(seed + n, Math.min(part, wanted - operations));
    const { difference } = result;
    expect(difference && `seed ${seed}, round ${n}, operation ${result.operations}:\n${difference}`).toBe(undefined);
    operations += result.operations;
  }
  expect(operations).toBeGreaterThanOrEqual(wanted);
  if (process.env['SLUICE_PARITY_OPS'] !== undefined)
    process.stderr.write(
      `${title}: ${operations} operations agree, ${((performance.now() - start) / 1000).toFixed(1)} s\n`,
    );
}
