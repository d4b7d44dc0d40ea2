// Maps that are keyed by objects of the kernel, or hold them, and rings that user space writes: the same object here, in both engines, and in the kernel.
import { describe, expect, it } from 'vitest';
import {
  attachCgroup,
  createCgroup,
  createSocket,
  currentTask,
  load,
  type MapHandle,
  Runtime,
  type UserRingbufHandle,
} from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
struct bpf_dynptr { u64 opaque[2]; };
struct bpf_sock;
struct __sk_buff { u32 skip[42]; struct bpf_sock *sk; };
static long (*drain)(void *map, void *callback, void *ctx, u64 flags) = (void *)209;
static long (*dynptr_read)(void *to, u32 size, const struct bpf_dynptr *from, u32 offset, u64 flags) = (void *)201;
static void *(*sk_storage_get)(void *map, void *sk, void *value, u64 flags) = (void *)107;
static long (*sk_storage_delete)(void *map, void *sk) = (void *)108;
static struct bpf_sock *(*sk_fullsock)(struct bpf_sock *) = (void *)95;
static void *(*get_local_storage)(void *map, u64 flags) = (void *)81;
struct cgroup_key { u64 cgroup; u32 attach_type; };
struct { __uint(type, 31); __uint(max_entries, 4096); } requests SEC(".maps");
struct { __uint(type, 24); __uint(map_flags, 1); __type(key, int); __type(value, u64); } of_socket SEC(".maps");
struct { __uint(type, 19); __type(key, struct cgroup_key); __type(value, u64); } of_group SEC(".maps");
struct { __uint(type, 21); __type(key, struct cgroup_key); __type(value, u64); } of_group_cpu SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } out SEC(".maps");
static long sum(struct bpf_dynptr *record, u64 *total) {
  u32 word = 0;
  if (dynptr_read(&word, 4, record, 0, 0)) { *total += 1000; return 0; }
  *total += word;
  return word == 7;
}
SEC("tc") int drained(struct __sk_buff *skb) { u64 total = 0; long n = drain(&requests, sum, &total, 0); return n * 10000 + total; }
SEC("tc") int refused(struct __sk_buff *skb) { u64 total = 0; return -drain(&requests, sum, &total, 8); }
SEC("cgroup_skb/egress") int stored(struct __sk_buff *skb) {
  struct bpf_sock *sk = skb->sk;
  u64 five = 5;
  if (!sk || !(sk = sk_fullsock(sk))) return 0;
  u64 *none = sk_storage_get(&of_socket, sk, 0, 0);
  u64 *value = sk_storage_get(&of_socket, sk, &five, 1);
  u64 *group = get_local_storage(&of_group, 0), *mine = get_local_storage(&of_group_cpu, 0);
  if (!value) return 0;
  *value += none ? 100 : 1;
  *group += 2;
  *mine += 3;
  u64 all = *value * 1000000 + *group * 1000 + *mine;
  u32 key = 0;
  u64 *last = bpf_map_lookup_elem(&out, &key);
  if (last) *last = all;
  return 1;
}
SEC("cgroup_skb/egress") int deleted(struct __sk_buff *skb) {
  struct bpf_sock *sk = skb->sk;
  if (!sk || !(sk = sk_fullsock(sk))) return 0;
  u32 key = 0;
  u64 *last = bpf_map_lookup_elem(&out, &key);
  if (!last) return 0;
  *last = -sk_storage_delete(&of_socket, sk);
  sk_storage_get(&of_socket, sk, 0, 1);
  *last = *last * 10 - sk_storage_delete(&of_socket, sk);
  return 1;
}
`;

const refusal = bpfRefusal();
const targets = ['jit', 'interpreter', ...(refusal === undefined ? ['linux'] : [])];
const packet = Buffer.from(
  '02000000000202000000000108004500002800010000400660cdc0000201c63364070fa001bb000000010000000250100fff00000000',
  'hex',
);

describe.skipIf(clangs.length === 0)(`maps with objects${noClang}`, () => {
  const bytes = clangs.length === 0 ? new Uint8Array() : compileBpf(source);
  const open = (target: string): Promise<LoadedObject> =>
    target === 'linux'
      ? load(bytes, { target: 'linux' })
      : load(bytes, { engine: target as 'jit' | 'interpreter', runtime: new Runtime({ cpus: 2, seed: 1n }) });
  const u32 = (...words: number[]) => new Uint8Array(Uint32Array.from(words).buffer);

  it.each(targets)('%s: a program drains a user ring buffer', async (target) => {
    const object = await open(target);
    const ring = object.maps['requests'] as MapHandle as UserRingbufHandle;
    const run = (name: string) => object.programs[name]!.run({ data: packet }).returnValue;
    expect(run('drained')).toBe(0);
    expect(run('refused')).toBe(22);
    for (const word of [1, 2, 3]) expect(ring.push(u32(word))).toBe(true);
    expect(run('drained')).toBe(30006);
    // A record of less than four bytes, one that is discarded, one that ends the drain, one that is left, one that is not ready.
    ring.push(new Uint8Array(2));
    ring.reserve(4)!.discard();
    ring.push(u32(7));
    ring.push(u32(9));
    const last = ring.reserve(4)!;
    last.bytes.set(u32(40));
    expect(run('drained')).toBe(21007);
    expect(run('drained')).toBe(10009);
    expect(run('drained')).toBe(0);
    last.submit();
    expect(run('drained')).toBe(10040);
    expect(() => last.submit()).toThrow(/already/);
    // Full, wrapped around, and empty again.
    let written = 0;
    while (ring.push(u32(1, 2, 3, 4, 5))) written++;
    expect(written).toBe(4096 / 32);
    expect(run('drained')).toBe(written * 10000 + written);
    expect(() => ring.reserve(4096)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_E2BIG' }));
    expect(ring.available).toBe(4088);
    object.close();
    expect(() => ring.push(u32(1))).toThrow(/closed/);
  });

  it.each(targets)('%s: storage of a socket and of a control group lasts as long as a test run', async (target) => {
    const object = await open(target);
    const after = (name: string, repeat: number) => {
      object.maps['out']!.set(0, 0n);
      expect(object.programs[name]!.run({ data: packet, repeat }).returnValue & 1).toBe(1);
      return object.maps['out']!.get(0);
    };
    expect(after('stored', 1)).toBe(6_002_003n);
    expect(after('stored', 1)).toBe(6_002_003n);
    expect(after('stored', 3)).toBe(206_006_009n);
    expect(after('deleted', 1)).toBe(20n);
    object.close();
  });

  it('a control group that is attached keeps its storage, which user space sees', async () => {
    const runtime = new Runtime({ cpus: 2, seed: 1n });
    const object = await load(bytes, { runtime });
    object.maps['out']!.set(0, 0n);
    const group = createCgroup(runtime);
    const key = { cgroup: BigInt(group.id), attach_type: 1 };
    attachCgroup(runtime, group);
    expect(object.maps['of_group']!.get(key)).toBeUndefined();
    for (let i = 0; i < 4; i++) object.programs['stored']!.run({ data: packet });
    expect(object.maps['of_group']!.get(key)).toBe(8n);
    expect(object.maps['of_group_cpu']!.get(key)).toEqual([12n, 0n]);
    object.maps['of_group']!.set(key, 100n);
    object.programs['stored']!.run({ data: packet });
    expect(object.maps['of_group']!.get(key)).toBe(102n);
    expect(() => object.maps['of_group']!.delete(key)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EINVAL' }));
    attachCgroup(runtime, undefined);
    group.close();
    expect(object.maps['of_group']!.get(key)).toBeUndefined();
    object.close();
  });

  it('storage of objects that the run made goes with them', async () => {
    const runtime = new Runtime({ seed: 1n });
    const object = await load(bytes, { runtime });
    const socket = createSocket(runtime);
    const storage = object.maps['of_socket']!;
    expect(() => storage.get(4711)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EBADF' }));
    expect(() => storage.get(currentTask(runtime).id)).toThrow(
      expect.objectContaining({ code: 'SLUICE_MAP_ENOTSOCK' }),
    );
    expect(storage.get(socket.id)).toBeUndefined();
    storage.set(socket.id, 7n, 'noexist');
    expect(() => storage.set(socket.id, 8n, 'noexist')).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EEXIST' }));
    expect(storage.get(socket.id)).toBe(7n);
    expect(() => [...storage.keys()]).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_ENOTSUPP' }));
    expect(storage.delete(socket.id)).toBe(true);
    expect(storage.delete(socket.id)).toBe(false);
    const pages = () => runtime.plane.exports.pages_alloc(1) >>> 0;
    const many = Array.from({ length: 5000 }, () => createSocket(runtime));
    for (const each of many) storage.set(each.id, BigInt(each.id));
    for (const each of many) expect(storage.get(each.id)).toBe(BigInt(each.id));
    for (const each of many) each.close();
    expect(() => storage.get(many[0]!.id)).toThrow(expect.objectContaining({ code: 'SLUICE_MAP_EBADF' }));
    expect(pages()).toBeGreaterThan(0);
    object.close();
  });
});
