// One program a rule: verdict, and the kernel's wording of what is wrong.
import { describe, expect, it } from 'vitest';
import type { Insn } from '../isa/insn.ts';
import type { ProgramSpec } from '../object/spec.ts';
import { judge, type Short } from './testbed.ts';
import { verify } from './verify.ts';

const EXIT: readonly Short[] = [[0xb7, 0, 0, 0, 0], [0x95]];
/** r0 = lookup(m, key 0 on the stack); 8 slots. */
const LOOKUP: readonly Short[] = [
  [0x7a, 10, 0, -8, 0],
  [0xbf, 2, 10],
  [0x07, 2, 0, 0, -8],
  [0x18, 1, 1],
  [0],
  [0x85, 0, 0, 0, 1],
];
/** r2 = data, r3 = data_end, r4 = r2 + n; jumps to the end when r4 > r3. */
const packet = (n: number, skip: number): readonly Short[] => [
  [0x61, 2, 1, 0],
  [0x61, 3, 1, 4],
  [0xbf, 4, 2],
  [0x07, 4, 0, 0, n],
  [0x2d, 4, 3, skip],
];

describe('registers', () => {
  it('an uninitialised one is not read', () => {
    expect(judge([[0xbf, 0, 2], [0x95]])).toBe('reject 0: R2 !read_ok');
    expect(judge([[0x85, 0, 0, 0, 7], [0xbf, 0, 1], [0x95]])).toBe('reject 1: R1 !read_ok');
  });
  it('the result must be there', () => expect(judge([[0x95]])).toBe('reject 0: R0 !read_ok'));
  it('pointers are not multiplied', () =>
    expect(judge([[0x27, 1, 0, 0, 2], ...EXIT])).toBe('reject 0: R1 pointer arithmetic with *= operator prohibited'));
  it('a scalar is no address', () =>
    expect(judge([[0xb7, 2, 0, 0, 5], [0x61, 0, 2, 0], [0x95]])).toBe("reject 1: R2 invalid mem access 'scalar'"));
});

describe('packets', () => {
  it('bytes below the checked length', () =>
    expect(judge([...packet(14, 1), [0x71, 0, 2, 13], ...EXIT])).toBe('accept'));
  it('one byte more', () =>
    expect(judge([...packet(14, 1), [0x71, 0, 2, 14], ...EXIT])).toBe(
      'reject 5: invalid access to packet, off=14 size=1, R2(id=0,off=14,r=14)\nR2 offset is outside of the packet',
    ));
  it('void after the packet was changed', () =>
    expect(
      judge([
        [0xbf, 6, 1],
        ...packet(14, 5),
        [0xbf, 7, 2],
        [0xbf, 1, 6],
        [0xb7, 2, 0, 0, 0],
        [0x85, 0, 0, 0, 44],
        [0x71, 0, 7, 0],
        ...EXIT,
      ]),
    ).toBe("reject 10: R7 invalid mem access 'scalar'"));
});

describe('map values', () => {
  it('after a NULL check', () =>
    expect(judge([...LOOKUP, [0x15, 0, 0, 1, 0], [0x79, 0, 0, 8], ...EXIT], { 3: 'm' })).toBe('accept'));
  it('not before', () =>
    expect(judge([...LOOKUP, [0x79, 0, 0, 8], ...EXIT], { 3: 'm' })).toBe(
      "reject 6: R0 invalid mem access 'map_value_or_null'",
    ));
  it('within the value', () =>
    expect(judge([...LOOKUP, [0x15, 0, 0, 1, 0], [0x79, 0, 0, 9], ...EXIT], { 3: 'm' })).toBe(
      'reject 7: invalid access to map value, value_size=16 off=9 size=8\nR0 min value is outside of the allowed memory range',
    ));
  it('the key must lie on the stack', () =>
    expect(
      judge([[0xbf, 2, 10], [0x07, 2, 0, 0, -4], [0x18, 1, 1], [0], [0x85, 0, 0, 0, 1], ...EXIT], { 2: 'm' }),
    ).toBe('reject 4: invalid read from stack R2 off=-4 size=8'));
});

describe('the stack', () => {
  it('ends at -512', () =>
    expect(judge([[0x7a, 10, 0, -520, 0], ...EXIT])).toBe('reject 0: invalid write to stack R10 off=-520 size=8'));
  it('keeps spilled pointers whole', () =>
    expect(judge([[0x7b, 10, 1, -8], [0x61, 0, 10, -8], ...EXIT])).toBe('reject 1: invalid size of register fill'));
  it('gives spilled pointers back', () =>
    expect(judge([[0x7b, 10, 1, -8], [0x79, 2, 10, -8], [0x61, 0, 2, 12], ...EXIT])).toBe('accept'));
});

