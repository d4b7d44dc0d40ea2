/**
 * `bench load`: how long it takes from an object's bytes to programs that can run. `open` is reading alone (ELF, BTF, maps, relocations), against
 * libbpf's bpf_object__open_mem; `load` is everything (types matched, verified, compiled, maps made), against libbpf with the kernel behind
 * it, and against our own loader into the kernel; `load … again` is our second load of the same object in a process, which remembers verdicts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { SluiceError } from '../errors.ts';
import { load, Runtime } from '../index.ts';
import { bpfRefusal } from '../linux/features.ts';
import { readObject } from '../object/index.ts';
import { forgetVerdicts } from '../runtime/admission.ts';
import { type BenchCase, type BenchResult, benchResult, type PeerName } from './report.ts';

export interface LoadBenchOptions {
  /** Object files. */
  readonly objects: readonly string[];
  /** Folder of the peers' C sources. */
  readonly peers: string;
  readonly rounds: number;
  readonly filter?: string;
  progress(done: number, of: number, name: string): void;
}

/** Times of one object, ns; undefined: refused, or nothing to measure it with. */
interface LoadTimes {
  readonly open: number;
  readonly load: number | undefined;
  /** With the verdicts of the load before it; undefined where the kernel judges, each time anew. */
  readonly again: number | undefined;
}

export async function benchLoad(options: LoadBenchOptions): Promise<BenchResult> {
  const kernel = bpfRefusal();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  try {
    const libbpf = build(options.peers, folder);
    const cases: BenchCase[] = [];
    const skipped: string[] = [];
    const chosen = options.objects.filter((path) => options.filter === undefined || path.includes(options.filter));
    for (const [done, path] of chosen.entries()) {
      const name = basename(path).replace(/(\.bpf)?\.o$/, '');
      options.progress(done, chosen.length, name);
      const bytes = new Uint8Array(readFileSync(path));
      const ours = await measure(bytes, name, options.rounds, 'user');
      const theirs = libbpf === undefined || kernel !== undefined ? undefined : peer(libbpf, path, options.rounds);
      const linux = kernel === undefined ? (await measure(bytes, name, options.rounds, 'linux')).load : undefined;
      cases.push({ case: `open ${name}`, ours: ours.open, peers: theirs === undefined ? {} : { libbpf: theirs.open } });
      if (ours.load === undefined) {
        skipped.push(name);
        continue;
      }
      const peers: Partial<Record<PeerName, number>> = {};
      if (theirs?.load !== undefined) peers.libbpf = theirs.load;
      if (linux !== undefined) peers.linux = linux;
      cases.push({ case: `load ${name}`, ours: ours.load, peers });
      if (ours.again !== undefined) cases.push({ case: `load ${name} again`, ours: ours.again, peers: {} });
    }
    return benchResult('load', cases, [
      `shortest of ${options.rounds} rounds in one process, after a round that does not count; closing is not timed`,
      'libbpf and linux: the kernel verifies and compiles; linux is our loader into the kernel',
      'load: the programs are verified anew each time; again: the verdicts of the load before it are remembered, which the kernel does not do',
      ...(skipped.length > 0 ? [`not loaded in user space: ${skipped.join(', ')}`] : []),
      ...(kernel === undefined ? [] : [`libbpf and linux are absent: ${kernel}`]),
      ...(libbpf === undefined ? ['libbpf is absent: bench/peers/libbpf-load.c needs cc and libbpf-dev'] : []),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(bytes: Uint8Array, name: string, rounds: number, target: 'user' | 'linux'): Promise<LoadTimes> {
  const opens: number[] = [];
  const loads: number[] = [];
  const repeated: number[] = [];
  try {
    for (let round = 0; round <= rounds; round++) {
      forgetVerdicts();
      const first = await loadOnce(bytes, name, target);
      const second = target === 'user' ? await loadOnce(bytes, name, target) : undefined;
      if (round === 0) continue;
      opens.push(first.open);
      loads.push(first.whole);
      if (second !== undefined) repeated.push(second.whole);
    }
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    for (let round = 0; round <= rounds; round++) {
      const start = performance.now();
      readObject(bytes, name);
      if (round > 0) opens.push((performance.now() - start) * 1e6);
    }
    return { open: Math.min(...opens), load: undefined, again: undefined };
  }
  const again = repeated.length === 0 ? undefined : Math.min(...repeated);
  return { open: Math.min(...opens), load: Math.min(...loads), again };
}

/** Times in ns; `whole` has `open` in it. */
async function loadOnce(bytes: Uint8Array, name: string, target: 'user' | 'linux') {
  const runtime = target === 'user' ? new Runtime({ cpus: 1 }) : undefined;
  const start = performance.now();
  const spec = readObject(bytes, name);
  const opened = performance.now();
  const loaded = runtime === undefined ? await load(spec, { target: 'linux' }) : await load(spec, { runtime });
  const done = performance.now();
  loaded.close();
  return { open: (opened - start) * 1e6, whole: (done - start) * 1e6 };
}

function peer(binary: string, path: string, rounds: number): LoadTimes | undefined {
  try {
    const [open, whole] = execFileSync(binary, [path, String(rounds)], { encoding: 'utf8' })
      .trim()
      .split(' ')
      .map(Number);
    return { open: open!, load: whole === 0 ? undefined : whole, again: undefined };
  } catch {
    return undefined; // an object that this libbpf does not open
  }
}

/** The peer's binary; undefined where it cannot be built. */
function build(peers: string, folder: string): string | undefined {
  const binary = join(folder, 'libbpf-load');
  const source = join(peers, 'libbpf-load.c');
  return spawnSync('cc', ['-O2', '-o', binary, source, '-lbpf'], { stdio: 'ignore' }).status === 0 ? binary : undefined;
}
