import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clangs, compileBpf, noClang, prelude } from '../../test/clang.ts';
import { buildElf, code, type MadeElf } from '../../test/elf-builder.ts';
import { BtfBuilder } from '../btf/write.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { readObject } from './index.ts';

const EXIT = [0x95, 0, 0, 0] as const;
const CALL = [0x85, 0x10, 0, -1] as const;
const LDDW = [
  [0x18, 1, 0, 0],
  [0, 0, 0, 0],
] as const;
const AX = 6;

/** A program `p` in `xdp` with a subprogram `f` in `.text`, a map and a global. */
const small = (): MadeElf => ({
  sections: [
    { name: '.text', flags: AX, bytes: code(EXIT) },
    { name: 'xdp', flags: AX, bytes: code(CALL, ...LDDW, ...LDDW, EXIT) },
    { name: 'maps', flags: 3, bytes: Uint8Array.from([1, 4, 8, 16, 0].flatMap((word) => [word, 0, 0, 0])) },
    { name: '.data', flags: 3, bytes: new Uint8Array(8) },
    { name: 'license', flags: 3, bytes: new TextEncoder().encode('GPL\0') },
  ],
  symbols: [
    { name: 'f', section: '.text', size: 8 },
    { name: 'p', section: 'xdp', size: 48 },
    { name: 'm', section: 'maps', type: 1, size: 20 },
    { name: 'g', section: '.data', type: 1, size: 8 },
    { name: 'missing', section: '', type: 0 },
  ],
  relocations: [
    { section: 'xdp', offset: 0, type: 10, symbol: 'f' },
    { section: 'xdp', offset: 8, type: 1, symbol: 'm' },
    { section: 'xdp', offset: 24, type: 1, symbol: 'g' },
  ],
});

function error(bytes: Uint8Array): InputError {
  try {
    readObject(bytes, 'made.o');
  } catch (thrown) {
    if (thrown instanceof InputError) return thrown;
    throw thrown;
  }
  throw new Error('it was accepted');
}

