import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clangs, compileBpf, noClang, prelude, withTempFolder } from '../../test/clang.ts';
import { UnsupportedError } from '../errors.ts';
import { readObject } from './index.ts';

const hasBpftool = spawnSync('bpftool', ['version']).status === 0;
const read = (source: string, options?: Parameters<typeof compileBpf>[1]) =>
  readObject(compileBpf(prelude + source, options), 'test.bpf.o');

describe.skipIf(clangs.length === 0)(`maps of the section maps${noClang}`, () => {
  const use = (name: string) =>
    `SEC("xdp") int prog(void *ctx) { u32 k = 0; return bpf_map_lookup_elem(&${name}, &k) != 0; }`;

  it('reads the kernel’s definitions of 20 bytes', () => {
    const object = read(`struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; };
      struct bpf_map_def a SEC("maps") = { 1, 4, 8, 100, 1 };
      struct bpf_map_def b SEC("maps") = { 2, 4, 16, 3 };
      ${use('b')}`);
    expect(object.maps.get('a')).toMatchObject({ type: 'hash', keySize: 4, valueSize: 8, maxEntries: 100, flags: 1 });
    expect(object.maps.get('b')).toMatchObject({ type: 'array', valueSize: 16, maxEntries: 3, section: 'maps' });
    expect([...object.programs.get('prog')!.references.values()]).toEqual([{ kind: 'map', map: 'b' }]);
  });

  it('reads definitions of 28 bytes with an inner map and a NUMA node', () => {
    const object =
      read(`struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags, inner_map_idx, numa_node; };
      struct bpf_map_def inner SEC("maps") = { 2, 4, 16, 3, 0, 0, 1 };
      struct bpf_map_def outer SEC("maps") = { 12, 4, 4, 8 };
      ${use('outer')}`);
    expect(object.maps.get('inner')).toMatchObject({ numaNode: 1 });
    expect(object.maps.get('outer')).toMatchObject({ type: 'array_of_maps', inner: { type: 'array', valueSize: 16 } });
  });

  it('reads iproute2’s definitions of 36 bytes', () => {
    const object =
      read(`struct bpf_elf_map { u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx; };
      struct bpf_elf_map inner SEC("maps") = { 2, 4, 16, 3, 0, 7 };
      struct bpf_elf_map outer SEC("maps") = { 13, 4, 4, 8, 0, 0, 2, 7 };
      ${use('outer')}`);
    expect(object.maps.get('outer')).toMatchObject({
      pinning: 'by-name',
      inner: { name: 'outer.inner', maxEntries: 3 },
    });
  });

  it('takes the distance for the size of a symbol without one', () => {
    const assembler = `asm(".section maps,\\"aw\\"; .globl a; a: .long 1,4,8,100,0; .globl b; b: .long 2,4,16,3,0; .text");
      extern u64 b; SEC("xdp") int prog(void *ctx) { u32 k = 0; return bpf_map_lookup_elem(&b, &k) != 0; }`;
    const object = read(assembler, { flags: ['-g0'] });
    expect(object.maps.get('a')).toMatchObject({ type: 'hash', maxEntries: 100 });
    expect(object.maps.get('b')).toMatchObject({ type: 'array', maxEntries: 3 });
  });
});

