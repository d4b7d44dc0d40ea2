/** `sluice ring cp`, `sluice ring cat`: files through a ring, block after block by a program. */
import type { Command } from 'commander';
import { copy } from '../hooks/ring/patterns/copy.ts';
import type { Ring } from '../ring.ts';
import { Rings } from '../rings.ts';
import { exitCode, UsageError } from './exit.ts';
import { integerOption } from './options.ts';
import { addSessionOptions, type SessionOptions, withRing } from './ring-session.ts';
import type { Finish } from './verb.ts';

interface CopyVerbOptions extends SessionOptions {
  readonly rings?: number;
  readonly depth: number;
  readonly block: number;
  readonly sync?: boolean;
}

const STDOUT = 1;

function addBlocks(command: Command): Command {
  return command
    .option('--depth <n>', 'blocks under way at once', integerOption(1, 256), 8)
    .option('--block <bytes>', 'bytes of a block', integerOption(1, 2 ** 30), 131072);
}

/** Runs of programs, enters, and what JavaScript was woken for. */
function counters(ring: Ring) {
  const { requests, runs, enters } = ring.stats;
  return { requests: Number(requests), runs: Number(runs), enters: Number(enters) };
}

interface Part {
  readonly bytes: number;
  readonly requests: number;
  readonly runs: number;
  readonly enters: number;
}

const summed = (a: Part, b: Part): Part => ({
  bytes: a.bytes + b.bytes,
  requests: a.requests + b.requests,
  runs: a.runs + b.runs,
  enters: a.enters + b.enters,
});

/** One ring is turned by this thread, and may be recorded. */
async function withRings<T>(options: CopyVerbOptions, use: (rings: readonly Ring[]) => Promise<T>): Promise<T> {
  const { rings = 1 } = options;
  if (rings === 1) return withRing(options, (ring) => use([ring]));
  if (options.record !== undefined || options.chrome !== undefined || options.replay !== undefined)
    throw new UsageError('--record, --chrome and --replay are of one ring: leave out --rings');
  const set = await Rings.create({ rings });
  try {
    return await use(set.list);
  } finally {
    await set.close();
  }
}

/** Each ring copies a part of its own, in whole blocks; the last one goes on to wherever the file ends. What has no length goes by one ring. */
async function copyParts(
  rings: readonly Ring[],
  from: number,
  to: number,
  options: { readonly depth: number; readonly block: number; readonly sync: boolean },
): Promise<Part[]> {
  const [first] = rings as [Ring];
  const stats = await first.stat(from);
  const blocks = stats.isFile() ? Math.ceil(stats.size / options.block) : 0;
  const used = rings.slice(0, Math.max(1, Math.min(rings.length, blocks)));
  const length = Math.ceil(blocks / used.length) * options.block;
  return Promise.all(
    used.map(async (ring, i) => {
      const offset = i * length;
      const part = i + 1 === used.length ? {} : { length };
      const { bytes } = await copy(ring, from, to, { ...options, ...part, fromOffset: offset, toOffset: offset });
      return { bytes, ...counters(ring) };
    }),
  );
}

export function addRingCopy(ring: Command, finish: Finish): void {
  addSessionOptions(addBlocks(ring.command('cp').description('copy a file')))
    .argument('<from>', 'file')
    .argument('<to>', 'file; made, or written over and cut')
    .option('--sync', 'on its disk before the verb ends')
    .option('--rings <n>', 'so many, each on a CPU, each with a part of the file', integerOption(1, 63), 1)
    .action((from: string, to: string, options: CopyVerbOptions) =>
      finish(options.json === true, async (output) => {
        const start = performance.now();
        const { rings, ...result } = await withRings(options, async (sessions) => {
          const [session] = sessions as [Ring];
          const source = await session.open(from);
          try {
            const permissions = (await session.stat(source)).mode & 0o777;
            const target = await session.open(to, 'w', { permissions });
            try {
              const { depth, block, sync = false } = options;
              const parts = await copyParts(sessions, source, target, { depth, block, sync });
              return { ...parts.reduce(summed), rings: parts };
            } finally {
              await session.closeFd(target);
            }
          } finally {
            await session.closeFd(source);
          }
        });
        const seconds = (performance.now() - start) / 1000;
        output.line(
          `${to}: ${result.bytes} bytes in ${seconds.toFixed(3)} s; ${result.requests} requests, ${result.runs} runs of the program, ${result.enters} enters`,
        );
        if (rings.length > 1)
          for (const [i, part] of rings.entries())
            output.line(
              `ring ${i}: ${part.bytes} bytes, ${part.requests} requests, ${part.runs} runs, ${part.enters} enters`,
            );
        output.document({ schema: 'sluice.ring-cp/1', from, to, ...result, seconds, rings });
        return exitCode.yes;
      }),
    );

  addSessionOptions(addBlocks(ring.command('cat').description('files to standard output, one after the other')))
    .argument('<file...>')
    .action((files: string[], options: CopyVerbOptions) =>
      finish(options.json === true, async (output) => {
        const { depth, block } = options;
        let bytes = 0;
        await withRing(options, async (session) => {
          for (const file of files) {
            const fd = await session.open(file);
            try {
              bytes += (await copy(session, fd, STDOUT, { depth, block, toOffset: 'position' })).bytes;
            } finally {
              await session.closeFd(fd);
            }
          }
        });
        // Standard output is the files'.
        output.note(`${files.length} files, ${bytes} bytes`);
        return exitCode.yes;
      }),
    );
}
