import { beforeAll, describe, expect, it } from 'vitest';
import { clangs, compileBpf, noClang, prelude } from '../../test/clang.ts';
import { InputError } from '../errors.ts';
import { readObject } from './index.ts';
import type { ObjectSpec, ProgramSpec } from './spec.ts';

const everything = `${prelude}
struct { __uint(type, 1); __uint(max_entries, 16); __type(key, u32); __type(value, u64); __uint(pinning, 1); } counts SEC(".maps");
struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } first SEC(".maps");
struct { __uint(type, 12); __uint(max_entries, 4); __type(key, u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { [2] = &first } };
int tail(void *);
struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4); __array(values, int(void *)); } jumps SEC(".maps") = { .values = { [1] = (void *)tail } };
struct { __uint(type, 27); __uint(max_entries, 4096); __uint(map_flags, 64); } events SEC(".maps");
u64 counter = 5; u64 zero; const volatile u32 limit = 7; static u64 hidden; u32 custom SEC(".data.custom") = 3;
extern void bpf_rcu_read_lock(void) __ksym;
extern void maybe(int) __weak __ksym;
extern const int bpf_prog_active __ksym;
extern const void untyped __ksym;
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF __kconfig __weak;
static __noinline int callback(u32 i, void *c) { counter += i; hidden++; return 0; }
__noinline int shared(int x) { u32 k = x; u64 *v = bpf_map_lookup_elem(&counts, &k); if (v) return *v; return limit; }
static __noinline int indirect(int x) { volatile int y = x; return shared(y) + 1; }
__noinline __hidden int concealed(int x) { volatile int y = x; return y; }
SEC("xdp") int entry(void *ctx) {
  char fmt[] = "hello %d"; const char *s = "abc def";
  bpf_trace_printk(fmt, sizeof fmt, 3); bpf_trace_printk(s, 8);
  bpf_loop(10, callback, 0, 0); zero++; custom++;
  return indirect(3) + shared(4) + concealed(1) + bpf_map_lookup_elem(&events, &zero) != 0;
}
SEC("?tc") int tail(void *ctx) {
  bpf_rcu_read_lock();
  if (maybe) maybe(1);
  return bpf_prog_active + (long)&untyped + LINUX_KERNEL_VERSION + CONFIG_BPF;
}
char _license[] SEC("license") = "Dual MIT/GPL";
u32 _version SEC("version") = 0x060c00;
`;

