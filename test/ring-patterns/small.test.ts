/** concat, quorum, ping. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { concat } from '../../src/hooks/ring/patterns/concat.ts';
import { ping } from '../../src/hooks/ring/patterns/ping.ts';
import { quorum } from '../../src/hooks/ring/patterns/quorum.ts';
import { read } from '../../src/hooks/ring/prep/file.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { contents, noRing, onKernel, pipes, simulate, socketPair, withRing } from './bench.ts';

const content = contents((i) => i * 13 + (i >> 8));

describe.skipIf(noRing !== undefined)(`concat ${onKernel}`, () => {
  it('writes files one behind the other, and wakes JavaScript once', () =>
    withRing(async (ring, folder) => {
      const paths = [0, 1, 5000, 300_000, 7].map((size, i) => {
        const path = join(folder, `f${i}`);
        writeFileSync(path, content(size, i));
        return path;
      });
      const whole = Buffer.concat(paths.map((path) => readFileSync(path)));
      for (const toOffset of [undefined, 10]) {
        const to = openSync(join(folder, 'to'), 'w');
        const { posted, runs } = ring.stats;
        const options = { block: 65536, ...(toOffset === undefined ? {} : { toOffset }) };
        expect(await concat(ring, paths, to, options)).toEqual({ files: 5, bytes: whole.length });
        expect(ring.stats.posted - posted).toBe(1n);
        expect(ring.stats.runs - runs).toBeGreaterThan(25n);
        expect(
          readFileSync(join(folder, 'to'))
            .subarray(toOffset ?? 0)
            .equals(whole),
        ).toBe(true);
        closeSync(to);
      }
    }));

  it('says what is wrong, and ends when its signal aborts', () =>
    withRing(async (ring, folder) => {
      writeFileSync(join(folder, 'f'), content(500_000));
      const [reads, writes] = await pipes(ring);
      const none = concat(ring, [join(folder, 'none')], writes);
      await expect(none).rejects.toMatchObject({ errno: 'ENOENT', operation: 'concat' });
      const signal = AbortSignal.timeout(10);
      const stuck = concat(ring, [join(folder, 'f')], writes, { signal });
      await expect(stuck).rejects.toMatchObject({ name: 'TimeoutError' });
      closeSync(reads);
      await expect(concat(ring, [join(folder, 'f')], writes)).rejects.toMatchObject({ errno: 'EPIPE' });
      closeSync(writes);
    }));
});

describe.skipIf(noRing !== undefined)(`quorum ${onKernel}`, () => {
  it('takes the first two of three, and cancels the third', () =>
    withRing(async (ring) => {
      const ends = await Promise.all([pipes(ring), pipes(ring), pipes(ring)]);
      const buffer = ring.allocate(300);
      const requests = ends.map(([fd], i) => ({
        prepare: (view: DataView, at: number) => read(view, at, fd, buffer.address + i * 100, 100, -1),
        buffers: [buffer],
      }));
      const { posted } = ring.stats;
      const both = quorum(ring, 2, requests);
      writeSync(ends[2]![1], 'third');
      await new Promise((resolve) => setTimeout(resolve, 20));
      writeSync(ends[0]![1], 'first');
      expect(await both).toEqual({ succeeded: [2, 0], results: [5, -125, 5] });
      expect(ring.stats.posted - posted).toBe(1n);
      expect(Buffer.from(buffer.bytes.subarray(200, 205)).toString()).toBe('third');
      // One reads nothing that can be read: the other two are not enough for three.
      closeSync(ends[1]![1]);
      const bad = {
        prepare: (view: DataView, at: number) => read(view, at, 1_000_000, buffer.address, 1, -1),
        buffers: [buffer],
      };
      await expect(quorum(ring, 3, [bad, requests[0]!, requests[2]!])).rejects.toMatchObject({
        errno: 'EBADF',
        operation: 'quorum',
      });
      const signal = AbortSignal.timeout(5);
      await expect(quorum(ring, 1, [requests[0]!], { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
      await expect(quorum(ring, 1, [{ prepare: requests[0]!.prepare }])).rejects.toMatchObject({ errno: 'EFAULT' });
      for (const [i, [reads, writes]] of ends.entries()) {
        closeSync(reads);
        if (i !== 1) closeSync(writes);
      }
      buffer.free();
    }));
});

describe.skipIf(noRing !== undefined)(`ping ${onKernel}`, () => {
  it('measures rounds, and says when nobody answers', () =>
    withRing(async (ring) => {
      const { fd, peer } = await socketPair();
      peer.on('data', (data) => peer.write(data));
      const { posted, runs } = ring.stats;
      const result = await ping(ring, fd, { message: Buffer.from('ping'), interval: 0.1, rounds: 20 });
      expect(result.rounds).toBe(20);
      expect(result.least).toBeGreaterThan(0);
      expect(result.most).toBeGreaterThanOrEqual(result.mean);
      expect(ring.stats.posted - posted).toBe(1n);
      expect(ring.stats.runs - runs).toBeGreaterThanOrEqual(80n);
      const stopped = await ping(ring, fd, { interval: 1, signal: AbortSignal.timeout(30) });
      expect(stopped.rounds).toBeGreaterThan(0);
      peer.removeAllListeners('data');
      await expect(ping(ring, fd, { timeout: 10 })).rejects.toMatchObject({ errno: 'ETIME', operation: 'ping' });
      peer.destroy();
      await expect(ping(ring, fd)).rejects.toMatchObject({ code: /ECONNRESET|EPIPE/ });
      closeSync(fd);
    }));
});

describe('concat, quorum and ping over simulated worlds', () => {
  it('concat writes every byte in order, or says why not', async () => {
    let whole = 0;
    await simulate(
      100,
      () => ({ faults: { ...chaos, shrink: 0 } }),
      async ({ ring, world, seed }) => {
        const files = Array.from({ length: seed % 6 }, (_, i) => content((seed * (i + 7) * 31) % 9000, i));
        for (const [i, bytes] of files.entries()) world.file(`/f${i}`, bytes);
        const to = world.open('/to', 0o102);
        const before = world.openDescriptors.length;
        const paths = files.map((_, i) => `/f${i}`);
        try {
          const result = await concat(ring, paths, to, { block: 100 + ((seed * 37) % 4000), toOffset: 0 });
          expect(Buffer.from(world.read('/to')).equals(Buffer.concat(files))).toBe(true);
          expect(result.files).toBe(files.length);
          whole++;
        } catch (error) {
          if (!(error instanceof RequestError && error.errno === 'EIO')) throw error;
        }
        expect(world.openDescriptors.length).toBe(before);
      },
    );
    expect(whole).toBeGreaterThan(50);
  });

  it('quorum has enough, or says why not', async () => {
    await simulate(
      100,
      () => ({ faults: { ...chaos, again: 0, interrupted: 0, shrink: 0, ioError: 0.2 } }),
      async ({ ring, world, seed }) => {
        const count = 1 + (seed % 7);
        const needed = 1 + ((seed >> 3) % count);
        world.file('/f', content(100));
        const fd = world.open('/f');
        const buffer = ring.allocate(100);
        const prepare = (view: DataView, at: number) => read(view, at, fd, buffer.address, 100, 0);
        try {
          const requests = Array.from({ length: count }, () => ({ prepare, buffers: [buffer] }));
          const { succeeded, results } = await quorum(ring, needed, requests);
          expect(succeeded.length).toBeGreaterThanOrEqual(needed);
          for (const i of succeeded) expect(results[i]).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof RequestError && error.errno === 'EIO')) throw error;
        }
        buffer.free();
      },
    );
  });

  it('ping ends after its rounds, or with an error', async () => {
    let rounds = 0;
    await simulate(
      100,
      () => ({ faults: chaos }),
      async ({ ring, world, seed }) => {
        const { fd } = world.connected({ data: (peer, bytes) => peer.send(bytes) });
        try {
          const options = { message: content(1 + (seed % 50)), interval: 0.1, timeout: 100, rounds: 5 };
          rounds += (await ping(ring, fd, options)).rounds;
        } catch (error) {
          if (!(error instanceof RequestError && ['ECONNRESET', 'EPIPE'].includes(error.errno))) throw error;
        }
      },
    );
    expect(rounds).toBeGreaterThan(200);
  });
});
