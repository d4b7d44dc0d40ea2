import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appendGroup } from '../../src/hooks/ring/patterns/append-group.ts';
import type { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { noRing, onKernel, record, simulate, wholeRecords, withRing } from './bench.ts';

describe.skipIf(noRing !== undefined)(`appendGroup ${onKernel}`, () => {
  it('syncs once for many appends, and answers each', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'log');
      const fd = openSync(path, 'w');
      const log = await appendGroup(ring, fd, { offset: 0, group: 50, delay: 1000 });
      const places = await Promise.all(Array.from({ length: 200 }, (_, i) => log.append(record(i))));
      expect(wholeRecords(readFileSync(path)).count).toBe(200);
      let at = 0;
      for (const [i, place] of places.entries()) {
        expect(place).toBe(at);
        at += record(i).length;
      }
      expect(log.syncs).toBeGreaterThanOrEqual(1);
      expect(log.syncs).toBeLessThanOrEqual(4);
      const late = log.append(record(200));
      await log.close();
      expect(await late).toBe(at);
      await expect(log.append(record(0))).rejects.toMatchObject({ code: 'SLUICE_RING_LOG_CLOSED' });
      closeSync(fd);
    }));

  it('does not wait longer than its delay', () =>
    withRing(async (ring, folder) => {
      const fd = openSync(join(folder, 'log'), 'w');
      const controller = new AbortController();
      const log = await appendGroup(ring, fd, { offset: 10, delay: 2, signal: controller.signal });
      expect(await log.append(record(1))).toBe(10);
      expect(await log.append(new Uint8Array())).toBe(10 + record(1).length);
      controller.abort();
      await log.closed;
      closeSync(fd);
    }));

  it('ends with the first error: a full disk', () =>
    withRing(async (ring, folder) => {
      if (process.getuid?.() !== 0) return;
      const disk = join(folder, 'disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
      try {
        const fd = openSync(join(disk, 'log'), 'w');
        const log = await appendGroup(ring, fd, { offset: 0, group: 4 });
        const settled = await Promise.allSettled(Array.from({ length: 30 }, () => log.append(new Uint8Array(4096))));
        const failed = settled.findIndex(({ status }) => status === 'rejected');
        expect(failed).toBeGreaterThanOrEqual(0);
        for (const each of settled.slice(failed)) expect(each).toMatchObject({ reason: { errno: 'ENOSPC' } });
        await expect(log.append(record(1))).rejects.toMatchObject({ errno: 'ENOSPC' });
        await expect(log.close()).rejects.toMatchObject({ errno: 'ENOSPC' });
        closeSync(fd);
      } finally {
        execFileSync('umount', [disk]);
      }
    }));
});

describe('appendGroup over simulated worlds', () => {
  it('has every record that it answered, in order, even after a crash', async () => {
    let answeredInAll = 0;
    await simulate(
      150,
      () => ({ faults: { ...chaos, ioError: 0.002, shrink: 0 } }),
      async ({ ring, world, seed }) => {
        const fd = world.open('/log', 0o102);
        const log = await appendGroup(ring, fd, { offset: 0, group: 1 + (seed % 9), delay: 0.05 });
        const settled = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => log.append(record(i))));
        for (const each of settled)
          if (each.status === 'rejected') expect((each.reason as RequestError).errno).toBe('EIO');
        const answered = settled.findLastIndex(({ status }) => status === 'fulfilled') + 1;
        expect(settled.slice(0, answered).every(({ status }) => status === 'fulfilled')).toBe(true);
        await Promise.allSettled([log.close()]);
        world.files.crash(world.random);
        if (answered > 0) expect(wholeRecords(Buffer.from(world.read('/log'))).count).toBeGreaterThanOrEqual(answered);
        answeredInAll += answered;
      },
    );
    expect(answeredInAll).toBeGreaterThan(1000);
  });
});
