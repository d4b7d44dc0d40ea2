import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { anySlot, everyForm, validInsns } from '../../test/insn-arbitrary.ts';
import { InputError, UnsupportedError } from '../errors.ts';
import { assemble } from './assembler.ts';
import { disassemble, disassembleInsn } from './disassembler.ts';
import { encodeInsns } from './encode.ts';
import type { Insn } from './insn.ts';
import type { Operation } from './operation.ts';
import { insnsOf } from './operation-slots.ts';

function llvm(text: string): Insn[] {
  return assemble(text, { syntax: 'llvm' }).insns;
}

function hex(insns: readonly Insn[]): string {
  return Buffer.from(encodeInsns(insns)).toString('hex');
}

function failure(text: string, syntax: 'llvm' | 'conformance' = 'llvm'): string {
  try {
    assemble(text, { syntax, input: 'x.s' });
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).code).toBe('SLUICE_ASM_SYNTAX');
    return (error as InputError).message;
  }
  throw new Error(`was assembled: ${text}`);
}

describe('LLVM syntax', () => {
  it('is read back from the disassembler for every valid instruction', () => {
    fc.assert(
      fc.property(validInsns, (insns) => {
        expect(llvm(disassemble(insns))).toEqual(insns);
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(validInsns, (insns) => {
        expect(llvm(disassemble(insns, { targets: 'labels' }))).toEqual(insns);
      }),
      { numRuns: 300 },
    );
  });

  it('is read back for any slots whatever', () => {
    fc.assert(
      fc.property(fc.array(anySlot), (insns) => {
        expect(llvm(disassemble(insns))).toEqual(insns);
      }),
      {
        numRuns: 1000,
      },
    );
  });

  it('is read back with slot numbers, names, source lines and references', () => {
    const insns = everyForm().flatMap(insnsOf);
    const text = disassemble(insns, {
      slots: true,
      names: new Map([
        [0, 'main'],
        [3, 'third'],
      ]),
      sources: [{ slot: 1, file: 'a.c', line: 7, text: '  x = "; // y";' }],
      references: new Map([[2, 'something']]),
    });
    expect(text).toContain('main:\n');
    expect(text).toContain('; x = "; // y"; @ a.c:7\n       1:\t');
    expect(text).toContain(' // something\n');
    expect(llvm(text)).toEqual(insns);
  });

  it('has labels, numeric labels, several statements a line, and comments', () => {
    const { insns, labels, lines } = assemble(
      `/* a comment
 of two lines */ start: r0 = 0; r1 = r0 // rest
1:	r0 += 1 # rest
; int source = 1;
	if r0 < 10 goto 1b
	if r0 == 11 goto 1f
	goto pc+1
	goto start
1: .Lend: exit
`,
      { syntax: 'llvm' },
    );
    expect(hex(insns)).toBe(
      'b700000000000000bf010000000000000700000001000000a500feff0a00000015000200' +
        '0b0000000500010000000000' +
        '0500f9ff000000009500000000000000',
    );
    expect([...labels]).toEqual([
      ['start', 0],
      ['.Lend', 7],
    ]);
    expect(lines).toEqual([2, 2, 3, 5, 6, 7, 8, 9]);
  });

  it('makes local calls, function addresses and references to what it does not define', () => {
    const text =
      'main:\ncall helper\nr2 = callback ll\nr1 = counters ll\ncall bpf_thing\nexit\nhelper:\nexit\ncallback:\nexit\n';
    const result = assemble(text, { syntax: 'llvm', externs: true });
    expect(result.functions).toEqual([
      { name: 'main', start: 0, length: 7, callback: false },
      { name: 'helper', start: 7, length: 1, callback: false },
      { name: 'callback', start: 8, length: 1, callback: true },
    ]);
    expect(result.externs).toEqual([
      { slot: 3, symbol: 'counters', kind: 'address' },
      { slot: 5, symbol: 'bpf_thing', kind: 'call' },
    ]);
    expect(result.insns[1]).toEqual({ opcode: 0x18, dst: 2, src: 4, off: 0, imm: 6 });
    expect(result.insns[3]).toEqual({ opcode: 0x18, dst: 1, src: 0, off: 0, imm: 0 });
    expect(failure(text)).toBe("x.s, line 4, column 6: unknown label 'counters'");
  });

  it('takes numeric labels strictly behind and at or before the instruction', () => {
    expect(hex(llvm('1: goto 1f\n1: goto 1b\n1: exit'))).toBe('05000000000000000500ffff000000009500000000000000');
    expect(failure('1: goto 1f')).toContain("unknown label '1f'");
  });

  it('marks a function as a callback also if it is called', () => {
    const { functions } = assemble('r1 = f ll\ncall f\nexit\nf: exit', { syntax: 'llvm' });
    expect(functions.map(({ name, callback }) => [name, callback])).toEqual([
      ['entry', false],
      ['f', true],
    ]);
  });

  it('names line and column of what it does not understand', () => {
    expect(failure('exit\n  r0 = r11')).toBe('x.s, line 2, column 8: there is no register r11');
    expect(failure('r0 = *(u64 *)(r1 + 0x8000)')).toContain('column 18: offset 0x8000 does not fit in 16 bits');
    expect(failure('r0 = 0x100000000')).toContain('does not fit in 32 bits');
    expect(failure('r0 = 010')).toContain('begins with another digit');
    expect(failure('r0 = be16 r1')).toContain('must be the one on the left');
    expect(failure('w0 = *(u64 *)(r1 + 0)')).toContain('r register');
    expect(failure('*(u64 *)(r1 + 0) = w2')).toContain('r register');
    expect(failure('r0 = r1 r2')).toContain("unexpected 'r2'");
    expect(failure('if r0 = r1 goto +1')).toContain('expected a comparison');
    expect(failure('frobnicate r0')).toContain('expected an instruction');
    expect(failure('a: exit\na: exit')).toContain("line 2, column 1: label 'a' is defined twice");
    expect(failure('goto nowhere')).toContain("unknown label 'nowhere'");
    expect(failure(`goto far\n${'r0 = 0\n'.repeat(32768)}far: exit`)).toContain('does not reach');
    expect(() => llvm('.section maps')).toThrow(UnsupportedError);
  });
});

describe('disassemble', () => {
  const insns = llvm('if r1 == 5 goto +2\nr2 = 0x1122334455667788 ll\ncall pc+1\nexit\nexit');

  it('prints distances, bytes and slots as objdump does', () => {
    expect(disassemble(insns, { slots: true, bytes: true, names: new Map([[3, 'next']]) })).toBe(
      '       0:\t15 01 02 00 05 00 00 00\tif r1 == 0x5 goto +0x2 <next>\n' +
        '       1:\t18 02 00 00 88 77 66 55 00 00 00 00 44 33 22 11\tr2 = 0x1122334455667788 ll\n' +
        'next:\n' +
        '       3:\t85 10 00 00 01 00 00 00\tcall pc+0x1\n' +
        '       4:\t95 00 00 00 00 00 00 00\texit\n' +
        '       5:\t95 00 00 00 00 00 00 00\texit\n',
    );
  });

  it('names targets and what constants stand for', () => {
    const references = new Map([[1, 'counters']]);
    expect(disassemble(insns, { targets: 'labels', names: new Map([[0, 'main']]), references })).toBe(
      'main:\n\tif r1 == 0x5 goto LBB_3\n\tr2 = counters ll\nLBB_3:\n\tcall func_5\n\texit\nfunc_5:\n\texit\n',
    );
  });

  it('prints what is no instruction as data', () => {
    expect(disassembleInsn({ opcode: 0x07, dst: 11, src: 0, off: 0, imm: 1 })).toBe('.8byte 0x0000000100000b07');
    expect(disassembleInsn({ opcode: 0x18, dst: 1, src: 0, off: 0, imm: 1 })).toBe('.8byte 0x0000000100000118');
    expect(disassembleInsn({ opcode: 0x95, dst: 0, src: 0, off: 1, imm: 0 })).toBe('.8byte 0x0000000000010095');
  });
});

describe('conformance syntax', () => {
  it('names line and column', () => {
    expect(failure('exit\nmov %r0, %r11', 'conformance')).toBe('x.s, line 2, column 10: there is no register %r11');
    expect(failure('mov32 %r0, 2147483648', 'conformance')).toContain('does not fit');
    expect(failure('ldxq %r0, %r1', 'conformance')).toContain("unknown mnemonic 'ldxq'");
    expect(failure('ldxb %r0, %r1', 'conformance')).toContain("expected '['");
    expect(failure('lock or [%r10-8]', 'conformance')).toContain("expected ','");
    expect(failure('lddw %r1, jump_table 0', 'conformance')).toContain('no jump table 0');
  });

  it('refers to jump tables by number', () => {
    const { insns, jumpTables } = assemble('lddw %r1, jump_table 0\ngotox %r1\na: exit\nb: exit', {
      syntax: 'conformance',
      jumpTables: [['b', 'a', 'b']],
    });
    expect(jumpTables).toEqual([{ slots: [4, 3, 4], references: [0] }]);
    expect(hex(insns.slice(0, 3))).toBe('180100000000000000000000000000000d01000000000000');
  });
});

const directory = mkdtempSync(join(tmpdir(), 'asm-'));
afterAll(() => rmSync(directory, { recursive: true }));

function tool(name: string, ...args: string[]): string {
  const run = spawnSync(name, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (run.status !== 0) throw new Error(`${name} ${args.join(' ')}: ${run.stderr ?? run.error?.message}`);
  return run.stdout;
}

/** Bytes of .text, as clang assembles the text. */
function clang(text: string): string {
  writeFileSync(join(directory, 'x.s'), text);
  tool('clang-22', '--target=bpf', '-mcpu=v4', '-c', join(directory, 'x.s'), '-o', join(directory, 'x.o'));
  tool('llvm-objcopy-22', '-O', 'binary', '--only-section=.text', join(directory, 'x.o'), join(directory, 'x.bin'));
  return readFileSync(join(directory, 'x.bin')).toString('hex');
}

/** What LLVM has no words for, or prints without telling it from something else. */
function sayableByLlvm(operation: Operation): boolean {
  switch (operation.kind) {
    case 'call':
      return operation.target === 'helper';
    case 'lddw':
      return operation.source === 0 || operation.high === 0;
    case 'load-packet':
      return operation.mode === 'absolute' || operation.imm === 0;
    default:
      return true;
  }
}

const noLlvm = ['clang-22', 'llvm-objdump-22', 'llvm-objcopy-22'].filter(
  (name) => spawnSync(name, ['--version']).status !== 0,
);

describe.skipIf(noLlvm.length > 0)(
  `LLVM itself${noLlvm.length > 0 ? ` (skipped: no ${noLlvm.join(', ')})` : ''}`,
  () => {
    const operations = everyForm().filter(sayableByLlvm);
    const insns = operations.flatMap(insnsOf);

    it('assembles our text of every form to our bytes', () => {
      expect(clang(disassemble(insns))).toBe(hex(insns));
      expect(operations.length).toBeGreaterThan(350);
    });

    it('prints every form as we do, and we read what it prints', () => {
      clang(`.globl main\n.type main,@function\nmain:\n${insns.map(word).join('')}`);
      const printed = tool('llvm-objdump-22', '-d', '--no-show-raw-insn', '--mcpu=v4', join(directory, 'x.o'));
      const body = printed.slice(printed.indexOf('0000000000000000 <'));
      expect(llvm(body)).toEqual(insns);
      const lines = body
        .split('\n')
        .slice(1)
        .filter((line) => line.trim() !== '');
      const theirs = lines.map((line) =>
        line
          .replace(/^ *[0-9]+:\t/, '')
          .replace(/ <[^ ]*>$/, '')
          .replace('ld_pseudo\t', 'ld_pseudo '),
      );
      const ours = operations.map((operation) => disassembleInsn(insnsOf(operation)[0]!, insnsOf(operation)[1]));
      expect(ours).toEqual(theirs);
    });

    it('assembles labels and the spellings that people use to our bytes', () => {
      const text = `
	.text
	.globl	main
	.type	main,@function
main:
	r1 = 0xffffffff; w2 = 4294967295
	r3 = -0x80000000 /* gap */
	r4=r5
	1:
	R6 += -1
	r0 = *(u32 *)(r1 + 0)
	r0 = *(u8*)(r10-1)
	*(u16 *)(r1+4) = r2
	lock *(u32 *)(r1 + 4) += r2
	if r1 == r2 goto .Lout
2:	r1 = - r1
	if w1 s> 0x80000000 goto 2b
	goto 3
	goto 2f
	gotol 1b
	gotol .Lout
	may_goto .Lout
	r7 = 0xffffffffffffffff ll
2:
.Lout:
	exit
	.size	main, .-main
	.8byte 0x95, 0xb7
`;
      expect(clang(text)).toBe(hex(llvm(text)));
    });
  },
);

function word(insn: Insn): string {
  return `.8byte 0x${new DataView(encodeInsns([insn]).buffer).getBigUint64(0, true).toString(16)}\n`;
}
