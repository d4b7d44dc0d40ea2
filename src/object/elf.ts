/**
 * ELF as clang writes it for BPF: 64-bit little-endian relocatable files. Every offset is checked against the file; names and
 * relocations are read when asked for.
 */
import { StringTable } from '../btf/strings.ts';
import { InputError } from '../errors.ts';
import type { SectionInfo } from './spec.ts';

export const SHT = { NULL: 0, PROGBITS: 1, SYMTAB: 2, STRTAB: 3, RELA: 4, NOBITS: 8, REL: 9 } as const;
export const SHF = { WRITE: 1, ALLOC: 2, EXECINSTR: 4 } as const;
export const SHN = { UNDEF: 0, LORESERVE: 0xff00, ABS: 0xfff1, COMMON: 0xfff2 } as const;
export const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3, FILE: 4 } as const;
export const STB = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;
export const STV = { DEFAULT: 0, INTERNAL: 1, HIDDEN: 2 } as const;
/** Relocation types (llvm/include/llvm/BinaryFormat/ELFRelocs/BPF.def). */
export const R_BPF = { NONE: 0, LDDW: 1, ABS64: 2, ABS32: 3, NODYLD32: 4, CALL: 10 } as const;

const EM_BPF = 247;
const HEADER_SIZE = 64;
const SECTION_SIZE = 64;
const SYMBOL_SIZE = 24;
const REL_SIZE = 16;
/** A section without bytes in the file may still not make us allocate more than this. */
const MAX_NOBITS = 64 << 20;

export interface ElfSection extends SectionInfo {
  readonly link: number;
  readonly info: number;
  /** A view of the file; empty for sections without bytes there (.bss). */
  readonly bytes: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  /** The section's name for a section symbol. */
  readonly name: string;
  /** Byte offset in its section. */
  readonly value: number;
  readonly size: number;
  readonly type: number;
  readonly bind: number;
  readonly visibility: number;
  /** Section index; 0 undefined, from 0xff00 reserved. */
  readonly section: number;
}

export interface ElfRelocation {
  /** Byte offset in the section that is relocated. */
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
}

export interface Elf {
  readonly name: string;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** First section of that name. */
  section(name: string): ElfSection | undefined;
  /** All relocations that apply to a section, in the order of the file. */
  relocations(section: ElfSection): readonly ElfRelocation[];
  /** Whether any relocation applies to the section of that index. */
  isRelocated(index: number): boolean;
  /** An error that names the place. */
  fault(message: string, section?: ElfSection, offset?: number, code?: string): InputError;
}

/** Throws InputError `SLUICE_ELF_…`. `bytes` is kept: sections are views of it. */
export function readElf(bytes: Uint8Array, name: string): Elf {
  // Node's Buffer is a Uint8Array whose slice() does not copy: a plain view keeps the caller's bytes unwritten.
  return new ElfFile(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), name);
}

class ElfFile implements Elf {
  readonly name: string;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #symtab: number;
  readonly #byName = new Map<string, ElfSection>();
  /** Relocation sections by the index of the section that they apply to. */
  readonly #relocationSections = new Map<number, ElfSection[]>();

