/** Makes BPF object files byte by byte, so that tests of odd and broken ones need no compiler. */

export interface MadeSection {
  readonly name: string;
  readonly type?: number;
  readonly flags?: number;
  readonly bytes?: Uint8Array;
  /** Of a section without bytes in the file; or a lie about one with bytes. */
  readonly size?: number;
  readonly link?: number;
  readonly info?: number;
}

export interface MadeSymbol {
  readonly name: string;
  /** Section name; '' undefined. */
  readonly section: string;
  readonly value?: number;
  readonly size?: number;
  /** STT_: 0 none, 1 object, 2 function, 3 section. */
  readonly type?: number;
  /** STB_: 0 local, 1 global, 2 weak. */
  readonly bind?: number;
  readonly visibility?: number;
}

export interface MadeRelocation {
  /** Section that is relocated. */
  readonly section: string;
  readonly offset: number;
  readonly type: number;
  /** Symbol by name, or an index that may be wrong. */
  readonly symbol: string | number;
}

export interface MadeElf {
  readonly sections: readonly MadeSection[];
  readonly symbols?: readonly MadeSymbol[];
  readonly relocations?: readonly MadeRelocation[];
}

const text = new TextEncoder();

/** A file with the given sections, then `.symtab`, `.rel*`, `.strtab`. */
export function buildElf({ sections, symbols = [], relocations = [] }: MadeElf): Uint8Array {
  const strings: number[] = [0];
  const string = (name: string): number => {
    if (name === '') return 0;
    const at = strings.length;
    strings.push(...text.encode(name), 0);
    return at;
  };
  const indexOf = (name: string): number => sections.findIndex((section) => section.name === name) + 1;
  const symtabIndex = sections.length + 1;
  const relocated = [...new Set(relocations.map(({ section }) => section))];
  const strtabIndex = symtabIndex + relocated.length + 1;

  const symtab = new DataView(new ArrayBuffer((symbols.length + 1) * 24));
  symbols.forEach(({ name, section, value = 0, size = 0, type = 2, bind = 1, visibility = 0 }, index) => {
    const at = (index + 1) * 24;
    symtab.setUint32(at, string(name), true);
    symtab.setUint8(at + 4, (bind << 4) | type);
    symtab.setUint8(at + 5, visibility);
    symtab.setUint16(at + 6, section === '' ? 0 : indexOf(section), true);
    symtab.setBigUint64(at + 8, BigInt(value), true);
    symtab.setBigUint64(at + 16, BigInt(size), true);
  });
  const tables = relocated.map((section): MadeSection => {
    const own = relocations.filter((relocation) => relocation.section === section);
    const view = new DataView(new ArrayBuffer(own.length * 16));
    own.forEach(({ offset, type, symbol }, index) => {
      view.setBigUint64(index * 16, BigInt(offset), true);
      view.setUint32(index * 16 + 8, type, true);
      const number = typeof symbol === 'number' ? symbol : symbols.findIndex(({ name }) => name === symbol) + 1;
      view.setUint32(index * 16 + 12, number, true);
    });
    return {
      name: `.rel${section}`,
      type: 9,
      bytes: new Uint8Array(view.buffer),
      link: symtabIndex,
      info: indexOf(section),
    };
  });
  const all: readonly MadeSection[] = [
    ...sections,
    { name: '.symtab', type: 2, bytes: new Uint8Array(symtab.buffer), link: strtabIndex, info: 1 },
    ...tables,
  ];
  const named = [{ name: '', type: 0 }, ...all, { name: '.strtab', type: 3 }].map((section) => ({
    ...section,
    nameOffset: string(section.name),
  }));
  const contents = named.map(
    (section): Uint8Array =>
      section.name === '.strtab' ? Uint8Array.from(strings) : ((section as MadeSection).bytes ?? new Uint8Array(0)),
  );
  let at = 64;
  const offsets = contents.map((bytes) => {
    const offset = at;
    at += Math.ceil(bytes.length / 8) * 8;
    return offset;
  });
  const file = new Uint8Array(at + named.length * 64);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 1, true);
  view.setUint16(18, 247, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(40, BigInt(at), true);
  view.setUint16(52, 64, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, named.length, true);
  view.setUint16(62, strtabIndex, true);
  named.forEach((section: MadeSection & { readonly nameOffset: number }, index) => {
    const header = at + index * 64;
    const bytes = contents[index]!;
    file.set(bytes, offsets[index]!);
    view.setUint32(header, section.nameOffset, true);
    view.setUint32(header + 4, section.type ?? 1, true);
    view.setBigUint64(header + 8, BigInt(section.flags ?? 0), true);
    view.setBigUint64(header + 24, BigInt(offsets[index]!), true);
    view.setBigUint64(header + 32, BigInt(section.size ?? bytes.length), true);
    view.setUint32(header + 40, section.link ?? 0, true);
    view.setUint32(header + 44, section.info ?? 0, true);
  });
  return file;
}

/** Slots as `[opcode, dst | src << 4, off, imm]`. */
export function code(...slots: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(slots.length * 8));
  slots.forEach(([opcode, registers, off, imm], slot) => {
    view.setUint8(slot * 8, opcode);
    view.setUint8(slot * 8 + 1, registers);
    view.setInt16(slot * 8 + 2, off, true);
    view.setInt32(slot * 8 + 4, imm, true);
  });
  return new Uint8Array(view.buffer);
}
