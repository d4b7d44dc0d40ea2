/**
 * `bench steer-tap`: what a packet costs from a real TAP to its consumer, against bench/peers/tap-reader.c, which polls and reads into a buffer and computes nothing.
 * The device's queue is filled first; only the reading is timed, so that one CPU is enough.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InternalError, UnsupportedError } from '../errors.ts';
import { Steering } from '../hooks/steering/index.ts';
import { NetworkNamespace } from '../linux/netns.ts';
import { PacketSocket } from '../linux/packet-socket.ts';
import { TapSteering } from '../linux/steering/index.ts';
import type { SinkFactory } from '../linux/steering/sink.ts';
import { toFunction } from '../linux/steering/sink-callback.ts';
import { toTaps } from '../linux/steering/sink-tap.ts';
import { tunRefusal } from '../linux/tun.ts';
import { ethernet } from '../net/ethernet.ts';
import { ipv4 } from '../net/ipv4.ts';
import { packet } from '../net/packet.ts';
import { HASH_TYPES_ALL, verificationKey } from '../net/rss/index.ts';
import { udp } from '../net/udp.ts';
import { Runtime } from '../runtime/runtime.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';

const QUEUES = 4;
const PACKETS = 4096;
/** Of one process; there are as many of each side, in turns, as rounds are asked for, at most TURNS. */
const ROUNDS = 11;
const TURNS = 5;
const TAP = 'tap0';
const OUT = 'out0';

interface Work {
  readonly name: string;
  readonly bytes: number;
  readonly steers: boolean;
  readonly sink?: SinkFactory;
  readonly peer: 'read' | 'forward';
}

const look = toFunction((batch) => {
  for (const { hash, report } of batch)
    if (report === 0) throw new InternalError(`a packet with hash ${hash} and no report`);
});

const works: readonly Work[] = [
  { name: 'read and count, 64 bytes', bytes: 64, steers: false, peer: 'read' },
  { name: 'RSS of 4 queues, hash in the header, 64 bytes', bytes: 64, steers: true, peer: 'read' },
  { name: 'RSS of 4 queues, hash in the header, 1514 bytes', bytes: 1514, steers: true, peer: 'read' },
  { name: 'RSS, each packet to a function, 64 bytes', bytes: 64, steers: true, sink: look, peer: 'read' },
  { name: 'RSS, on to a TAP of 4 queues, 64 bytes', bytes: 64, steers: true, sink: toTaps(OUT), peer: 'forward' },
];

/** Throws UnsupportedError where there are no TAPs and no namespaces. */
export async function benchSteerTap(options: {
  readonly peers: string;
  readonly rounds: number;
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}): Promise<BenchResult> {
  const refusal = tunRefusal();
  if (refusal !== undefined) throw new UnsupportedError('TUN and TAP devices', refusal);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const namespace = new NetworkNamespace(`sluice-bt${process.pid}`);
  try {
    namespace.disableIpv6();
    const reader = build(options.peers, folder);
    const cases: BenchCase[] = [];
    const chosen = works.filter(({ name }) => options.filter === undefined || name.includes(options.filter));
    for (const [done, work] of chosen.entries()) {
      options.progress(done, chosen.length, work.name);
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let turn = 0; turn < Math.min(options.rounds, TURNS); turn++) {
        ours.push(...(await here(namespace, work)));
        if (reader !== undefined) theirs.push(...inC(namespace, reader, work));
      }
      cases.push({
        case: work.name,
        ours: Math.min(...ours),
        peers: theirs.length === 0 ? {} : { 'tap-reader-c': Math.min(...theirs) },
      });
    }
    const rate = cases.map((each) => `${(1e3 / each.ours).toFixed(2)}`).join(', ');
    return benchResult('steer-tap', cases, [
      `ns a packet from a device's queue of ${PACKETS}, filled before, the shortest of the rounds; the peer polls, reads until there are none, and computes nothing (forward: writes each to a second TAP)`,
      `millions of packets a second, by case: ${rate}`,
      ...(reader === undefined ? ['tap-reader-c is absent: no cc to build bench/peers/tap-reader.c'] : []),
    ]);
  } finally {
    namespace.remove();
    rmSync(folder, { recursive: true });
  }
}

function build(peers: string, folder: string): string | undefined {
  const binary = join(folder, 'tap-reader');
  const { status } = spawnSync('cc', ['-O2', '-o', binary, join(peers, 'tap-reader.c')], { stdio: 'ignore' });
  return status === 0 ? binary : undefined;
}

async function here(namespace: NetworkNamespace, work: Work): Promise<number[]> {
  const runtime = new Runtime({ seed: 1n });
  const steering = new Steering({
    runtime,
    queues: QUEUES,
    configuration: {
      hashTypes: HASH_TYPES_ALL,
      table: Array.from({ length: 128 }, (_, i) => i % QUEUES),
      unclassifiedQueue: 0,
      key: verificationKey,
    },
  });
  const device = namespace.run(
    () =>
      new TapSteering(runtime, TAP, {
        queues: work.steers ? QUEUES : 1,
        engine: work.steers ? steering.device : undefined,
        ...(work.sink === undefined ? {} : { sink: work.sink }),
      }),
  );
  try {
    namespace.ip('link', 'set', TAP, 'txqueuelen', String(PACKETS));
    const sender = namespace.run(() => new PacketSocket(TAP));
    const frames = Array.from({ length: 256 }, (_, i) =>
      packet(
        ethernet(),
        ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }),
        udp({ srcPort: 0x1000 + i, dstPort: 9 }),
        new Uint8Array(work.bytes - 42),
      ),
    );
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < PACKETS; i++) sender.send(frames[i & 255]!);
      const start = performance.now();
      for (let left = PACKETS; left > 0; ) left -= device.turn();
      times.push(((performance.now() - start) * 1e6) / PACKETS);
    }
    sender.close();
    // The first is the one in which V8 compiles.
    return times.slice(1);
  } finally {
    await device.close();
    steering.close();
  }
}

function inC(namespace: NetworkNamespace, reader: string, work: Work): number[] {
  const args = [TAP, work.bytes, PACKETS, ROUNDS, work.peer, OUT].map(String);
  const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', namespace.name, reader, ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new InternalError(`tap-reader: ${stderr.trim() || `exit ${status}`}`);
  return stdout.trim().split('\n').map(Number).slice(1);
}
