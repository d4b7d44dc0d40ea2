import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checksum } from '../../src/hooks/ring/patterns/checksum.ts';
import { lines } from '../../src/hooks/ring/patterns/lines.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { contents, noRing, onKernel, pipes, simulate, withRing } from './bench.ts';

const content = contents((i) => ((i * i) >> 3) % 97);

/** CRC-32, bit by bit. */
function crc32(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function endsOf(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) ends.push(at);
  if (bytes.length > 0 && bytes.at(-1) !== 10) ends.push(bytes.length);
  return ends;
}

describe.skipIf(noRing !== undefined)(`checksum and lines ${onKernel}`, () => {
  it('calculates CRC-32 while it reads, and wakes JavaScript once', () =>
    withRing(async (ring, folder) => {
      const known = join(folder, 'known');
      writeFileSync(known, '123456789');
      const check = openSync(known, 'r');
      expect(await checksum(ring, check)).toEqual({ crc32: 0xcbf43926, bytes: 9 });
      closeSync(check);
      for (const size of [0, 7, 8, 4096, 4099, 200_001]) {
        writeFileSync(known, content(size));
        const fd = openSync(known, 'r');
        const { posted, runs } = ring.stats;
        expect(await checksum(ring, fd, { block: 16384 })).toEqual({ crc32: crc32(content(size)), bytes: size });
        expect(ring.stats.posted - posted).toBe(1n);
        expect(ring.stats.runs - runs).toBeGreaterThan(size > 100_000 ? 13n : 2n);
        const part = content(size).subarray(3, 3 + 50);
        const options = { offset: 3, length: 50, seed: 77 };
        expect(await checksum(ring, fd, options)).toEqual({ crc32: crc32(part, 77), bytes: part.length });
        closeSync(fd);
      }
    }));

  it('counts and splits lines', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'text');
      for (const text of ['', '\n', 'a', 'a\n', 'a\n\nb', content(100_000).toString('latin1'), '\n'.repeat(10_000)]) {
        const bytes = Buffer.from(text, 'latin1');
        writeFileSync(path, bytes);
        const fd = openSync(path, 'r');
        const ends = endsOf(bytes);
        expect(await lines(ring, fd)).toEqual({ lines: ends.length, bytes: bytes.length, ends: undefined });
        const split = await lines(ring, fd, { ends: true, block: 5000, room: 4096 });
        expect(split).toEqual({ lines: ends.length, bytes: bytes.length, ends: Float64Array.from(ends) });
        closeSync(fd);
      }
    }));

  it('reads pipes, says what is wrong, and ends when its signal aborts', () =>
    withRing(async (ring) => {
      const [reads, writes] = await pipes(ring);
      writeSync(writes, 'one\ntwo');
      const counting = lines(ring, reads);
      writeSync(writes, '\nthree');
      closeSync(writes);
      expect(await counting).toMatchObject({ lines: 3, bytes: 13 });
      closeSync(reads);
      const [open, end] = await pipes(ring);
      await expect(checksum(ring, open, { signal: AbortSignal.timeout(5) })).rejects.toMatchObject({
        name: 'TimeoutError',
      });
      closeSync(open);
      closeSync(end);
      await expect(lines(ring, 1_000_000)).rejects.toMatchObject({ errno: 'EBADF', operation: 'lines' });
    }));
});

describe('checksum and lines over simulated worlds', () => {
  it('see every byte once and in order, or say why not', async () => {
    let whole = 0;
    await simulate(
      100,
      () => ({ faults: { ...chaos, shrink: 0 } }),
      async ({ ring, world, seed }) => {
        const bytes = content((seed * 977) % 30_000, seed);
        world.file('/file', bytes);
        const options = { depth: 1 + (seed % 6), block: 100 + ((seed * 53) % 3000) };
        const [sum, split] = await Promise.allSettled([
          checksum(ring, world.open('/file'), options),
          lines(ring, world.open('/file'), { ...options, ends: true, room: 4096 }),
        ]);
        const ends = endsOf(bytes);
        if (sum.status === 'fulfilled') expect(sum.value).toEqual({ crc32: crc32(bytes), bytes: bytes.length });
        if (split.status === 'fulfilled') {
          const { ends: found, ...rest } = split.value;
          expect(rest).toEqual({ lines: ends.length, bytes: bytes.length });
          // As a whole: element by element it takes longer than all the rest.
          expect(found!.join()).toBe(ends.join());
        }
        for (const each of [sum, split])
          if (each.status === 'fulfilled') whole++;
          else if (!(each.reason instanceof RequestError && each.reason.errno === 'EIO')) throw each.reason;
      },
    );
    expect(whole).toBeGreaterThan(50);
  });
});
