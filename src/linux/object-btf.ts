/**
 * BTF of an object as bpf(2) takes it. The kernel knows no extern functions and variables, wants every parameter of a function named, and
 * takes source lines as offsets into the BTF's strings: a copy is patched and lengthened accordingly (what libbpf does at
 * load). Type ids of the object stay valid.
 */
import { kindNumbers } from '../btf/kinds.ts';
import { typeOffset } from '../btf/parse.ts';
import type { Btf, BtfType } from '../btf/types.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { loadBtf } from './bpf.ts';
import { close } from './ffi.ts';

// struct btf_header and struct btf_type (include/uapi/linux/btf.h).
const header = { headerLength: 4, typeOffset: 8, typeLength: 12, stringOffset: 16, stringLength: 20 } as const;
const RECORD = 12;
const LINKAGE = { static: 0, global: 1 } as const;

/** Loaded BTF with the strings of all source lines. Owns its descriptor. */
export class ObjectBtf {
  readonly fd: number;
  readonly #strings: ReadonlyMap<string, number>;

  private constructor(fd: number, strings: ReadonlyMap<string, number>) {
    this.fd = fd;
    this.#strings = strings;
  }

  /** Throws SyscallError with the kernel's log if it refuses the types. */
  static load(spec: ObjectSpec, btf: Btf): ObjectBtf {
    const { bytes, strings } = kernelBtfBytes(spec, btf);
    return new ObjectBtf(loadBtf(bytes), strings);
  }

  /** Offset of a text of the object's source lines. */
  stringOffset(text: string): number {
    return this.#strings.get(text) ?? 0;
  }

  close(): void {
    close(this.fd);
  }
}

/** The bytes to load, and where the texts of source lines stand in their string table. */
export function kernelBtfBytes(
  spec: ObjectSpec,
  btf: Btf,
): { readonly bytes: Uint8Array; readonly strings: ReadonlyMap<string, number> } {
  const source = btf.bytes;
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const start = view.getUint32(header.headerLength, true);
  const typesAt = start + view.getUint32(header.typeOffset, true);
  const typesLength = view.getUint32(header.typeLength, true);
  const stringsAt = start + view.getUint32(header.stringOffset, true);
  const strings = new StringTail(view.getUint32(header.stringLength, true));

  // A variable of four bytes stands in for each extern function.
  const types = new Uint8Array(source.subarray(typesAt, typesAt + typesLength)); // a copy
  const patch = new TypePatch(btf, types, typesAt);
  const extra = patch.externs(strings);
  patch.staticFunctions(spec);
  for (const program of spec.programs.values())
    for (const { file, text } of program.lines) {
      strings.add(file);
      strings.add(text);
    }

  const tail = strings.bytes();
  const oldStrings = source.subarray(stringsAt, stringsAt + strings.start);
  const headerLength = 24;
  const result = new Uint8Array(headerLength + types.length + extra.length + oldStrings.length + tail.length);
  result.set(source.subarray(0, headerLength));
  result.set(types, headerLength);
  result.set(extra, headerLength + types.length);
  result.set(oldStrings, headerLength + types.length + extra.length);
  result.set(tail, headerLength + types.length + extra.length + oldStrings.length);
  const out = new DataView(result.buffer);
  out.setUint32(header.headerLength, headerLength, true);
  out.setUint32(header.typeOffset, 0, true);
  out.setUint32(header.typeLength, types.length + extra.length, true);
  out.setUint32(header.stringOffset, types.length + extra.length, true);
  out.setUint32(header.stringLength, oldStrings.length + tail.length, true);
  return { bytes: result, strings: strings.offsets };
}

/** Strings that are added behind those of the object. */
class StringTail {
  readonly start: number;
  readonly offsets = new Map<string, number>([['', 0]]);
  readonly #parts: Uint8Array[] = [];
  #end: number;

  constructor(start: number) {
    this.start = start;
    this.#end = start;
  }

  add(text: string): number {
    const known = this.offsets.get(text);
    if (known !== undefined) return known;
    const bytes = new TextEncoder().encode(`${text}\0`);
    const offset = this.#end;
    this.offsets.set(text, offset);
    this.#parts.push(bytes);
    this.#end += bytes.length;
    return offset;
  }

