/** `bench ring-patterns`: what patterns of rings take, and how often programs run and JavaScript is woken; the table of docs/ring-patterns.md. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as patterns from '../hooks/ring/patterns/index.ts';
import { Ring } from '../ring.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';
import { elapsed } from './ring-cases.ts';

const LARGE = 100_000_000;

interface PatternCase {
  readonly name: string;
  readonly run: (ring: Ring) => Promise<unknown>;
}

export interface PatternBenchOptions {
  readonly rounds: number;
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

function cases(folder: string): readonly PatternCase[] {
  const file = (name: string, bytes: Uint8Array | string) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  const large = file('large', Buffer.alloc(LARGE, 'sluice'));
  const text = file('text', 'line 12\n'.repeat(8750) + '\n'.repeat(1250));
  const parts = Array.from({ length: 10 }, (_, i) => file(`part${i}`, Buffer.alloc(7000, i)));
  const small = Array.from({ length: 1000 }, (_, i) => file(`small${i}`, Buffer.alloc(i, i)));
  const withFiles = async (
    run: (...fds: number[]) => Promise<unknown>,
    ...paths: readonly (readonly [string, string])[]
  ) => {
    const fds = paths.map(([path, how]) => openSync(path, how));
    await run(...fds);
    for (const fd of fds) closeSync(fd);
  };
  const target = join(folder, 'target');
  return [
    {
      name: 'copy: 100 MB, 16 blocks of 128 KiB at once, fdatasync',
      run: (ring) =>
        withFiles(
          (from, to) => patterns.copy(ring, from!, to!, { depth: 16, sync: 'data' }),
          [large, 'r'],
          [target, 'w'],
        ),
    },
    {
      name: 'checksum: CRC-32 of 100 MB',
      run: (ring) => withFiles((fd) => patterns.checksum(ring, fd!), [large, 'r']),
    },
    { name: 'lines: 10,000 lines, 70 KB', run: (ring) => withFiles((fd) => patterns.lines(ring, fd!), [text, 'r']) },
    {
      name: 'concat: 10 files, 70 KB',
      run: (ring) => withFiles((fd) => patterns.concat(ring, parts, fd!), [target, 'w']),
    },
    { name: 'readFile: 7 KB', run: (ring) => patterns.readFile(ring, parts[0]!) },
    {
      name: 'readFiles: 1000 files of 0 to 999 bytes, 64 at once',
      run: (ring) => patterns.readFiles(ring, small, { depth: 64 }),
    },
    {
      name: 'appendGroup: 256 appends of 100 bytes, 128 a group',
      run: (ring) =>
        withFiles(
          async (fd) => {
            const log = await patterns.appendGroup(ring, fd!, { offset: 0, group: 128, delay: 1000 });
            await Promise.all(Array.from({ length: 256 }, () => log.append(Buffer.alloc(100, 'x'))));
            await log.close();
          },
          [target, 'w'],
        ),
    },
    {
      name: 'readExactly: 1000 bytes of a file',
      run: (ring) => withFiles((fd) => patterns.readExactly(ring, fd!, 1000, { offset: 0 }), [large, 'r']),
    },
  ];
}

export async function benchRingPatterns(options: PatternBenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-patterns-'));
  const ring = await Ring.create({ entries: 256 });
  const notes = ['cached files; the first call, which loads the program, does not count; the shortest time counts'];
  try {
    const chosen = cases(folder).filter(({ name }) => options.filter === undefined || name.includes(options.filter));
    const done: BenchCase[] = [];
    for (const { name, run } of chosen) {
      options.progress(done.length, chosen.length, name);
      await run(ring);
      let ours = Number.POSITIVE_INFINITY;
      const before = ring.stats;
      await run(ring);
      const after = ring.stats;
      for (let round = 0; round < Math.min(options.rounds, 10); round++)
        ours = Math.min(ours, await elapsed(async () => void (await run(ring))));
      done.push({ case: name, ours, peers: {} });
      notes.push(
        `${name}: ${after.runs - before.runs} runs of programs, JavaScript told ${after.posted - before.posted} times`,
      );
    }
    return benchResult('ring-patterns', done, notes);
  } finally {
    await ring.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
