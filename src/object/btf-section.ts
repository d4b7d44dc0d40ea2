/**
 * `.BTF` of an object. Compilers leave sizes of data sections and offsets of global variables as 0, to be filled in from the symbol
 * table; here they are filled in, so that the BTF says what is true and bpf(2) takes it.
 */
import { kindNumbers } from '../btf/kinds.ts';
import { btfFault, parseBtf, typeOffset } from '../btf/parse.ts';
import type { Btf, BtfSectionVar, BtfType } from '../btf/types.ts';
import { type Elf, type ElfSymbol, STB } from './elf.ts';

/** Undefined if the object has none. */
export function readBtf(elf: Elf): Btf | undefined {
  const section = elf.section('.BTF');
  if (section === undefined || section.size === 0) return undefined;
  const bytes = section.bytes.slice();
  const asWritten = parseBtf(bytes);
  const filled = new Map<string, boolean>();
  const symbols = new GlobalSymbols(elf);
  for (let id = 1; id < asWritten.typeCount; id++) {
    const at = typeOffset(asWritten, id);
    // Only data sections are decoded: the others may be many.
    if ((bytes[at + 7]! & 0x1f) !== kindNumbers.get('datasec')) continue;
    const type = asWritten.type(id);
    if (type?.kind !== 'datasec') continue;
    if (filled.has(type.name)) throw btfFault(`a second data section ${type.name}`, at, 'SLUICE_DUPLICATE_NAME');
    filled.set(type.name, fillIn(elf, symbols, asWritten, type, bytes, at));
  }
  return [...filled.values()].includes(true) ? parseBtf(bytes) : asWritten;
}

/** Symbols that are not local, by section and name. */
class GlobalSymbols {
  readonly #bySection = new Map<number, Map<string, ElfSymbol>>();

  constructor(elf: Elf) {
    for (const symbol of elf.symbols) {
      if (symbol.bind === STB.LOCAL) continue;
      const own = this.#bySection.get(symbol.section) ?? new Map<string, ElfSymbol>();
      this.#bySection.set(symbol.section, own.set(symbol.name, symbol));
    }
  }

  get(section: number, name: string): ElfSymbol | undefined {
    return this.#bySection.get(section)?.get(name);
  }
}

function fillIn(
  elf: Elf,
  symbols: GlobalSymbols,
  btf: Btf,
  { name, size, vars }: Extract<BtfType, { readonly kind: 'datasec' }>,
  bytes: Uint8Array,
  at: number,
): boolean {
  const section = elf.section(name);
  // A size says that a linker has been here; externs (.kconfig, .ksyms) have no section.
  if (size !== 0 || section === undefined) return false;
  const placed = vars.map((entry) => {
    const variable = btf.type(entry.type);
    if (variable?.kind !== 'var')
      throw elf.fault(`BTF lists type ${entry.type} in ${name}, which is no variable`, section);
    // Static variables have their offset already.
    const symbol = variable.linkage === 'static' ? undefined : symbols.get(section.index, variable.name);
    if (symbol === undefined && variable.linkage !== 'static')
      throw elf.fault(
        `BTF lists the variable ${variable.name}, which has no symbol here; if another file defines it, link them first: bpftool gen object OUT.o A.o B.o`,
        section,
        undefined,
        'SLUICE_BTF_VARIABLE',
      );
    const offset = symbol?.value ?? entry.offset;
    if (offset + entry.size > section.size)
      throw elf.fault(`the variable ${variable.name} ends behind its section`, section, offset, 'SLUICE_BTF_VARIABLE');
    return { type: entry.type, offset, size: entry.size };
  });
  placed.sort((a, b) => a.offset - b.offset);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(at + 8, section.size, true);
  placed.forEach((entry, index) => {
    view.setUint32(at + 12 + index * 12, entry.type, true);
    view.setUint32(at + 16 + index * 12, entry.offset, true);
    view.setUint32(at + 20 + index * 12, entry.size, true);
  });
  return true;
}

/**
 * The same types with size and offsets of `.kconfig` filled in, for a typed view of the map. Clang declares only options that are
 * used; a section that has others stays as it is.
 */
export function placeKconfig(
  btf: Btf,
  { offsets, size }: { readonly offsets: ReadonlyMap<string, number>; readonly size: number },
): Btf {
  const id = btf.find('.kconfig', 'datasec');
  const section = id === undefined ? undefined : btf.type(id);
  if (id === undefined || section?.kind !== 'datasec' || section.size !== 0) return btf;
  const bytes = btf.bytes.slice();
  const view = new DataView(bytes.buffer);
  const at = typeOffset(btf, id);
  const placed = section.vars
    .map((entry) => ({ ...entry, offset: offsets.get(btf.type(entry.type)?.name ?? '') }))
    .filter((entry): entry is BtfSectionVar => entry.offset !== undefined)
    .sort((a, b) => a.offset - b.offset);
  if (placed.length !== section.vars.length) return btf;
  view.setUint32(at + 8, size, true);
  placed.forEach(({ type, offset }, index) => {
    view.setUint32(at + 12 + index * 12, type, true);
    view.setUint32(at + 16 + index * 12, offset, true);
    view.setUint32(at + 20 + index * 12, btf.sizeOf(type), true);
  });
  return parseBtf(bytes);
}