  bytes(): Uint8Array {
    const result = new Uint8Array(this.#end - this.start);
    let at = 0;
    for (const part of this.#parts) {
      result.set(part, at);
      at += part.length;
    }
    return result;
  }
}

class TypePatch {
  readonly #btf: Btf;
  readonly #types: Uint8Array;
  readonly #view: DataView;
  readonly #typesAt: number;

  constructor(btf: Btf, types: Uint8Array, typesAt: number) {
    this.#btf = btf;
    this.#types = types;
    this.#typesAt = typesAt;
    this.#view = new DataView(types.buffer);
  }

  /** Makes `.ksyms` and `.kconfig` ordinary sections; returns the records of types to append. */
  externs(strings: StringTail): Uint8Array {
    const extra: number[] = [];
    const word = (value: number) =>
      extra.push(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);
    let nextId = this.#btf.typeCount;
    let int = this.#fourByteInt();
    const ksyms = this.#btf.find('.ksyms', 'datasec');
    if (ksyms !== undefined) {
      if (int === undefined) {
        int = nextId++;
        for (const value of [strings.add('int'), kindNumbers.get('int')! << 24, 4, (1 << 24) | 32]) word(value);
      }
      const name = strings.add('dummy_ksym');
      const dummy = nextId++;
      for (const value of [name, kindNumbers.get('var')! << 24, int, LINKAGE.global]) word(value);
      this.#ksyms(ksyms, int, dummy, name);
    }
    const kconfig = this.#btf.find('.kconfig', 'datasec');
    if (kconfig !== undefined) this.#kconfig(kconfig);
    return Uint8Array.from(extra);
  }

  /** A function that the linker made static must not be verified as a global one. */
  staticFunctions(spec: ObjectSpec): void {
    for (const program of spec.programs.values())
      for (const { btfId, linkage } of program.functions) {
        const type = btfId === undefined ? undefined : this.#btf.type(btfId);
        if (type?.kind === 'func' && type.linkage === 'global' && linkage === 'static')
          this.#setVlen(btfId!, LINKAGE.static);
      }
  }

  #ksyms(id: number, int: number, dummy: number, dummyName: number): void {
    const section = this.#section(id);
    section.vars.forEach((entry, index) => {
      const type = this.#btf.type(entry.type);
      if (type?.kind === 'func') {
        this.#setVlen(entry.type, LINKAGE.global);
        const proto = this.#btf.type(type.type);
        if (proto?.kind === 'func_proto')
          proto.params.forEach((param, at) => {
            if (param.type !== 0 && param.name === '') this.#set(this.#at(type.type) + RECORD + at * 8, dummyName);
          });
        this.#setVar(id, index, dummy, index * 4, 4);
      } else {
        this.#set(this.#at(entry.type) + 8, int);
        this.#set(this.#at(entry.type) + RECORD, LINKAGE.global);
        this.#setVar(id, index, entry.type, index * 4, 4);
      }
    });
    this.#set(this.#at(id) + 8, section.vars.length * 4);
  }

  /** Offsets are the object reader's; the kernel wants variables that are there. */
  #kconfig(id: number): void {
    for (const { type } of this.#section(id).vars) this.#set(this.#at(type) + RECORD, LINKAGE.global);
  }

  #section(id: number): Extract<BtfType, { kind: 'datasec' }> {
    return this.#btf.type(id) as Extract<BtfType, { kind: 'datasec' }>; // found by that kind
  }

  #fourByteInt(): number | undefined {
    for (let id = 1; id < this.#btf.typeCount; id++) {
      const type = this.#btf.type(id);
      if (type?.kind === 'int' && type.size === 4 && type.bits === 32 && !type.bool) return id;
    }
    return undefined;
  }

  #at(id: number): number {
    return typeOffset(this.#btf, id) - this.#typesAt;
  }

  #set(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  #setVar(section: number, index: number, type: number, offset: number, size: number): void {
    const at = this.#at(section) + RECORD + index * RECORD;
    this.#set(at, type);
    this.#set(at + 4, offset);
    this.#set(at + 8, size);
  }

  /** The low 16 bits of info: a function's linkage. */
  #setVlen(id: number, value: number): void {
    this.#types[this.#at(id) + 4] = value;
    this.#types[this.#at(id) + 5] = 0;
  }
}
