// Maps beyond their object: pinned here and in a bpf file system, shared by objects, in batches, in place.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMap, load, type MapOfMapsHandle, Runtime } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { type BloomFilterHandle, isArray, type QueueHandle, type TargetMap } from '../src/runtime/handles.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = (entries: number) => `${prelude}
struct xdp_md { u32 data, data_end, data_meta, ifindex, queue, egress; };
static long (*push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
struct seen { u32 packets, bytes; };
struct { __uint(type, 1); __uint(max_entries, ${entries}); __type(key, u32); __type(value, struct seen); __uint(pinning, 1); } flows SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 2); __type(key, u32); __type(value, u64); __uint(pinning, 1); } cpus SEC(".maps");
struct { __uint(type, 22); __uint(max_entries, 8); __type(value, u32); __uint(pinning, 1); } fifo SEC(".maps");
struct { __uint(type, 23); __uint(max_entries, 8); __type(value, u32); __uint(pinning, 1); } lifo SEC(".maps");
struct { __uint(type, 30); __uint(max_entries, 64); __type(value, u32); __uint(pinning, 1); } ever SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 4); __uint(map_flags, 1024); __type(key, u32); __type(value, u64); } row SEC(".maps");
u32 runs = 40;
SEC("xdp") int count(struct xdp_md *ctx) {
  u32 key = ctx->data_end - ctx->data, n = ++runs; u64 *slot; u32 at = 2;
  struct seen *seen = bpf_map_lookup_elem(&flows, &key), first = { 1, key };
  if (seen) { seen->packets++; seen->bytes += key; } else update(&flows, &key, &first, 0);
  push(&fifo, &n, 0); push(&lifo, &n, 0); push(&ever, &n, 0);
  slot = bpf_map_lookup_elem(&row, &at);
  if (slot) *slot += 7;
  at = 1;
  slot = bpf_map_lookup_elem(&cpus, &at);
  if (slot) *slot += 3;
  return 2;
}
`;
const packet = (size: number) => ({ data: new Uint8Array(size) });

describe.skipIf(clangs.length === 0)(`maps beyond their object${noClang}`, () => {
  let folder: string;
  let bytes: Uint8Array;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), `sluice-pins-${process.pid}-`));
    bytes = compileBpf(source(16));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('user: objects of one runtime share what is pinned by name', async () => {
    const runtime = new Runtime();
    const first = await load(bytes, { runtime });
    first.programs['count']!.run(packet(60));
    first.close();
    const second = await load(bytes, { runtime });
    second.programs['count']!.run(packet(60));
    expect(second.maps['flows']!.get(60)).toEqual({ packets: 2, bytes: 120 });
    // Not pinned: an object's own.
    expect(second.maps['row']!.get(2)).toBe(7n);
    second.close();
    await expect(load(compileBpf(source(17)), { runtime })).rejects.toThrow(
      /flows is not like the object's: maxEntries 16 and 17/,
    );
    const other = await load(bytes);
    expect([...other.maps['flows']!]).toEqual([]);
    other.close();
  });

  it('user: loads of a process share a folder of pins, and files keep them', async () => {
    const pinFolder = join(folder, 'pins');
    const first = await load(bytes, { pinFolder, cpus: 2 });
    const second = await load(bytes, { pinFolder });
    expect(second.runtime).toBe(first.runtime);
    for (let i = 0; i < 3; i++) first.programs['count']!.run(packet(64));
    expect(second.maps['flows']!.get(64)).toEqual({ packets: 3, bytes: 192 });
    await expect(load(bytes, { pinFolder, runtime: new Runtime() })).rejects.toThrow(
      expect.objectContaining({ code: 'SLUICE_MAP_PIN', message: expect.stringMatching(/another runtime/) }),
    );
    first.close();
    second.close();
    expect(readdirSync(pinFolder).sort()).toEqual(['cpus', 'ever', 'fifo', 'flows', 'lifo']);

    // Another process.
    const script = join(folder, 'other.mjs');
    writeFileSync(join(folder, 'object.o'), bytes);
    writeFileSync(
      script,
      `import { readFileSync } from 'node:fs';
       import { load } from '${new URL('../dist/index.js', import.meta.url).href}';
       const object = await load(readFileSync('${join(folder, 'object.o')}'), { pinFolder: '${pinFolder}', cpus: 2 });
       object.programs.count.run({ data: new Uint8Array(64) });
       const { fifo, lifo, ever, cpus, flows } = object.maps;
       const take = (map) => { const all = []; for (let v = map.pop(); v !== undefined; v = map.pop()) all.push(v); return all; };
       console.log(JSON.stringify([take(fifo), take(lifo), [41, 42, 43, 44].map((n) => ever.contains(n)), cpus.get(1).map(Number), flows.get(64)]));
       for (const n of [1, 2, 3]) lifo.push(n);`, // the end of the process saves
    );
    const node = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    expect(node.stderr.replace(/^.*Warning.*$/gm, '').trim()).toBe('');
    expect(JSON.parse(node.stdout)).toEqual([
      [41, 42, 43, 41],
      [41, 43, 42, 41],
      [true, true, true, false],
      [12, 0],
      { packets: 4, bytes: 256 },
    ]);
  });

  it('user: any map can be pinned, and unpinned', async () => {
    const path = join(folder, 'row');
    const object = await load(bytes);
    const row = object.maps['row']!;
    row.set(3, 99n);
    row.pin(path);
    expect(() => object.maps['flows']!.pin(path)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EEXIST' }));
    row.set(0, 5n);
    row.pin(path); // writes anew
    expect(readFileSync(path).includes(99)).toBe(true);
    row.unpin(path);
    expect(() => row.unpin(path)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_ENOENT' }));
    expect(() => readFileSync(path)).toThrow(/ENOENT/);
    expect(row.get(0)).toBe(5n);
    object.close();
  });

  it('user: says what is wrong with a file', async () => {
    const pinFolder = join(folder, 'bad');
    mkdirSync(pinFolder);
    const good = await load(bytes, { pinFolder });
    good.maps['flows']!.set(1, { packets: 1, bytes: 2 });
    const paths = ['cpus', 'ever', 'fifo', 'flows', 'lifo'].map((name) => join(pinFolder, name));
    good.maps['flows']!.pin(paths[3]!);
    const file = Uint8Array.from(readFileSync(paths[3]!));
    for (const path of paths) good.maps[path.split('/').at(-1)!]!.unpin(path);
    good.close();
    const attempt = async (content: Uint8Array) => {
      writeFileSync(paths[3]!, content);
      await expect(load(bytes, { pinFolder })).rejects.toThrow(
        expect.objectContaining({ code: 'SLUICE_MAP_PIN_FILE' }),
      );
    };
    await attempt(new Uint8Array(40));
    for (const length of [0, 9, 20, file.length - 1]) await attempt(file.subarray(0, length));
    for (let i = 0; i < 16; i++) await attempt(file.map((byte, at) => (at === i ? byte ^ 0x55 : byte)));
  });

  const refusal = bpfRefusal();
  it.skipIf(refusal !== undefined)(
    `linux: the same handles, in a bpf file system${refusal ? ` (skipped: ${refusal})` : ''}`,
    async (context) => {
      const pinFolder = join(folder, 'bpffs');
      mkdirSync(pinFolder);
      if (spawnSync('mount', ['-t', 'bpf', 'none', pinFolder]).status !== 0)
        context.skip('no bpf file system can be mounted');
      try {
        const first = await load(bytes, { target: 'linux', pinFolder });
        first.programs['count']!.run(packet(64));
        first.maps['row']!.pin(join(pinFolder, 'row'));
        expect(() => first.maps['row']!.pin(join(pinFolder, 'row'))).toThrow(
          expect.objectContaining({ code: 'SLUICE_MAP_EEXIST' }),
        );
        first.close();
        expect(readdirSync(pinFolder)).toEqual(
          expect.arrayContaining(['cpus', 'ever', 'fifo', 'flows', 'lifo', 'row']),
        );
        const second = await load(bytes, { target: 'linux', pinFolder });
        second.programs['count']!.run(packet(64));
        expect(second.maps['flows']!.get(64)).toEqual({ packets: 2, bytes: 128 });
        expect((second.maps['fifo'] as QueueHandle).pop()).toBe(41);
        expect((second.maps['ever'] as BloomFilterHandle).contains(41)).toBe(true);
        second.maps['row']!.unpin(join(pinFolder, 'row'));
        expect(() => second.maps['row']!.unpin(join(pinFolder, 'row'))).toThrow(
          expect.objectContaining({ code: 'SLUICE_MAP_ENOENT' }),
        );
        await expect(load(compileBpf(source(17)), { target: 'linux', pinFolder })).rejects.toThrow(
          /flows is not like the object's: maxEntries 16 and 17/,
        );
        second.close();
      } finally {
        spawnSync('umount', [pinFolder]);
      }
    },
  );

  const targets = (['user', 'linux'] as const).map((target) => ({
    target,
    reason: target === 'linux' ? refusal : undefined,
  }));
  describe.each(targets)('$target', ({ target, reason }) => {
    const options = target === 'linux' ? ({ target, pinFolder: '/none' } as const) : {};
    const object = async () => {
      const spec = (await import('../src/index.ts')).readObject(bytes, 'object');
      const maps = new Map([...spec.maps].map(([name, map]) => [name, { ...map, pinning: 'none' as const }]));
      return await load({ ...spec, maps }, options as { readonly target?: 'user' });
    };
    const skipped = reason ? ` (skipped: ${reason})` : '';

    it.skipIf(reason !== undefined)(`elements in batches${skipped}`, async () => {
      const loaded = await object();
      const flows = loaded.maps['flows']!;
      const wanted = Array.from({ length: 16 }, (_, i) => [i * 3, { packets: i, bytes: i * i }] as const);
      flows.setMany(wanted);
      for (const size of [1, 5, 256])
        expect([...flows.entries(size)].sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual(wanted);
      expect(() => flows.setMany([[100, { packets: 1, bytes: 1 }]])).toThrow(
        expect.objectContaining({ code: 'SLUICE_MAP_E2BIG' }),
      );
      flows.deleteMany([0, 3, 6]);
      expect(() => flows.deleteMany([9, 0, 12])).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_ENOENT' }));
      expect(flows.get(9)).toBeUndefined();
      expect(flows.get(12)).toEqual({ packets: 4, bytes: 16 });
      expect(flows.remove(12)).toEqual({ packets: 4, bytes: 16 });
      expect(flows.remove(12)).toBeUndefined();
      // Elements that stay are shown once, whatever else goes.
      const shown: number[] = [];
      for (const [key] of flows.entries(4)) {
        shown.push(Number(key));
        for (const other of [15, 21, 27]) flows.delete(other);
      }
      expect(shown.filter((key) => ![15, 21, 27].includes(key)).sort((a, b) => a - b)).toEqual([
        18, 24, 30, 33, 36, 39, 42, 45,
      ]);
      flows.freeze();
      expect(() => flows.set(1, { packets: 1, bytes: 1 })).toThrow(
        expect.objectContaining({ code: 'SLUICE_MAP_EPERM' }),
      );
      loaded.close();
    });

    it.skipIf(reason !== undefined)(`variables and arrays in place${skipped}`, async () => {
      const loaded = await object();
      const row = loaded.maps['row']!;
      const data = loaded.maps['.data']!;
      const { flows } = loaded.maps;
      if (!isArray(row) || !isArray(data)) throw new Error('not arrays');
      expect(isArray(flows!)).toBe(false);
      const slots = new BigUint64Array(row.bytes().buffer, row.bytes().byteOffset, 4);
      const runs = new DataView(data.bytes().buffer, data.bytes().byteOffset);
      expect([row.stride, data.stride, data.bytes().length, row.bytes().length]).toEqual([8, 8, 8, 32]);
      expect(runs.getUint32(0, true)).toBe(40);
      runs.setUint32(0, 100, true);
      slots[2] = 1000n;
      loaded.programs['count']!.run(packet(60));
      expect(runs.getUint32(0, true)).toBe(101);
      expect(slots[2]).toBe(1007n);
      expect(row.get(2)).toBe(1007n);
      loaded.close();
    });

    it.skipIf(reason !== undefined)(`an object can be given the maps of another${skipped}`, async () => {
      const first = await object();
      const { flows, row } = first.maps;
      const runtime = 'runtime' in first ? { runtime: first.runtime } : {};
      const second = await load(bytes, {
        ...(options as { readonly target?: 'user' }),
        ...runtime,
        programs: ['count'],
        maps: { ...first.maps, flows: flows!, row: row! },
      });
      second.programs['count']!.run(packet(99));
      second.close();
      expect(flows!.get(99)).toEqual({ packets: 1, bytes: 99 });
      expect((row!.raw as TargetMap).elementSize).toBe(8);
      expect(row!.get(2)).toBe(7n);
      await expect(load(bytes, { maps: { flow: flows! } })).rejects.toThrow(
        expect.objectContaining({ code: 'SLUICE_NO_MAP' }),
      );
      first.close();
    });

    it.skipIf(reason !== undefined)(`maps that no object defines${skipped}`, async () => {
      const where = target === 'linux' ? ({ target } as const) : { runtime: new Runtime() };
      const outer = await createMap(
        { type: 'hash_of_maps', maxEntries: 8, inner: { type: 'array', maxEntries: 2 } },
        where,
      );
      const inner = await createMap(outer.spec.inner!, where);
      inner.set(1, 7n);
      (outer as MapOfMapsHandle).put(42, inner);
      inner.close();
      expect((outer as MapOfMapsHandle).inner(42)!.get(1)).toBe(7n);
      expect((outer as MapOfMapsHandle).inner(43)).toBeUndefined();
      const other = await createMap({ type: 'array', maxEntries: 3 }, where);
      expect(() => (outer as MapOfMapsHandle).put(1, other)).toThrow(
        expect.objectContaining({ code: 'SLUICE_MAP_EINVAL' }),
      );
      const flows = await createMap({ name: 'flows', type: 'hash', valueSize: 8, maxEntries: 16 }, where);
      const flowsOf = (await import('../src/index.ts')).readObject(bytes, 'object').maps.get('flows')!;
      const maps = { flows, cpus: await createMap({ type: 'percpu_array', maxEntries: 2 }, where) };
      const rest = { fifo: 'queue', lifo: 'stack' } as const;
      const given = Object.fromEntries(
        await Promise.all(
          Object.entries(rest).map(async ([name, type]) => [
            name,
            await createMap({ type, valueSize: 4, maxEntries: 8 }, where),
          ]),
        ),
      );
      const ever = await createMap({ type: 'bloom_filter', valueSize: 4, maxEntries: 64 }, where);
      const loaded = await load(bytes, {
        ...(where as { readonly target?: 'user' }),
        maps: { ...maps, ...given, ever },
      });
      loaded.programs['count']!.run(packet(70));
      expect(loaded.maps['flows']!.get(70)).toEqual({ packets: 1, bytes: 70 });
      expect((flows.raw as TargetMap).lookup(new Uint8Array(Uint32Array.of(70).buffer))).toEqual(
        new Uint8Array(Uint32Array.of(1, 70).buffer),
      );
      expect(given['fifo']!.type).toBe('queue');
      expect((given['fifo'] as QueueHandle).peek()).toBe(41);
      await expect(createMap({ ...flowsOf, maxEntries: 0 }, where)).rejects.toThrow(/EINVAL/);
      await expect(createMap({ type: 'stack_trace', maxEntries: 1, valueSize: 3 }, where)).rejects.toThrow();
      loaded.close();
    });
  });
});
