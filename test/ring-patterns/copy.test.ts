import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copy } from '../../src/hooks/ring/patterns/copy.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { Ring } from '../../src/ring.ts';
import { contents, noRing, onKernel, pipes, simulate, withRing } from './bench.ts';

const bytes = contents((i) => (i * 7919) >> 3);

describe.skipIf(noRing !== undefined)(`copy ${onKernel}`, () => {
  it('copies files of any size, and wakes JavaScript once', () =>
    withRing(async (ring, folder) => {
      for (const size of [0, 1, 4096, 65536, 1_000_003]) {
        const content = bytes(size);
        writeFileSync(join(folder, 'from'), content);
        const from = openSync(join(folder, 'from'), 'r');
        const to = openSync(join(folder, 'to'), 'w');
        const { runs, posted } = ring.stats;
        expect(await copy(ring, from, to, { block: 65536, depth: 4, sync: true })).toEqual({ bytes: size });
        expect(readFileSync(join(folder, 'to')).equals(content)).toBe(true);
        expect(ring.stats.posted - posted).toBe(1n);
        expect(ring.stats.runs - runs).toBeGreaterThan(size > 65536 ? 30n : 4n);
        closeSync(from);
        closeSync(to);
      }
    }));

  it('copies a part to a place', () =>
    withRing(async (ring, folder) => {
      writeFileSync(join(folder, 'from'), '0123456789');
      writeFileSync(join(folder, 'to'), 'abcdefghij');
      const from = openSync(join(folder, 'from'), 'r');
      const to = openSync(join(folder, 'to'), 'r+');
      expect(await copy(ring, from, to, { fromOffset: 3, toOffset: 2, length: 4, block: 3 })).toEqual({ bytes: 4 });
      expect(readFileSync(join(folder, 'to'), 'latin1')).toBe('ab3456ghij');
      closeSync(from);
      closeSync(to);
    }));

  it('copies what comes through a pipe, in order, many at once', () =>
    withRing(async (ring, folder) => {
      const content = bytes(300_000);
      writeFileSync(join(folder, 'from'), content);
      const jobs = Array.from({ length: 8 }, async (_, i) => {
        const [reads, writes] = await pipes(ring);
        const from = openSync(join(folder, 'from'), 'r');
        const to = openSync(join(folder, `to${i}`), 'w');
        const results = await Promise.all([
          copy(ring, from, writes, { block: 10_000 }).finally(() => closeSync(writes)),
          copy(ring, reads, to, { block: 4096, depth: 16 }),
        ]);
        expect(results).toEqual([{ bytes: 300_000 }, { bytes: 300_000 }]);
        expect(readFileSync(join(folder, `to${i}`)).equals(content)).toBe(true);
        for (const fd of [reads, from, to]) closeSync(fd);
      });
      await Promise.all(jobs);
    }));

  it('rejects with the errno: no such descriptor, a pipe without a reader, a full disk', () =>
    withRing(async (ring, folder) => {
      writeFileSync(join(folder, 'from'), bytes(5_000_000));
      const from = openSync(join(folder, 'from'), 'r');
      await expect(copy(ring, 1_000_000, from)).rejects.toMatchObject({ errno: 'EBADF', operation: 'copy' });
      const [reads, writes] = await pipes(ring);
      closeSync(reads);
      await expect(copy(ring, from, writes)).rejects.toMatchObject({ code: 'SLUICE_RING_EPIPE' });
      closeSync(writes);
      if (process.getuid?.() === 0) {
        const disk = join(folder, 'disk');
        mkdirSync(disk);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
        try {
          const to = openSync(join(disk, 'to'), 'w');
          await expect(copy(ring, from, to, { depth: 4 })).rejects.toMatchObject({ errno: 'ENOSPC' });
          closeSync(to);
        } finally {
          execFileSync('umount', [disk]);
        }
      }
      closeSync(from);
    }));

  it('ends when its signal aborts, and when the ring is closed', () =>
    withRing(async (ring) => {
      const [reads, writes] = await pipes(ring);
      writeSync(writes, 'some');
      const [sink, target] = await pipes(ring);
      const aborted = AbortSignal.abort();
      await expect(copy(ring, reads, target, { signal: aborted })).rejects.toMatchObject({ name: 'AbortError' });
      const running = copy(ring, reads, target, { signal: AbortSignal.timeout(10) });
      await expect(running).rejects.toMatchObject({ name: 'TimeoutError' });
      const other = await Ring.create({ entries: 8 });
      const closed = expect(copy(other, reads, target)).rejects.toMatchObject({ errno: 'ECANCELED' });
      while (other.issued === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      await other.close();
      await closed;
      for (const fd of [reads, writes, sink, target]) closeSync(fd);
    }));

  it('copies a file that shrinks and grows, as far as it goes', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'from');
      writeFileSync(path, bytes(4_000_000));
      const from = openSync(path, 'r');
      const to = openSync(join(folder, 'to'), 'w');
      const running = copy(ring, from, to, { block: 4096, depth: 2 });
      await new Promise((resolve) => setImmediate(resolve));
      truncateSync(path, 100_000);
      const result = await running;
      expect(result.bytes).toBeGreaterThanOrEqual(100_000);
      expect(statSync(join(folder, 'to')).size).toBe(result.bytes);
      expect(readFileSync(join(folder, 'to')).subarray(0, 100_000).equals(bytes(100_000))).toBe(true);
      closeSync(from);
      closeSync(to);
    }));
});