describe('loops', () => {
  it('bounded', () =>
    expect(judge([[0xb7, 6, 0, 0, 0], [0x07, 6, 0, 0, 1], [0xa5, 6, 0, -2, 100], ...EXIT])).toBe('accept'));
  it('endless', () =>
    expect(judge([[0xb7, 6, 0, 0, 0], [0x15, 6, 0, 1, 1], [0x05, 0, 0, -2], ...EXIT])).toContain(
      'infinite loop detected',
    ));
  it('the million', () =>
    expect(judge([[0xb7, 6, 0, 0, 0], [0x07, 6, 0, 0, 1], [0x05, 0, 0, -2], ...EXIT], {}, 'socket_filter')).toContain(
      'reject',
    ));
});

describe('references', () => {
  const reserve: readonly Short[] = [
    [0x18, 1, 1],
    [0],
    [0xb7, 2, 0, 0, 8],
    [0xb7, 3, 0, 0, 0],
    [0x85, 0, 0, 0, 131],
    [0x15, 0, 0, 3, 0],
  ];
  it('released', () =>
    expect(judge([...reserve, [0xbf, 1, 0], [0xb7, 2, 0, 0, 0], [0x85, 0, 0, 0, 132], ...EXIT], { 0: 'r' })).toBe(
      'accept',
    ));
  it('leaked', () =>
    expect(judge([...reserve, [0xbf, 1, 0], [0xb7, 2, 0, 0, 0], [0xb7, 2, 0, 0, 0], ...EXIT], { 0: 'r' })).toMatch(
      /^reject 10: Unreleased reference id=\d+ alloc_insn=4\nBPF_EXIT instruction in main prog would lead to reference leak$/,
    ));
});

describe('pruning', () => {
  it('a size that a call was given is not taken for another', () => {
    const code: readonly Short[] = [
      [0x85, 0, 0, 0, 7],
      [0xbf, 6],
      [0x7a, 10, 0, -8],
      [0x15, 6, 0, 0, 1],
      [0x15, 6, 0, 0, 2],
      [0xb7, 2, 0, 0, 64],
      [0xb7, 3, 0, 0, 0],
      [0x15, 6, 0, 1, 3],
      [0xb7, 2, 0, 0, 8],
      // Both sizes come by here, the small one first.
      [0xbf, 1, 10],
      [0x07, 1, 0, 0, -8],
      [0x85, 0, 0, 0, 6],
      ...EXIT,
    ];
    const frequent = judge(code, {}, 'xdp', {}, [], { testStateFrequency: true });
    expect(frequent).toMatch(/^reject 11: invalid .* stack R1 off=-8 size=64$/);
  });
});

describe('verdicts', () => {
  it('what is not followed is unsupported, by name', () =>
    expect(judge([[0x85, 0, 0, 0, 158], [0xb7, 0, 0, 0, 0], [0x95]], {}, 'kprobe')).toMatch(
      /^unsupported 0: struct task_struct without the kernel's types/,
    ));
  it('a helper that the kernel was built without is refused in its words', () => {
    const code: Short[] = [[0xb7, 2, 0, 0, 1], [0x85, 0, 0, 0, 58], ...EXIT];
    expect(judge(code, {}, 'kprobe')).toBe('accept');
    const lacksHelper = (type: string, name: string) => type === 'kprobe' && name === 'override_return';
    expect(judge(code, {}, 'kprobe', {}, [], { lacksHelper })).toBe(
      'reject 1: program of this type cannot use helper bpf_override_return#58',
    );
  });
  it('a branch that never happens is not looked at', () =>
    expect(judge([[0xb7, 6, 0, 0, 1], [0x15, 6, 0, 2, 0], ...EXIT, [0x79, 0, 9, 0], ...EXIT])).toBe('accept'));
  it('the path tells the decisions', () => {
    const insns: Insn[] = [...packet(14, 1), [0x71, 0, 2, 14] as Short, ...EXIT].map(
      ([opcode, dst = 0, src = 0, off = 0, imm = 0]) => ({ opcode, dst, src, off, imm }),
    );
    const program = {
      name: 'p',
      section: 'xdp',
      autoload: true,
      type: 'xdp',
      attachType: undefined,
      attachTo: undefined,
      sleepable: false,
      frags: false,
      insns,
      functions: [{ name: 'p', start: 0, length: insns.length, linkage: 'global', btfId: undefined, callback: false }],
      references: new Map(),
      coreRelocations: [],
      lines: [],
    } satisfies ProgramSpec;
    const { diagnostics } = verify({ program, maps: new Map(), license: 'GPL', btf: undefined });
    expect(diagnostics[0]!.path).toEqual([{ kind: 'branch', slot: 4, taken: false }]);
  });
});
