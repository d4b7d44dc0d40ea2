/** Files that cases of `bench ring` read: made once, in a folder of their own. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import type { TreeFormat } from '../hooks/ring/patterns/lookup.ts';

/** Bytes of a read, of a hop of a chase, of a block of a copy. */
export const READ = 4096;
export const HOP = 512;
export const BLOCK = 131072;
/** Small files, 1 to 4096 bytes each. */
export const files = 10_000;
export const DATA_BYTES = 64 << 20;
export const LARGE_BYTES = 2 ** 30;

/** Pseudo-random numbers below 2^31, the same for everybody with the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 1;
  };
}

/** A file of 64 MiB whose blocks of 512 bytes begin with the number of another one. */
export function makeChain(path: string): void {
  const bytes = Buffer.alloc(DATA_BYTES);
  const blocks = DATA_BYTES / HOP;
  const next = randomNumbers(7);
  for (let block = 0; block < blocks; block++) bytes.writeUInt32LE(next() % blocks, block * HOP);
  writeFileSync(path, bytes);
}

/** 1 GiB that is nowhere sparse. */
export function makeLarge(path: string): void {
  const bytes = Buffer.alloc(DATA_BYTES, 'sluice');
  const fd = openSync(path, 'w');
  for (let at = 0; at < LARGE_BYTES; at += DATA_BYTES) writeSync(fd, bytes);
  closeSync(fd);
}

/** Of the trees below, as `lookup` takes it: u32 count at 0, u64 keys from 8 on, u64 children from 256 on. */
export const treeFormat = (levels: number): TreeFormat => ({
  nodeSize: HOP,
  levels,
  keys: { offset: 8, size: 8 },
  count: { offset: 0, size: 4 },
  children: { offset: 256, size: 8, scale: HOP },
  value: { offset: 256, size: 8 },
});

/** A chain from block 0 on: each block begins with the number of the next. */
export const chainFormat = (hops: number): TreeFormat => ({
  nodeSize: HOP,
  levels: hops,
  children: { offset: 0, size: 4, scale: HOP },
  value: { offset: 0, size: 4 },
});

const FANOUT = 31;
const NODES_AT_ONCE = 1 << 14;

/**
 * A B+-tree with the measures of BPF-KV (XRP, OSDI 2022): nodes of 512 bytes, 31 keys of 8 bytes in each. Keys are 0 to 31^levels - 1, the value of each
 * is twice the key, and one. Returns how many there are.
 */
export function makeTree(path: string, levels: number): number {
  const fd = openSync(path, 'w');
  let first = 0;
  for (let level = 0; level < levels; level++) {
    const nodes = FANOUT ** level;
    const span = FANOUT ** (levels - level - 1);
    for (let start = 0; start < nodes; start += NODES_AT_ONCE) {
      const some = Math.min(NODES_AT_ONCE, nodes - start);
      const bytes = Buffer.alloc(some * HOP);
      for (let n = 0; n < some; n++) {
        bytes.writeUInt32LE(FANOUT, n * HOP);
        for (let i = 0; i < FANOUT; i++) {
          const place = (start + n) * FANOUT + i;
          const child = level === levels - 1 ? place * span * 2 + 1 : first + nodes + place;
          bytes.writeUInt32LE(place * span, n * HOP + 8 + i * 8);
          bytes.writeUInt32LE(child, n * HOP + 256 + i * 8);
        }
      }
      writeSync(fd, bytes);
    }
    first += nodes;
  }
  closeSync(fd);
  return FANOUT ** levels;
}

export function makeSmallFiles(folder: string): void {
  mkdirSync(folder);
  const bytes = Buffer.alloc(4096, 'x');
  const next = randomNumbers(3);
  for (let i = 0; i < files; i++) writeFileSync(`${folder}/${i}`, bytes.subarray(0, 1 + (next() % 4096)));
}
