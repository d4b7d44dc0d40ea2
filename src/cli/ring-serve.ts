/** `sluice ring serve`: on loopback, an echo server that a program runs, or static files over HTTP. */
import { createServer } from 'node:net';
import { resolve, sep } from 'node:path';
import type { Command } from 'commander';
import { echo } from '../hooks/ring/patterns/echo.ts';
import type { SocketAddress } from '../hooks/ring/sockaddr.ts';
import { Ring } from '../ring.ts';
import { exitCode } from './exit.ts';
import { integerOption, secondsOption } from './options.ts';
import { FileServer } from './ring-file-server.ts';
import type { Finish } from './verb.ts';

interface ServeOptions {
  readonly port: number;
  readonly root?: string;
  readonly connections: number;
  readonly seconds?: number;
  readonly json?: boolean;
}

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

/** A port that is free now: io_uring of 6.18 cannot ask which one the kernel chose. */
function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer();
    probe.on('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => found(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export function addRingServe(ring: Command, finish: Finish): void {
  ring
    .command('serve')
    .description('serve on 127.0.0.1 until interrupted: echo, or with --root the files of a folder over HTTP')
    .option('--port <n>', 'default: one that is free', integerOption(0, 65535), 0)
    .option('--root <folder>', 'serve its files instead of echoing')
    .option('--connections <n>', 'at once', integerOption(1, 65536), 1024)
    .option('--seconds <n>', 'end after so long', secondsOption)
    .option('--json', 'result as JSON')
    .action((options: ServeOptions) =>
      finish(options.json === true, async (output) => {
        const stop = new AbortController();
        const end = () => stop.abort();
        process.once('SIGINT', end);
        process.once('SIGTERM', end);
        const timer = options.seconds === undefined ? undefined : setTimeout(end, options.seconds * 1000);
        const session = await Ring.create({ requests: Math.min(2 ** 20, 4 * options.connections + 64) });
        try {
          const port = options.port === 0 ? await freePort() : options.port;
          const address: SocketAddress = { family: 'ipv4', address: '127.0.0.1', port };
          const listener = await session.socket('ipv4');
          await session.setSocketOption(listener, SOL_SOCKET, SO_REUSEADDR, 1);
          await session.bind(listener, address);
          await session.listen(listener, 1024);
          output.note(`serving ${options.root ?? 'echo'} on 127.0.0.1:${port}`);
          const { connections } = options;
          const { signal } = stop;
          const result =
            options.root === undefined
              ? await echo(session, listener, { connections, signal })
              : await new FileServer(session, resolve(options.root) + sep).serve(listener, signal);
          await session.closeFd(listener);
          const { requests, runs, enters } = session.stats;
          output.line(
            Object.entries({ ...result, requests, runs, enters })
              .map(([name, value]) => `${name} ${value}`)
              .join(', '),
          );
          output.document({
            schema: 'sluice.ring-serve/1',
            port,
            ...result,
            requests: Number(requests),
            runs: Number(runs),
            enters: Number(enters),
          });
          return exitCode.yes;
        } finally {
          clearTimeout(timer);
          process.off('SIGINT', end);
          process.off('SIGTERM', end);
          await session.close();
        }
      }),
    );
}
