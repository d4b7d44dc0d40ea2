/** Executable sections: their instructions, the functions in them, and what is relocated where. */
import { decodeInsns } from '../isa/decode.ts';
import type { Insn } from '../isa/insn.ts';
import { isWide } from '../isa/opcodes.ts';
import { type Elf, type ElfRelocation, type ElfSection, SHF, SHT, STB, STT, STV } from './elf.ts';

export interface CodeSection {
  readonly section: ElfSection;
  readonly insns: readonly Insn[];
  /** By slot within the section. */
  readonly relocations: ReadonlyMap<number, ElfRelocation>;
  /** By first slot within the section. */
  readonly functions: ReadonlyMap<number, CodeFunction>;
}

export interface CodeFunction {
  readonly name: string;
  readonly code: CodeSection;
  /** Slots within the section. */
  readonly start: number;
  readonly length: number;
  readonly linkage: 'static' | 'global';
  /** An entry that can be loaded; otherwise only reached by calls. */
  readonly isProgram: boolean;
}

/** Executable sections by section index. Throws InputError for code that is no whole number of slots, or overlapping functions. */
export function readCode(elf: Elf): ReadonlyMap<number, CodeSection> {
  const found = new Map<number, { code: CodeSection; functions: Map<number, CodeFunction> }>();
  for (const section of elf.sections) {
    if (section.type !== SHT.PROGBITS || (section.flags & SHF.EXECINSTR) === 0 || section.size === 0) continue;
    if (section.size % 8 !== 0)
      throw elf.fault(
        `${section.size} bytes of code are no whole number of slots`,
        section,
        section.size,
        'SLUICE_CODE_LENGTH',
      );
    const insns = decodeInsns(section.bytes);
    const functions = new Map<number, CodeFunction>();
    found.set(section.index, {
      code: { section, insns, relocations: relocationsBySlot(elf, section, insns), functions },
      functions,
    });
  }

  const symbols = elf.symbols.filter(({ type, section }) => type === STT.FUNC && found.has(section));
  for (const symbol of symbols) {
    const { code, functions } = found.get(symbol.section)!;
    const { section } = code;
    if (symbol.value % 8 !== 0 || symbol.size % 8 !== 0 || symbol.size === 0)
      throw elf.fault(
        `function ${symbol.name} of ${symbol.size} bytes is no whole number of slots`,
        section,
        symbol.value,
      );
    if (symbol.value + symbol.size > section.size)
      throw elf.fault(`function ${symbol.name} ends behind its section`, section, symbol.value);
    const start = symbol.value / 8;
    // An alias: the first name stands, as the code is the same.
    if (functions.get(start)?.length === symbol.size / 8) continue;
    if (functions.has(start)) throw elf.fault(`two functions of different size begin here`, section, symbol.value);
    const local = symbol.bind === STB.LOCAL;
    functions.set(start, {
      name: symbol.name,
      code,
      start,
      length: symbol.size / 8,
      linkage: local || symbol.visibility === STV.HIDDEN || symbol.visibility === STV.INTERNAL ? 'static' : 'global',
      // libbpf: what is in .text is called by others, unless there is nothing else.
      isProgram: !local && (section.name !== '.text' || symbols.length === 1),
    });
  }
  for (const { code, functions } of found.values()) {
    let end = 0;
    for (const one of [...functions.values()].sort((a, b) => a.start - b.start)) {
      if (one.start < end)
        throw elf.fault(`function ${one.name} overlaps the one before it`, code.section, one.start * 8);
      end = one.start + one.length;
    }
  }
  return new Map([...found].map(([index, { code }]) => [index, code]));
}

function relocationsBySlot(elf: Elf, section: ElfSection, insns: readonly Insn[]): Map<number, ElfRelocation> {
  const bySlot = new Map<number, ElfRelocation>();
  for (const relocation of elf.relocations(section)) {
    const { offset, symbol } = relocation;
    if (offset % 8 !== 0)
      throw elf.fault(
        `relocation against ${symbol.name} is inside an instruction`,
        section,
        offset,
        'SLUICE_RELOCATION',
      );
    if (bySlot.has(offset / 8))
      throw elf.fault(
        `a second relocation of this instruction, against ${symbol.name}`,
        section,
        offset,
        'SLUICE_RELOCATION',
      );
    if (isWide(insns[offset / 8]!.opcode) && offset / 8 + 1 >= insns.length)
      throw elf.fault('a 16-byte instruction is cut off', section, offset);
    bySlot.set(offset / 8, relocation);
  }
  return bySlot;
}