const program = (object: ObjectSpec, name: string): ProgramSpec => {
  const found = object.programs.get(name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
};
const referencesOf = (object: ObjectSpec, name: string) => [...program(object, name).references.values()];

describe.skipIf(clangs.length === 0).each(clangs)(`an object with everything in it, by %s${noClang}`, (clang) => {
  let object: ObjectSpec;
  beforeAll(() => {
    object = readObject(compileBpf(everything, { clang }), 'everything.bpf.o');
  });

  it('has a license and a version', () => {
    expect(object.license).toBe('Dual MIT/GPL');
    expect(object.kernelVersion).toBe(0x060c00);
  });

  it('has its programs with what their sections mean', () => {
    expect([...object.programs.keys()].sort()).toEqual(['entry', 'tail']);
    expect(program(object, 'entry')).toMatchObject({ section: 'xdp', type: 'xdp', attachType: 'xdp', autoload: true });
    expect(program(object, 'tail')).toMatchObject({ section: 'tc', type: 'sched_cls', autoload: false });
  });

  it('has each reachable function once, the entry first, without gaps', () => {
    const { functions, insns } = program(object, 'entry');
    expect(functions[0]!.name).toBe('entry');
    expect(functions.map(({ name }) => name).sort()).toEqual(['callback', 'concealed', 'entry', 'indirect', 'shared']);
    let end = 0;
    for (const one of functions) {
      expect(one.start).toBe(end);
      end += one.length;
    }
    expect(insns).toHaveLength(end);
    for (const one of functions) {
      expect(one.callback).toBe(one.name === 'callback');
      expect(one.linkage).toBe(['shared', 'entry'].includes(one.name) ? 'global' : 'static');
      expect(object.btf!.type(one.btfId!)).toMatchObject({ kind: 'func', name: one.name });
    }
  });

  it('has calls and function addresses as slot distances', () => {
    const { insns, references, functions } = program(object, 'entry');
    let seen = 0;
    for (const [slot, reference] of references) {
      if (reference.kind !== 'call' && reference.kind !== 'function') continue;
      seen++;
      expect(slot + 1 + insns[slot]!.imm).toBe(reference.target);
      expect(functions.find(({ start }) => start === reference.target)?.name).toBe(reference.name);
      expect(insns[slot]).toMatchObject(
        reference.kind === 'call' ? { opcode: 0x85, src: 1 } : { opcode: 0x18, src: 4 },
      );
    }
    expect(seen).toBe(5);
  });

  it('has references to maps and into their values', () => {
    expect(referencesOf(object, 'entry')).toEqual(
      expect.arrayContaining([
        { kind: 'map', map: 'counts' },
        { kind: 'map', map: 'events' },
        { kind: 'map-value', map: '.data', offset: 0 },
        { kind: 'map-value', map: '.data.custom', offset: 0 },
        { kind: 'map-value', map: '.rodata', offset: 0 },
        { kind: 'map-value', map: '.bss', offset: 0 },
        { kind: 'map-value', map: '.bss', offset: 8 },
      ]),
    );
    const { contents } = object.maps.get('.rodata.str1.1')!;
    expect(contents.kind === 'bytes' && new TextDecoder().decode(contents.bytes)).toContain('abc def\0');
  });

  it('has externs', () => {
    expect(referencesOf(object, 'tail')).toEqual(
      expect.arrayContaining([
        { kind: 'kfunc', name: 'bpf_rcu_read_lock', weak: false, shape: 'v()' },
        { kind: 'kfunc', name: 'maybe', weak: true, shape: 'v(i)' },
        { kind: 'ksym', name: 'maybe', weak: true, typed: true },
        { kind: 'ksym', name: 'bpf_prog_active', weak: false, typed: true },
        { kind: 'ksym', name: 'untyped', weak: false, typed: false },
        { kind: 'kconfig', name: 'LINUX_KERNEL_VERSION', offset: 0 },
        { kind: 'kconfig', name: 'CONFIG_BPF', offset: 4 },
      ]),
    );
    expect(object.externs.get('CONFIG_BPF')).toMatchObject({ section: '.kconfig', weak: true, size: 1, alignment: 1 });
    expect(object.externs.get('maybe')).toMatchObject({ section: '.ksyms', weak: true, function: true });
    expect(object.maps.get('.kconfig')).toMatchObject({ valueSize: 5, flags: 0x480 });
  });

  it('has map definitions', () => {
    expect(object.maps.get('counts')).toMatchObject({
      type: 'hash',
      keySize: 4,
      valueSize: 8,
      maxEntries: 16,
      pinning: 'by-name',
    });
    expect(object.maps.get('outer')).toMatchObject({
      type: 'array_of_maps',
      valueSize: 4,
      inner: { type: 'array', maxEntries: 4, valueSize: 8 },
      contents: { kind: 'references', targets: new Map([[2, 'first']]) },
    });
    expect(object.maps.get('jumps')).toMatchObject({
      type: 'prog_array',
      contents: { kind: 'references', targets: new Map([[1, 'tail']]) },
    });
    expect(object.maps.get('events')).toMatchObject({ type: 'ringbuf', keySize: 0, valueSize: 0, flags: 64 });
  });

  it('has globals with libbpf’s flags and contents', () => {
    expect(object.maps.get('.rodata')).toMatchObject({ flags: 0x480, valueSize: 4 });
    expect(object.maps.get('.rodata.str1.1')).toMatchObject({ flags: 0x80 });
    expect(object.maps.get('.bss')).toMatchObject({ flags: 0x400, valueSize: 16 });
    expect(object.maps.get('.data')!.contents).toEqual({ kind: 'bytes', bytes: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0) });
  });

  it('has source lines', () => {
    const { lines, insns, functions } = program(object, 'entry');
    for (const line of lines) expect(line.slot).toBeLessThan(insns.length);
    for (const { start } of functions) expect(lines.some(({ slot }) => slot === start)).toBe(true);
    expect(lines.some(({ text, line }) => text.includes('bpf_loop(10') && line > 0)).toBe(true);
  });

  it('has data sections in BTF with sizes and offsets from the symbols', () => {
    const btf = object.btf!;
    const bss = btf.type(btf.find('.bss', 'datasec')!);
    expect(bss).toMatchObject({
      size: 16,
      vars: [
        { offset: 0, size: 8 },
        { offset: 8, size: 8 },
      ],
    });
    expect(btf.type(btf.find('.kconfig', 'datasec')!)).toMatchObject({ size: 5, vars: [{ offset: 0 }, { offset: 4 }] });
    const maps = btf.type(btf.find('.maps', 'datasec')!);
    if (maps?.kind !== 'datasec') throw new Error('no .maps');
    expect(new Set(maps.vars.map(({ offset }) => offset)).size).toBe(5);
  });
});

describe.skipIf(clangs.length === 0)(`all CPU versions${noClang}`, () => {
  it.each(['v1', 'v2', 'v3', 'v4'] as const)('reads %s', (cpu) => {
    const object = readObject(compileBpf(everything, { cpu }), 'everything.bpf.o');
    expect(program(object, 'entry').functions).toHaveLength(5);
  });

  it('refuses a big-endian object, and says so', () => {
    const bytes = compileBpf('int f(void) { return 0; }', { flags: ['--target=bpfeb'] });
    expect(() => readObject(bytes, 'be.o')).toThrow(InputError);
    expect(() => readObject(bytes, 'be.o')).toThrow(/be\.o.*big-endian/);
  });
});
