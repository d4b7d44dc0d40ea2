/** Files: reads, dependent reads, copies and small files, by patterns on a ring, against C and node:fs. */
import { spawnSync } from 'node:child_process';
import { constants, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../errors.ts';
import { copy } from '../hooks/ring/patterns/copy.ts';
import { lookupMany, type TreeFormat } from '../hooks/ring/patterns/lookup.ts';
import { readFiles } from '../hooks/ring/patterns/read-files.ts';
import * as prep from '../hooks/ring/prep/index.ts';
import { Ring } from '../ring.ts';
import type { PeerName } from './report.ts';
import { elapsed, type RingCase, type RingRun } from './ring-cases.ts';
import {
  BLOCK,
  chainFormat,
  DATA_BYTES,
  files,
  LARGE_BYTES,
  makeChain,
  makeLarge,
  makeSmallFiles,
  makeTree,
  READ,
  randomNumbers,
  treeFormat,
} from './ring-files.ts';
import { setChase, timeNode } from './ring-node.ts';
import type { RingPeer } from './ring-peer.ts';

type Peers = Partial<Record<PeerName, RingRun>>;

/** The same script in a process whose node:fs uses io_uring. */
function withUring(name: string, path: string, depth: number, hops = 6, keys = 0): RingRun {
  const script = fileURLToPath(import.meta.url).replace(/ring-storage/, 'ring-node');
  return (count) => {
    const args = [script, name, count, path, depth, hops, keys].map(String);
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, UV_USE_IO_URING: '1' },
    });
    if (status !== 0) throw new InternalError(`node:fs over io_uring: ${stderr.trim()}`);
    return Number(stdout);
  };
}

export class StorageCases {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-bench-ring-'));
  /** Cases that are left out, and why. */
  readonly notes: string[] = [];
  readonly #made = new Set<string>();
  readonly #peer: RingPeer | undefined;
  #ring: Ring | undefined;

  constructor(peer: RingPeer | undefined) {
    this.#peer = peer;
  }

