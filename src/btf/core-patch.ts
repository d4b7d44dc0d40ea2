/** Puts a CO-RE value into an instruction. */
import type { InputError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import { CLASS, CLASS_MASK, OPCODE, SIZE, SIZE_MASK, SOURCE_MASK } from '../isa/opcodes.ts';
import type { CoreValue } from './core-value.ts';

/** No helper has this number: libbpf's 0xbad2310, "bad relo". */
export const POISON = 195896080;

const poisoned: Insn = { opcode: OPCODE.CALL, dst: 0, src: 0, off: 0, imm: POISON };
const bytesBySize: ReadonlyMap<number, number> = new Map([
  [SIZE.B, 1],
  [SIZE.H, 2],
  [SIZE.W, 4],
  [SIZE.DW, 8],
]);

/** Changes `insns` in place. */
export function patchInsn(
  insns: Insn[],
  slot: number,
  value: CoreValue,
  fail: (why: string) => InputError,
): { readonly outcome: 'patched' | 'poisoned'; readonly from: bigint | undefined } {
  const insn = insns[slot]!;
  const poison = () => {
    insns[slot] = poisoned;
    if (insn.opcode === OPCODE.LDDW && slot + 1 < insns.length) insns[slot + 1] = poisoned;
    return { outcome: 'poisoned', from: undefined } as const;
  };
  if (value.poison) return poison();
  const expect = (have: bigint) => {
    if (value.validate && have !== value.original)
      throw fail(`the instruction has ${have}, not ${value.original} as the type says`);
    return { outcome: 'patched', from: have } as const;
  };
  switch (insn.opcode & CLASS_MASK) {
    case CLASS.ALU:
    case CLASS.ALU64: {
      if ((insn.opcode & SOURCE_MASK) !== 0) throw fail('the instruction has a register where a constant is needed');
      const result = expect(BigInt(insn.imm));
      insns[slot] = { ...insn, imm: Number(BigInt.asIntN(32, value.value)) };
      return result;
    }
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX: {
      const result = expect(BigInt(insn.off));
      if (value.value > 0x7fffn) throw fail(`offset ${value.value} does not fit 16 bits`);
      const { sizes } = value;
      if (sizes !== undefined && !sizes.adjustable) return poison();
      let { opcode } = insn;
      if (sizes !== undefined) {
        if (bytesBySize.get(opcode & SIZE_MASK) !== sizes.from)
          throw fail(
            `the instruction accesses ${bytesBySize.get(opcode & SIZE_MASK)} bytes of a field of ${sizes.from}`,
          );
        const size = [...bytesBySize].find(([, bytes]) => bytes === sizes.to)?.[0];
        if (size === undefined) throw fail(`no instruction accesses ${sizes.to} bytes`);
        opcode = (opcode & ~SIZE_MASK) | size;
      }
      insns[slot] = { ...insn, opcode, off: Number(value.value) };
      return result;
    }
    default: {
      const high = insns[slot + 1];
      if (insn.opcode !== OPCODE.LDDW || insn.src !== 0 || insn.off !== 0 || high === undefined || high.opcode !== 0)
        throw fail(`opcode 0x${insn.opcode.toString(16)} cannot be relocated`);
      const have = BigInt.asUintN(64, (BigInt(high.imm) << 32n) | BigInt(insn.imm >>> 0));
      const result = expect(BigInt.asIntN(64, value.original) < 0n ? BigInt.asIntN(64, have) : have);
      insns[slot] = { ...insn, imm: Number(BigInt.asIntN(32, value.value)) };
      insns[slot + 1] = { ...high, imm: Number(BigInt.asIntN(32, value.value >> 32n)) };
      return result;
    }
  }
}
