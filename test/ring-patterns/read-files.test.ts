import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readFile, readFiles } from '../../src/hooks/ring/patterns/read-files.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { contents, noRing, onKernel, simulate, withRing } from './bench.ts';

const content = contents((i) => (i * 31) >> 2);

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
        expect(ring.stats.runs - runs).toBeGreaterThanOrEqual(size === 0 ? 4n : 5n);
      }
    }));

  it('reads what has no size', () =>
    withRing(async (ring) => {
      const status = new TextDecoder().decode(await readFile(ring, '/proc/self/status'));
      expect(status).toContain(`\nPid:\t${process.pid}\n`);
      expect((await readFile(ring, '/proc/kallsyms')).length).toBeGreaterThan(100_000);
    }));

  it('reads files of any size beside each other', () =>
    withRing(async (ring, folder) => {
      // Around the least and the full window, and the room.
      const sizes = [0, 8, 16383, 16384, 16385, 60_000, 262_143, 262_144, 262_145, 700_000];
      const paths = sizes.map((size) => join(folder, `f${size}`));
      for (const [i, path] of paths.entries()) writeFileSync(path, content(sizes[i]!, i));
      for (const depth of [1, 3, 10])
        for (const room of [0, 20_001, 100_000, 3 << 20])
          for (const [i, { bytes }] of (await readFiles(ring, paths, { depth, room })).entries())
            expect(Buffer.from(bytes!).equals(content(sizes[i]!, i))).toBe(true);
    }));

  it('reads a pipe to its end, once, as far as there is room', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'pipe');
      execFileSync('mkfifo', [path]);
      // Nothing in io_uring waits for the first writer.
      const write = async () => {
        const script = `exec 3<>${path}; echo; head -c 200000 /dev/zero | tr '\\0' x >&3`;
        const writer = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
        await new Promise((resolve) => writer.stdout.once('data', resolve));
        return writer;
      };
      await write();
      const [whole] = await readFiles(ring, [path], { room: 1 << 20 });
      expect(Buffer.from(whole!.bytes!).equals(Buffer.alloc(200_000, 'x'))).toBe(true);
      const writer = await write();
      const [part] = await readFiles(ring, [path], { room: 100_000 });
      expect(part!.error?.errno).toBe('ESPIPE');
      writer.kill('SIGKILL');
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

/** One in eight does not fit the first window. */
const sizeOf = (i: number, seed: number) => ((i * seed * 37) % 9000) * ((i + seed) % 8 === 0 ? 7 : 1);

describe('readFiles over simulated worlds', () => {
  it('reads all of them, or says why not, and can be ended', async () => {
    const seen = { read: 0, failed: 0, aborted: 0 };
    await simulate(
      150,
      () => ({ faults: { ...chaos, shrink: 0 } }),
      async ({ ring, world, seed }) => {
        const paths = Array.from({ length: 1 + (seed % 20) }, (_, i) => `/folder/f${i}`);
        for (const [i, path] of paths.entries())
          if ((i + seed) % 11 !== 0) world.file(path, content(sizeOf(i, seed), i));
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
            if (error === undefined) expect(Buffer.from(bytes).equals(content(sizeOf(i, seed), i))).toBe(true);
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