describe('a made object', () => {
  it('is read', () => {
    const object = readObject(buildElf(small()), 'made.o');
    expect(object.license).toBe('GPL');
    expect([...object.programs.get('p')!.references.values()]).toEqual([
      { kind: 'call', name: 'f', target: 6 },
      { kind: 'map', map: 'm' },
      { kind: 'map-value', map: '.data', offset: 0 },
    ]);
  });

  const relocation = (section: string, offset: number, type: number, symbol: string | number): MadeElf => {
    const made = small();
    return {
      ...made,
      relocations: [...made.relocations!.filter((one) => one.offset !== offset), { section, offset, type, symbol }],
    };
  };
  it.each([
    ['an unknown relocation type', relocation('xdp', 8, 77, 'm'), 'xdp', 8, /m: type 77 is not for instructions/],
    ['a symbol that there is not', relocation('xdp', 8, 1, 99), '.relxdp', 32, /symbol 99 of 6/],
    [
      'an undefined function',
      relocation('xdp', 0, 10, 'missing'),
      'xdp',
      0,
      /missing: nothing of that name is defined/,
    ],
    ['an undefined variable', relocation('xdp', 8, 1, 'missing'), 'xdp', 8, /missing: nothing of that name is defined/],
    ['a call of data', relocation('xdp', 0, 10, 'g'), 'xdp', 0, /g: no function begins at offset/],
    ['an address relocation of a call', relocation('xdp', 0, 1, 'm'), 'xdp', 0, /m: opcode 0x85 is no LDDW/],
    ['a call relocation of an address', relocation('xdp', 8, 10, 'f'), 'xdp', 8, /f: opcode 0x18 is no call/],
    ['a relocation inside of an instruction', relocation('xdp', 12, 1, 'm'), 'xdp', 12, /inside an instruction/],
    ['a relocation of a second half', relocation('xdp', 16, 1, 'm'), 'xdp', 16, /second half/],
    [
      'a relocation behind the section',
      relocation('xdp', 4096, 1, 'm'),
      '.relxdp',
      48,
      /relocation of byte 4096 of xdp/,
    ],
  ] as const)('is refused with %s', (_, made, section, offset, message) => {
    const { location, message: text } = error(buildElf(made));
    expect(text).toMatch(message);
    expect(location).toMatchObject({ input: 'made.o', section, offset });
  });

  it('may have the address of its own entry', () => {
    const object = readObject(buildElf(relocation('xdp', 8, 1, 'p')), 'made.o');
    expect(object.programs.get('p')!.functions[0]).toMatchObject({ callback: true });
    expect(object.programs.get('p')!.insns[1]).toMatchObject({ src: 4, imm: -2 });
  });

  const symbol = (name: string, change: object): MadeElf => {
    const made = small();
    return { ...made, symbols: made.symbols!.map((one) => (one.name === name ? { ...one, ...change } : one)) };
  };
  const section = (name: string, change: object): MadeElf => {
    const made = small();
    return { ...made, sections: made.sections.map((one) => (one.name === name ? { ...one, ...change } : one)) };
  };
  it.each([
    ['a function that is too long', symbol('p', { size: 4096 }), /ends behind its section/],
    ['a function of half a slot', symbol('p', { size: 44 }), /no whole number of slots/],
    ['functions that overlap', symbol('f', { section: 'xdp', value: 8 }), /overlaps/],
    ['a map behind its section', symbol('m', { value: 4000 }), /a definition of 20 bytes/],
    ['a map that is too small', symbol('m', { size: 8 }), /a definition of 8 bytes/],
    [
      'an unknown map type',
      section('maps', { bytes: new Uint8Array(20).fill(99) }),
      /map type 1667457891 is not known/,
    ],
    ['code of half a slot', section('.text', { bytes: new Uint8Array(12) }), /no whole number of slots/],
    [
      'a wide instruction that is cut off',
      section('.text', { bytes: code([0x18, 0, 0, 0]) }),
      /16-byte instruction is cut off/,
    ],
    ['a section behind the file', section('.data', { size: 1 << 30 }), /behind the file/],
    ['sections larger than the file together', section('.data', { size: 800 }), /sections overlap/],
    ['a .bss of 16 TiB', section('.data', { name: '.bss', type: 8, size: 2 ** 44 }), /too large/],
    [
      'a call into the middle of a function',
      section('.text', { bytes: code([0x85, 0x10, 0, 5], EXIT) }),
      /slot 6, which is called here/,
    ],
    [
      'a version that is cut off',
      section('license', { name: 'version', bytes: new Uint8Array(2) }),
      /version is cut off/,
    ],
  ] as const)('is refused with %s', (_, made, message) => {
    expect(error(buildElf(made)).message).toMatch(message);
  });

  it.each([
    ['another magic', 0, 0x00, 'SLUICE_ELF_MAGIC'],
    ['32 bits', 4, 1, 'SLUICE_ELF_CLASS'],
    ['the other byte order', 5, 2, 'SLUICE_ELF_BIG_ENDIAN'],
    ['another machine', 18, 62, 'SLUICE_ELF_MACHINE'],
    ['another type', 16, 2, 'SLUICE_ELF_TYPE'],
  ] as const)('is refused with %s', (_, offset, value, expected) => {
    const bytes = buildElf(small());
    bytes[offset] = value;
    expect(error(bytes).code).toBe(expected);
  });

  it('is refused when cut off anywhere', () => {
    const bytes = buildElf(small());
    for (let length = 0; length < bytes.length; length++) error(bytes.subarray(0, length));
  });

  it('keeps calls of any depth off the stack', () => {
    const depth = 20_000;
    const slots = Array.from({ length: depth }, (_, index) => [
      index === depth - 1 ? ([0xb7, 0, 0, 0] as const) : ([0x85, 0x10, 0, 1] as const),
      EXIT,
    ]).flat();
    const bytes = buildElf({
      sections: [{ name: 'xdp', flags: AX, bytes: code(...slots) }],
      symbols: Array.from({ length: depth }, (_, index) => ({
        name: `f${index}`,
        section: 'xdp',
        value: index * 16,
        size: 16,
        bind: index === 0 ? 1 : 0,
      })),
    });
    expect(readObject(bytes, 'deep.o').programs.get('f0')!.functions).toHaveLength(depth);
  });

  it('bounds what all programs together take', () => {
    // Each of 3,000 programs reaches the same 30,000 slots.
    const count = 3000;
    const shared = 30_000;
    const entries = Array.from({ length: count }, (_, index) => [
      [0x85, 0x10, 0, (count - index) * 2 - 1] as const,
      EXIT,
    ]).flat();
    const bytes = buildElf({
      sections: [{ name: 'xdp', flags: AX, bytes: code(...entries, ...Array.from({ length: shared }, () => EXIT)) }],
      symbols: [
        ...Array.from({ length: count }, (_, index) => ({
          name: `p${index}`,
          section: 'xdp',
          value: index * 16,
          size: 16,
        })),
        { name: 'shared', section: 'xdp', value: count * 16, size: shared * 8, bind: 0 },
      ],
    });
    expect(error(bytes).code).toBe('SLUICE_OBJECT_TOO_LARGE');
  });

  it('is refused with BTF that speaks of variables that are not there', () => {
    const builder = new BtfBuilder();
    const int = builder.add({
      kind: 'int',
      name: 'int',
      size: 4,
      bits: 32,
      offset: 0,
      signed: true,
      bool: false,
      char: false,
    });
    const variable = builder.add({ kind: 'var', name: 'nobody', type: int, linkage: 'global' });
    builder.add({ kind: 'datasec', name: '.data', size: 0, vars: [{ type: variable, offset: 0, size: 4 }] });
    const made = small();
    const bytes = buildElf({ ...made, sections: [...made.sections, { name: '.BTF', bytes: builder.build().bytes }] });
    expect(error(bytes)).toMatchObject({ code: 'SLUICE_BTF_VARIABLE', location: { section: '.data' } });
  });
});

