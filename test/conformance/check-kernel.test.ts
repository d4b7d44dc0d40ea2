import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnsupportedError } from '../../src/errors.ts';
import { checkInsn } from '../../src/isa/check.ts';
import { encodeInsns } from '../../src/isa/encode.ts';
import type { Insn } from '../../src/isa/insn.ts';
import { OPCODE } from '../../src/isa/opcodes.ts';
import { loadProgram } from '../../src/linux/bpf.ts';
import { close } from '../../src/linux/ffi.ts';
import { ProgramRefusedError } from '../../src/linux/syscall-error.ts';
import { anySlot, validInsn } from '../insn-arbitrary.ts';

const slot = (opcode: number, dst: number, imm: number): Insn => ({ opcode, dst, src: 0, off: 0, imm });
/** Every register has a value, so that the kernel's first complaint is about the instruction itself. */
const before = Array.from({ length: 10 }, (_, register) => slot(0xb7, register, 1));
const after = [slot(0xb7, 0, 0), slot(OPCODE.EXIT, 0, 0)];

/** '' if the kernel takes it, else its last line before the statistics. */
function kernelVerdict(insns: readonly Insn[]): string {
  try {
    const { fd } = loadProgram({
      type: 'socket_filter',
      insns: encodeInsns([...before, ...insns, ...after]),
      license: 'GPL',
      logLevel: 1,
    });
    close(fd);
    return '';
  } catch (error) {
    if (!(error instanceof ProgramRefusedError)) throw error;
    const lines = error.log.split('\n').filter((line) => line !== '' && !line.startsWith('processed '));
    return lines.at(-1) ?? 'no log';
  }
}

/** Complaints about the encoding of an instruction; all others are about what it does. */
const encoding =
  /uses reserved fields|unknown opcode|^R1[1-5] is invalid|frame pointer is read only|div by zero|invalid shift|may_goto imm|atomic op|invalid BPF_|bpf_ld_imm64|can only convert/;

function refusesBpf(): string {
  try {
    kernelVerdict([]);
    return '';
  } catch (error) {
    if (error instanceof UnsupportedError) return ' (skipped: bpf(2) is refused here)';
    throw error;
  }
}

const refused = process.platform === 'linux' ? refusesBpf() : ' (skipped: no Linux)';
/** `gotox` came after 6.18; a kernel without it says what it says of any unknown opcode. */
const knowsGotox = refused === '' && kernelVerdict([slot(OPCODE.GOTOX, 1, 0)]) !== 'unknown opcode 0d';

function agree(insns: readonly Insn[]): boolean {
  if (insns[0]!.opcode === OPCODE.GOTOX && !knowsGotox) return false;
  const theirs = kernelVerdict(insns);
  const ours = checkInsn(insns, 0, { kernel: true });
  if (encoding.test(theirs)) expect({ insns, verdict: ours }).toEqual({ insns, verdict: theirs });
  else if (theirs === '') expect({ insns, verdict: ours }).toEqual({ insns, verdict: undefined });
  else return false;
  return true;
}

describe.skipIf(refused !== '')(`checkInsn and the kernel${refused}`, () => {
  it('agree on arbitrary slots', () => {
    let compared = 0;
    fc.assert(
      fc.property(anySlot, (insn) => {
        if (agree([insn])) compared++;
      }),
      { numRuns: 3000 },
    );
    expect(compared).toBeGreaterThan(1500);
  });

  it('agree on instructions with one field changed', () => {
    let compared = 0;
    const change = fc.constantFrom<Partial<Insn>>(
      {},
      { dst: 10 },
      { dst: 11 },
      { dst: 0 },
      { src: 1 },
      { src: 0 },
      { src: 12 },
      { src: 10 },
      { off: 0 },
      { off: 1 },
      { imm: 0 },
      { imm: 1 },
      { imm: 64 },
      { imm: -1 },
    );
    fc.assert(
      fc.property(validInsn, change, (insns, fields) => {
        if (agree([{ ...insns[0]!, ...fields }, ...insns.slice(1)])) compared++;
      }),
      { numRuns: 3000 },
    );
    expect(compared).toBeGreaterThan(1000);
  });
});
