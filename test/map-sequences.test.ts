// Every map type that both have, through long random sequences from user space and from a program: results, contents, errno, evictions.
import { afterAll, describe, it } from 'vitest';
import { createMap, load, type MapHandle, Runtime, type TargetName } from '../src/index.ts';
import { possibleCpus } from '../src/linux/cpus.ts';
import { close } from '../src/linux/ffi.ts';
import type { KernelMap } from '../src/linux/maps.ts';
import { openSocket, SOCK_RAW } from '../src/linux/sockets.ts';
import { PlaneMap } from '../src/runtime/maps/plane-map.ts';
import { compileSequence, runSequence, type SequenceCase } from './map-sequences.ts';
import { agree, count, HOURS, missing, pinToOurCpu, seed } from './sequence-rounds.ts';

const cpus = missing === undefined ? possibleCpus() : 1;

const u32s = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);
const prefix = (bytes: number) => (n: number, random: () => number) => {
  const key = new Uint8Array(4 + bytes);
  const length = random() % 40 === 0 ? bytes * 8 + 1 + (random() % 100) : random() % (bytes * 8 + 1);
  new DataView(key.buffer).setUint32(0, length, true);
  for (let i = 0; i < bytes; i++) key[4 + i] = (n >> (i & 7)) & 1 ? [0, 0x80, 0xc0, 0xff][random() % 4]! : 0;
  return key;
};
let inners: Record<TargetName, readonly MapHandle[]> = { user: [], linux: [] };

/** Maps to put into maps of maps, told apart by what is in them. */
async function innerMaps(count: number, runtime: Runtime): Promise<typeof inners> {
  const make = (where: Parameters<typeof createMap>[1]) =>
    Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const map = await createMap({ type: 'array', maxEntries: 1 }, where);
        map.set(0, BigInt(i + 1) << 32n);
        return map;
      }),
    );
  return { user: await make({ runtime }), linux: await make({ target: 'linux' }) };
}

/** One of them as user space names it: by id here, by descriptor in the kernel. Now and then none. */
function innerMap(random: () => number, target: TargetName): Uint8Array {
  const draw = random();
  if (draw % 32 === 31) return u32s(1_000_000);
  const { raw } = inners[target][draw % inners[target].length]!;
  return u32s(raw instanceof PlaneMap ? raw.id : (raw as KernelMap).fd);
}

/** An unbound AF_XDP socket, of which an xskmap of Linux is made; here its elements are numbers of queues. */
function xdpSocket(): number {
  socket ??= openSocket(AF_XDP, SOCK_RAW, 0);
  return socket;
}
let socket: number | undefined;
const AF_XDP = 44;
const oneOf =
  (...values: Uint8Array[]) =>
  (random: () => number) =>
    values[random() % values.length]!;

