import { closeSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lookup, lookupMany, type TreeFormat } from '../../src/hooks/ring/patterns/lookup.ts';
import { RequestError } from '../../src/hooks/ring/request-error.ts';
import { chaos } from '../../src/hooks/ring/simulated/faults.ts';
import { noRing, onKernel, simulate, withRing } from './bench.ts';

const NODE = 512;
const FANOUT = 31;

/** As BPF-KV: nodes of 512 bytes, 31 keys of 8 bytes and 31 children behind 16 bytes of header; leaves say where 64-byte values lie. */
const kv: TreeFormat = {
  nodeSize: NODE,
  leaf: { offset: 8, size: 4, value: 1 },
  count: { offset: 12, size: 4 },
  keys: { offset: 16, size: 8 },
  children: { offset: 16 + FANOUT * 8, size: 8, mask: 0xffff_ffff },
  value: { offset: 0, size: 64, inFile: true },
};

/** A tree of `levels` with every key 3 * i for i below FANOUT ** levels, as bytes. The root is first. */
function tree(levels: number): Buffer {
  const nodes: Buffer[] = [];
  const count = FANOUT ** levels;
  const nodesBefore = (level: number) => (FANOUT ** level - 1) / (FANOUT - 1);
  for (let level = 0; level < levels; level++) {
    const span = FANOUT ** (levels - level);
    for (let i = 0; i < FANOUT ** level; i++) {
      const node = Buffer.alloc(NODE);
      node.writeUInt32LE(level === levels - 1 ? 1 : 0, 8);
      node.writeUInt32LE(FANOUT, 12);
      for (let slot = 0; slot < FANOUT; slot++) {
        const first = i * span + slot * (span / FANOUT);
        node.writeBigUInt64LE(BigInt(first * 3), 16 + slot * 8);
        const target =
          level === levels - 1
            ? nodesBefore(levels) * NODE + first * 64
            : (nodesBefore(level + 1) + i * FANOUT + slot) * NODE;
        node.writeBigUInt64LE(BigInt(target) | (0xabn << 56n), 16 + FANOUT * 8 + slot * 8);
      }
      nodes.push(node);
    }
  }
  const values = Buffer.alloc(count * 64);
  for (let i = 0; i < count; i++) values.write(`value ${i * 3}`, i * 64);
  return Buffer.concat([...nodes, values]);
}

const textOf = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString('latin1').replace(/\0+$/, '');
const wanted = (key: number, levels: number) =>
  key % 3 === 0 && key < 3 * FANOUT ** levels ? `value ${key}` : undefined;

