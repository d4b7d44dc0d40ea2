/** What programs in Node do without a ring: node:fs with promises, and its blocking calls. Also a script, for node:fs over io_uring (UV_USE_IO_URING=1). */
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { BLOCK, files, HOP, READ, randomNumbers } from './ring-files.ts';

/** ns that `count` operations took; `depth` at a time. */
export async function timeNode(name: string, count: number, path: string, depth: number): Promise<number> {
  const run = cases[name];
  if (run === undefined) throw new Error(`no case ${name}`);
  const handle = name.startsWith('files') ? undefined : await open(path, 'r');
  try {
    const start = process.hrtime.bigint();
    await run(count, path, depth, handle);
    return Number(process.hrtime.bigint() - start);
  } finally {
    await handle?.close();
  }
}

type Case = (count: number, path: string, depth: number, handle: FileHandle | undefined) => Promise<void>;

async function sideBySide(depth: number, work: (lane: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: depth }, (_, lane) => work(lane)));
}

const cases: Readonly<Record<string, Case>> = {
  async read(count, _path, depth, handle) {
    const blocks = Math.floor((await handle!.stat()).size / READ);
    await sideBySide(depth, async (lane) => {
      const buffer = Buffer.alloc(READ);
      const next = randomNumbers(lane + 1);
      for (let i = lane; i < count; i += depth) await handle!.read(buffer, 0, READ, (next() % blocks) * READ);
    });
  },
  async 'read-sync'(count, path, _depth, handle) {
    const blocks = Math.floor((await handle!.stat()).size / READ);
    const fd = openSync(path, 'r');
    const buffer = Buffer.alloc(READ);
    const next = randomNumbers(1);
    for (let i = 0; i < count; i++) readSync(fd, buffer, 0, READ, (next() % blocks) * READ);
    closeSync(fd);
  },
  async chase(count, _path, depth, handle) {
    await sideBySide(depth, async (lane) => {
      const node = Buffer.alloc(HOP);
      const next = randomNumbers(lane + 1);
      for (let i = lane; i < count; i += depth) {
        const key = tree.keys === 0 ? 0 : next() % tree.keys;
        let at = 0;
        for (let hop = 0; hop < tree.hops; hop++) {
          await handle!.read(node, 0, HOP, at * HOP);
          at = follow(node, key);
        }
      }
    });
  },
  async 'chase-sync'(count, path) {
    const fd = openSync(path, 'r');
    const node = Buffer.alloc(HOP);
    const next = randomNumbers(1);
    for (let i = 0; i < count; i++) {
      const key = tree.keys === 0 ? 0 : next() % tree.keys;
      let at = 0;
      for (let hop = 0; hop < tree.hops; hop++) {
        readSync(fd, node, 0, HOP, at * HOP);
        at = follow(node, key);
      }
    }
    closeSync(fd);
  },
  async copy(count, path, depth, handle) {
    const out = await open(`${path}.node`, 'w');
    await sideBySide(depth, async (lane) => {
      const buffer = Buffer.alloc(BLOCK);
      for (let at = lane * BLOCK; at < count; at += depth * BLOCK) {
        const { bytesRead } = await handle!.read(buffer, 0, BLOCK, at);
        await out.write(buffer, 0, bytesRead, at);
      }
    });
    await out.close();
  },
  async 'copy-sync'(count, path, _depth) {
    const [from, to] = [openSync(path, 'r'), openSync(`${path}.node`, 'w')];
    const buffer = Buffer.alloc(BLOCK);
    for (let at = 0; at < count; at += BLOCK) writeSync(to, buffer, 0, readSync(from, buffer, 0, BLOCK, at), at);
    closeSync(from);
    closeSync(to);
  },
  async files(count, path, depth) {
    await sideBySide(depth, async (lane) => {
      for (let i = lane; i < count; i += depth) await readFile(`${path}/${i % files}`);
    });
  },
  async 'files-sync'(count, path) {
    for (let i = 0; i < count; i++) readFileSync(`${path}/${i % files}`);
  },
};

/** Of a chase: dependent reads, and keys of the tree (0: a chain). The script is told. */
const tree = { hops: 6, keys: 0 };

export function setChase(hops: number, keys: number): void {
  tree.hops = hops;
  tree.keys = keys;
}

function follow(node: Buffer, key: number): number {
  if (tree.keys === 0) return node.readUInt32LE(0);
  const count = node.readUInt32LE(0);
  let at = 0;
  while (at + 1 < count && node.readUInt32LE(8 + (at + 1) * 8) <= key) at++;
  return node.readUInt32LE(256 + at * 8);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name, count, path, depth, hops, keys] = process.argv;
  setChase(Number(hops ?? 6), Number(keys ?? 0));
  process.stdout.write(`${await timeNode(name!, Number(count), path!, Number(depth))}\n`);
}
