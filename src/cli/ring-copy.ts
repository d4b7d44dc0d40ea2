/** `sluice ring cp`, `sluice ring cat`: files through a ring, block after block by a program. */
import type { Command } from 'commander';
import { copy } from '../hooks/ring/patterns/copy.ts';
import type { Ring } from '../ring.ts';
import { exitCode } from './exit.ts';
import { integerOption } from './options.ts';
import { addSessionOptions, type SessionOptions, withRing } from './ring-session.ts';
import type { Finish } from './verb.ts';

interface CopyVerbOptions extends SessionOptions {
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

export function addRingCopy(ring: Command, finish: Finish): void {
  addSessionOptions(addBlocks(ring.command('cp').description('copy a file')))
    .argument('<from>', 'file')
    .argument('<to>', 'file; made, or written over and cut')
    .option('--sync', 'on its disk before the verb ends')
    .action((from: string, to: string, options: CopyVerbOptions) =>
      finish(options.json === true, async (output) => {
        const start = performance.now();
        const result = await withRing(options, async (session) => {
          const source = await session.open(from);
          try {
            const permissions = (await session.stat(source)).mode & 0o777;
            const target = await session.open(to, 'w', { permissions });
            try {
              const { depth, block, sync = false } = options;
              const { bytes } = await copy(session, source, target, { depth, block, sync });
              return { bytes, ...counters(session) };
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
        output.document({ schema: 'sluice.ring-cp/1', from, to, ...result, seconds });
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