describe.skipIf(noRing !== undefined)(`lookup ${onKernel}`, () => {
  it('finds values in trees of 512-byte nodes, and wakes JavaScript once for all', () =>
    withRing(async (ring, folder) => {
      for (const levels of [1, 2, 3]) {
        const path = join(folder, `tree${levels}`);
        writeFileSync(path, tree(levels));
        const fd = openSync(path, 'r');
        const keys = Array.from({ length: 500 }, (_, i) => (i * 7919) % (3 * FANOUT ** levels + 5));
        const { posted, runs } = ring.stats;
        const results = await lookupMany(ring, fd, kv, keys);
        expect(ring.stats.posted - posted).toBe(1n);
        expect(ring.stats.runs - runs).toBeGreaterThan(BigInt(levels * 490));
        expect(results.map(({ value }) => textOf(value))).toEqual(keys.map((key) => wanted(key, levels)));
        expect(new Set(results.map((result) => result.levels))).toEqual(new Set([levels]));
        expect(textOf((await lookup(ring, fd, kv, 3n)).value)).toBe('value 3');
        closeSync(fd);
      }
    }));

  it('follows big-endian keys with one child more than keys, and chains of pointers', () =>
    withRing(async (ring, folder) => {
      const node = (keys: number[], children: number[]) => {
        const bytes = Buffer.alloc(64);
        bytes.writeUInt16LE(keys.length, 0);
        for (const [i, key] of keys.entries()) bytes.writeUInt32BE(key, 4 + i * 4);
        for (const [i, child] of children.entries()) bytes.writeUInt16LE(child, 32 + i * 2);
        return bytes;
      };
      const blocks = [
        node([10, 20], [1, 2, 3]),
        node([1, 9], [101, 109]),
        node([10, 15], [110, 115]),
        node([20], [120]),
      ];
      const path = join(folder, 'between');
      writeFileSync(path, Buffer.concat(blocks));
      const fd = openSync(path, 'r');
      const format: TreeFormat = {
        nodeSize: 64,
        levels: 2,
        count: { offset: 0, size: 2 },
        keys: { offset: 4, size: 4, bigEndian: true },
        children: { offset: 32, size: 2, scale: 64, between: true },
        value: { offset: 32, size: 2 },
      };
      const keys = [0, 1, 9, 10, 12, 15, 20, 99];
      const found = await lookupMany(ring, fd, format, keys, { depth: 3 });
      const number = (value: Uint8Array | undefined) => value && Buffer.from(value).readUInt16LE(0);
      expect(found.map(({ value }) => number(value))).toEqual([
        undefined,
        101,
        109,
        110,
        undefined,
        115,
        120,
        undefined,
      ]);
      // Each block says which is next: 0 -> 1 -> 101 would be outside.
      const chain: TreeFormat = {
        nodeSize: 64,
        levels: 3,
        children: { offset: 0, size: 2, scale: 64 },
        value: { offset: 4, size: 4 },
      };
      // Counts as pointers: 2 -> block 2, whose count is 2 again.
      expect(number((await lookup(ring, fd, chain, 0)).value?.subarray(2))).toBe(0x0a00);
      closeSync(fd);
    }));

  it('says what is wrong: a file that ends early, a circle, a format that cannot be, a bad descriptor', () =>
    withRing(async (ring, folder) => {
      const path = join(folder, 'tree');
      writeFileSync(path, tree(2));
      truncateSync(path, 700);
      const fd = openSync(path, 'r');
      await expect(lookup(ring, fd, kv, 1000)).rejects.toMatchObject({ errno: 'ENODATA', operation: 'lookup' });
      writeFileSync(path, Buffer.alloc(4096));
      const circle: TreeFormat = {
        nodeSize: 64,
        leaf: { offset: 0, size: 1, value: 1 },
        children: { offset: 8, size: 8 },
        value: { offset: 0, size: 8 },
      };
      await expect(lookup(ring, fd, circle, 1)).rejects.toMatchObject({ errno: 'ELOOP' });
      expect(await lookup(ring, fd, { ...circle, children: { offset: 8, size: 8, none: 0 } }, 1)).toEqual({
        value: undefined,
        levels: 1,
      });
      await expect(lookup(ring, fd, { ...kv, nodeSize: 5000 }, 1)).rejects.toMatchObject({ code: 'SLUICE_RING_TREE' });
      closeSync(fd);
      await expect(lookup(ring, 1_000_000, kv, 1)).rejects.toMatchObject({ errno: 'EBADF' });
    }));
});

describe('lookup over simulated worlds', () => {
  it('finds what is there, or says why not, and can be ended', async () => {
    const bytes = tree(2);
    const seen = { found: 0, failed: 0, aborted: 0 };
    await simulate(
      150,
      () => ({ faults: { ...chaos, shrink: 0, ioError: 0.002 } }),
      async ({ ring, world, seed }) => {
        world.file('/tree', bytes);
        const fd = world.open('/tree');
        const keys = Array.from({ length: 30 }, (_, i) => (i * seed * 31) % 3000);
        const controller = new AbortController();
        if (seed % 3 === 0) world.clock.at((seed % 50) * 20_000, () => controller.abort());
        try {
          const options = { depth: 1 + (seed % 9), signal: controller.signal };
          const results = await lookupMany(ring, fd, kv, keys, options);
          expect(results.map(({ value }) => textOf(value))).toEqual(keys.map((key) => wanted(key, 2)));
          seen.found++;
        } catch (error) {
          if (error instanceof RequestError) {
            expect(error.errno).toBe('EIO');
            seen.failed++;
          } else if (error instanceof Error && error.name === 'AbortError') seen.aborted++;
          else throw error;
        }
      },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });
});
