// Arrays of control groups: packets and the current task are in them or not, here and in the kernel.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { attachCgroup, createCgroup, createSocket, type LoadedObject, load, Runtime } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
struct { __uint(type, 8); __uint(max_entries, 3); __uint(key_size, 4); __uint(value_size, 4); } groups SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } asked SEC(".maps");
static long (*skb_under)(void *skb, void *map, u32 index) = (void *)33;
static long (*task_under)(void *map, u32 index) = (void *)37;
static u64 (*task_group)(void) = (void *)80;
static u64 (*task_ancestor)(int level) = (void *)123;
static u64 (*packet_group)(void *skb) = (void *)79;
static u64 (*packet_ancestor)(void *skb, int level) = (void *)83;
SEC("tc") int under(void *skb) {
  u32 zero = 0, *index = bpf_map_lookup_elem(&asked, &zero);
  if (!index) return 0;
  return (skb_under(skb, &groups, *index) + 100) * 1000 + task_under(&groups, *index) + 100;
}
SEC("tc") int where(void *skb) {
  return (task_group() == packet_group(skb)) * 1000 + (task_ancestor(1) == packet_ancestor(skb, 1)) * 100 + task_ancestor(0) * 10 + (task_ancestor(1) == task_group());
}
char _license[] SEC("license") = "GPL";`;

const both = (result: number) => (result + 100) * 1001;
const packet = { data: Buffer.from('02000000000202000000000108004500001400010000400660e1c0000201c6336407', 'hex') };

describe.skipIf(clangs.length === 0)(`cgroup_array${noClang}`, () => {
  const bytes = clangs.length === 0 ? new Uint8Array() : compileBpf(source);
  const ask = (object: LoadedObject, index: number) => {
    object.maps['asked']!.set(0, index);
    return object.programs['under']!.run(packet).returnValue;
  };

  /** `own` and `other` are what the map takes for a group that the program runs in, and one that it does not. */
  function check(object: LoadedObject, own: number, other: number): void {
    const groups = object.maps['groups']!;
    const fails = (errno: string, action: () => unknown) =>
      expect(action).toThrow(expect.objectContaining({ message: expect.stringContaining(errno) }));
    expect(ask(object, 0)).toBe(both(-11));
    expect(ask(object, 3)).toBe(both(-7));
    groups.set(0, own);
    groups.set(2, other);
    expect([0, 1, 2].map((index) => ask(object, index))).toEqual([both(1), both(-11), both(0)]);
    groups.set(0, other);
    expect(ask(object, 0)).toBe(both(0));
    expect(groups.delete(0)).toBe(true);
    expect(groups.delete(0)).toBe(false);
    expect(ask(object, 0)).toBe(both(-11));
    fails('E2BIG', () => groups.set(3, own));
    fails('EBADF', () => groups.set(0, 999_999));
    fails('EINVAL', () => groups.raw.update(new Uint8Array(4), new Uint8Array(4), 'noexist'));
    fails('ENOTSUPP', () => groups.get(2));
  }

  it.each(['jit', 'interpreter'] as const)('%s: groups that the run makes', async (engine) => {
    const runtime = new Runtime();
    const [own, other] = [createCgroup(runtime), createCgroup(runtime)];
    const object = await load(bytes, { engine, runtime });
    object.maps['groups']!.set(0, own.id);
    expect(ask(object, 0)).toBe(both(0));
    const where = () => object.programs['where']!.run(packet).returnValue;
    expect(where()).toBe(1110);
    object.maps['groups']!.delete(0);
    attachCgroup(runtime, own);
    expect(where()).toBe(1111);
    check(object, own.id, other.id);
    expect(() => object.maps['groups']!.set(0, createSocket(runtime).id)).toThrow('EBADF');
    // The map holds its groups.
    object.maps['groups']!.set(0, other.id);
    other.close();
    attachCgroup(runtime, undefined);
    expect(ask(object, 0)).toBe(both(0));
    object.close();
  });

  const refusal = bpfRefusal();
  it.skipIf(refusal !== undefined)(
    `linux: groups of the machine${refusal ? ` (skipped: ${refusal})` : ''}`,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), `sluice-cgroup-${process.pid}-`));
      execFileSync('mount', ['-t', 'cgroup2', 'none', folder]);
      const child = join(folder, `sluice-${process.pid}`);
      mkdirSync(child);
      const [own, other] = [openSync(folder, 'r'), openSync(child, 'r')];
      const object = await load(bytes, { target: 'linux' });
      try {
        check(object, own, other);
      } finally {
        object.close();
        closeSync(own);
        closeSync(other);
        rmdirSync(child);
        execFileSync('umount', [folder]);
        rmdirSync(folder);
      }
    },
  );
});