describe.skipIf(!clangs.includes('clang-22'))(
  `jump tables${clangs.includes('clang-22') ? '' : ' (skipped: no clang-22)'}`,
  () => {
    const cases = Array.from(
      { length: 20 },
      (_, index) => `case ${index}: *p = ${index * 7}; return ${(index * 13) % 17} + *p;`,
    );
    const body = `{ switch (x) { ${cases.join(' ')} } return 0; }`;
    const source = `static __noinline int first(int x, volatile int *p) ${body}
    static __noinline int second(int x, volatile int *p) ${body.replace('return 0;', 'return 1 + *p;')}
    SEC("xdp") int both(int *ctx) { volatile int a = 1; return first(ctx[0], &a) + second(ctx[1], &a); }
    SEC("tc") int one(int *ctx) { volatile int a = 1; return second(ctx[0], &a); }`;

    it('are instruction arrays of each program, inside of the function that jumps', () => {
      const object = read(source, { clang: 'clang-22', cpu: 'v4' });
      const tables = [...object.maps.values()].filter(({ type }) => type === 'insn_array');
      expect(tables.map(({ contents }) => contents.kind === 'jump-table' && contents.program)).toEqual([
        'both',
        'both',
        'one',
      ]);
      for (const { name, valueSize, maxEntries, contents } of tables) {
        if (contents.kind !== 'jump-table') throw new Error('no jump table');
        expect({ valueSize, maxEntries }).toEqual({ valueSize: 8, maxEntries: 20 });
        const program = object.programs.get(contents.program)!;
        const [slot] = [...program.references].find(([, one]) => one.kind === 'map-value' && one.map === name)!;
        const user = program.functions.find(({ start, length }) => slot >= start && slot < start + length)!;
        const values = contents.slots.map((target) => {
          expect(target).toBeGreaterThanOrEqual(user.start);
          expect(target).toBeLessThan(user.start + user.length);
          // Each case begins with its store: *(u32 *)(r2) = index * 7.
          expect(program.insns[target]!.opcode).toBe(0x62);
          return program.insns[target]!.imm;
        });
        expect(values).toEqual(Array.from({ length: 20 }, (_, index) => index * 7));
      }
    });
  },
);

describe.skipIf(clangs.length === 0)(`global variables${noClang}`, () => {
  it('with pointers in them are refused where a program uses them', () => {
    const source = `const char *const names[] = { "one", "two" };
      SEC("xdp") int prog(int *ctx) { return names[*ctx & 1][0]; } SEC("tc") int other(void *ctx) { return 0; }`;
    expect(() => read(source)).toThrow(UnsupportedError);
    expect(() => read(source)).toThrow(/pointers in \.data\.rel\.ro|pointers in \.rodata/);
  });

  it.skipIf(clangs[0] !== 'clang-22')('in an arena are what it begins with', () => {
    const source = `u64 __attribute__((address_space(1))) count = 5; SEC("xdp") int prog(void *ctx) { return count; }`;
    expect(() => read(source)).toThrow(/variables in an arena, and the object has none/);
    const arena = `struct { __uint(type, 33); __uint(map_flags, 1024); __uint(max_entries, 2); } pages SEC(".maps");`;
    const object = read(arena + source);
    expect(object.maps.get('pages')).toMatchObject({ type: 'arena', contents: { kind: 'bytes' } });
    const { references } = object.programs.get('prog')!;
    expect([...references.values()]).toEqual([{ kind: 'map-value', map: 'pages', offset: 0 }]);
  });

  it('of .rodata.cst16 are a map of their own', () => {
    const source = `SEC("xdp") int prog(u8 *ctx) { u8 table[16] = { 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 }; return table[*ctx & 15]; }`;
    const object = read(source);
    const [name] = [...object.maps.keys()].filter((one) => one.startsWith('.rodata'));
    expect(object.maps.get(name!)).toMatchObject({ type: 'array', valueSize: 16, flags: 0x80 });
  });
});

describe.skipIf(clangs.length === 0)(`struct_ops${noClang}`, () => {
  it('are maps with the programs of their functions', () => {
    const object =
      read(`struct tcp_congestion_ops { u32 key; u32 flags; void (*init)(void *); u32 (*ssthresh)(void *); char name[16]; };
      SEC("struct_ops/ssthresh") u32 ssthresh(void *ctx) { return 2; } SEC("struct_ops.s/init") int init(void *ctx) { return 0; }
      SEC(".struct_ops.link") struct tcp_congestion_ops mine = { .flags = 3, .init = (void *)init, .ssthresh = (void *)ssthresh, .name = "mine" };`);
    const map = object.maps.get('mine')!;
    expect(map).toMatchObject({ type: 'struct_ops', keySize: 4, valueSize: 40, maxEntries: 1, flags: 1 << 13 });
    if (map.contents.kind !== 'struct-ops') throw new Error('no contents');
    expect([...map.contents.programs].sort()).toEqual([
      [16, 'ssthresh'],
      [8, 'init'],
    ]);
    expect(map.contents.bytes[4]).toBe(3);
    expect(object.programs.get('init')).toMatchObject({ type: 'struct_ops', attachTo: 'init', sleepable: true });
  });
});