describe('damaged objects give an ObjectSpec, an InputError or an UnsupportedError, soon and without much memory', () => {
  const source = `${prelude}
    struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } first SEC(".maps");
    struct { __uint(type, 12); __uint(max_entries, 4); __type(key, u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { [2] = &first } };
    extern int LINUX_KERNEL_VERSION __kconfig; extern void bpf_rcu_read_lock(void) __ksym;
    u64 counter; const volatile u32 limit = 7;
    struct task_struct { int pid; } __attribute__((preserve_access_index));
    static __noinline int callback(u32 i, void *c) { counter += i; return 0; }
    SEC("tp_btf/sched_switch") int prog(u64 *ctx) { bpf_rcu_read_lock(); bpf_loop(3, callback, 0, 0); u32 k = 0; return bpf_map_lookup_elem(&outer, &k) != 0 && limit + LINUX_KERNEL_VERSION > ((struct task_struct *)ctx[1])->pid; }
    char _license[] SEC("license") = "GPL";`;
  const samples = [buildElf(small()), ...(clangs.length > 0 ? [compileBpf(source)] : [])];

  const survives = (bytes: Uint8Array): void => {
    const before = performance.now();
    try {
      readObject(bytes, 'damaged.o');
    } catch (thrown) {
      if (!(thrown instanceof InputError) && !(thrown instanceof UnsupportedError)) throw thrown;
    }
    expect(performance.now() - before).toBeLessThan(2000);
  };

  it.each(samples.map((bytes, index) => [index === 0 ? 'made' : 'compiled', bytes] as const))(
    'property: %s',
    (_, bytes) => {
      // Everything but debug information, which is not read.
      const read = new Set(Array.from({ length: bytes.length }, (_unused, index) => index));
      for (const { name, offset, size, type } of readObject(bytes, 'whole.o').sections)
        if (/^(\.rel)?\.debug/.test(name) && type !== 8)
          for (let at = offset; at < offset + size; at++) read.delete(at);
      const place = fc.constantFrom(...read);
      // Bytes, and 32-bit words at aligned places, where sizes, offsets and ids are.
      const change = fc.oneof(
        fc.tuple(fc.constant(1), place, fc.nat(255)),
        fc.tuple(
          fc.constant(4),
          place,
          fc.oneof(fc.constantFrom(0, 1, 8, 0x7fffffff, 0xffffffff, 0x80000000, 0xfff8), fc.nat(0xffff)),
        ),
      );
      const memory = process.memoryUsage().arrayBuffers;
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
          const damaged = bytes.slice();
          const view = new DataView(damaged.buffer);
          for (const [width, at, value] of changes) {
            if (width === 1) damaged[at] = value;
            else if ((at & ~3) + 4 <= damaged.length) view.setUint32(at & ~3, value, true);
          }
          survives(damaged);
        }),
        { numRuns: 1500 },
      );
      expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(1 << 30);
    },
  );

  it.skipIf(clangs.length === 0)(`a compiled object, cut off at many places${noClang}`, () => {
    const bytes = samples[1]!;
    for (let length = 0; length < bytes.length; length += 13) survives(bytes.subarray(0, length));
  });
});
