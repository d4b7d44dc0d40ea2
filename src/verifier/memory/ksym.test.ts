// Symbols of the kernel, as programs refer to them.
import { describe, expect, it } from 'vitest';
import { functionsOf } from '../../isa/functions.ts';
import type { Insn } from '../../isa/insn.ts';
import { type VerifyOptions, verify } from '../verify.ts';

/** r1 = &symbol; if (r1 == 0) r0 = *r9; r0 = 0. */
const code: readonly Insn[] = (
  [
    [0x18, 1, 0, 0, 0],
    [0, 0, 0, 0, 0],
    [0x55, 1, 0, 1, 0],
    [0x79, 0, 9, 0, 0],
    [0xb7, 0, 0, 0, 0],
    [0x95, 0, 0, 0, 0],
  ] as const
).map(([opcode, dst, src, off, imm]) => ({ opcode, dst, src, off, imm }));

function judge(symbol: { readonly weak: boolean; readonly typed: boolean }, options: VerifyOptions): string {
  const program = {
    name: 'p',
    section: 'socket',
    autoload: true,
    type: 'socket_filter',
    attachType: undefined,
    attachTo: undefined,
    sleepable: false,
    frags: false,
    insns: code,
    functions: functionsOf(code).map(
      (range) => ({ name: 'f', linkage: 'static', btfId: undefined, ...range }) as const,
    ),
    references: new Map([[0, { kind: 'ksym', name: 'jiffies', ...symbol } as const]]),
    coreRelocations: [],
    lines: [],
  } as const;
  const { verdict, diagnostics } = verify({ program, maps: new Map(), license: 'GPL', btf: undefined }, options);
  return verdict === 'accept' ? verdict : `${verdict}: ${diagnostics[0]!.problem}`;
}

describe('symbols of the kernel', () => {
  const strong = { weak: false, typed: false };
  it('have an address', () => expect(judge(strong, { symbolAddress: () => 0x1234_5678_9abcn })).toBe('accept'));
  it('may be hidden: then they may be anything', () =>
    expect(judge(strong, { symbolAddress: () => 0n })).toBe('reject: R9 !read_ok'));
  it('weak ones are 0 where there is none', () =>
    expect(judge({ weak: true, typed: false }, { symbolAddress: () => undefined })).toBe('reject: R9 !read_ok'));
  it('others must be there', () =>
    expect(judge(strong, { symbolAddress: () => undefined })).toMatch(/^unsupported: ksym jiffies, which this kernel/));
  it('typed ones need the types', () =>
    expect(judge({ weak: false, typed: true }, {})).toMatch(/^unsupported: ksym jiffies without the kernel's types/));
});
