/** What tests of patterns share: rings over the kernel and over the simulated world, and that nothing is left behind. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { addressFamilies, socketTypes } from '../../src/abi/io-uring/call-flags.ts';
import { UnsupportedError } from '../../src/errors.ts';
import { close } from '../../src/hooks/ring/prep/path.ts';
import { bind, connect, listen, socket } from '../../src/hooks/ring/prep/socket.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { SimulatedBackend, type SimulationOptions } from '../../src/hooks/ring/simulated/backend.ts';
import { World } from '../../src/hooks/ring/simulated/world/index.ts';
import { encodeSockaddr } from '../../src/hooks/ring/sockaddr.ts';
import { SQE_ADDR, SQE_OPCODE } from '../../src/plane/layout/sqe.ts';
import { Ring } from '../../src/ring.ts';
import { Runtime } from '../../src/runtime/runtime.ts';

async function unavailable(): Promise<string | undefined> {
  try {
    await (await Ring.create({ entries: 4 })).close();
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}
/** Why there is no io_uring here; undefined: there is. */
export const noRing = await unavailable();
export const onKernel = `on this kernel${noRing === undefined ? '' : ` (skipped: ${noRing})`}`;

/** `length` bytes that differ from place to place: what the function makes of the places of the first 256 KiB, again and again. */
export function contents(byte: (i: number) => number): (length: number, seed?: number) => Buffer {
  const PERIOD = 256 << 10;
  let made: Buffer | undefined;
  return (length, seed = 0) => {
    made ??= Buffer.from(Uint8Array.from({ length: PERIOD }, (_, i) => byte(i)));
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0, from = (seed * 257) % PERIOD; at < length; from = 0) at += made.copy(bytes, at, from);
    return bytes;
  };
}

/** Descriptors of files, pipes and sockets of this process. */
function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const link = readlinkSync(`/proc/self/fd/${fd}`);
      return link.startsWith('/proc/') ? [] : [`${fd} ${link}`];
    } catch {
      return [];
    }
  });
}

/** Record `i` of a log. */
export const record = (i: number) => Buffer.from(`record ${i} ${'x'.repeat(i % 50)}\n`);

/** Records that are whole, from the beginning on: what somebody who opens the log again keeps. */
export function wholeRecords(bytes: Buffer): { count: number; length: number } {
  let length = 0;
  for (let count = 0; ; count++) {
    const next = record(count);
    if (!bytes.subarray(length, length + next.length).equals(next)) return { count, length };
    length += next.length;
  }
}

const built = (path: string) => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);

/**
 * Runs a script in a process of its own, which has `ring`, `patterns`, `prep`, `args`, `record` and `say`, and kills it `ms` after it has said so many words.
 * What it has said, word for word.
 */
