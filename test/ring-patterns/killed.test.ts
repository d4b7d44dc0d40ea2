/** kill -9 in the middle of every pattern that leaves something on disk: what it has told is there, and a rerun repairs the rest. */
import { closeSync, mkdirSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appendGroup } from '../../src/hooks/ring/patterns/append-group.ts';
import { concat } from '../../src/hooks/ring/patterns/concat.ts';
import { copy } from '../../src/hooks/ring/patterns/copy.ts';
import { writeExactly } from '../../src/hooks/ring/patterns/exact.ts';
import { contents, killed, noRing, onKernel, wholeRecords, withRing } from './bench.ts';

const bytes = contents((i) => (i * 7919) >> 3);
/** Moments after the first word: ms. */
const moments = [0, 17];

describe.skipIf(noRing !== undefined)(`killed ${onKernel}`, () => {
  it('copy is right after a rerun', () =>
    withRing(async (ring, folder) => {
      const [source, target] = [join(folder, 'from'), join(folder, 'to')];
      const content = bytes(16_000_000, 3);
      writeFileSync(source, content);
      for (const ms of moments) {
        await killed(
          `const [from, to] = [openSync(args[0], 'r'), openSync(args[1], 'w')];
          say('go');
          for (;;) await patterns.copy(ring, from, to, { block: 4096, depth: 2 });`,
          [source, target],
          { ms },
        );
        const [from, to] = [openSync(source, 'r'), openSync(target, 'r+')];
        await copy(ring, from, to, { sync: 'data' });
        expect(readFileSync(target).equals(content)).toBe(true);
        for (const fd of [from, to]) closeSync(fd);
      }
    }));

  it('concat has written nothing but a beginning, and is right after a rerun', () =>
    withRing(async (ring, folder) => {
      const parts = Array.from({ length: 40 }, (_, i) => join(folder, `part${i}`));
      for (const [i, part] of parts.entries()) writeFileSync(part, bytes(100_000 + i, i));
      const content = Buffer.concat(parts.map((part) => readFileSync(part)));
      const target = join(folder, 'whole');
      for (const ms of moments) {
        await killed(
          `say('go');
          for (;;) await patterns.concat(ring, args.slice(1), openSync(args[0], 'w'), { block: 4096 });`,
          [target, ...parts],
          { ms },
        );
        const left = readFileSync(target);
        expect(left.equals(content.subarray(0, left.length))).toBe(true);
        const to = openSync(target, 'r+');
        expect(await concat(ring, parts, to)).toEqual({ files: 40, bytes: content.length });
        expect(readFileSync(target).equals(content)).toBe(true);
        closeSync(to);
      }
    }));

  it('appendGroup has all that it answered, and goes on behind the last whole record', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'log');
      for (const ms of moments) {
        const told = await killed(
          `const log = await patterns.appendGroup(ring, openSync(args[0], 'w'), { offset: 0, group: 8 });
          for (let i = 0; ; i += 32)
            await Promise.all(Array.from({ length: 32 }, (_, j) => log.append(record(i + j)).then(() => say(i + j))));`,
          [path],
          { ms, words: 100 },
        );
        const { count, length } = wholeRecords(readFileSync(path));
        expect(count).toBeGreaterThan(Math.max(...told.map(Number)));
        truncateSync(path, length);
        const fd = openSync(path, 'r+');
        const log = await appendGroup(ring, fd, { offset: length });
        expect(await log.append(bytes(10))).toBe(length);
        await log.close();
        closeSync(fd);
      }
    }));

  it('quorum: what it told lies in two of three places', () =>
    withRing(async (_ring, folder) => {
      for (const ms of moments) {
        const paths = ['a', 'b', 'c'].map((name) => join(folder, `${name}${ms}`));
        const told = await killed(
          `const fds = args.map((path) => openSync(path, 'w'));
          const buffer = ring.allocate(4096);
          for (let i = 0; ; i++) {
            buffer.bytes.fill(1 + (i % 255));
            await patterns.quorum(ring, 2, fds.map((fd) => ({
              prepare: (view, at) => prep.write(view, at, fd, buffer.address, 4096, i * 4096),
              buffers: [buffer],
            })));
            say(i);
          }`,
          paths,
          { ms, words: 10 },
        );
        const places = paths.map((path) => readFileSync(path));
        for (const word of told) {
          const i = Number(word);
          const wanted = Buffer.alloc(4096, 1 + (i % 255));
          const having = places.filter((place) => place.subarray(i * 4096, (i + 1) * 4096).equals(wanted));
          expect(having.length).toBeGreaterThanOrEqual(2);
        }
      }
    }));

  it('writeExactly has written what it told, and the rest after a rerun', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'slots');
      const size = 300_000;
      for (const ms of moments) {
        const told = await killed(
          `const fd = openSync(args[0], 'w');
          for (let i = 0; ; i = (i + 1) % 20) {
            await patterns.writeExactly(ring, fd, Buffer.alloc(${size}, 1 + i), { offset: i * ${size} });
            say(i);
          }`,
          [path],
          { ms, words: 3 },
        );
        const left = readFileSync(path);
        for (const i of new Set(told.map(Number)))
          expect(left.subarray(i * size, (i + 1) * size).equals(Buffer.alloc(size, 1 + i))).toBe(true);
        const fd = openSync(path, 'r+');
        for (let i = 0; i < 20; i++) await writeExactly(ring, fd, Buffer.alloc(size, 1 + i), { offset: i * size });
        const all = Buffer.concat(Array.from({ length: 20 }, (_, i) => Buffer.alloc(size, 1 + i)));
        expect(readFileSync(path).equals(all)).toBe(true);
        closeSync(fd);
      }
    }));

  it('a file that a chain replaces is a whole one, old or new', () =>
    withRing(async (_ring, folder) => {
      for (const ms of moments) {
        const place = join(folder, `replace${ms}`);
        mkdirSync(place);
        const told = await killed(
          `const [path, fresh] = [args[0] + '/file', args[0] + '/file.new'];
          const bytes = Buffer.alloc(200_000);
          for (let i = 1; ; i++) {
            bytes.fill(i);
            const fd = await ring.open(fresh, 'w');
            await Promise.all([
              ring.write(fd, bytes, { offset: 0, link: true }),
              ring.fsync(fd, { link: true }),
              ring.rename(fresh, path),
            ]);
            await ring.closeFd(fd);
            say(i);
          }`,
          [place],
          { ms, words: 2 },
        );
        const left = readFileSync(join(place, 'file'));
        expect(left.length).toBe(200_000);
        expect(left.equals(Buffer.alloc(200_000, left[0]))).toBe(true);
        const last = Number(told.at(-1));
        expect([last % 256, (last + 1) % 256]).toContain(left[0]);
      }
    }));
});