  all(): readonly RingCase[] {
    const free = statfsSync(this.#folder);
    const hasRoom = (bytes: number, what: string) => {
      const has = free.bavail * free.bsize >= bytes;
      if (!has) this.notes.push(`no ${what}: it takes ${Math.ceil(bytes / 2 ** 30)} GiB in ${tmpdir()}`);
      return has;
    };
    const levels = [3, 4, ...(hasRoom(2 ** 30, 'B+-tree of 5 levels') ? [5] : [])];
    const trees = levels.map((levels) => ({ levels, path: this.#path(`tree${levels}`), keys: 31 ** levels }));
    return [
      ...[1, 32].map((depth) => this.#read(depth, false)),
      this.#read(32, true),
      ...[6, 10].flatMap((hops) =>
        [1, 32, 128].map((depth) => this.#chase(`chain of ${hops} reads`, 'chain', hops, 0, depth, chainFormat(hops))),
      ),
      ...trees.map(({ levels, keys }) =>
        this.#chase(`B+-tree of ${levels} levels`, `tree${levels}`, levels, keys, 32, treeFormat(levels)),
      ),
      this.#copy('chain', DATA_BYTES, '64 MiB', 5),
      ...(hasRoom(6 * 2 ** 30, 'copy of 1 GiB') ? [this.#copy('large', LARGE_BYTES, '1 GiB', 1)] : []),
      this.#smallFiles(),
    ];
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** Makes what the case reads, and its ring. */
  readonly #prepare = async (name: string) => {
    this.#ring = await Ring.create({ entries: 256, requests: 8192 });
    if (this.#made.has(name)) return;
    this.#made.add(name);
    if (name === 'chain') makeChain(this.#path(name));
    else if (name === 'large') makeLarge(this.#path(name));
    else if (name === 'files') makeSmallFiles(this.#path(name));
    else makeTree(this.#path(name), Number(name.slice(4)));
  };

  readonly #after = async () => {
    await this.#ring?.close();
  };

  #inC(run: RingRun | undefined): Peers {
    return run === undefined ? {} : { 'liburing-c': run };
  }

  #read(depth: number, direct: boolean): RingCase {
    const path = this.#path('chain');
    const peer = this.#peer;
    return {
      name: `${direct ? 'O_DIRECT' : 'cached'} read of 4 KiB, depth ${depth}: JavaScript`,
      count: 1 << 13,
      prepare: () => this.#prepare('chain'),
      after: this.#after,
      ours: async (count) => {
        const ring = this.#ring!;
        const fd = await ring.open(path, direct ? constants.O_RDONLY | constants.O_DIRECT : 'r');
        const buffer = ring.allocate(depth * READ);
        const blocks = (64 << 20) / READ;
        const next = randomNumbers(1);
        const ns = await elapsed(() => {
          for (let done = 0; done < count; done += depth) {
            for (let i = 0; i < depth; i++)
              ring.stage((view, at) =>
                prep.read(view, at, fd, buffer.address + i * READ, READ, (next() % blocks) * READ),
              );
            ring.submitAndWait(depth);
            ring.completions.take(() => {});
          }
        });
        buffer.free();
        await ring.closeFd(fd);
        return ns;
      },
      peers: {
        ...this.#inC(peer && ((count) => peer.run('read', count, path, depth, direct ? 1 : 0))),
        ...(peer === undefined ? {} : { 'pread-c': (count: number) => peer.run('pread', count, path, direct ? 1 : 0) }),
        ...(direct
          ? {}
          : {
              'node-fs-promises': (count: number) => timeNode('read', count, path, depth),
              'node-fs-sync': (count: number) => timeNode('read-sync', count, path, depth),
              'node-fs-uring': withUring('read', path, depth),
            }),
      },
    };
  }

  #chase(name: string, file: string, hops: number, keys: number, depth: number, format: TreeFormat): RingCase {
    const path = this.#path(file);
    const peer = this.#peer;
    const inNode =
      (which: string): RingRun =>
      (count) => {
        setChase(hops, keys);
        return timeNode(which, count, path, depth);
      };
    return {
      name: `${name}, depth ${depth}: program`,
      count: 1 << 12,
      prepare: () => this.#prepare(file),
      after: this.#after,
      ours: async (count) => {
        const ring = this.#ring!;
        const fd = await ring.open(path);
        const next = randomNumbers(1);
        const wanted = Array.from({ length: count }, () => (keys === 0 ? 0 : next() % keys));
        const ns = await elapsed(async () => {
          await lookupMany(ring, fd, format, wanted, { depth });
        });
        await ring.closeFd(fd);
        return ns;
      },
      peers: {
        ...this.#inC(peer && ((count) => peer.run('chase', count, path, hops, keys, depth))),
        ...(peer === undefined
          ? {}
          : { 'pread-c': (count: number) => peer.run('chase-pread', count, path, hops, keys) }),
        'node-fs-promises': inNode('chase'),
        'node-fs-sync': inNode('chase-sync'),
        'node-fs-uring': withUring('chase', path, depth, hops, keys),
      },
    };
  }

  /** ns a KiB. */
  #copy(file: string, bytes: number, size: string, rounds: number): RingCase {
    const path = this.#path(file);
    const peer = this.#peer;
    const depth = 8;
    return {
      name: `copy of ${size}, ns a KiB: program`,
      count: bytes >> 10,
      rounds,
      prepare: () => this.#prepare(file),
      after: async () => {
        await this.#after();
        for (const made of ['ring', 'c', 'node']) rmSync(`${path}.${made}`, { force: true });
        if (bytes === LARGE_BYTES) rmSync(path);
      },
      ours: async () => {
        const ring = this.#ring!;
        const from = await ring.open(path);
        const to = await ring.open(`${path}.ring`, 'w');
        const ns = await elapsed(async () => {
          await copy(ring, from, to, { depth, block: BLOCK });
        });
        await ring.closeFd(from);
        await ring.closeFd(to);
        return ns;
      },
      peers: {
        ...this.#inC(peer && ((count) => peer.run('copy', count * 1024, path, `${path}.c`, BLOCK, depth))),
        'node-fs-promises': (count) => timeNode('copy', count * 1024, path, depth),
        'node-fs-sync': (count) => timeNode('copy-sync', count * 1024, path, depth),
        'node-fs-uring': (count) => withUring('copy', path, depth)(count * 1024),
      },
    };
  }

  #smallFiles(): RingCase {
    const path = this.#path('files');
    const peer = this.#peer;
    const depth = 16;
    return {
      name: 'open, read, close of small files, 16 at once: program',
      count: files,
      rounds: 5,
      prepare: () => this.#prepare('files'),
      after: this.#after,
      ours: async (count) => {
        const ring = this.#ring!;
        const paths = Array.from({ length: count }, (_, i) => `${path}/${i}`);
        return elapsed(async () => {
          await readFiles(ring, paths, { depth });
        });
      },
      peers: {
        ...this.#inC(peer && ((count) => peer.run('files', count, path, depth))),
        ...(peer === undefined ? {} : { 'pread-c': (count: number) => peer.run('files-plain', count, path) }),
        'node-fs-promises': (count) => timeNode('files', count, path, depth),
        'node-fs-sync': (count) => timeNode('files-sync', count, path, depth),
        'node-fs-uring': withUring('files', path, depth),
      },
    };
  }
}
