/** `sluice ring serve`: on loopback, an echo server that a program runs, or static files over HTTP; with several rings each has a socket of its own on the same port. */
import { createServer } from 'node:net';
import { resolve, sep } from 'node:path';
import type { Command } from 'commander';
import { echo } from '../hooks/ring/patterns/echo.ts';
import type { SocketAddress } from '../hooks/ring/sockaddr.ts';
import { Ring } from '../ring.ts';
import { Rings } from '../rings.ts';
import { exitCode } from './exit.ts';
import { integerOption, secondsOption } from './options.ts';
import { FileServer } from './ring-file-server.ts';
import type { Finish } from './verb.ts';

interface ServeOptions {
  readonly port: number;
  readonly root?: string;
  readonly connections: number;
  readonly rings: number;
  readonly seconds?: number;
  readonly json?: boolean;
}

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;

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

type Counts = Readonly<Record<string, number>>;

interface OpenRings {
  readonly list: readonly Ring[];
  close(): Promise<void>;
}

/** One is turned by this thread, several by threads of their own. */
async function openRings({ rings, connections }: ServeOptions): Promise<OpenRings> {
  const requests = Math.min(2 ** 20, 4 * connections + 64);
  if (rings > 1) return Rings.create({ rings, requests });
  const ring = await Ring.create({ requests });
  return { list: [ring], close: () => ring.close() };
}

async function listenOn(ring: Ring, port: number, shared: boolean): Promise<number> {
  const address: SocketAddress = { family: 'ipv4', address: '127.0.0.1', port };
  const listener = await ring.socket('ipv4');
  await ring.setSocketOption(listener, SOL_SOCKET, SO_REUSEADDR, 1);
  if (shared) await ring.setSocketOption(listener, SOL_SOCKET, SO_REUSEPORT, 1);
  await ring.bind(listener, address);
  await ring.listen(listener, 1024);
  return listener;
}

/** Until the signal aborts. Connections are for all rings together. */
async function serve(
  ring: Ring,
  listener: number,
  options: ServeOptions,
  rings: number,
  signal: AbortSignal,
): Promise<Counts> {
  if (options.root !== undefined)
    return { ...(await new FileServer(ring, resolve(options.root) + sep).serve(listener, signal)) };
  return { ...(await echo(ring, listener, { connections: Math.ceil(options.connections / rings), signal })) };
}

function counted(ring: Ring): Counts {
  const { requests, runs, enters } = ring.stats;
  return { requests: Number(requests), runs: Number(runs), enters: Number(enters) };
}

const summed = (a: Counts, b: Counts): Counts =>
  Object.fromEntries(Object.entries(a).map(([name, value]) => [name, value + (b[name] ?? 0)]));

const words = (counts: Counts) =>
  Object.entries(counts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

export function addRingServe(ring: Command, finish: Finish): void {
  ring
    .command('serve')
    .description('serve on 127.0.0.1 until interrupted: echo, or with --root the files of a folder over HTTP')
    .option('--port <n>', 'default: one that is free', integerOption(0, 65535), 0)
    .option('--root <folder>', 'serve its files instead of echoing')
    .option('--connections <n>', 'at once', integerOption(1, 65536), 1024)
    .option(
      '--rings <n>',
      'so many, each on a CPU; the kernel gives each connection to one of them',
      integerOption(1, 63),
      1,
    )
    .option('--seconds <n>', 'end after so long', secondsOption)
    .option('--json', 'result as JSON')
    .action((options: ServeOptions) =>
      finish(options.json === true, async (output) => {
        const stop = new AbortController();
        const end = () => stop.abort();
        process.once('SIGINT', end);
        process.once('SIGTERM', end);
        const timer = options.seconds === undefined ? undefined : setTimeout(end, options.seconds * 1000);
        const rings = await openRings(options);
        const { list } = rings;
        try {
          const port = options.port === 0 ? await freePort() : options.port;
          const { signal } = stop;
          const sockets = await Promise.all(list.map((each) => listenOn(each, port, list.length > 1)));
          output.note(
            `serving ${options.root ?? 'echo'} on 127.0.0.1:${port}${list.length > 1 ? ` with ${list.length} rings` : ''}`,
          );
          // One that cannot go on ends all, in order.
          const results = await Promise.all(
            list.map((each, i) =>
              serve(each, sockets[i]!, options, list.length, signal).catch((error) => {
                end();
                throw error;
              }),
            ),
          );
          await Promise.all(list.map((each, i) => each.closeFd(sockets[i]!)));
          const each = results.map((result, i) => ({ ...result, ...counted(list[i]!) }));
          const total = each.reduce(summed);
          output.line(words(total));
          if (each.length > 1) for (const [i, result] of each.entries()) output.line(`ring ${i}: ${words(result)}`);
          output.document({ schema: 'sluice.ring-serve/1', port, ...total, rings: each });
          return exitCode.yes;
        } finally {
          clearTimeout(timer);
          process.off('SIGINT', end);
          process.off('SIGTERM', end);
          await rings.close();
        }
      }),
    );
}