export async function killed(
  script: string,
  args: readonly string[],
  when: { readonly ms: number; readonly words?: number },
): Promise<string[]> {
  const { ms, words = 1 } = when;
  const whole = `
    import { openSync, writeSync } from 'node:fs';
    const { Ring, patterns, prep } = await import(${built('index.js')});
    const ring = await Ring.create({ entries: 64 });
    const args = process.argv.slice(1);
    const record = ${record};
    const say = (word) => writeSync(1, word + '\\n');
    ${script}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', whole, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  const gone = new Promise<unknown>((resolve) => child.on('close', (_code, signal) => resolve(signal)));
  const said = new Promise<void>((resolve) =>
    child.stdout.on('data', (data) => {
      told += data;
      if (told.split('\n').length > words) resolve();
    }),
  );
  await Promise.race([said, gone]);
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  expect(await gone).toBe('SIGKILL');
  return told.split('\n').slice(0, -1);
}

/** Runs on a ring of the kernel, in a folder of its own; afterwards nothing is under way, and no descriptor is left that was not there. */
export async function withRing(run: (ring: Ring, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-patterns-'));
  const before = descriptors();
  const ring = await Ring.create({ entries: 64 });
  try {
    await run(ring, folder);
    await settled(ring);
    expect(ring.live).toBe(0);
    expect(ring.issued).toBe(0);
    expect(ring.stats.escalated).toBe(0n);
    expect(ring.lastFault).toBeUndefined();
    expect(ring.completions.length).toBe(0);
  } finally {
    await ring.close();
    rmSync(folder, { recursive: true });
  }
  expect(descriptors()).toEqual(before);
}

/** What cancels may still be under way when what they cancelled has ended. */
async function settled(ring: Ring): Promise<void> {
  for (let i = 0; i < 250 && ring.live > 0; i++)
    await new Promise((resolve) => (i < 200 ? setImmediate(resolve) : setTimeout(resolve, 1)));
}

/** Seeds of a run: SLUICE_RING_SEEDS=10000 for all, from SLUICE_RING_FIRST as far as SLUICE_RING_SECONDS allow; SLUICE_RING_SEED=n replays one. */
export function seeds(count: number, more: readonly number[] = []): number[] {
  if (isReplay) return [Number(process.env.SLUICE_RING_SEED)];
  const wanted = process.env.SLUICE_RING_SEEDS;
  const length = wanted === undefined ? count : Number(wanted);
  const first = Number(process.env.SLUICE_RING_FIRST ?? 1);
  return [...Array.from({ length }, (_, i) => i + 1).slice(first - 1), ...more.filter((seed) => seed > length)];
}

/** More than a test usually runs: it says how many. */
const isLong = process.env.SLUICE_RING_SEEDS !== undefined;

/** One seed alone: what holds of many together cannot be asked of it. */
export const isReplay = process.env.SLUICE_RING_SEED !== undefined;

/** Real time for one simulated run, which takes some 10 ms: beyond it it hangs. */
const LIMIT_MS = 5000;

async function limited<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), LIMIT_MS);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export interface Simulated {
  readonly ring: Ring;
  readonly world: World;
  readonly backend: SimulatedBackend;
  readonly seed: number;
}

// Programs are loaded once for a runtime: loading them costs more than a simulated run.
const runtime = new Runtime({ seed: 1n });

/**
 * Runs over simulated worlds, one for each seed, from 1 to `count` and those of `more`, which have failed before. `options` may depend on it. What fails or hangs
 * says how to run it again.
 */
export async function simulate(
  count: number,
  options: (seed: number) => SimulationOptions & { readonly requests?: number },
  run: (simulated: Simulated) => Promise<void>,
  more: readonly number[] = [],
): Promise<void> {
  const { SLUICE_RING_SECONDS: seconds } = process.env;
  const start = performance.now();
  const until = start + Number(seconds ?? Number.POSITIVE_INFINITY) * 1000;
  let done = 0;
  for (const seed of seeds(count, more)) {
    if (done >= count && performance.now() > until) break;
    done++;
    const world = new World();
    const { requests = 256, ...simulation } = options(seed);
    const backend = new SimulatedBackend(runtime, { world, seed, ...simulation });
    const ring = await Ring.create({ runtime, backend, requests, staged: 64, programs: 32 });
    try {
      await limited(run({ ring, world, backend, seed }), 'the pattern');
      await settled(ring);
      expect(ring.live).toBe(0);
      expect(backend.inFlight).toBe(0);
      expect(ring.stats.escalated).toBe(0n);
      expect(ring.completions.length).toBe(0);
      await limited(ring.close(), 'the end of the ring');
    } catch (error) {
      const told = error instanceof Error ? error : new Error(String(error));
      told.message = `seed ${seed} (replay: SLUICE_RING_SEED=${seed} npx vitest run test/ring-patterns): ${told.message}\n${backend.history.text(30)}`;
      // What hangs does not end now, either.
      limited(ring.close(), 'the end of the ring').catch(() => {});
      throw told;
    }
  }
  if (isLong)
    console.log(`${done} seeds, ${Math.round(performance.now() - start)} ms: ${expect.getState().currentTestName}`);
}

const OP_PIPE = 62;

/** Descriptors of a new pipe: to read, to write. */
export async function pipes(ring: Ring): Promise<[number, number]> {
  const pair = ring.allocate(64);
  await ring.request('pipe', (view, at) => {
    view.setUint8(at + SQE_OPCODE, OP_PIPE);
    view.setUint32(at + SQE_ADDR, pair.address, true);
  });
  const view = new DataView(pair.bytes.buffer, pair.address);
  const result: [number, number] = [view.getInt32(0, true), view.getInt32(4, true)];
  pair.free();
  return result;
}

/** A listening socket of 127.0.0.1, made by the ring. */
export async function listening(ring: Ring): Promise<{ fd: number; port: number; close: () => Promise<void> }> {
  const address = ring.allocate(16);
  const fd = await ring.request('socket', (view, at) => socket(view, at, addressFamilies.INET, socketTypes.STREAM));
  for (let port = 20000 + (process.pid % 20000); ; port++) {
    const view = new DataView(address.bytes.buffer, address.address);
    encodeSockaddr(view, 0, { family: 'ipv4', address: '127.0.0.1', port });
    try {
      await ring.request('bind', (sqe, at) => bind(sqe, at, fd, address.address, 16));
    } catch (error) {
      if (error instanceof RequestError && error.errno === 'EADDRINUSE') continue;
      throw error;
    }
    await ring.request('listen', (sqe, at) => listen(sqe, at, fd, 128));
    address.free();
    return { fd, port, close: async () => void (await ring.request('close', (sqe, at) => close(sqe, at, fd))) };
  }
}

/** Two ends of a connection of 127.0.0.1: a descriptor for the ring, and a socket of Node. */
export async function socketPair(): Promise<{ fd: number; peer: Socket }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const ring = await Ring.create({ entries: 4 });
  const fd = await ring.request('socket', (view, at) => socket(view, at, addressFamilies.INET, socketTypes.STREAM));
  const { bytes, address } = ring.allocate(16);
  encodeSockaddr(new DataView(bytes.buffer), address, { family: 'ipv4', address: '127.0.0.1', port });
  await ring.request('connect', (view, at) => connect(view, at, fd, address, 16));
  await ring.close();
  const peer = await accepted;
  server.close();
  return { fd, peer };
}
