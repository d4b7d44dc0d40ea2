// One map, a program of the kernel and one of ours: arrays, rings and arenas of the kernel inside the program memory.
import { describe, expect, it } from 'vitest';
import {
  createMap,
  type LoadedObject,
  load,
  type MapHandle,
  type RingbufHandle,
  Runtime,
  type UserRingbufHandle,
} from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { shareKernelMap } from '../src/linux/shared-maps.ts';
import { ROOT, ROOT_SIZE_HOLDS } from '../src/plane/layout/memory.ts';
import { isArray } from '../src/runtime/handles.ts';
import { clangs, compileBpf, prelude } from './clang.ts';

const missing = bpfRefusal() ?? (clangs.includes('clang-22') ? undefined : 'no clang-22');

const common = `${prelude}
struct xdp_md { u32 data, data_end, data_meta, ifindex, queue, egress; };
struct bpf_dynptr { u64 opaque[2]; };
static long (*output)(void *map, void *data, u64 size, u64 flags) = (void *)130;
static void *(*reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*submit)(void *record, u64 flags) = (void *)132;
static void (*discard)(void *record, u64 flags) = (void *)133;
static u64 (*query)(void *map, u64 flags) = (void *)134;
static long (*dynptr_read)(void *to, u32 size, const struct bpf_dynptr *from, u32 offset, u64 flags) = (void *)201;
static long (*drain)(void *map, void *callback, void *ctx, u64 flags) = (void *)209;
`;

const arraySource = `${common}
struct { __uint(type, 2); __uint(max_entries, 3); __uint(map_flags, 1024); __type(key, u32); __type(value, u64); } counts SEC(".maps");
u64 variable = 5;
SEC("xdp") int add(struct xdp_md *ctx) {
  u32 key = 1, none = 3; u64 *count = bpf_map_lookup_elem(&counts, &key);
  if (!count || bpf_map_lookup_elem(&counts, &none)) return 0;
  __sync_fetch_and_add(count, ctx->data_end - ctx->data);
  __sync_fetch_and_add(&variable, 1);
  return *count;
}
`;

/** `mine` is written, `theirs` drained. */
const ring = (mine: string, theirs: string) => `${common}
struct { __uint(type, 27); __uint(max_entries, 4096); } ${mine} SEC(".maps");
struct { __uint(type, 31); __uint(max_entries, 4096); } ${theirs} SEC(".maps");
u32 number;
SEC("xdp") int produce(struct xdp_md *ctx) {
  u32 value = ++number;
  u64 *record = reserve(&${mine}, 24, 0);
  if (!record) return 1;
  record[0] = value; record[1] = 0; record[2] = ctx->data_end - ctx->data;
  if (value % 3 == 0) discard(record, 0); else submit(record, 0);
  return output(&${mine}, &value, 4, 0) ? 1 : 2;
}
struct sum { u64 total; u32 records; };
static long add(struct bpf_dynptr *record, struct sum *sum) {
  u32 value = 0;
  dynptr_read(&value, 4, record, 0, 0);
  sum->total = sum->total * 31 + value;
  sum->records++;
  return 0;
}
u64 total;
SEC("xdp") int consume(struct xdp_md *ctx) {
  struct sum sum = { total };
  long n = drain(&${theirs}, add, &sum, 0);
  total = sum.total;
  return n < 0 ? n : sum.records;
}
`;

const arenaSource = `${common}
char _license[] SEC("license") = "GPL";
#define __arena __attribute__((address_space(1)))
struct { __uint(type, 33); __uint(map_flags, 1024); __uint(max_entries, 8); } arena SEC(".maps");
extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 count, int node, u64 flags) __ksym;
struct node { struct node __arena *next; u64 value; };
struct node __arena *head;
u64 __arena used SEC(".addr_space.1");
SEC("syscall") int grow(u32 *ctx) {
  struct node __arena *node = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
  if (!node) return 1;
  node->value = ctx[0];
  node->next = head;
  head = node;
  used++;
  return 0;
}
SEC("syscall") int walk(u32 *ctx) {
  u64 sum = 0;
  struct node __arena *node = head;
  for (u32 i = 0; i < 16 && node; i++) { sum = sum * 10 + node->value; node->value++; node = node->next; }
  used += 100;
  return sum;
}
`;

