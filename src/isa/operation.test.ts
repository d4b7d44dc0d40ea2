import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyOperation, anySlot, everyForm, shapedProgram, validInsns } from '../../test/insn-arbitrary.ts';
import { checkInsn, checkInsns } from './check.ts';
import { decodeInsns } from './decode.ts';
import { encodeInsns } from './encode.ts';
import { lddwValue } from './operation.ts';
import { describeInsn } from './operation-decode.ts';
import { insnsOf } from './operation-slots.ts';

describe('encodeInsns and decodeInsns', () => {
  it('are inverse of each other', () => {
    fc.assert(
      fc.property(fc.array(anySlot), (insns) => {
        expect(decodeInsns(encodeInsns(insns))).toEqual(insns);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
        expect(encodeInsns(decodeInsns(bytes))).toEqual(bytes);
      }),
    );
  });

  it('put fields where RFC 9669 section 3.1 has them', () => {
    expect([...encodeInsns([{ opcode: 0x7b, dst: 10, src: 3, off: -8, imm: -2 }])]).toEqual([
      0x7b, 0x3a, 0xf8, 0xff, 0xfe, 0xff, 0xff, 0xff,
    ]);
  });

  it('refuse a length that is no whole number of slots, and read a part of a larger buffer', () => {
    expect(() => decodeInsns(new Uint8Array(12))).toThrow('12 bytes');
    const part = new Uint8Array([9, 9, 9, 0x95, 0, 0, 0, 0, 0, 0, 0]).subarray(3);
    expect(decodeInsns(part)).toEqual([{ opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 }]);
  });
});

describe('describeInsn', () => {
  it('is undone by insnsOf for every operation, and checkInsn takes what insnsOf makes', () => {
    const check = (operation: ReturnType<typeof everyForm>[number]): void => {
      const insns = insnsOf(operation);
      expect(describeInsn(insns[0]!, insns[1])).toEqual(operation);
      expect(checkInsn(insns, 0, { callx: true })).toBeUndefined();
    };
    everyForm().forEach(check);
    fc.assert(fc.property(anyOperation, check), { numRuns: 2000 });
  });

  it('knows every slot that checkInsn takes, and loses no field of it', () => {
    let taken = 0;
    fc.assert(
      fc.property(anySlot, (insn) => {
        const next = { opcode: 0, dst: 0, src: 0, off: 0, imm: insn.imm };
        if (checkInsn([insn, next], 0, { callx: true }) !== undefined) return;
        taken++;
        const operation = describeInsn(insn, next);
        expect(operation).toBeDefined();
        expect(insnsOf(operation!)[0]).toEqual(insn);
      }),
      { numRuns: 20_000 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  it('joins the halves of a constant', () => {
    expect(lddwValue(-1, 0)).toBe(0xffffffffn);
    expect(lddwValue(0x55667788, -0x80000000)).toBe(0x8000000055667788n);
  });
});

describe('checkInsns', () => {
  const exit = { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 };
  const lddw = insnsOf({ kind: 'lddw', dst: 1, source: 0, low: 1, high: 2 });
  const jump = (off: number) => insnsOf({ kind: 'jump', long: false, off })[0]!;
  const call = (imm: number) => insnsOf({ kind: 'call', target: 'local', imm, off: 0 })[0]!;

  it('takes programs whose jumps stay inside', () => {
    fc.assert(
      fc.property(shapedProgram(), (insns) => {
        expect(checkInsns(insns)).toBeUndefined();
      }),
    );
  });

  it('names slot and problem of a program of bad shape', () => {
    expect(checkInsns([])).toEqual({ slot: 0, problem: 'program has no instructions' });
    expect(checkInsns([jump(5), exit])).toEqual({ slot: 0, problem: 'jump out of range from insn 0 to 6' });
    expect(checkInsns([jump(-2), exit])).toEqual({ slot: 0, problem: 'jump out of range from insn 0 to -1' });
    expect(checkInsns([jump(1), ...lddw, exit])).toEqual({
      slot: 0,
      problem: 'jump into the middle of ldimm64 insn 2',
    });
    expect(checkInsns([exit, lddw[0]!])).toEqual({ slot: 1, problem: 'invalid bpf_ld_imm64 insn' });
    expect(checkInsns([exit, ...lddw])).toEqual({ slot: 1, problem: 'last insn is not an exit or jmp' });
    expect(checkInsns([call(7), exit])).toEqual({ slot: 0, problem: 'call to invalid destination' });
    // The callee at 2 ends the entry function: the jump may not leave it.
    expect(checkInsns([call(2), jump(1), exit, exit])).toEqual({
      slot: 1,
      problem: 'jump out of range from insn 1 to 3',
    });
    expect(checkInsns([call(2), exit, lddw[0]!, lddw[1]!, exit])).toEqual({
      slot: 0,
      problem: 'call to invalid destination',
    });
  });

  it('agrees with checkInsn on every single instruction', () => {
    fc.assert(
      fc.property(validInsns, (insns) => {
        const found = checkInsns(insns);
        if (found !== undefined)
          expect(found.problem).toMatch(/out of range|middle|destination|address|last insn|opcode 8d/);
      }),
    );
  });
});
