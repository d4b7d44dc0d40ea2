/** `bench ring`: requests by io_uring from JavaScript and from programs, in ns an operation, against liburing and plain calls in C, and node:fs. */
import { UnsupportedError } from '../errors.ts';
import { type BenchCase, type BenchResult, benchResult } from './report.ts';
import { type RingCase, timeCase } from './ring-cases.ts';
import { echoCases } from './ring-echo.ts';
import { nopCases } from './ring-nops.ts';
import { RingPeer } from './ring-peer.ts';
import { StorageCases } from './ring-storage.ts';

export interface RingBenchOptions {
  /** Folders bpf/ and bench/peers/ of the checkout or package. */
  readonly bpf: string;
  readonly peers: string;
  readonly rounds: number;
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

export async function benchRing(options: RingBenchOptions): Promise<BenchResult> {
  const notes: string[] = ['each side runs in turns; the shortest time counts'];
  let peer: RingPeer | undefined;
  try {
    peer = new RingPeer(options.peers);
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    notes.push(`liburing-c and pread-c are absent: ${error.message}`);
  }
  const storage = new StorageCases(peer);
  try {
    const all: readonly RingCase[] = [...(await nopCases(options.bpf, peer)), ...storage.all(), ...echoCases(peer)];
    const chosen = all.filter(({ name }) => options.filter === undefined || name.includes(options.filter));
    const cases: BenchCase[] = [];
    for (const each of chosen) {
      options.progress(cases.length, chosen.length, each.name);
      cases.push(await timeCase(each, options.rounds));
    }
    return benchResult('ring', cases, [...notes, ...storage.notes]);
  } finally {
    storage.close();
    peer?.close();
  }
}