  constructor(bytes: Uint8Array, name: string) {
    this.name = name;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.sections = this.#readSections(this.#readHeader());
    for (const section of this.sections)
      if (section.index !== 0 && !this.#byName.has(section.name)) this.#byName.set(section.name, section);
    const symtabs = this.sections.filter((section) => section.type === SHT.SYMTAB);
    if (symtabs.length > 1) throw this.fault('a second symbol table', symtabs[1]);
    this.#symtab = symtabs[0]?.index ?? -1;
    this.symbols = symtabs[0] === undefined ? [] : this.#readSymbols(symtabs[0]);
    for (const section of this.sections) {
      if (section.type !== SHT.REL && section.type !== SHT.RELA) continue;
      const list = this.#relocationSections.get(section.info);
      if (list === undefined) this.#relocationSections.set(section.info, [section]);
      else list.push(section);
    }
  }

  section(name: string): ElfSection | undefined {
    return this.#byName.get(name);
  }

  fault(message: string, section?: ElfSection, offset?: number, code = 'SLUICE_ELF_MALFORMED'): InputError {
    return new InputError(code, message, {
      input: this.name,
      ...(section === undefined ? {} : { section: section.name === '' ? `section ${section.index}` : section.name }),
      ...(offset === undefined ? {} : { offset }),
    });
  }

  isRelocated(index: number): boolean {
    return (this.#relocationSections.get(index) ?? []).some(({ size }) => size > 0);
  }

  relocations(section: ElfSection): readonly ElfRelocation[] {
    const all: ElfRelocation[] = [];
    for (const table of this.#relocationSections.get(section.index) ?? []) {
      if (table.type === SHT.RELA)
        throw this.fault('relocations with addends (RELA) are not BPF', table, 0, 'SLUICE_ELF_RELA');
      if (table.bytes.length % REL_SIZE !== 0) throw this.fault('relocations are cut off', table, table.bytes.length);
      if (table.link !== this.#symtab)
        throw this.fault(`relocations refer to section ${table.link}, which is not the symbol table`, table);
      for (let at = 0; at < table.bytes.length; at += REL_SIZE) {
        const place = table.offset + at;
        const offset = this.#u64(place);
        const index = this.#view.getUint32(place + 12, true);
        const symbol = this.symbols[index];
        if (symbol === undefined)
          throw this.fault(`relocation refers to symbol ${index} of ${this.symbols.length}`, table, at);
        if (offset >= section.size)
          throw this.fault(`relocation of byte ${offset} of ${section.name}, which has ${section.size}`, table, at);
        all.push({ offset, type: this.#view.getUint32(place + 8, true), symbol });
      }
    }
    return all;
  }

  /** Exact below 2^53; larger values fail every check that follows. */
  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  #readHeader(): { readonly at: number; readonly count: number; readonly names: number } {
    const { length } = this.#bytes;
    const view = this.#view;
    if (length < 4 || view.getUint32(0, false) !== 0x7f454c46)
      throw this.fault('not an ELF file', undefined, 0, 'SLUICE_ELF_MAGIC');
    if (length < HEADER_SIZE) throw this.fault(`cut off in the ELF header: ${length} bytes`, undefined, length);
    if (view.getUint8(4) !== 2) throw this.fault('not a 64-bit ELF file', undefined, 4, 'SLUICE_ELF_CLASS');
    if (view.getUint8(5) === 2)
      throw this.fault(
        'a big-endian object (bpfeb); compile with -target bpfel',
        undefined,
        5,
        'SLUICE_ELF_BIG_ENDIAN',
      );
    if (view.getUint8(5) !== 1) throw this.fault('unknown byte order', undefined, 5);
    const machine = view.getUint16(18, true);
    if (machine !== EM_BPF)
      throw this.fault(`machine ${machine} is not BPF (${EM_BPF})`, undefined, 18, 'SLUICE_ELF_MACHINE');
    if (view.getUint16(16, true) !== 1)
      throw this.fault('not a relocatable object (ET_REL)', undefined, 16, 'SLUICE_ELF_TYPE');
    const at = this.#u64(40);
    const entry = view.getUint16(58, true);
    if (entry !== SECTION_SIZE) throw this.fault(`section headers of ${entry} bytes`, undefined, 58);
    if (at < HEADER_SIZE || at + SECTION_SIZE > length)
      throw this.fault(`section headers at ${at}, outside the file of ${length} bytes`, undefined, 40);
    // With 0xff00 sections or more, the real numbers stand in section 0 (gABI).
    const count = view.getUint16(60, true) || this.#u64(at + 32);
    const shortNames = view.getUint16(62, true);
    const names = shortNames === 0xffff ? view.getUint32(at + 40, true) : shortNames;
    if (at + count * SECTION_SIZE > length)
      throw this.fault(`${count} section headers at ${at} end behind the file of ${length} bytes`, undefined, 60);
    return { at, count, names };
  }

  #readSections(header: { readonly at: number; readonly count: number; readonly names: number }): ElfSection[] {
    const view = this.#view;
    const raw = Array.from({ length: header.count }, (_, index) => {
      const at = header.at + index * SECTION_SIZE;
      return {
        index,
        at,
        nameOffset: view.getUint32(at, true),
        type: view.getUint32(at + 4, true),
        flags: this.#u64(at + 8),
        offset: this.#u64(at + 24),
        size: this.#u64(at + 32),
        link: view.getUint32(at + 40, true),
        info: view.getUint32(at + 44, true),
      };
    });
    let inFile = 0;
    let outside = 0;
    for (const { index, at, type, offset, size } of raw) {
      if (type === SHT.NULL) continue;
      if (type === SHT.NOBITS) {
        outside += size;
        if (outside > MAX_NOBITS)
          throw this.fault(
            `section ${index} of ${size} bytes is too large`,
            undefined,
            at + 32,
            'SLUICE_ELF_TOO_LARGE',
          );
        continue;
      }
      if (offset + size > this.#bytes.length)
        throw this.fault(
          `section ${index} ends at ${offset + size}, behind the file of ${this.#bytes.length} bytes`,
          undefined,
          at + 24,
        );
      inFile += size;
    }
    // Sections do not share bytes: otherwise a small file could ask for any amount of work.
    if (inFile > this.#bytes.length) throw this.fault('sections overlap', undefined, header.at);
    const namesHeader = raw[header.names];
    if (namesHeader === undefined || namesHeader.type !== SHT.STRTAB)
      throw this.fault(`section names are in section ${header.names}, which is no string table`, undefined, 62);
    const names = this.#strings(namesHeader.offset, namesHeader.size, 'section names');
    return raw.map(({ at: _, nameOffset, ...rest }) => ({
      ...rest,
      name: rest.type === SHT.NULL ? '' : names.at(nameOffset),
      bytes:
        rest.type === SHT.NOBITS || rest.type === SHT.NULL
          ? new Uint8Array(0)
          : this.#bytes.subarray(rest.offset, rest.offset + rest.size),
    }));
  }

  #strings(offset: number, size: number, section: string): StringTable {
    return new StringTable(this.#bytes.subarray(offset, offset + size), { input: this.name, section, offset: 0 });
  }

  #readSymbols(table: ElfSection): ElfSymbol[] {
    const strings = this.sections[table.link];
    if (strings?.type !== SHT.STRTAB)
      throw this.fault(`symbol names are in section ${table.link}, which is no string table`, table);
    if (table.bytes.length % SYMBOL_SIZE !== 0) throw this.fault('symbols are cut off', table, table.bytes.length);
    const names = this.#strings(strings.offset, strings.size, strings.name);
    const symbols: ElfSymbol[] = [];
    for (let at = 0; at < table.bytes.length; at += SYMBOL_SIZE) {
      const place = table.offset + at;
      const section = this.#view.getUint16(place + 6, true);
      const info = this.#view.getUint8(place + 4);
      const nameOffset = this.#view.getUint32(place, true);
      const own = section < SHN.LORESERVE ? this.sections[section] : undefined;
      if (section < SHN.LORESERVE && own === undefined)
        throw this.fault(`symbol ${symbols.length} is in section ${section}, which there is not`, table, at);
      symbols.push({
        index: symbols.length,
        name: nameOffset === 0 ? (own?.name ?? '') : names.at(nameOffset),
        value: this.#u64(place + 8),
        size: this.#u64(place + 16),
        type: info & 15,
        bind: info >> 4,
        visibility: this.#view.getUint8(place + 5) & 3,
        section,
      });
    }
    return symbols;
  }
}