describe.skipIf(clangs.length === 0)(`programs${noClang}`, () => {
  it('call static functions of other sections', () => {
    const object = read(`SEC("other") static __noinline int helper(int x) { volatile int y = x; return y * 3; }
      SEC("xdp") int prog(int *ctx) { return helper(*ctx); }`);
    expect([...object.programs.keys()]).toEqual(['prog']);
    expect(object.programs.get('prog')!.functions.map(({ name }) => name)).toEqual(['prog', 'helper']);
  });

  it('of .text are programs if there is nothing else', () => {
    const object = read('int only(void) { return 7; }', { flags: ['-g0'] });
    expect(object.programs.get('only')).toMatchObject({ section: '.text', type: undefined });
    expect(object.btf).toBeUndefined();
  });

  it.skipIf(!hasBpftool)(`stay the same through bpftool’s linker${hasBpftool ? '' : ' (skipped: no bpftool)'}`, () => {
    const source = `struct { __uint(type, 1); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } counts SEC(".maps");
      u64 total = 9; static __noinline int add(u32 x) { u64 *v = bpf_map_lookup_elem(&counts, &x); total++; return v ? *v : 0; }
      SEC("xdp") int prog(u32 *ctx) { return add(*ctx) + add(3); } char _license[] SEC("license") = "GPL";`;
    const bytes = compileBpf(prelude + source);
    const linked = withTempFolder((folder) => {
      writeFileSync(join(folder, 'in.o'), bytes);
      const out = join(folder, 'out.o');
      const { status, stderr } = spawnSync('bpftool', ['gen', 'object', out, join(folder, 'in.o')], {
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      return new Uint8Array(readFileSync(out));
    });
    const plain = readObject(bytes, 'a.o');
    const relinked = readObject(linked, 'b.o');
    const shape = ({ programs, maps }: typeof plain) => ({
      programs: [...programs.values()].map(({ name, insns, references, functions, lines }) => ({
        ...{ name, insns, references: [...references], lines: lines.length },
        functions: functions.map(({ name: one, start, length }) => [one, start, length]),
      })),
      maps: [...maps.values()]
        .map(({ name, type, keySize, valueSize, contents }) => ({ name, type, keySize, valueSize, contents }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    });
    expect(shape(relinked)).toEqual(shape(plain));
  });

  it.skipIf(!hasBpftool)(`have the maps that libbpf sees${hasBpftool ? '' : ' (skipped: no bpftool)'}`, () => {
    const source = `struct { __uint(type, 1); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } counts SEC(".maps");
      u64 total = 9; u64 zero; const volatile u32 limit = 1; u32 custom SEC(".data.custom") = 3; extern int LINUX_KERNEL_VERSION __kconfig;
      SEC("xdp") int prog(u32 *ctx) { u32 k = 1; zero++; custom++; return bpf_map_lookup_elem(&counts, &k) != 0 && total + limit + LINUX_KERNEL_VERSION; }`;
    const bytes = compileBpf(prelude + source);
    const skeleton = withTempFolder((folder) => {
      const file = join(folder, 'test.bpf.o');
      writeFileSync(file, bytes);
      return spawnSync('bpftool', ['gen', 'skeleton', file], { encoding: 'utf8' }).stdout;
    });
    const listed = [...skeleton.matchAll(/^\t\tstruct bpf_map \*(\w+);/gm)].map(([, name]) => name);
    const ours = [...readObject(bytes, 'test.bpf.o').maps.keys()].map((name) =>
      name.replace(/^\./, '').replaceAll('.', '_'),
    );
    expect(listed).toContain('counts');
    expect(ours.sort()).toEqual(listed.sort());
  });
});
