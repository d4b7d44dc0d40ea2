/** The veth cases of `bench xdp`: a flood from another network namespace, received through AF_XDP by us and by bench/peers/afxdp-rx.c in turns. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InternalError, UnsupportedError } from '../errors.ts';
import { load } from '../index.ts';
import { AfXdpAttachment } from '../linux/af-xdp-attachment.ts';
import { bpfRefusal } from '../linux/features.ts';
import { VethPair } from '../linux/veth.ts';
import type { BenchCase } from './report.ts';
import { median } from './timing.ts';
import { assembled, vethPrograms } from './xdp-programs.ts';

const ROUNDS = 3;
const SECONDS = 0.7;
const BYTES = 64;

/** ns a packet: by the clock, and of this process's CPU time. */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** Throws UnsupportedError where there is no bpf(2), no namespace or no AF_XDP. */
export async function benchVeth(
  peers: string,
  progress: (done: number, of: number, name: string) => void,
): Promise<{ readonly cases: readonly BenchCase[]; readonly notes: readonly string[] }> {
  const refusal = bpfRefusal();
  if (refusal !== undefined) throw new UnsupportedError('bpf(2)', refusal);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const pair = new VethPair(`b${process.pid}`);
  try {
    const receiver = build(peers, folder);
    const cases: BenchCase[] = [];
    for (const [done, work] of (['drop', 'echo'] as const).entries()) {
      const ours: Cost[] = [];
      const theirs: Cost[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        progress(done, 2, `veth ${work}, round ${round + 1} of ${ROUNDS}`);
        ours.push(await receiveHere(pair, work));
        if (receiver !== undefined) theirs.push(await receiveInC(receiver, pair, work));
      }
      for (const kind of ['wall', 'cpu'] as const) {
        const cost = (all: readonly Cost[]) => median(all.map((each) => each[kind]));
        cases.push({
          case: `veth ${work}: ${kind === 'wall' ? 'ns between packets' : 'CPU time'}`,
          ours: cost(ours),
          peers: theirs.length === 0 ? {} : { 'afxdp-c': cost(theirs) },
        });
      }
    }
    return {
      cases,
      notes: [
        `veth: packets of ${BYTES} bytes flooded by the kernel from another namespace, AF_XDP in copy mode, ${ROUNDS} rounds of ${SECONDS} s in turns; CPU time is that of the receiving process, its system calls included`,
        ...(receiver === undefined ? ['afxdp-c is absent: no cc to build bench/peers/afxdp-rx.c'] : []),
      ],
    };
  } finally {
    pair.remove();
    rmSync(folder, { recursive: true });
  }
}

function build(peers: string, folder: string): string | undefined {
  const binary = join(folder, 'afxdp-rx');
  const { status } = spawnSync('cc', ['-O2', '-o', binary, join(peers, 'afxdp-rx.c')], { stdio: 'ignore' });
  return status === 0 ? binary : undefined;
}

/** Floods until the returned function is called. */
function flood(pair: VethPair): () => Promise<void> {
  const script = join(dirname(fileURLToPath(import.meta.url)), 'xdp-sender.js');
  const args = [script, pair.namespace, pair.there, String(BYTES)];
  const sender = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => sender.on('close', () => resolve()));
  return async () => {
    if (sender.exitCode !== null) throw new InternalError(`the sender of packets ended with ${sender.exitCode}`);
    sender.kill('SIGKILL');
    await ended;
  };
}

async function receiveHere(pair: VethPair, work: keyof typeof vethPrograms): Promise<Cost> {
  const object = await load(assembled(work, vethPrograms[work]), { cpus: 1, seed: 1n });
  const { executable } = object.programs[work]!;
  const attachment = new AfXdpAttachment(object.runtime, pair.here, executable, { mode: 'native', copy: 'copy' });
  const end = flood(pair);
  const measure = async (seconds: number) => {
    const before = { packets: attachment.counters().packets, cpu: process.cpuUsage(), at: performance.now() };
    await attachment.serve({ signal: AbortSignal.timeout(seconds * 1000) });
    const packets = attachment.counters().packets - before.packets;
    const { user, system } = process.cpuUsage(before.cpu);
    return { wall: ((performance.now() - before.at) * 1e6) / packets, cpu: ((user + system) * 1000) / packets };
  };
  try {
    // The sender has to come up, and V8 to compile.
    await measure(0.4);
    return await measure(SECONDS);
  } finally {
    await end();
    await attachment.close();
    object.close();
  }
}

async function receiveInC(binary: string, pair: VethPair, work: keyof typeof vethPrograms): Promise<Cost> {
  // The flood finds its way only while the other end has a program, so the receiver comes first; its time begins when packets come.
  const receiver = spawn(binary, [pair.here, String(SECONDS), work], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = linesOf(receiver);
  await lines.next();
  const end = flood(pair);
  try {
    const { value } = await lines.next();
    const [packets, wall, cpu] = String(value).split(' ').map(Number);
    if (packets === undefined || wall === undefined || cpu === undefined || !(packets > 0))
      throw new InternalError(`afxdp-rx says ${String(value)}`);
    return { wall: wall / packets, cpu: cpu / packets };
  } finally {
    await end();
  }
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const chunk of child.stdout!) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}
