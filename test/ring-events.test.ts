// Events of a ring buffer whose declaration names their type, on both targets; records of another size are bytes.
import { describe, expect, it } from 'vitest';
import { type LoadedObject, load, type RingbufHandle } from '../src/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const source = `${prelude}
static long (*bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
struct event { u64 bytes; u32 port; u32 rule; };
struct { __uint(type, 27); __uint(max_entries, 4096); __type(value, struct event); } events SEC(".maps");
SEC("tc") int emit(void *ctx)
{
	struct event event = { .bytes = 1ULL << 40, .port = 53, .rule = 7 };
	u32 odd = 0x01020304;
	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	bpf_ringbuf_output(&events, &odd, sizeof(odd), 0);
	return 0;
}
char _license[] SEC("license") = "GPL";
`;

const targets = ['jit', 'interpreter', ...(bpfRefusal() === undefined ? (['linux'] as const) : [])] as const;

describe.skipIf(clangs.length === 0)(`events of a ring${noClang}`, () => {
  it.each(targets)('%s: consume decodes them, and gives the bytes beside', async (target) => {
    const bytes = compileBpf(source);
    const object: LoadedObject =
      target === 'linux' ? await load(bytes, { target }) : await load(bytes, { engine: target });
    try {
      object.programs['emit']!.run({ data: new Uint8Array(64) });
      const seen: unknown[] = [];
      const ring = object.maps['events'] as RingbufHandle; // by its type in the object
      expect(ring.consume((event, record) => seen.push([event, record.length]))).toBe(2);
      expect(seen).toEqual([
        [{ bytes: 1n << 40n, port: 53, rule: 7 }, 16],
        [Uint8Array.of(4, 3, 2, 1), 4],
      ]);
    } finally {
      object.close();
    }
  });
});
