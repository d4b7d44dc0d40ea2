import { describe, expect, it } from 'vitest';
import { assemble } from './assembler.ts';
import { kernelSyntax } from './kernel-syntax.ts';

// Left: LLVM's syntax. Right: what Linux 6.18 printed for the same instruction at log level 2.
const cases: readonly (readonly [string, string])[] = [
  ['w0 = 1', '(b4) w0 = 1'],
  ['r2 = *(u32 *)(r1 + 4)', '(61) r2 = *(u32 *)(r1 +4)'],
  ['r1 += 14', '(07) r1 += 14'],
  ['if r1 > r2 goto +30', '(2d) if r1 > r2 goto pc+30'],
  ['w1 &= 3', '(54) w1 &= 3'],
  ['*(u32 *)(r10 - 4) = r1', '(63) *(u32 *)(r10 -4) = r1'],
  ['*(u64 *)(r10 - 24) = -7', '(7a) *(u64 *)(r10 -24) = -7'],
  ['if r1 == 0 goto +19', '(15) if r1 == 0x0 goto pc+19'],
  ['if w1 s> -4 goto +1', '(66) if w1 s> 0xfffffffc goto pc+1'],
  ['r1 = atomic_fetch_add((u64 *)(r10 - 8), r1)', '(db) r1 = atomic64_fetch_add((u64 *)(r10 -8), r1)'],
  ['r0 = cmpxchg_64(r10 - 8, r0, r2)', '(db) r0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r2)'],
  ['w2 = xchg32_32(r10 - 12, w2)', '(c3) r2 = atomic_xchg((u32 *)(r10 -12), r2)'],
  ['r1 = bswap32 r1', '(d7) r1 = bswap32 r1'],
  ['r2 = (s8)r2', '(bf) r2 = (s8)r2'],
  ['r3 s/= 3', '(37) r3 s/= 3'],
  ['w1 = -w1', '(84) w1 = -w1'],
  ['w2 s>>= 2', '(c4) w2 s>>= 2'],
  ['exit', '(95) exit'],
];

describe('kernel syntax', () => {
  it.each(cases)('%s', (source, expected) => {
    // Jumps need somewhere to go.
    const [insn, next] = assemble(`${source}\n${'exit\n'.repeat(40)}`, { syntax: 'llvm' }).insns;
    expect(kernelSyntax(insn!, next)).toBe(expected);
  });

  it('names helpers and keeps addresses to itself', () => {
    const call = { opcode: 0x85, dst: 0, src: 0, off: 0, imm: 1 };
    expect(kernelSyntax(call, undefined, { helper: () => 'bpf_map_lookup_elem' })).toBe(
      '(85) call bpf_map_lookup_elem#1',
    );
    const map = { opcode: 0x18, dst: 1, src: 1, off: 0, imm: 77 };
    const high = { opcode: 0, dst: 0, src: 0, off: 0, imm: 0 };
    expect(kernelSyntax(map, high)).toBe('(18) r1 = 0x0');
    expect(kernelSyntax({ ...map, src: 0 }, { ...high, imm: 1 })).toBe('(18) r1 = 0x10000004d');
  });
});
