/** Arenas: which pages programs get, what they give back and reserve, what they and user space read and write there. */
import type { ArenaHandle } from '../../src/index.ts';
import { load, Runtime } from '../../src/index.ts';
import { addressOf } from '../../src/linux/ffi.ts';
import { KernelMap } from '../../src/linux/maps.ts';
import { compileBpf } from '../clang.ts';
import type { Step } from '../map-sequences.ts';
import { type Bed, programStep, RUN, u64 } from './bed.ts';

const PAGES = 40;
const PAGE = 4096;
const include = new URL('../../bpf/include', import.meta.url).pathname;

export function compileArena(clang: string): Uint8Array {
  return compileBpf(
    `#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
struct op { __u32 op, flags; __u32 key, object; __s64 result; __u64 value; };
struct { __uint(type, 2); __uint(max_entries, ${RUN}); __uint(map_flags, 0x400); __type(key, __u32); __type(value, struct op); } ops SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } base SEC(".maps");
struct { __uint(type, 33); __uint(map_flags, 0x400); __uint(max_entries, ${PAGES}); } map SEC(".maps");
static long step(__u32 i, void *unused) {
  __u32 zero = 0;
  __u64 *from = bpf_map_lookup_elem(&base, &zero);
  struct op *op = bpf_map_lookup_elem(&ops, &i);
  if (!op || !from) return 1;
  __u8 __arena *at = (__u8 __arena *)(*from + op->key * 4096ULL + (op->flags & 8));
  switch (op->op) {
    case 0: case 1: {
      __u64 got = (__u64)bpf_arena_alloc_pages(&map, op->op ? at : 0, op->object, NUMA_NO_NODE, (op->flags & 7) == 7);
      op->result = got ? (__s64)(got - *from) : -1;
      break;
    }
    case 2: bpf_arena_free_pages(&map, (op->flags & 7) == 7 ? 0 : at, op->object); break;
    case 3: *(__u64 __arena *)(at + 16) = op->value; op->result = *(__u64 __arena *)(at + 24); break;
    case 4: op->result = *(__u64 __arena *)(at + 16); break;
    case 5: op->result = bpf_arena_reserve_pages(&map, at, op->object); break;
  }
  return 0;
}
SEC("syscall") int sequence(void *ctx) { bpf_loop(${RUN}, step, 0, 0); return 2; }
char _license[] SEC("license") = "GPL";
`,
    { clang, flags: ['-I', include] },
  );
}

/** With `reserving` programs also reserve pages, and user space leaves them alone: what it touches the kernel takes, even a reserved page. */
export async function arenaBed(bytes: Uint8Array, reserving: boolean, seed: bigint): Promise<Bed> {
  const runtime = new Runtime({ seed });
  const objects = { user: await load(bytes, { runtime }), linux: await load(bytes, { target: 'linux' }) };
  const ours = objects.user.maps['map'] as ArenaHandle; // By its type.
  const kernel = objects.linux.maps['map']!.raw;
  if (!(kernel instanceof KernelMap)) throw new Error('a map of the linux target is a KernelMap');
  const theirs = kernel.mapped();
  objects.user.maps['base']!.raw.update(new Uint8Array(4), u64(BigInt(ours.address)));
  objects.linux.maps['base']!.raw.update(new Uint8Array(4), u64(BigInt(addressOf(theirs))));
  const touch = (page: number, value: number | undefined): Step => ({
    count: 1,
    run(target) {
      // What the kernel does when a page is touched that nobody took.
      if (target === 'user') ours.take(1, ours.address + page * PAGE);
      const memory = target === 'user' ? ours.bytes() : theirs;
      const at = page * PAGE + 16;
      const before = memory[at];
      if (value !== undefined) memory[at] = value;
      return `touch ${page} ${before}`;
    },
  });
  const draw = (random: () => number) => ({
    op: random() % (reserving ? 6 : 5),
    flags: (random() % 16 === 0 ? 7 : 0) | (random() % 16 === 0 ? 8 : 0),
    key: random() % (PAGES + 2),
    object: random() % 16 === 0 ? random() % (PAGES + 3) : random() % 5,
    value: BigInt(random()),
  });
  return {
    objects,
    keys: [],
    value: () => {
      throw new Error('an arena has no elements');
    },
    others: 8,
    other: (random) =>
      !reserving && random() % 4 > 0
        ? touch(random() % PAGES, random() % 2 === 0 ? random() & 255 : undefined)
        : programStep({ objects }, () => draw(random), {}),
    close() {
      for (const object of Object.values(objects)) object.close();
    },
  };
}
