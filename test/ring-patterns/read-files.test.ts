import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readFile, readFiles } from '../../src/hooks/ring/patterns/read-files.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { noRing, onKernel, simulate, withRing } from './bench.ts';

const content = (length: number, seed = 0) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) >> 2);

describe.skipIf(noRing !== undefined)(`readFile and readFiles ${onKernel}`, () => {
  it('reads a file of any size, and wakes JavaScript once, or twice for a large one', () =>
    withRing(async (ring, folder) => {
      for (const [size, woken] of [
        [0, 1n],
        [1, 1n],
        [4096, 1n],
        [65000, 1n],
        [3_000_001, 2n],
      ] as const) {
        const path = join(folder, `f${size}`);
        writeFileSync(path, content(size));
        const { posted, runs } = ring.stats;
        expect(Buffer.from(await readFile(ring, path)).equals(content(size))).toBe(true);
        expect(ring.stats.posted - posted).toBe(woken);
        expect(ring.stats.runs - runs).toBeGreaterThanOrEqual(size === 0 ? 5n : 6n);
      }
    }));

  it('reads what has no size', () =>
    withRing(async (ring) => {
      const status = new TextDecoder().decode(await readFile(ring, '/proc/self/status'));
      expect(status).toContain(`\nPid:\t${process.pid}\n`);
      expect((await readFile(ring, '/proc/kallsyms')).length).toBeGreaterThan(100_000);
    }));

  it('says what is wrong with which file, and reads the others', () =>
    withRing(async (ring, folder) => {
      mkdirSync(join(folder, 'folder'));
      writeFileSync(join(folder, 'good'), 'good');
      writeFileSync(join(folder, 'large'), content(5000));
      const paths = ['none', 'folder', 'good', 'large'].map((name) => join(folder, name));
      const results = await readFiles(ring, paths, { maxBytes: 4999 });
      expect(results.map(({ error }) => error?.errno)).toEqual(['ENOENT', 'EISDIR', undefined, 'EFBIG']);
      expect(new TextDecoder().decode(results[2]!.bytes)).toBe('good');
      await expect(readFile(ring, paths[0]!)).rejects.toMatchObject({ code: 'SLUICE_RING_ENOENT' });
      await expect(readFile(ring, 'a\0b')).rejects.toMatchObject({ code: 'SLUICE_RING_PATH' });
      expect(await readFiles(ring, [])).toEqual([]);
    }));

  it('reads a thousand small files with one answer', () =>
    withRing(async (ring, folder) => {
      const paths = Array.from({ length: 1000 }, (_, i) => join(folder, `f${i}`));
      for (const [i, path] of paths.entries()) writeFileSync(path, content(i, i));
      const { posted } = ring.stats;
      const results = await readFiles(ring, paths, { depth: 64 });
      expect(ring.stats.posted - posted).toBe(1n);
      for (const [i, { bytes }] of results.entries()) expect(Buffer.from(bytes!).equals(content(i, i))).toBe(true);
    }));

  it('follows files that grow and shrink', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'changing');
      writeFileSync(path, content(2_000_000));
      const growing = readFile(ring, path);
      appendFileSync(path, content(3_000_000));
      expect((await growing).length).toBeGreaterThanOrEqual(2_000_000);
      const shrinking = readFile(ring, path);
      truncateSync(path, 1000);
      expect(Buffer.from((await shrinking).subarray(0, 1000)).equals(content(2_000_000).subarray(0, 1000))).toBe(true);
    }));

  it('ends when its signal aborts', () =>
    withRing(async (ring, folder) => {
      const paths = Array.from({ length: 300 }, (_, i) => join(folder, `f${i}`));
      for (const path of paths) writeFileSync(path, content(20_000));
      await readFiles(ring, paths.slice(0, 1));
      for (const ms of [0, 1, 2, 5]) {
        const controller = new AbortController();
        const running = readFiles(ring, paths, { signal: controller.signal, depth: 32 });
        if (ms === 0) controller.abort();
        else setTimeout(() => controller.abort(), ms);
        const [settled] = await Promise.allSettled([running]);
        if (settled.status === 'rejected') expect(settled.reason.name).toBe('AbortError');
        else expect(settled.value.length).toBe(300);
      }
    }));
});

describe('readFiles over simulated worlds', () => {
  it('reads all of them, or says why not, and can be ended', async () => {
    const seen = { read: 0, failed: 0, aborted: 0 };
    await simulate(
      150,
      () => ({ faults: { ...chaos, shrink: 0 } }),
      async ({ ring, world, seed }) => {
        const paths = Array.from({ length: 1 + (seed % 20) }, (_, i) => `/folder/f${i}`);
        for (const [i, path] of paths.entries())
          if ((i + seed) % 11 !== 0) world.file(path, content((i * seed * 37) % 9000, i));
        const before = world.openDescriptors.length;
        const controller = new AbortController();
        if (seed % 3 === 0) world.clock.at((seed % 100) * 5_000, () => controller.abort());
        const options = { depth: 1 + (seed % 7), room: 20_000, signal: controller.signal };
        const [settled] = await Promise.allSettled([readFiles(ring, paths, options)]);
        if (settled.status === 'rejected') {
          if (settled.reason.name !== 'AbortError') throw settled.reason;
          seen.aborted++;
        } else {
          for (const [i, { bytes, error }] of settled.value.entries()) {
            if (error === undefined) expect(Buffer.from(bytes).equals(content((i * seed * 37) % 9000, i))).toBe(true);
            else expect(error.errno).toBe((i + seed) % 11 === 0 ? 'ENOENT' : 'EIO');
            seen[error === undefined ? 'read' : 'failed']++;
          }
        }
        expect(world.openDescriptors.length).toBe(before);
      },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });
});
