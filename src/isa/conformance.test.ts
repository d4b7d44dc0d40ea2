import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.ts';
import { checkInsns } from './check.ts';
import { parseConformanceCase } from './conformance.ts';

const shared = new URL('../../../shared/conformance/tests/', import.meta.url);
const absent = !existsSync(shared);

describe.skipIf(absent)(`bpf_conformance${absent ? ' (skipped: ../shared/conformance is not there)' : ''}`, () => {
  const files = absent ? [] : readdirSync(shared).filter((name) => name.endsWith('.data'));

  it('parses, assembles and checks all of its cases', () => {
    expect(files.length).toBe(313);
    const versions = [0, 0, 0, 0, 0];
    for (const file of files) {
      const parsed = parseConformanceCase(file, readFileSync(new URL(file, shared), 'utf8'));
      expect(parsed.expected, file).toBeTypeOf('bigint');
      expect(checkInsns(parsed.insns, { callx: true }), file).toBeUndefined();
      if (!parsed.groups.has('callx')) versions[parsed.cpuVersion]!++;
    }
    // What bpf_conformance itself counts for v3 and v4.
    expect(versions[1]! + versions[2]! + versions[3]!).toBe(253);
    expect(versions[1]! + versions[2]! + versions[3]! + versions[4]!).toBe(312);
  });
});

describe('parseConformanceCase', () => {
  it('reads memory, result, groups, functions and jump tables', () => {
    const parsed = parseConformanceCase(
      'x',
      `# a comment
-- asm
lddw %r3, jump_table 1 # rest
gotox %r3
b: call local f
exit
f: lock add32 [%r10-4], %r1
sdiv32 %r1, 3
exit
-- jump-table
b f

f
-- mem
00 ff # two
7
-- result
18446744073709551615
`,
    );
    expect(parsed.memory).toEqual(Uint8Array.of(0, 0xff, 7));
    expect(parsed.expected).toBe(0xffffffffffffffffn);
    expect(parsed.error).toBeUndefined();
    expect([...parsed.groups].sort()).toEqual(['atomic32', 'base32', 'base64', 'divmul32', 'linux']);
    expect(parsed.cpuVersion).toBe(4);
    expect(parsed.functions).toEqual([
      { name: 'entry', start: 0, length: 5, callback: false },
      { name: 'f', start: 5, length: 3, callback: false },
    ]);
    expect(parsed.jumpTables).toEqual([
      { slots: [3, 5], references: [] },
      { slots: [5], references: [0] },
    ]);
  });

  it.each([
    ['mov %r0, 0', 1],
    ['lock add [%r10-8], %r1', 1],
    ['jlt %r1, 5, +0', 2],
    ['jeq32 %r1, 5, +0', 3],
    ['lock fetch add [%r10-8], %r1', 3],
    ['ja32 +0', 4],
    ['smod %r1, 5', 4],
    ['ldxsb %r1, [%r10-8]', 4],
    ['bswap16 %r1', 4],
    ['movsx832 %r1, %r1', 4],
    ['ldacqw %r1, [%r10-8]', 4],
  ])("needs for %j LLVM's cpu version %i", (statement, version) => {
    expect(parseConformanceCase('x', `-- asm\n${statement}\nexit\n-- result\n0\n`).cpuVersion).toBe(version);
  });

  it('reads code as words and as bytes', () => {
    const words = parseConformanceCase('x', '-- raw\n0x00000005000000b7\n149\n-- result\n5\n');
    const bytes = parseConformanceCase(
      'x',
      '-- raw\nb7 00 00 00 05 00 00 00\n95 00 00 00 00 00 00 00\n-- error\nno such thing\n',
    );
    expect(words.insns).toEqual([
      { opcode: 0xb7, dst: 0, src: 0, off: 0, imm: 5 },
      { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 },
    ]);
    expect(bytes.insns).toEqual(words.insns);
    expect(bytes.expected).toBeUndefined();
    expect(bytes.error).toBe('no such thing');
  });

  it.each([
    ['', 'no instructions'],
    ['-- asm\nexit\n', 'neither result nor error'],
    ['-- asm\nexit\n-- rusult\n0', "line 3: unknown section 'rusult'"],
    ['-- asm\nexit\n-- result\nfive', "result 'five' is no number"],
    ['-- asm\nexit\n-- mem\n100\n-- result\n0', "'100' in section mem is no byte"],
    ['-- raw\n95 00\n-- result\n0', '2 bytes of code'],
    ['-- raw\n0x95 zz\n-- result\n0', "'zz' in section raw is no number"],
    ['-- asm\nexit\n-- raw\n0xb7\n-- result\n0', 'sections asm and raw disagree'],
    ['\n# x\n-- asm\n  exot\n-- result\n0', "line 4, column 3: unknown mnemonic 'exot'"],
    ['-- asm\nexit\n-- jump-table\nnowhere\n-- result\n0', "jump table 0: unknown label 'nowhere'"],
  ])('refuses %j', (text, message) => {
    expect(() => parseConformanceCase('name.data', text)).toThrow(message);
    expect(() => parseConformanceCase('name.data', text)).toThrow(InputError);
  });
});