const cases: readonly SequenceCase[] = [
  {
    title: 'array',
    type: 'array',
    keySize: 4,
    valueSize: 9,
    maxEntries: 12,
    keys: 15,
    ordered: true,
    batch: true,
    program: 'table',
  },
  {
    title: 'array, mmapable',
    type: 'array',
    keySize: 4,
    valueSize: 8,
    maxEntries: 12,
    flags: 0x400,
    keys: 15,
    ordered: true,
    batch: true,
  },
  {
    title: 'per-CPU array',
    type: 'percpu_array',
    keySize: 4,
    valueSize: 5,
    maxEntries: 12,
    keys: 15,
    ordered: true,
    batch: true,
  },
  { title: 'hash', type: 'hash', keySize: 4, valueSize: 12, maxEntries: 40, keys: 60, take: true, batch: true },
  {
    title: 'hash without prealloc',
    type: 'hash',
    keySize: 8,
    valueSize: 12,
    maxEntries: 40,
    flags: 1,
    keys: 60,
    take: true,
    batch: true,
  },
  {
    title: 'hash of 20-byte keys',
    type: 'hash',
    keySize: 20,
    valueSize: 3,
    maxEntries: 40,
    keys: 60,
    take: true,
    batch: true,
  },
  {
    title: 'per-CPU hash',
    type: 'percpu_hash',
    keySize: 4,
    valueSize: 5,
    maxEntries: 40,
    keys: 60,
    take: true,
    batch: true,
  },
  {
    title: 'per-CPU hash without prealloc',
    type: 'percpu_hash',
    keySize: 12,
    valueSize: 16,
    maxEntries: 40,
    flags: 1,
    keys: 60,
    take: true,
    batch: true,
  },
  { title: 'LRU hash', type: 'lru_hash', keySize: 4, valueSize: 4, maxEntries: 60, keys: 110, take: true, batch: true },
  { title: 'LRU hash of 600', type: 'lru_hash', keySize: 8, valueSize: 8, maxEntries: 600, keys: 1000, take: true },
  {
    title: 'LRU hash, lists of each CPU',
    type: 'lru_hash',
    keySize: 4,
    valueSize: 4,
    maxEntries: 60,
    flags: 2,
    keys: 110,
    take: true,
    batch: true,
  },
  {
    title: 'LRU per-CPU hash',
    type: 'lru_percpu_hash',
    keySize: 4,
    valueSize: 4,
    maxEntries: 60,
    keys: 110,
    take: true,
    batch: true,
  },
  {
    title: 'LPM trie, IPv4',
    type: 'lpm_trie',
    keySize: 8,
    valueSize: 8,
    maxEntries: 40,
    flags: 1,
    keys: 256,
    key: prefix(4),
    ordered: true,
    batch: true,
  },
  {
    title: 'LPM trie, IPv6',
    type: 'lpm_trie',
    keySize: 20,
    valueSize: 8,
    maxEntries: 40,
    flags: 1,
    keys: 256,
    key: prefix(16),
    ordered: true,
    batch: true,
  },
  {
    title: 'array of maps',
    type: 'array_of_maps',
    keySize: 4,
    valueSize: 4,
    maxEntries: 6,
    keys: 8,
    inner: 4,
    value: innerMap,
    ordered: true,
    program: 'inner',
  },
  {
    title: 'hash of maps',
    type: 'hash_of_maps',
    keySize: 4,
    valueSize: 4,
    maxEntries: 6,
    keys: 9,
    inner: 4,
    value: innerMap,
    program: 'inner',
  },
  {
    title: 'hash of maps without prealloc',
    type: 'hash_of_maps',
    keySize: 8,
    valueSize: 4,
    maxEntries: 6,
    flags: 1,
    keys: 9,
    inner: 4,
    value: innerMap,
    program: 'inner',
  },
  { title: 'queue', type: 'queue', keySize: 0, valueSize: 7, maxEntries: 20, keys: 1, take: true, program: 'keyless' },
  { title: 'stack', type: 'stack', keySize: 0, valueSize: 7, maxEntries: 20, keys: 1, take: true, program: 'keyless' },
  { title: 'bloom filter', type: 'bloom_filter', keySize: 0, valueSize: 8, maxEntries: 100, keys: 1, program: 'bloom' },
  { title: 'ring buffer', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096, keys: 1, program: 'ring' },
  {
    title: 'user ring buffer',
    type: 'user_ringbuf',
    keySize: 0,
    valueSize: 0,
    maxEntries: 4096,
    keys: 1,
    program: 'drain',
  },
  {
    title: 'devmap',
    type: 'devmap',
    keySize: 4,
    valueSize: 8,
    maxEntries: 6,
    keys: 8,
    value: oneOf(u32s(0, 0), u32s(1, 0), u32s(0, 1)),
    ordered: true,
    program: 'read',
  },
  {
    title: 'devmap_hash',
    type: 'devmap_hash',
    keySize: 4,
    valueSize: 4,
    maxEntries: 6,
    keys: 10,
    value: oneOf(u32s(0), u32s(1)),
    program: 'redirect',
  },
  {
    title: 'cpumap',
    type: 'cpumap',
    keySize: 4,
    valueSize: 4,
    maxEntries: cpus + 2,
    keys: cpus + 4,
    value: oneOf(...[0, 1, 192, 16384, 16385].map((each) => u32s(each))),
    ordered: true,
    program: 'redirect',
  },
  {
    title: 'xskmap',
    type: 'xskmap',
    keySize: 4,
    valueSize: 4,
    maxEntries: 6,
    keys: 8,
    value: (_, target) => u32s(target === 'user' ? 3 : xdpSocket()),
    ordered: true,
    program: 'redirect',
  },
];

describe.skipIf(missing !== undefined)(
  `sequences of ${count} operations from seed ${seed}${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    pinToOurCpu();
    afterAll(() => {
      if (socket !== undefined) close(socket);
    });

    it.each(cases)('$title', { timeout: HOURS }, async (each) => {
      const bytes = compileSequence(each);
      await agree(each.title, async (start, operations) => {
        const user = await load(bytes, { runtime: new Runtime({ cpus, seed: BigInt(seed) }) });
        const linux = await load(bytes, { target: 'linux' });
        inners = await innerMaps(each.inner ?? 0, user.runtime);
        const result = runSequence(each, { user, linux }, start, operations);
        for (const inner of Object.values(inners).flat()) inner.close();
        user.close();
        linux.close();
        return result;
      });
    });
  },
);
