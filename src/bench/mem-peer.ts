/** The C side of `bench mem`: bench/peers/mem.c under the allocators that are installed. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InternalError } from '../errors.ts';
import type { PeerName } from './report.ts';

export type MallocName = Extract<PeerName, 'mimalloc' | 'jemalloc' | 'glibc'>;

export interface MallocRun {
  /** ns an operation, the shortest of the rounds. */
  readonly ns: number;
  /** By how much the resident memory had grown, and bytes of the objects that lived; 0 where none stay. */
  readonly grown: number;
  readonly live: number;
}

const LIBRARIES: readonly { readonly name: MallocName; readonly file?: string; readonly debian?: string }[] = [
  { name: 'mimalloc', file: 'libmimalloc.so.2', debian: 'libmimalloc2.0' },
  { name: 'jemalloc', file: 'libjemalloc.so.2', debian: 'libjemalloc2' },
  { name: 'glibc' },
];
const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'];

export class MallocPeers {
  /** What can be measured here. */
  readonly names: readonly MallocName[];
  /** Why the others cannot. */
  readonly absent: readonly string[];
  readonly #libraries = new Map<MallocName, string>();
  readonly #folder: string;
  readonly #binary: string;

  /** `peers`: folder of the sources. */
  constructor(peers: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    this.#binary = join(this.#folder, 'mem');
    const source = join(peers, 'mem.c');
    const args = ['-O2', '-fno-builtin', '-pthread', '-o', this.#binary, source];
    const built = spawnSync('gcc', args, { encoding: 'utf8' });
    if (built.status !== 0) {
      const why = built.error?.message ?? built.stderr.split('\n').slice(0, 3).join('; ');
      this.names = [];
      this.absent = [`mimalloc, jemalloc and glibc are absent: bench/peers/mem.c does not build with gcc: ${why}`];
      return;
    }
    const absent: string[] = [];
    for (const { name, file, debian } of LIBRARIES) {
      const path =
        file === undefined ? '' : FOLDERS.map((folder) => join(folder, file)).find((each) => existsSync(each));
      if (path === undefined) absent.push(`${name} is absent: there is no ${file} (Debian: ${debian})`);
      else this.#libraries.set(name, path);
    }
    this.names = [...this.#libraries.keys()];
    this.absent = absent;
  }

  run(allocator: MallocName, pattern: string, count: number, rounds: number): MallocRun {
    const library = this.#libraries.get(allocator);
    const { status, stdout, stderr } = spawnSync(this.#binary, [pattern, String(count), String(rounds)], {
      encoding: 'utf8',
      env: { ...process.env, LD_PRELOAD: library ?? '' },
    });
    if (status !== 0) throw new InternalError(`peer mem ${pattern}: ${stderr.trim() || `exit ${status}`}`);
    const [ns, kib, live] = stdout.trim().split(' ').map(Number);
    return { ns: ns! / count, grown: kib! * 1024, live: live! };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
