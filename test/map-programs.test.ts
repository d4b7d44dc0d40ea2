// Programs over map types, here in both engines and in the kernel: the same object, the same return values.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { readObject } from '../src/object/index.ts';
import type {
  LoadedObject,
  MapOfMapsHandle,
  PerfEventHandle,
  QueueHandle,
  RunResult,
  TargetMap,
} from '../src/runtime/handles.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';
import { u32 } from './map-operations.ts';

const source = `${prelude}
struct xdp_md { u32 data, data_end, data_meta, ifindex, queue, egress; };
struct bpf_spin_lock { u32 val; };
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*spin_lock)(struct bpf_spin_lock *) = (void *)93;
static long (*spin_unlock)(struct bpf_spin_lock *) = (void *)94;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static long (*perf_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*pop)(void *map, void *value) = (void *)88;
static long (*peek)(void *map, void *value) = (void *)89;
static void *(*lookup_percpu)(void *map, const void *key, u32 cpu) = (void *)195;
#define MAP(map, kind, key, value, entries) struct { __uint(type, kind); __uint(key_size, key); __uint(value_size, value); __uint(max_entries, entries); } map SEC(".maps")
MAP(counts, 5, 4, 8, 4);
MAP(recent, 10, 4, 8, 4);
MAP(fifo, 22, 0, 4, 3);
MAP(lifo, 23, 0, 4, 3);
MAP(seen, 30, 0, 4, 64);
MAP(ports, 14, 4, 4, 4);
MAP(ports_by_key, 25, 4, 4, 4);
MAP(cpus, 16, 4, 4, 4);
MAP(sockets, 17, 4, 4, 4);
MAP(records, 4, 4, 4, 0);
struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } first SEC(".maps"), second SEC(".maps");
struct { __uint(type, 12); __uint(max_entries, 4); __type(key, u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { [2] = &first } };
struct { __uint(type, 13); __uint(max_entries, 4); __type(key, u32); __array(values, struct inner); } outer_hash SEC(".maps") = { .values = { [7] = &second } };
struct locked { u32 a; struct bpf_spin_lock lock; u64 b; };
struct { __uint(type, 1); __uint(max_entries, 4); __type(key, u32); __type(value, struct locked); } locks SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 2); __type(key, u32); __type(value, struct locked); } lock_array SEC(".maps");

static __attribute__((always_inline)) int percpu(void *map) {
  u32 key = 3; u64 one = 40;
  if (update(map, &key, &one, 0)) return -1;
  u64 *mine = bpf_map_lookup_elem(map, &key);
  if (!mine) return -2;
  *mine += 2;
  u64 *there = lookup_percpu(map, &key, 0);
  if (!there) return -3;
  if (lookup_percpu(map, &key, 1000)) return -4;
  return (int)update(map, &key, &one, 1) * 1000 + (int)*mine;
}
SEC("xdp") int percpu_hash(struct xdp_md *ctx) { return percpu(&counts); }
SEC("xdp") int percpu_lru(struct xdp_md *ctx) { return percpu(&recent); }
static __attribute__((always_inline)) int queue(void *map) {
  u32 value; int sum = 0;
  for (u32 i = 1; i < 5; i++) sum = sum * 2 + (push(map, &i, 0) ? 1 : 0);
  u32 five = 5;
  sum = sum * 2 + (push(map, &five, 2) ? 1 : 0);
  if (peek(map, &value)) return -1;
  sum = sum * 8 + value;
  for (int i = 0; i < 4; i++) { long r = pop(map, &value); sum = sum * 8 + value + (r ? 6 : 0); }
  return sum;
}
SEC("xdp") int queues(struct xdp_md *ctx) { return queue(&fifo); }
SEC("xdp") int stacks(struct xdp_md *ctx) { return queue(&lifo); }
SEC("xdp") int bloom(struct xdp_md *ctx) {
  u32 missing = 0;
  for (u32 i = 0; i < 20; i++) { u32 v = i * 77; if (push(&seen, &v, 0)) return -1; }
  for (u32 i = 0; i < 20; i++) { u32 v = i * 77; if (peek(&seen, &v)) missing++; }
  return missing;
}
SEC("xdp") int in_array(struct xdp_md *ctx) {
  u32 key = 2, zero = 0;
  void *map = bpf_map_lookup_elem(&outer, &key);
  if (!map) return -1;
  u32 *value = bpf_map_lookup_elem(map, &zero);
  if (!value) return -2;
  return ++*value;
}
SEC("xdp") int in_hash(struct xdp_md *ctx) {
  u32 key = 7, zero = 0, none = 8;
  if (bpf_map_lookup_elem(&outer_hash, &none)) return -3;
  void *map = bpf_map_lookup_elem(&outer_hash, &key);
  if (!map) return -1;
  u32 *value = bpf_map_lookup_elem(map, &zero);
  if (!value) return -2;
  return *value += 10;
}
SEC("xdp") int locking(struct xdp_md *ctx) {
  u32 key = 1; struct locked init = { .a = 5, .b = 6 };
  if (update(&locks, &key, &init, 0)) return -1;
  struct locked *value = bpf_map_lookup_elem(&locks, &key);
  if (!value) return -2;
  spin_lock(&value->lock); value->a++; value->b += value->a; spin_unlock(&value->lock);
  init.a = 100;
  if (update(&locks, &key, &init, 4 | 2)) return -3;
  return value->a * 100 + value->b;
}
SEC("xdp") int to_port(struct xdp_md *ctx) { return redirect_map(&ports, 1, 2); }
SEC("xdp") int to_no_port(struct xdp_md *ctx) { return redirect_map(&ports, 2, 2); }
SEC("xdp") int to_key(struct xdp_md *ctx) { return redirect_map(&ports_by_key, 9, 1); }
SEC("xdp") int to_no_key(struct xdp_md *ctx) { return redirect_map(&ports_by_key, 1ULL << 32 | 8, 3); }
SEC("xdp") int to_all(struct xdp_md *ctx) { return redirect_map(&ports, 3, 8 | 16); }
SEC("xdp") int to_bad_flags(struct xdp_md *ctx) { return redirect_map(&cpus, 0, 8); }
SEC("xdp") int to_cpu(struct xdp_md *ctx) { return redirect_map(&cpus, 0, 0); }
SEC("xdp") int to_socket(struct xdp_md *ctx) {
  u32 key = 1;
  return bpf_map_lookup_elem(&sockets, &key) ? redirect_map(&sockets, 1, 0) : redirect_map(&sockets, 1, 2);
}
SEC("xdp") int report(struct xdp_md *ctx) {
  u32 value = 0xabcd;
  return perf_output(ctx, &records, 0xffffffffULL | (u64)4 << 32, &value, 4);
}
SEC("xdp") int report_bad(struct xdp_md *ctx) {
  u32 value = 1;
  return perf_output(ctx, &records, 0xffffffffULL | (u64)9999 << 32, &value, 4) * 1000000 + perf_output(ctx, &records, 99, &value, 4) * 1000 + perf_output(ctx, &records, 1ULL << 60, &value, 4);
}
char _license[] SEC("license") = "GPL";
`;

