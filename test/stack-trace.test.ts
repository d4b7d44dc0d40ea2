// Call stacks: those that a run gives here, and what Linux says to the same misuse.
import { describe, expect, it } from 'vitest';
import { type LoadedObject, load, type RunResult, Runtime } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
struct { __uint(type, 7); __uint(max_entries, 3); __uint(key_size, 4); __uint(value_size, 32); } stacks SEC(".maps");
struct { __uint(type, 7); __uint(max_entries, 4); __uint(map_flags, 32); __uint(key_size, 4); __uint(value_size, 64); } named SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } out SEC(".maps");
static long (*get_stackid)(void *ctx, void *map, u64 flags) = (void *)27;
static long (*get_stack)(void *ctx, void *buffer, u32 size, u64 flags) = (void *)67;
SEC("raw_tp") int id(u64 *ctx) { return get_stackid(ctx, &stacks, ctx[0]); }
SEC("raw_tp") int id_named(u64 *ctx) { return get_stackid(ctx, &named, ctx[0]); }
static void keep(u32 i, u64 word) { u64 *to = bpf_map_lookup_elem(&out, &i); if (to) *to = word; }
SEC("raw_tp") int copy(u64 *ctx) {
  u64 buffer[4] = { 9, 9, 9, 9 };
  long n = get_stack(ctx, buffer, sizeof buffer, ctx[0]);
  keep(0, buffer[0]); keep(1, buffer[1]); keep(2, buffer[2]); keep(3, buffer[3]);
  return n;
}
SEC("raw_tp") int odd(u64 *ctx) { u64 buffer[4]; return get_stack(ctx, buffer, 12, ctx[0]); }
char _license[] SEC("license") = "GPL";`;

const USER = 0x100n;
const FAST = 0x200n;
const REUSE = 0x400n;

describe.skipIf(clangs.length === 0)(`stack_trace${noClang}`, () => {
  const bytes = clangs.length === 0 ? new Uint8Array() : compileBpf(source);
  const run = (object: LoadedObject, name: string, flags: bigint): number => {
    const context = new Uint8Array(BigUint64Array.of(flags).buffer);
    const { returnValue }: RunResult = object.programs[name]!.run({ context });
    return returnValue | 0;
  };
  const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
  const words = (value: Uint8Array | undefined) => [...new BigUint64Array(value!.slice().buffer)];
  const buffer = (object: LoadedObject) => [0, 1, 2, 3].map((i) => object.maps['out']!.get(i));

  it.each(['jit', 'interpreter'] as const)('%s: given stacks', async (engine) => {
    const runtime = new Runtime({
      task: { pid: 1, stack: { kernel: [11n, 12n, 13n, 14n, 15n, 16n], user: [71n, 72n] } },
    });
    const object = await load(bytes, { engine, runtime });
    const stacks = object.maps['stacks']!.raw;
    const first = run(object, 'id', 0n);
    expect(words(stacks.lookup(u32(first)))).toEqual([11n, 12n, 13n, 14n]);
    expect(run(object, 'id', 0n)).toBe(first);
    expect(run(object, 'id', FAST)).toBe(first);
    const user = run(object, 'id', USER | REUSE);
    expect(words(stacks.lookup(u32(user)))).toEqual([71n, 72n, 0n, 0n]);
    const skipped = run(object, 'id', 4n | REUSE);
    expect(words(stacks.lookup(u32(skipped)))).toEqual([15n, 16n, 0n, 0n]);
    const named = run(object, 'id_named', USER);
    expect(words(object.maps['named']!.raw.lookup(u32(named)))).toEqual([2n, 0n, 0n, 71n, 2n, 0n, 0n, 72n]);
    expect(run(object, 'id', 6n)).toBe(-14);
    expect([...object.maps['stacks']!.keys()].length).toBe(new Set([first, user, skipped]).size);
    expect(stacks.delete(u32(skipped))).toBe(true);
    expect(stacks.lookup(u32(skipped))).toBeUndefined();
    expect([run(object, 'copy', 0n), buffer(object)]).toEqual([32, [11n, 12n, 13n, 14n]]);
    expect([run(object, 'copy', 4n), buffer(object)]).toEqual([16, [15n, 16n, 0n, 0n]]);
    expect([run(object, 'copy', USER), buffer(object)]).toEqual([16, [71n, 72n, 0n, 0n]]);
    expect([run(object, 'copy', 6n), run(object, 'copy', 7n), buffer(object)]).toEqual([0, -14, [0n, 0n, 0n, 0n]]);
    object.close();
  });

  const refusal = bpfRefusal();
  it.each(['user', ...(refusal === undefined ? ['linux'] : [])])('%s: errno', async (target) => {
    const object = target === 'linux' ? await load(bytes, { target: 'linux' }) : await load(bytes);
    expect(run(object, 'id', 0x800n)).toBe(-22);
    expect(run(object, 'id', 255n)).toBe(-14);
    expect(run(object, 'copy', FAST)).toBe(-22);
    expect(run(object, 'copy', 0x800n)).toBe(-22);
    expect(buffer(object)).toEqual([0n, 0n, 0n, 0n]);
    expect(run(object, 'copy', 255n)).toBe(-14);
    expect(run(object, 'odd', 0n)).toBe(-22);
    const { raw } = object.maps['stacks']!;
    expect(() => raw.update(u32(0), new Uint8Array(32))).toThrow('EINVAL');
    expect(() => raw.delete(u32(4))).toThrow('E2BIG');
    expect(raw.delete(u32(3))).toBe(false);
    expect(raw.lookup(u32(4))).toBeUndefined();
    object.close();
  });

  it('without a given stack there is none', async () => {
    const object = await load(bytes);
    expect([run(object, 'id', 0n), run(object, 'copy', 0n)]).toEqual([-14, 0]);
    expect(() => new Runtime({ task: { stack: { kernel: new Array(128).fill(1n) } } })).toThrow('127');
    object.close();
  });
});
