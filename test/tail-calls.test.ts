// Tail calls out of functions: what was called goes on in another program, and its caller gets the result. The count is one for all of them.
import { describe, expect, it } from 'vitest';
import { load, type ProgramHandle, type Runtime, type UserObject } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
static long (*bpf_tail_call)(void *ctx, void *map, u32 index) = (void *)12;
int walk(void *ctx);
struct { __uint(type, 3); __uint(max_entries, 1); __uint(key_size, 4); __array(values, int (void *)); }
	first SEC(".maps") = { .values = { [0] = (void *)&walk } },
	second SEC(".maps") = { .values = { [0] = (void *)&walk } };
int visits = 0;
static __noinline int go(void *ctx, void *table)
{
	bpf_tail_call(ctx, table, 0);
	return 0;
}
SEC("tc") int walk(void *ctx)
{
	visits++;
	go(ctx, &first);
	go(ctx, &second);
	return visits;
}
/* As many frames as a program may have below each tail call: 34 * 7 + 1 in all. */
int deep(void *ctx);
struct { __uint(type, 3); __uint(max_entries, 1); __uint(key_size, 4); __array(values, int (void *)); }
	third SEC(".maps") = { .values = { [0] = (void *)&deep } };
#define LEVEL(name, next) static __noinline int name(void *ctx) { volatile int own = visits; int got = next(ctx); return got + (own != 0); }
static __noinline int level8(void *ctx)
{
	bpf_tail_call(ctx, &third, 0);
	return visits;
}
LEVEL(level7, level8) LEVEL(level6, level7) LEVEL(level5, level6) LEVEL(level4, level5) LEVEL(level3, level4) LEVEL(level2, level3)
SEC("tc") int deep(void *ctx)
{
	visits++;
	return level2(ctx) + 1000;
}
/* Goes on in walk at once. */
SEC("tc") int chain(void *ctx)
{
	bpf_tail_call(ctx, &first, 0);
	return -1;
}
/* Calls, so that walk returns here, and again. */
SEC("tc") int calls(void *ctx)
{
	go(ctx, &first);
	return go(ctx, &second) + 1000;
}
int hopped = 0;
int hop(void *ctx);
int rest(void *ctx);
struct { __uint(type, 3); __uint(max_entries, 3); __uint(key_size, 4); __array(values, int (void *)); }
	hops SEC(".maps") = { .values = { [0] = (void *)&hop, [1] = (void *)&rest } };
/* Programs that pass the count on in a register: two tail calls, and back to the function that made the first. */
SEC("tc") int hop(void *ctx)
{
	bpf_tail_call(ctx, &hops, 1);
	return -1;
}
SEC("tc") int rest(void *ctx)
{
	hopped++;
	bpf_tail_call(ctx, &hops, 2);
	return 7;
}
SEC("tc") int after_hops(void *ctx)
{
	go(ctx, &hops);
	visits = 0;
	go(ctx, &first);
	return hopped * 1000 + visits;
}
char _license[] SEC("license") = "GPL";
`;

const targets = ['jit', 'interpreter', ...(bpfRefusal() === undefined ? (['linux'] as const) : [])] as const;

describe.skipIf(clangs.length === 0)(`tail calls out of functions${noClang}`, () => {
  it.each(targets)('%s: 33 in all, however deep the calls are', async (target) => {
    const bytes = compileBpf(source);
    const object = target === 'linux' ? await load(bytes, { target }) : await load(bytes, { engine: target });
    try {
      const run = (name: string) => object.programs[name]!.run({ data: new Uint8Array(64) }).returnValue;
      expect(run('chain')).toBe(33);
      expect(run('calls')).toBe(1000);
      expect(run('walk')).toBe(33 + 33 + 34);
      expect(run('deep')).toBe(34 * (1000 + 6) + 33 + 33 + 34 + 34);
      expect(run('after_hops')).toBe(1000 + 33 - 2);
    } finally {
      object.close();
    }
  });

  it.each(targets)(
    '%s: a program stays while an element of a prog array has it, and goes with the element',
    async (target) => {
      const bytes = compileBpf(`${prelude}
static long (*bpf_tail_call)(void *ctx, void *map, u32 index) = (void *)12;
struct { __uint(type, 3); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } next SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } kept SEC(".maps");
SEC("tc") int jump(void *ctx) { bpf_tail_call(ctx, &next, 0); return 5; }
SEC("tc") int counts(void *ctx) { u32 key = 0; u32 *n = bpf_map_lookup_elem(&kept, &key); return n ? 100 + ++*n : -1; }
char _license[] SEC("license") = "GPL";
`);
      const open = async (runtime?: Runtime) =>
        target === 'linux'
          ? await load(bytes, { target })
          : await load(bytes, { engine: target, ...(runtime === undefined ? {} : { runtime }) });
      const caller = await open();
      const runtime = (caller as Partial<UserObject>).runtime;
      const callee = await open(runtime);
      try {
        const run = () => caller.programs['jump']!.run({ data: new Uint8Array(64) }).returnValue;
        expect(run()).toBe(5);
        const next = caller.maps['next'] as unknown as { put(index: number, program: ProgramHandle): void };
        next.put(0, callee.programs['counts']!);
        expect(run()).toBe(101);
        callee.close();
        // With the map that it uses.
        expect(run()).toBe(102);
        expect(run()).toBe(103);
        caller.maps['next']!.raw.delete(new Uint8Array(4));
        expect(run()).toBe(5);
        const modules = runtime === undefined ? [] : [...runtime.modules];
        if (target === 'jit') expect(modules.length).toBe(1);
      } finally {
        caller.close();
      }
    },
  );
});