const noKernel = bpfRefusal();
const packet = Uint8Array.from({ length: 64 }, (_, i) => i);
const results = [
  ['percpu_hash', [-17 * 1000 + 42, -17 * 1000 + 42]],
  ['percpu_lru', [-17 * 1000 + 42, -17 * 1000 + 42]],
  ['bloom', [0, 0]],
  ['in_array', [1, 2]],
  ['in_hash', [10, 20]],
  ['to_port', [4]],
  ['to_no_port', [2]],
  ['to_key', [4]],
  ['to_no_key', [3]],
  ['to_all', [4]],
  ['to_bad_flags', [0]],
  ['to_cpu', [4]],
  ['to_socket', [2]],
  ['report', [-2]],
  ['report_bad', [-14 * 1_000_000 - 7 * 1000 - 22]],
] as const;

describe.skipIf(clangs.length === 0)(`map types in programs${noClang}`, () => {
  let bytes: Uint8Array;
  beforeAll(() => {
    bytes = compileBpf(source);
  });
  const engines = [
    ['jit', async () => loadUser(new Runtime({ cpus: 2 }), [xdpHook], readObject(bytes, 'maps'), { engine: 'jit' })],
    [
      'interpreter',
      async () => loadUser(new Runtime({ cpus: 2 }), [xdpHook], readObject(bytes, 'maps'), { engine: 'interpreter' }),
    ],
    ['linux', async () => loadLinux(readObject(bytes, 'maps'))],
  ] as const;

  describe.each(engines)('%s', (name, load) => {
    const reason = name === 'linux' ? noKernel : undefined;
    const skipped = reason === undefined ? '' : ` (skipped: ${reason})`;
    let object: LoadedObject;
    beforeAll(async () => {
      if (reason !== undefined) return;
      object = await load();
      object.maps['ports']!.raw.update(u32(1), u32(1));
      object.maps['ports_by_key']!.raw.update(u32(9), u32(1));
      object.maps['cpus']!.raw.update(u32(0), u32(64));
    });
    afterAll(() => object?.close());
    const run = (program: string): RunResult => object.programs[program]!.run({ data: packet });
    const raw = (map: string) => object.maps[map]!.raw as TargetMap; // maps of both targets are

    for (const [program, expected] of results) {
      it.skipIf(reason !== undefined)(`${program}${skipped}`, () => {
        expect(expected.map(() => run(program).returnValue | 0)).toEqual(expected);
      });
    }

    it.skipIf(reason !== undefined)(`queues and stacks${skipped}`, () => {
      // The 4th push is refused (2), 5 takes the place of the oldest; then what peek and four pops give, the last one nothing (6).
      expect(run('queues').returnValue.toString(8)).toBe('222356');
      expect(run('stacks').returnValue.toString(8)).toBe('255326');
      raw('fifo').update(new Uint8Array(0), u32(8));
      expect(raw('fifo').lookup(new Uint8Array(0))).toEqual(u32(8));
      expect(raw('fifo').take()).toEqual(u32(8));
      expect(raw('fifo').take()).toBeUndefined();
      expect([raw('seen').contains(u32(77)), raw('seen').contains(u32(123_456))]).toEqual([true, false]);
    });

    it.skipIf(reason !== undefined)(`perf records, with a part of the packet, and lost ones${skipped}`, async () => {
      const own = await load();
      const records = own.maps['records'] as PerfEventHandle;
      const report = own.programs['report']!;
      records.open(1);
      expect(report.run({ data: packet }).returnValue).toBe(0);
      const got: string[] = [];
      // The kernel pads them.
      expect(records.consume((record) => got.push(Buffer.from(record.subarray(0, 8)).toString('hex')))).toBe(1);
      expect(got).toEqual(['cdab000000010203']);
      let refused = 0;
      for (let i = 0; i < 300; i++) if (report.run({ data: packet }).returnValue !== 0) refused++;
      const read = records.consume(() => {});
      expect(read + refused).toBe(300);
      // One ring, where the kernel has one a CPU.
      if (name !== 'linux') expect(read).toBe(170);
      // The kernel tells with the next record, on the CPU that this is of.
      report.run({ data: packet });
      expect(records.consume(() => {})).toBe(1);
      expect([refused, 0]).toContain(records.lost());
      expect(records.lost()).toBe(0);
      expect(() => records.open()).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_OPEN' }));
      own.close();
    });

    it.skipIf(reason !== undefined)(`locks: programs and user space${skipped}`, () => {
      expect(run('locking').returnValue).toBe(10_006);
      expect(raw('locks').lookup(u32(1), 'lock')).toEqual(new Uint8Array(Uint32Array.of(100, 0, 6, 0).buffer));
      raw('locks').update(u32(1), new Uint8Array(Uint32Array.of(7, 9, 8, 0).buffer), 'lock');
      expect(raw('locks').lookup(u32(1))).toEqual(new Uint8Array(Uint32Array.of(7, 0, 8, 0).buffer));
      raw('lock_array').update(u32(1), new Uint8Array(Uint32Array.of(7, 9, 8, 0).buffer), 'lock');
      expect(raw('lock_array').lookup(u32(1), 'lock')).toEqual(new Uint8Array(Uint32Array.of(7, 0, 8, 0).buffer));
      expect(() => raw('first').lookup(u32(0), 'lock')).toThrow('EINVAL');
    });

    it.skipIf(reason !== undefined)(`batches${skipped}`, () => {
      const keys = new Uint8Array(Uint32Array.of(1, 2, 3, 4).buffer);
      const map = raw('locks');
      map.updateBatch(keys, new Uint8Array(Uint32Array.from({ length: 16 }, (_, i) => (i % 4 === 1 ? 0 : i)).buffer));
      const got = new Map<string, string>();
      for (let position: Uint8Array | undefined, more = true; more; more = position !== undefined) {
        const batch = map.lookupBatch(4, position);
        for (let i = 0; i < batch.count; i++)
          got.set(
            String(batch.keys.subarray(i * 4, i * 4 + 4)),
            Buffer.from(batch.values.subarray(i * 16, i * 16 + 16)).toString('hex'),
          );
        position = batch.position;
      }
      expect(got.size).toBe(4);
      expect(got.get('2,0,0,0')).toBe('04000000000000000600000007000000');
      expect(() => map.updateBatch(u32(9), new Uint8Array(16))).toThrow('E2BIG');
      map.deleteBatch(new Uint8Array(Uint32Array.of(1, 2).buffer));
      expect(() => map.deleteBatch(u32(1))).toThrow('ENOENT');
      expect(map.lookupBatch(8, undefined, true).count).toBe(2);
      expect(map.nextKey()).toBeUndefined();
      expect(raw('lock_array').lookupBatch(8)).toMatchObject({ count: 2, position: undefined });
      expect(() => raw('fifo').lookupBatch(8)).toThrow('ENOTSUPP');
    });
  });

  describe.each(engines.slice(0, 2))('%s, what only user space shows', (_, load) => {
    it('tells where a packet is redirected', async () => {
      const object = await load();
      object.maps['ports']!.set(1, 5);
      object.maps['sockets']!.set(1, 0);
      const id = (name: string) => (object.maps[name]!.raw as unknown as { readonly id: number }).id; // PlaneMap
      const run = (program: string) => object.programs[program]!.run({ data: packet });
      expect(run('to_port').redirectMap).toEqual({ mapId: id('ports'), key: 1, flags: 0 });
      expect(run('to_all').redirectMap).toEqual({ mapId: id('ports'), key: 3, flags: 24 });
      expect(run('to_no_port').redirectMap).toBeUndefined();
      expect(run('to_socket').redirectMap).toEqual({ mapId: id('sockets'), key: 1, flags: 0 });
      object.close();
    });

    it('replaces inner maps, which live as long as something holds them', async () => {
      const object = await load();
      const outer = object.maps['outer'] as MapOfMapsHandle;
      const run = () => object.programs['in_array']!.run({ data: packet }).returnValue;
      expect(run()).toBe(1);
      object.maps['second']!.set(0, 50);
      outer.put(2, object.maps['second']!);
      object.maps['second']!.close();
      expect(run()).toBe(51);
      const inner = outer.inner(2)!;
      expect(inner.get(0)).toBe(51);
      inner.close();
      expect(() => outer.put(2, object.maps['fifo']!)).toThrow('EINVAL');
      expect(() => outer.raw.update(u32(2), u32(0xffff))).toThrow('EBADF');
      expect(outer.delete(2)).toBe(true);
      expect(run() | 0).toBe(-1);
      object.close();
    });

    it('typed queues', async () => {
      const object = await load();
      const fifo = object.maps['fifo'] as QueueHandle;
      for (const value of [1, 2, 3]) fifo.push(value);
      expect(() => fifo.push(4)).toThrow('E2BIG');
      fifo.push(4, 'exist');
      expect([fifo.peek(), fifo.pop(), fifo.pop(), fifo.pop(), fifo.pop()]).toEqual([2, 2, 3, 4, undefined]);
      object.close();
    });
  });
});
