/**
 * When the memory of objects of programs is free: at once where nobody else can read it, which is on one CPU if the program keeps no pointer that it does not own
 * (ownership.shared); else when all CPUs have left what they ran.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { load, Runtime } from '../src/index.ts';
import { Allocator } from '../src/runtime/allocators/allocator.ts';
import { compileBpf, noClang } from './clang.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const source = `
#include <sluice/bpf.h>
#include <sluice/mem.h>

struct counted {
	__u64 key;
	struct bpf_refcount references;
};
struct plain {
	__u64 key;
	__u64 more;
};
struct slot {
	struct counted __kptr *counted;
	struct plain __kptr *plain;
};
struct counted *type_counted;
struct plain *type_plain;
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

/* Ten objects with two references each, which nobody else sees. */
SEC("tc") int alone(struct __sk_buff *skb)
{
	int i, made = 0;

	for (i = 0; i < 10; i++) {
		struct counted *first = bpf_obj_new(struct counted), *second;

		if (!first)
			continue;
		made++;
		second = bpf_refcount_acquire(first);
		bpf_obj_drop(first);
		if (second)
			bpf_obj_drop(second);
	}
	return made;
}

/* An object that is read after its last reference was given up, and another one was made. */
#define READER(type, name) \\
	SEC("tc") int read_##name(struct __sk_buff *skb) \\
	{ \\
		struct type *made, *seen, *taken; \\
		struct slot *slot; \\
		__u32 zero = 0; \\
		int result = -1; \\
 \\
		slot = bpf_map_lookup_elem(&slots, &zero); \\
		made = bpf_obj_new(struct type); \\
		if (!made) \\
			return -1; \\
		made->key = 77; \\
		if (!slot) { \\
			bpf_obj_drop(made); \\
			return -1; \\
		} \\
		made = bpf_kptr_xchg(&slot->name, made); \\
		if (made) \\
			bpf_obj_drop(made); \\
		seen = slot->name; \\
		taken = bpf_kptr_xchg(&slot->name, NULL); \\
		if (taken) \\
			bpf_obj_drop(taken); \\
		made = bpf_obj_new(struct type); \\
		if (made) { \\
			made->key = 1; \\
			if (seen) \\
				result = seen->key; \\
			bpf_obj_drop(made); \\
		} \\
		return result; \\
	}
READER(counted, counted)
READER(plain, plain)

char _license[] SEC("license") = "GPL";
`;

describe.skipIf(noClang !== '')(`objects that were dropped${noClang}`, () => {
  const bytes =
    noClang === '' ? compileBpf(source, { flags: ['-nostdinc', `-I${join(root, 'bpf/include')}`] }) : new Uint8Array();

  /** Result of a program, and how many objects wait while the call from control code goes on. */
  async function runWithin(name: string, cpus: number, engine: 'jit' | 'interpreter') {
    const runtime = new Runtime({ cpus, seed: 1n });
    const loaded = await load(bytes, { runtime, engine, programs: [name] });
    const { exports } = runtime.plane;
    const stats = () => Allocator.global(runtime).stats();
    exports.epoch_enter();
    const { returnValue } = loaded.programs[name]!.run({ data: new Uint8Array(64) });
    const { live, waiting } = stats();
    exports.epoch_exit();
    expect(stats()).toMatchObject({ live: 0, waiting: 0 });
    loaded.close();
    return { returnValue, live, waiting };
  }

  for (const engine of ['jit', 'interpreter'] as const) {
    it(`are free at once on one CPU where nobody else sees them (${engine})`, async () =>
      expect(await runWithin('alone', 1, engine)).toEqual({ returnValue: 10, live: 0, waiting: 0 }));

    it(`wait where there are several CPUs (${engine})`, async () =>
      expect(await runWithin('alone', 2, engine)).toEqual({ returnValue: 10, live: 0, waiting: 10 }));

    it.each(['read_counted', 'read_plain'])(`can be read until the end of the run: %s (${engine})`, async (name) => {
      for (const cpus of [1, 2])
        expect(await runWithin(name, cpus, engine)).toEqual({ returnValue: 77, live: 0, waiting: 2 });
    });
  }

  it('of the benchmark are used again, so that a run of any length takes one slab of them', async () => {
    const runtime = new Runtime({ cpus: 1, seed: 1n });
    const mem = readFileSync(join(root, 'bpf/objects/bench/mem.bpf.o'));
    const loaded = await load(mem, { runtime, policy: 'global', programs: ['refcount'] });
    const data = new Uint8Array(64);
    new DataView(data.buffer).setUint16(12, 0x0008, true);
    new DataView(data.buffer).setUint32(16, 512, true);
    loaded.programs['refcount']!.run({ data, repeat: 100 });
    const { classes } = Allocator.global(runtime).stats();
    expect(classes.map(({ size, live, slabs }) => ({ size, live, slabs }))).toEqual([{ size: 16, live: 0, slabs: 1 }]);
    loaded.close();
  });
});
