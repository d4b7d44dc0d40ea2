/** Programs that read fields of struct bpf_map through a map's address, on both engines. */
import { describe, expect, it } from 'vitest';
import { load } from '../src/index.ts';
import { vmlinuxBtf } from '../src/linux/btf-vmlinux.ts';
import { clangs, compileBpf, noClang, prelude } from './clang.ts';

const noTypes = (() => {
  try {
    vmlinuxBtf();
    return '';
  } catch {
    return ' (skipped: the kernel shows no types)';
  }
})();

const source = `${prelude}
#define core __attribute__((preserve_access_index))
enum bpf_map_type { BPF_MAP_TYPE_UNSPEC };
struct bpf_map { u32 id; u32 max_entries, value_size, key_size, map_flags; enum bpf_map_type map_type; int numa_node; } core;
struct bpf_array { struct bpf_map map; u32 index_mask; } core;
struct { __uint(type, 2); __uint(max_entries, 7); __uint(key_size, 4); __uint(value_size, 24); } values SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 9); __uint(key_size, 12); __uint(value_size, 16); __uint(map_flags, 1); } flows SEC(".maps");
u32 out[8];
SEC("xdp") int fields(void *ctx) {
  struct bpf_array *array = (void *)&values; struct bpf_map *map = (void *)&flows;
  out[0] = array->map.max_entries; out[1] = array->map.value_size;
  out[2] = map->max_entries; out[3] = map->value_size; out[4] = map->key_size; out[5] = map->map_flags; out[6] = map->map_type;
  out[7] = map->id - array->map.id;
  return 2; }
SEC("xdp") int lacking(void *ctx) { struct bpf_map *map = (void *)&flows; return map->numa_node; }
SEC("xdp") int raw(void *ctx) { volatile u32 *map = (void *)&flows; return map[11]; }
`;

describe.skipIf(clangs.length === 0 || noTypes !== '')(`struct bpf_map${noClang}${noTypes}`, () => {
  const bytes = clangs.length === 0 ? new Uint8Array() : compileBpf(source);
  const data = new Uint8Array(64);

  it.each(['jit', 'interpreter'] as const)('has its fields in verified programs: %s', async (engine) => {
    const { programs, maps, close } = await load(bytes, { engine, programs: ['fields'] });
    expect(programs['fields']!.run({ data }).returnValue).toBe(2);
    const { out } = maps['.bss']!.get(0) as unknown as { out: number[] };
    expect([...out].slice(0, 7)).toEqual([7, 24, 9, 16, 12, 1, 1]);
    expect(out[7]).not.toBe(0);
    close();
  });

  it.each(['jit', 'interpreter'] as const)('stops programs at fields that are not there: %s', async (engine) => {
    const { programs, close } = await load(bytes, { engine, programs: ['lacking'] });
    expect(() => programs['lacking']!.run({ data })).toThrow('lacking');
    close();
  });

  it('shows nothing else of the header in the interpreter', async () => {
    const { programs, close } = await load(bytes, { engine: 'interpreter', programs: ['raw'], unverified: true });
    expect(() => programs['raw']!.run({ data })).toThrow('map_ptr');
    close();
  });
});
