/** What a relocated instruction refers to, before its program is laid out. */
import { UnsupportedError } from '../errors.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE } from '../isa/opcodes.ts';
import type { CodeFunction, CodeSection } from './code.ts';
import { type Elf, type ElfRelocation, R_BPF, SHN, STT } from './elf.ts';
import type { AllocatorPart, ExternSpec, Reference } from './spec.ts';
import type { TraitSection } from './traits.ts';

/** Everything in the file that has a place, by section index and byte offset or by name. */
export interface Targets {
  readonly code: ReadonlyMap<number, CodeSection>;
  /** Map names by section index and byte offset of the definition. */
  readonly maps: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** Allocators of maps, likewise. */
  readonly allocators: ReadonlyMap<number, ReadonlyMap<number, { readonly map: string; readonly part: AllocatorPart }>>;
  /** Sections that are a map's only value: map name by section index. */
  readonly globals: ReadonlyMap<number, string>;
  readonly externs: ReadonlyMap<string, ExternSpec>;
  /** Byte offsets in the map `.kconfig`. */
  readonly kconfigOffsets: ReadonlyMap<string, number>;
  /** Sections of variables that hold addresses, which only a linker could fill in. */
  readonly withPointers: ReadonlySet<number>;
  readonly traits: TraitSection;
  /** Index of `.jumptables`, or -1. */
  readonly jumpTables: number;
}

/** `source`: what goes into the instruction's src field; `value`: what goes into its immediates (default 0). */
export type Target =
  | { readonly kind: 'function'; readonly source: number; readonly function: CodeFunction }
  | {
      readonly kind: 'jump-table';
      readonly source: number;
      readonly name: string;
      readonly start: number;
      readonly size: number;
      readonly offset: number;
    }
  | { readonly kind: 'reference'; readonly source: number; readonly reference: Reference; readonly value?: bigint };

/** The function that an instruction reaches without a relocation, or undefined if it reaches none. */
export function localTarget(elf: Elf, code: CodeSection, slot: number): Target | undefined {
  const insn = code.insns[slot]!;
  const isCall = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL;
  const isAddress = insn.opcode === OPCODE.LDDW && insn.src === LDDW_SOURCE.FUNCTION;
  if (!isCall && !isAddress) return undefined;
  const target = code.functions.get(slot + 1 + insn.imm);
  if (target === undefined)
    throw elf.fault(
      `slot ${slot + 1 + insn.imm}, which is ${isCall ? 'called' : 'referred to'} here, is not the start of a function`,
      code.section,
      slot * 8,
      'SLUICE_CALL_TARGET',
    );
  return { kind: 'function', source: insn.src, function: target };
}

/** Throws InputError `SLUICE_RELOCATION` that names section, offset and symbol. */
/** What to do about a name that another file may define. */
const linkFirst = (symbol: ElfRelocation['symbol']) =>
  symbol.name === '' ? '' : '; if another file defines it, link them first: bpftool gen object OUT.o A.o B.o';

