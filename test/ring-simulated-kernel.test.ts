// What the simulated ring answers is what Linux answers: the same requests on both.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SimulatedBackend } from '../src/hooks/ring/simulated/backend.ts';
import { cachedLatency } from '../src/hooks/ring/simulated/faults.ts';
import { recordFromJson, recordToJson } from '../src/hooks/ring/simulated/record.ts';
import { RecordingBackend } from '../src/hooks/ring/simulated/recording-backend.ts';
import { LinuxRing } from '../src/linux/io-uring.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { Bed } from './ring-simulated/bed.ts';
import { type LinkRow, linkBed, linkRows } from './ring-simulated/link-rows.ts';
import { scenarios } from './ring-simulated/scenarios.ts';

const directory = mkdtempSync(join(tmpdir(), `sluice-ring-${process.pid}-`));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function simulated(): Bed {
  const runtime = new Runtime({ seed: 1n });
  return new Bed(runtime, new SimulatedBackend(runtime, { latency: cachedLatency }), '');
}

function linux(index: number): Bed {
  const runtime = new Runtime({ seed: 1n });
  const backend = new LinuxRing(runtime, { entries: 64 });
  const root = join(directory, `${index}`);
  const bed = new Bed(runtime, backend, root);
  bed.one('mkdirat', { fd: -100, addr: bed.path(''), len: 0o755 });
  return bed;
}

let refused = '';
try {
  await new LinuxRing(new Runtime({ seed: 1n })).close();
} catch (error) {
  refused = error instanceof Error ? error.message : String(error);
}

describe('the simulated ring and Linux', () => {
  it.skipIf(refused !== '').each(scenarios.map((scenario, index) => ({ ...scenario, index })))(
    `$name${refused === '' ? '' : ` (${refused})`}`,
    async ({ run, index }) => {
      const here = simulated();
      const there = linux(index);
      const ours = run(here);
      const theirs = run(there);
      await here.backend.close();
      await there.backend.close();
      expect(ours).toEqual(theirs);
      expect(ours.length).toBeGreaterThan(0);
    },
  );
});

describe('a run on Linux', () => {
  // Messages go to the ring's own descriptor, which is another one in the replay.
  const replayed = scenarios.filter(({ name }) => !name.startsWith('messages to the ring'));
  it.skipIf(refused !== '').each(replayed.map((scenario, index) => ({ ...scenario, index })))(
    `is replayed in simulation: $name${refused === '' ? '' : ` (${refused})`}`,
    async ({ run, index }) => {
      const runtime = new Runtime({ seed: 1n });
      const root = join(directory, `recorded-${index}`);
      const recording = new RecordingBackend(runtime, new LinuxRing(runtime, { entries: 64 }));
      const bed = new Bed(runtime, recording, root);
      bed.one('mkdirat', { fd: -100, addr: bed.path(''), len: 0o755 });
      const before = run(bed);
      const { record } = recording;
      await recording.close();
      const other = new Runtime({ seed: 1n });
      const backend = new SimulatedBackend(other, { replay: recordFromJson(recordToJson(record)) });
      const again = new Bed(other, backend, root);
      again.one('mkdirat', { fd: -100, addr: again.path(''), len: 0o755 });
      expect(run(again)).toEqual(before);
      expect(backend.isReplayed).toBe(true);
      await backend.close();
    },
  );
});

describe('links, as on Linux 6.18', () => {
  const check = async (bed: Bed, { before, steps, cqes, slot }: LinkRow) => {
    const on = linkBed(bed);
    before?.(on);
    const seen = bed.results(steps(on), cqes.length);
    // A timeout wakes who waits before all is there.
    while (seen.length < cqes.length) {
      const more = bed.more(cqes.length - seen.length);
      if (more.length === 0) break;
      seen.push(...more);
    }
    expect(seen).toEqual(cqes);
    expect(bed.one('close', { fileIndex: 1, user: 7 })).toBe(slot ?? -9);
    await bed.backend.close();
  };

  it.each(linkRows)('in simulation: $name', (row) => check(simulated(), row));

  it.skipIf(refused !== '').each(linkRows.map((row, index) => ({ ...row, index })))(
    `in the kernel: $name${refused === '' ? '' : ` (${refused})`}`,
    ({ index, ...row }) => check(linux(1000 + index), row),
  );
});