const packet = (size: number) => ({ data: new Uint8Array(size) });
const engines = ['jit', 'interpreter'] as const;

describe.skipIf(missing !== undefined)(`maps shared with the kernel${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.each(engines)('%s: an array and variables', async (engine) => {
    const bytes = compileBpf(arraySource);
    const kernel = await load(bytes, { target: 'linux' });
    const ours = await load(bytes, {
      engine,
      maps: { counts: kernel.maps['counts']!, '.data': kernel.maps['.data']! },
    });
    expect(kernel.programs['add']!.run(packet(60)).returnValue).toBe(60);
    expect(ours.programs['add']!.run(packet(100)).returnValue).toBe(160);
    expect(kernel.programs['add']!.run(packet(60)).returnValue).toBe(220);
    expect([ours, kernel].map(({ maps }) => maps['counts']!.get(1))).toEqual([220n, 220n]);
    ours.maps['counts']!.set(1, 1000n);
    expect(kernel.maps['counts']!.get(1)).toBe(1000n);
    expect(() => ours.maps['counts']!.set(3, 1n)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_E2BIG' }));
    const place = ours.maps['.data']!;
    if (!isArray(place)) throw new Error('not an array');
    expect(new DataView(place.bytes().buffer, place.bytes().byteOffset).getBigUint64(0, true)).toBe(8n);
    // Ours lives on when the kernel's object is closed, and the memory is plain again when ours is.
    kernel.close();
    expect(ours.programs['add']!.run(packet(60)).returnValue).toBe(1060);
    ours.close();
    const after = await load(bytes, { runtime: ours.runtime });
    expect(after.programs['add']!.run(packet(60)).returnValue).toBe(60);
    after.close();
  });

  it('a ring that finds no room lets the memory grow again', async () => {
    const runtime = new Runtime();
    const { byteLength } = runtime.plane.memory.buffer;
    const holds = () => runtime.view().getUint32(ROOT + ROOT_SIZE_HOLDS, true);
    // All but some pages of the 4 GiB are taken: address space, never written.
    const taken = 2 ** 32 - byteLength - 8 * 65536;
    const address = runtime.allocatePages(taken);
    const kernel = await createMap({ type: 'ringbuf', maxEntries: 1 << 20 }, { target: 'linux' });
    const { spec } = await createMap({ type: 'user_ringbuf', maxEntries: 4096 }, { runtime });
    expect(() => shareKernelMap(runtime, kernel, spec)).toThrow('no room');
    expect(holds()).toBe(0);
    runtime.freePages(address, taken);
    const shared = shareKernelMap(runtime, kernel, spec);
    expect(holds()).toBe(1);
    shared.close();
    expect(holds()).toBe(0);
    kernel.close();
  });

  it.each(engines)(
    '%s: rings, each with a producer there and a consumer here or the other way round',
    async (engine) => {
      const kernel = await load(compileBpf(ring('up', 'down')), { target: 'linux' });
      const maps = { up: kernel.maps['up']!, down: kernel.maps['down']! };
      const ours = await load(compileBpf(ring('down', 'up')), { engine, maps });
      const both = {
        kernel: { total: 0n, number: 0, object: kernel as LoadedObject },
        ours: { total: 0n, number: 0, object: ours as LoadedObject },
      };
      type Side = (typeof both)['kernel'];
      /** Records of `count` runs of a producer, as its consumer adds them up. */
      const expected = (from: Side, to: Side, count: number) => {
        let records = 0;
        for (let i = 0; i < count; i++) {
          const value = BigInt(++from.number);
          for (const each of value % 3n === 0n ? [value] : [value, value]) {
            to.total = BigInt.asUintN(64, to.total * 31n + each);
            records++;
          }
        }
        return records;
      };
      const totals = (side: Side) => side.object.maps['.bss']!.get(0);
      // Many laps around rings of 4 KiB.
      for (let lap = 0; lap < 60; lap++) {
        const count = 1 + ((lap * 7) % 30);
        for (const [from, to] of [
          [both.kernel, both.ours],
          [both.ours, both.kernel],
        ] as const) {
          for (let i = 0; i < count; i++) expect(from.object.programs['produce']!.run(packet(64)).returnValue).toBe(2);
          expect(to.object.programs['consume']!.run(packet(64)).returnValue).toBe(expected(from, to, count));
          expect(totals(to)).toMatchObject({ total: to.total });
        }
      }
      // Full at the same record, from either side.
      const untilFull = (side: Side) => {
        let runs = 0;
        while (side.object.programs['produce']!.run(packet(64)).returnValue === 2) runs++;
        return runs;
      };
      const filled = untilFull(both.kernel);
      expect(filled).toBeGreaterThan(80);
      expect(Math.abs(untilFull(both.ours) - filled)).toBeLessThanOrEqual(1);
      // User space here has neither end.
      expect(() => (ours.maps['up'] as UserRingbufHandle).get(0)).toThrow();
      expect('consume' in (ours.maps['down'] as RingbufHandle)).toBe(false);
      ours.close();
      kernel.close();
    },
  );

  it.each(engines)('%s: an arena, with pointers', async (engine) => {
    {
      const bytes = compileBpf(arenaSource);
      const runtime = new Runtime();
      const kernel = await load(bytes, { target: 'linux', runtime });
      const ours = await load(bytes, {
        engine,
        runtime,
        maps: { arena: kernel.maps['arena']!, '.bss': kernel.maps['.bss']! },
      });
      const context = (value: number) => ({ context: new Uint8Array(Uint32Array.of(value).buffer) });
      for (const value of [1, 2, 3]) expect(kernel.programs['grow']!.run(context(value)).returnValue).toBe(0);
      expect(ours.programs['walk']!.run(context(0)).returnValue).toBe(321);
      expect(kernel.programs['walk']!.run(context(0)).returnValue).toBe(432);
      expect(ours.programs['walk']!.run(context(0)).returnValue).toBe(543);
      // Pages are the kernel's to give.
      expect(ours.programs['grow']!.run(context(9)).returnValue).toBe(1);
      ours.close();
      kernel.close();
    }
  });

  it('says what cannot be shared', async () => {
    const source = `${common}
      struct { __uint(type, 1); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } table SEC(".maps");
      struct { __uint(type, 2); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } plain SEC(".maps");
      SEC("xdp") int use(void *ctx) { u32 key = 1; return !!bpf_map_lookup_elem(&table, &key) + !!bpf_map_lookup_elem(&plain, &key); }`;
    const bytes = compileBpf(source);
    const kernel = await load(bytes, { target: 'linux' });
    const refusal = (map: MapHandle) =>
      load(bytes, { maps: { [map.name]: map } }).then(
        () => 'loaded',
        (error) => `${error.code}: ${error.message}`,
      );
    expect(await refusal(kernel.maps['table']!)).toMatch(/^SLUICE_UNSUPPORTED: .*type hash cannot be mapped/);
    expect(await refusal(kernel.maps['plain']!)).toMatch(/^SLUICE_MAP_SHARE: .*BPF_F_MMAPABLE/);
    const elsewhere = await load(bytes);
    expect(await refusal(elsewhere.maps['plain']!)).toMatch(/^SLUICE_MAP_SHARE: .*another runtime/);
    await expect(load(bytes, { target: 'linux', maps: { plain: elsewhere.maps['plain']! } })).rejects.toMatchObject({
      code: 'SLUICE_MAP_SHARE',
    });
    elsewhere.close();
    kernel.close();
  });
});
