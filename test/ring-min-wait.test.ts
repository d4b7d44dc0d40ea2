// Waiting for several completions, for a time in which one is not enough.
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import * as prep from '../src/hooks/ring/prep/index.ts';
import { SimulatedBackend } from '../src/hooks/ring/simulated/backend.ts';
import { World } from '../src/hooks/ring/simulated/world/index.ts';
import { Ring } from '../src/ring.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { noRing } from './ring-testbed.ts';

const MS = 1_000_000;

/** Timeouts that end so many ms from now on; user_data is their place. */
function timeouts(ring: Ring, ...ms: readonly number[]): void {
  const times = ring.allocate(16 * ms.length);
  ms.forEach((each, i) => {
    prep.writeTimespec(new DataView(times.bytes.buffer), times.address + i * 16, each * MS);
    ring.stage((view, at) => prep.timeout(view, at, times.address + i * 16, { userData: i }));
  });
}

const wants = [
  { name: 'inline', options: { entries: 8 } },
  { name: 'worker', options: { entries: 8, driver: 'worker' } },
] as const;

describe.skipIf(noRing !== undefined)(`min-wait${noRing === undefined ? '' : ` (skipped: ${noRing})`}`, () => {
  it.each(wants)('gathers for the time, and is content with one then: $name', async ({ options }) => {
    const ring = await Ring.create(options);
    timeouts(ring, 1, 2000);
    const start = performance.now();
    expect(ring.submitAndWait(2, 1500 * MS, 80 * MS)).toBe(1);
    const took = performance.now() - start;
    expect(took).toBeGreaterThanOrEqual(79);
    expect(took).toBeLessThan(1400);
    await ring.close();
  });

  it.each(wants)('ends before that with as many as it was asked for: $name', async ({ options }) => {
    const ring = await Ring.create(options);
    timeouts(ring, 1, 2, 5000);
    const start = performance.now();
    expect(ring.submitAndWait(2, 4000 * MS, 3000 * MS)).toBe(2);
    expect(performance.now() - start).toBeLessThan(2900);
    await ring.close();
  });

  it.each(wants)('waits on for the first, up to its timeout: $name', async ({ options }) => {
    const ring = await Ring.create(options);
    timeouts(ring, 60, 5000);
    expect(ring.submitAndWait(2, 4000 * MS, 10 * MS)).toBe(1);
    const start = performance.now();
    expect(ring.submitAndWait(2, 50 * MS, 0)).toBe(1);
    ring.completions.take(() => {});
    expect(ring.submitAndWait(1, 50 * MS, 10 * MS)).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(49);
    await ring.close();
  });

  it('wakes once for many: the kernel gathers', async () => {
    const ring = await Ring.create({ entries: 64 });
    if (!ring.backend.features.has('MIN_TIMEOUT')) return ring.close();
    const { read, write } = await ring.pipe();
    const buffer = ring.allocate(64);
    for (let i = 0; i < 10; i++)
      ring.stage((view, at) => prep.read(view, at, read, buffer.address + i, 1, -1, { userData: i }));
    const script = 'sleep 0.1; for i in 1 2 3 4 5 6 7 8 9 10; do echo; sleep 0.01; done';
    const writer = spawn('sh', ['-c', script], { stdio: ['ignore', write, 'ignore'] });
    const { enters } = ring.stats;
    expect(ring.submitAndWait(11, 8000 * MS, 2000 * MS)).toBe(10);
    expect(ring.stats.enters - enters).toBeLessThan(6n);
    await new Promise((resolve) => writer.once('exit', resolve));
    await Promise.all([ring.closeFd(read), ring.closeFd(write)]);
    await ring.close();
  });
});

it('min-wait where the backend knows nothing of it', async () => {
  const runtime = new Runtime({ seed: 1n });
  const backend = new SimulatedBackend(runtime, { world: new World(), seed: 1 });
  const ring = await Ring.create({ runtime, backend });
  timeouts(ring, 1, 2, 5000);
  expect(ring.submitAndWait(2, undefined, 50 * MS)).toBe(2);
  expect(ring.submitAndWait(3, undefined, 0)).toBe(2);
  await ring.close();
});
