/** Instructions -> a BPF ELF object, as clang would lay it out: the entry in a section of its own, other functions in .text, calls by relocation. */
import { encodeInsns } from '../isa/encode.ts';
import type { Insn } from '../isa/insn.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE } from '../isa/opcodes.ts';
import { R_BPF, SHF, SHT, STB, STT } from './elf.ts';

export interface WritableFunction {
  readonly name: string;
  /** First slot and number of slots in `insns`. */
  readonly start: number;
  readonly length: number;
}

export interface WritableProgram {
  /** Section of the entry, which tells the program type: `xdp`, `tc`, … */
  readonly section: string;
  readonly license: string;
  readonly insns: readonly Insn[];
  /** The first is the entry and becomes the program. */
  readonly functions: readonly WritableFunction[];
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
}

const INSN_BYTES = 8;
const HEADER = 64;
const EM_BPF = 247;

// Section numbers, fixed by the order below.
const STRTAB = 1;
const ENTRY = 2;
const TEXT = 3;
const LICENSE = 4;
const SYMTAB = 5;

/** The bytes of the object. `insns` must have functions that cover it, as the assembler gives them. */
export function writeObject(program: WritableProgram): Uint8Array {
  const [entry, ...others] = program.functions;
  const names = new StringBytes();
  const symbols = new Bytes();
  const symbol = (name: string, info: number, section: number, value: number, size: number) => {
    symbols.u32(names.add(name));
    symbols.u8(info);
    symbols.u8(0);
    symbols.u16(section);
    symbols.u64(value);
    symbols.u64(size);
  };
  symbol('', 0, 0, 0, 0);
  symbol('', STT.SECTION, TEXT, 0, 0);
  const textSymbol = 1;
  const firstGlobal = 2 + others.length;
  // Where each function went: offset of its first slot in .text.
  const offsets = new Map<number, number>();
  let text = 0;
  for (const fn of others) {
    offsets.set(fn.start, text);
    symbol(fn.name, (STB.LOCAL << 4) | STT.FUNC, TEXT, text, fn.length * INSN_BYTES);
    text += fn.length * INSN_BYTES;
  }
  symbol(entry!.name, (STB.GLOBAL << 4) | STT.FUNC, ENTRY, 0, entry!.length * INSN_BYTES);
  symbol('_license', (STB.GLOBAL << 4) | STT.OBJECT, LICENSE, 0, program.license.length + 1);

  const code = (functions: readonly WritableFunction[]) => {
    const insns: Insn[] = [];
    const relocations = new Bytes();
    for (const fn of functions) {
      for (let slot = fn.start; slot < fn.start + fn.length; slot++) {
        const insn = program.insns[slot]!;
        const target = offsets.get(slot + 1 + insn.imm);
        const call = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL;
        const address = insn.opcode === OPCODE.LDDW && insn.src === LDDW_SOURCE.FUNCTION;
        if ((call || address) && target !== undefined) {
          relocations.u64(insns.length * INSN_BYTES);
          relocations.u64((BigInt(textSymbol) << 32n) | BigInt(call ? R_BPF.CALL : R_BPF.LDDW));
          insns.push(call ? { ...insn, imm: target / INSN_BYTES - 1 } : { ...insn, src: 0, imm: target });
        } else insns.push(insn);
      }
    }
    return { bytes: encodeInsns(insns), relocations: relocations.take() };
  };
  const main = code([entry!]);
  const rest = code(others);
  const section = (
    name: string,
    type: number,
    flags: number,
    bytes: Uint8Array,
    link = 0,
    info = 0,
    entrySize = 0,
  ): Section => ({
    name,
    type,
    flags,
    bytes,
    link,
    info,
    entrySize,
  });
  const executable = SHF.ALLOC | SHF.EXECINSTR;
  const sections = [
    section(program.section, SHT.PROGBITS, executable, main.bytes),
    section('.text', SHT.PROGBITS, executable, rest.bytes),
    section('license', SHT.PROGBITS, SHF.ALLOC | SHF.WRITE, new TextEncoder().encode(`${program.license}\0`)),
    section('.symtab', SHT.SYMTAB, 0, symbols.take(), STRTAB, firstGlobal, 24),
    section(`.rel${program.section}`, SHT.REL, 0, main.relocations, SYMTAB, ENTRY, 16),
    section('.rel.text', SHT.REL, 0, rest.relocations, SYMTAB, TEXT, 16),
  ];
  return layOut(sections, names);
}

function layOut(sections: readonly Section[], names: StringBytes): Uint8Array {
  const nameOffsets = sections.map(({ name }) => names.add(name));
  const strtabName = names.add('.strtab');
  const all: (Section & { nameOffset: number })[] = [
    {
      name: '.strtab',
      type: SHT.STRTAB,
      flags: 0,
      bytes: names.take(),
      link: 0,
      info: 0,
      entrySize: 0,
      nameOffset: strtabName,
    },
    ...sections.map((each, i) => ({ ...each, nameOffset: nameOffsets[i]! })),
  ];
  const body = new Bytes();
  const offsets = all.map(({ bytes }) => {
    body.align(8);
    const offset = HEADER + body.length;
    body.raw(bytes);
    return offset;
  });
  body.align(8);
  const out = new Bytes();
  out.raw(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  out.u16(1); // ET_REL
  out.u16(EM_BPF);
  out.u32(1);
  out.u64(0);
  out.u64(0);
  out.u64(HEADER + body.length);
  out.u32(0);
  for (const value of [HEADER, 0, 0, 64, all.length + 1, STRTAB]) out.u16(value);
  out.raw(body.take());
  out.raw(new Uint8Array(64)); // section 0
  all.forEach((each, i) => {
    out.u32(each.nameOffset);
    out.u32(each.type);
    out.u64(each.flags);
    out.u64(0);
    out.u64(offsets[i]!);
    out.u64(each.bytes.length);
    out.u32(each.link);
    out.u32(each.info);
    out.u64(8);
    out.u64(each.entrySize);
  });
  return out.take();
}

/** A growing little-endian byte string. */
class Bytes {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #room(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }
  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }
  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }
  u64(value: number | bigint): void {
    const at = this.#room(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }
  align(to: number): void {
    while (this.length % to !== 0) this.u8(0);
  }
  take(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}

/** An ELF string table: NUL-terminated names, the empty one first. */
class StringBytes {
  readonly #bytes = new Bytes();

  constructor() {
    this.#bytes.u8(0);
  }
  add(name: string): number {
    if (name === '') return 0;
    const at = this.#bytes.length;
    this.#bytes.raw(new TextEncoder().encode(`${name}\0`));
    return at;
  }
  take(): Uint8Array {
    return this.#bytes.take();
  }
}
