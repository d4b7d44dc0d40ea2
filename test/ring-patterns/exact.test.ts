import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readExactly, writeExactly } from '../../src/hooks/ring/patterns/exact.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { contents, noRing, onKernel, pipes, simulate, withRing } from './bench.ts';

const content = contents((i) => i * 11);

describe.skipIf(noRing !== undefined)(`readExactly and writeExactly ${onKernel}`, () => {
  it('put short reads of a pipe together', () =>
    withRing(async (ring) => {
      const [reads, writes] = await pipes(ring);
      const { posted, runs } = ring.stats;
      const reading = readExactly(ring, reads, 10);
      for (const text of ['ab', 'cde', 'f', 'ghijkl']) {
        const before = ring.stats.runs;
        writeSync(writes, text);
        // Until the program has seen this part: on a busy machine parts would be read together.
        for (let i = 0; i < 1000 && ring.stats.runs === before; i++)
          await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(Buffer.from(await reading).toString()).toBe('abcdefghij');
      expect(ring.stats.posted - posted).toBe(1n);
      expect(ring.stats.runs - runs).toBeGreaterThanOrEqual(4n);
      const rest = readExactly(ring, reads, 5);
      closeSync(writes);
      await expect(rest).rejects.toMatchObject({ errno: 'ENODATA', operation: 'readExactly' });
      closeSync(reads);
    }));

  it('write all of it where a pipe has less room, and say what is wrong', () =>
    withRing(async (ring, folder) => {
      const [reads, writes] = await pipes(ring);
      const writing = writeExactly(ring, writes, content(300_000));
      expect(Buffer.from(await readExactly(ring, reads, 300_000)).equals(content(300_000))).toBe(true);
      await writing;
      closeSync(reads);
      await expect(writeExactly(ring, writes, content(1))).rejects.toMatchObject({ errno: 'EPIPE' });
      closeSync(writes);
      const path = join(folder, 'file');
      writeFileSync(path, '0123456789');
      const fd = openSync(path, 'r+');
      await writeExactly(ring, fd, Buffer.from('xyz'), { offset: 4 });
      expect(readFileSync(path, 'latin1')).toBe('0123xyz789');
      await expect(readExactly(ring, fd, 5, { offset: 6 })).rejects.toMatchObject({ errno: 'ENODATA' });
      expect(await readExactly(ring, fd, 0)).toEqual(new Uint8Array());
      closeSync(fd);
    }));

  it('end when their signal aborts', () =>
    withRing(async (ring) => {
      const [reads, writes] = await pipes(ring);
      const signal = AbortSignal.timeout(5);
      await expect(readExactly(ring, reads, 1, { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
      closeSync(reads);
      closeSync(writes);
    }));
});

describe('readExactly and writeExactly over simulated worlds', () => {
  it('transfer every byte', async () => {
    await simulate(
      150,
      () => ({ faults: { ...chaos, ioError: 0, reset: 0 } }),
      async ({ ring, world, seed }) => {
        const bytes = content((seed * 61) % 10_007);
        const [near, far] = world.socketPair();
        const [, got] = await Promise.all([
          writeExactly(ring, near, bytes, { socket: true }),
          readExactly(ring, far, bytes.length, { socket: seed % 2 === 0 }),
        ]);
        expect(Buffer.from(got).equals(bytes)).toBe(true);
        world.file('/short', bytes);
        const [error] = await Promise.allSettled([
          readExactly(ring, world.open('/short'), bytes.length + 1, { offset: 0 }),
        ]);
        expect(error.status === 'rejected' && error.reason instanceof RequestError && error.reason.errno).toBe(
          'ENODATA',
        );
      },
    );
  });
});