export function relocatedTarget(
  elf: Elf,
  targets: Targets,
  code: CodeSection,
  slot: number,
  relocation: ElfRelocation,
): Target {
  const insn = code.insns[slot]!;
  const { symbol } = relocation;
  const bad = (why: string) =>
    elf.fault(
      `relocation against ${symbol.name || `symbol ${symbol.index}`}: ${why}`,
      code.section,
      slot * 8,
      'SLUICE_RELOCATION',
    );

  if (relocation.type === R_BPF.CALL) {
    if (insn.opcode !== OPCODE.CALL) throw bad(`opcode 0x${insn.opcode.toString(16)} is no call`);
    if (insn.src !== CALL_SOURCE.LOCAL) throw bad(`call of source ${insn.src}`);
    if (symbol.section === SHN.UNDEF) {
      const extern = targets.externs.get(symbol.name);
      if (extern === undefined)
        throw bad(`nothing of that name is defined, nor declared in .ksyms with BTF${linkFirst(symbol)}`);
      if (!extern.function) throw bad('it is a variable, not a function');
      const { name, weak, shape } = extern;
      const reference: Reference = { kind: 'kfunc', name, weak, ...(shape === undefined ? undefined : { shape }) };
      return { kind: 'reference', source: CALL_SOURCE.KFUNC, reference };
    }
    // imm counts slots from the one after the call; against a section symbol it is the target.
    return { kind: 'function', source: CALL_SOURCE.LOCAL, function: functionAt(symbol.value + (insn.imm + 1) * 8) };
  }
  if (relocation.type !== R_BPF.LDDW) throw bad(`type ${relocation.type} is not for instructions`);
  if (insn.opcode !== OPCODE.LDDW) throw bad(`opcode 0x${insn.opcode.toString(16)} is no LDDW`);
  if (symbol.section === SHN.UNDEF) return externTarget();

  const offset = symbol.value + insn.imm;
  if (targets.code.has(symbol.section))
    return { kind: 'function', source: LDDW_SOURCE.FUNCTION, function: functionAt(offset) };
  const maps = targets.maps.get(symbol.section);
  if (maps !== undefined) {
    const map = maps.get(offset);
    const allocator = targets.allocators.get(symbol.section)?.get(offset);
    if (map === undefined && allocator !== undefined)
      return { kind: 'reference', source: LDDW_SOURCE.MAP_FD, reference: { kind: 'map-allocator', ...allocator } };
    if (map === undefined) throw bad(`no map is defined at offset ${offset}`);
    return { kind: 'reference', source: LDDW_SOURCE.MAP_FD, reference: { kind: 'map', map } };
  }
  const global = targets.globals.get(symbol.section);
  if (global !== undefined) {
    if (targets.withPointers.has(symbol.section))
      throw new UnsupportedError(
        'pointers in global variables',
        `${elf.name}: ${code.section.name}, offset 0x${(slot * 8).toString(16)}: pointers in ${global}, which ${symbol.name} lies in, have no value in a BPF map`,
      );
    // One past the end is a legal address in C; what is read there is for the verifier to refuse.
    if (offset < 0 || offset > elf.sections[symbol.section]!.size)
      throw bad(`offset ${offset} is outside of ${global}`);
    return { kind: 'reference', source: LDDW_SOURCE.MAP_VALUE, reference: { kind: 'map-value', map: global, offset } };
  }
  if (symbol.section === targets.traits.index) {
    const trait = targets.traits.traits.get(offset);
    if (trait === undefined) throw bad(`no trait is declared at offset ${offset}`);
    const { name, key } = trait;
    return { kind: 'reference', source: LDDW_SOURCE.CONSTANT, reference: { kind: 'trait', name }, value: key };
  }
  if (symbol.section === targets.jumpTables) {
    if (symbol.type !== STT.OBJECT || symbol.size === 0) throw bad('it is no jump table');
    return {
      kind: 'jump-table',
      source: LDDW_SOURCE.MAP_VALUE,
      name: symbol.name,
      start: symbol.value,
      size: symbol.size,
      offset: insn.imm,
    };
  }
  throw bad(
    `section ${elf.sections[symbol.section]?.name ?? symbol.section} holds nothing that a program can refer to`,
  );

  function functionAt(offset: number): CodeFunction {
    const found = offset % 8 === 0 ? targets.code.get(symbol.section)?.functions.get(offset / 8) : undefined;
    if (found === undefined) throw bad(`no function begins at offset ${offset} of its section`);
    return found;
  }

  function externTarget(): Target {
    const extern = targets.externs.get(symbol.name);
    if (extern === undefined)
      throw bad(`nothing of that name is defined, nor declared in .ksyms or .kconfig with BTF${linkFirst(symbol)}`);
    const { name, weak } = extern;
    if (extern.section === '.kconfig') {
      const offset = targets.kconfigOffsets.get(name)! + insn.imm;
      return { kind: 'reference', source: LDDW_SOURCE.MAP_VALUE, reference: { kind: 'kconfig', name, offset } };
    }
    if (insn.imm !== 0) throw bad('an offset from a kernel symbol');
    const typed = extern.function || extern.size > 0;
    const source = typed ? LDDW_SOURCE.BTF_ID : LDDW_SOURCE.CONSTANT;
    return { kind: 'reference', source, reference: { kind: 'ksym', name, weak, typed } };
  }
}