describe('copy over simulated worlds', () => {
  it('copies all of it, or says why not', async () => {
    let succeeded = 0;
    const faults = { ...chaos, shrink: 0, spaceBytes: 400_000 };
    await simulate(
      150,
      () => ({ faults }),
      async ({ ring, world, seed }) => {
        const content = bytes((seed * 7717) % (seed % 8 === 0 ? 150_000 : 20_000), seed);
        world.file('/from', content);
        const from = world.open('/from');
        const to = world.open('/to', 0o102);
        const open = world.openDescriptors.length;
        const block = Math.max(1 + ((seed * 131) % 20_000), content.length >> 8);
        const options = { block, depth: 1 + (seed % 9), sync: seed % 2 === 0 };
        try {
          expect(await copy(ring, from, to, options)).toEqual({ bytes: content.length });
          expect(Buffer.from(world.read('/to')).equals(content)).toBe(true);
          if (options.sync) expect(world.isSynced('/to')).toBe(true);
          succeeded++;
        } catch (error) {
          if (!(error instanceof RequestError)) throw error;
          expect(['EIO', 'ENOSPC']).toContain(error.errno);
        }
        expect(world.openDescriptors.length).toBe(open);
      },
    );
    expect(succeeded).toBeGreaterThan(0);
  });

  it('ends at any moment', async () => {
    const ended = { aborted: 0, whole: 0 };
    await simulate(
      150,
      () => ({ faults: { ...chaos, ioError: 0, shrink: 0 } }),
      async ({ ring, world, seed }) => {
        const content = bytes(30_000, seed);
        world.file('/from', content);
        const controller = new AbortController();
        world.clock.at(world.clock.now + (seed % 150) * (seed % 2 === 0 ? 3_000 : 300_000), () => controller.abort());
        const [reads, writes] = world.pipe();
        const to = world.open('/to', 0o102);
        const jobs = await Promise.allSettled([
          copy(ring, world.open('/from'), writes, { block: 500 + (seed % 5000), signal: controller.signal }),
          copy(ring, reads, to, { block: 4096, length: 30_000, signal: controller.signal }),
        ]);
        for (const each of jobs) {
          if (each.status === 'fulfilled') ended.whole++;
          else if (each.reason.name === 'AbortError') ended.aborted++;
          else throw each.reason;
        }
        const copied = Buffer.from(world.read('/to'));
        expect(copied.equals(content.subarray(0, copied.length))).toBe(true);
      },
    );
    expect(ended.aborted).toBeGreaterThan(0);
    expect(ended.whole).toBeGreaterThan(0);
  });
});
