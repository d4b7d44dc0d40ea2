/** Echo on loopback: CPU time of the server for a request of 64 bytes and its answer, so that 1e9 over it is requests a second per core. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../errors.ts';
import { echo } from '../hooks/ring/patterns/echo.ts';
import { Ring } from '../ring.ts';
import type { RingCase, RingRun } from './ring-cases.ts';
import type { RingPeer } from './ring-peer.ts';

/** USER_HZ of Linux on every architecture that Node runs on. */
const TICK_NS = 1e7;
const SO_REUSEADDR = [1, 2] as const;
const script = fileURLToPath(import.meta.url);

/** User and system time of a process with all its threads, ns. */
function cpuTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_NS;
}

/** Time a kind of server takes for `count` requests over so many connections. */
function served(peer: RingPeer, kind: 'ring' | 'net' | 'c', connections: number): RingRun {
  return async (count) => {
    const server: ChildProcess =
      kind === 'c'
        ? spawn(peer.binary, ['echo', '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
        : spawn(process.execPath, [script, kind], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const port = await new Promise<number>((resolve, reject) => {
        server.on('error', reject);
        server.on('exit', (code) => reject(new InternalError(`echo server ${kind}: exit ${code}`)));
        server.stdout?.on('data', (text: Buffer) => resolve(Number(String(text))));
      });
      // What warms up, connections included, is not the server's steady state.
      await client(peer, Math.max(connections, 2000), port, connections);
      const before = cpuTime(server.pid!);
      await client(peer, count, port, connections);
      return cpuTime(server.pid!) - before;
    } finally {
      server.removeAllListeners('exit');
      server.kill('SIGKILL');
    }
  };
}

function client(peer: RingPeer, count: number, port: number, connections: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const process = spawn(peer.binary, ['echo-client', count, port, connections].map(String), {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    process.on('error', reject);
    process.on('exit', (code) => (code === 0 ? resolve() : reject(new InternalError(`echo client: exit ${code}`))));
  });
}

/** Needs the C peer as its client. */
export function echoCases(peer: RingPeer | undefined): readonly RingCase[] {
  if (peer === undefined) return [];
  return [1, 64, 1024].map((connections) => ({
    name: `echo of 64 bytes, ${connections} connections, CPU of the server: program`,
    count: connections === 1 ? 30_000 : 100_000,
    rounds: 3,
    ours: served(peer, 'ring', connections),
    peers: { 'liburing-c': served(peer, 'c', connections), 'node-net': served(peer, 'net', connections) },
  }));
}

async function serve(kind: string): Promise<void> {
  if (kind === 'net') {
    const server = createServer((socket) => {
      socket.setNoDelay(true);
      socket.on('data', (data) => socket.write(data));
      socket.on('error', () => {});
    });
    server.listen(0, '127.0.0.1', 4096, () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) process.stdout.write(`${address.port}\n`);
    });
    return;
  }
  const probe = createServer();
  const port = await new Promise<number>((resolve) =>
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    }),
  );
  const ring = await Ring.create({ entries: 2048, requests: 8192 });
  const listener = await ring.socket('ipv4');
  await ring.setSocketOption(listener, ...SO_REUSEADDR, 1);
  await ring.bind(listener, { family: 'ipv4', address: '127.0.0.1', port });
  await ring.listen(listener, 4096);
  process.stdout.write(`${port}\n`);
  await echo(ring, listener, { connections: 4096, buffer: 1024 });
}

if (process.argv[1] === script) await serve(process.argv[2] ?? '');
