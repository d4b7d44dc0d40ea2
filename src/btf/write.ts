/** BTF from types: to make BTFs, and to change one before it goes to a kernel. */
import { InternalError } from '../errors.ts';
import { HEADER_SIZE, kindNumbers, linkages, MAGIC } from './kinds.ts';
import { btfStringEnd, parseBtf } from './parse.ts';
import type { Btf, BtfType } from './types.ts';

/**
 * Collects types; ids count from 1 in the order of `add`, on top of a base from where the base ends. Types may refer to ids that are added
 * later, and to those of the base.
 */
export class BtfBuilder {
  readonly #base: Btf | undefined;
  readonly #types: BtfType[] = [];
  readonly #strings: StringCollector;

  constructor(base?: Btf) {
    this.#base = base;
    this.#strings = new StringCollector(base === undefined ? undefined : btfStringEnd(base));
  }

  /** All types of a BTF (one without a base), under the same ids. */
  static from(btf: Btf): BtfBuilder {
    const builder = new BtfBuilder();
    for (let id = 1; id < btf.typeCount; id++) builder.add(btf.type(id)!);
    return builder;
  }

  /** The new type's id. */
  add(type: BtfType): number {
    return this.#types.push(type) + (this.#base === undefined ? 0 : this.#base.typeCount - 1);
  }

  replace(id: number, type: BtfType): void {
    if (this.#types[id - 1] === undefined) throw new InternalError(`no type ${id} to replace`);
    this.#types[id - 1] = type;
  }

  /** Offset of a string in the BTF that is built: .BTF.ext refers to files, lines and access strings so. */
  string(text: string): number {
    return this.#strings.offset(text);
  }

  /** Throws InputError if a type refers to an id that was never added. */
  build(): Btf {
    const words: number[] = [];
    for (const type of this.#types) encodeType(type, words, (text) => this.#strings.offset(text));
    const strings = this.#strings.bytes();
    const bytes = new Uint8Array(HEADER_SIZE + words.length * 4 + strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, MAGIC, true);
    view.setUint8(2, 1);
    view.setUint32(4, HEADER_SIZE, true);
    view.setUint32(12, words.length * 4, true);
    view.setUint32(16, words.length * 4, true);
    view.setUint32(20, strings.length, true);
    for (const [index, word] of words.entries()) view.setUint32(HEADER_SIZE + index * 4, word, true);
    bytes.set(strings, HEADER_SIZE + words.length * 4);
    return parseBtf(bytes, this.#base);
  }
}

/** Each string once, in the order of use; offset 0 is '', which on top of a base is the base's. */
class StringCollector {
  readonly #offsets = new Map<string, number>([['', 0]]);
  readonly #parts: Uint8Array[] = [];
  readonly #start: number;
  #size = 0;

  constructor(start?: number) {
    this.#start = start ?? 0;
    if (start === undefined) this.#size = this.#parts.push(new Uint8Array(1));
  }

  offset(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const encoded = new TextEncoder().encode(`${text}\0`);
    const offset = this.#start + this.#size;
    this.#offsets.set(text, offset);
    this.#parts.push(encoded);
    this.#size += encoded.length;
    return offset;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

function encodeType(type: BtfType, words: number[], string: (text: string) => number): void {
  const begin = (vlen: number, flag: boolean, sizeOrType: number): void => {
    if (vlen > 0xffff) throw new InternalError(`a ${type.kind} with ${vlen} elements`);
    words.push(
      string(type.name),
      ((flag ? 1 << 31 : 0) | (kindNumbers.get(type.kind)! << 24) | vlen) >>> 0,
      sizeOrType,
    );
  };
  switch (type.kind) {
    case 'int': {
      begin(0, false, type.size);
      const encoding = (type.signed ? 1 : 0) | (type.char ? 2 : 0) | (type.bool ? 4 : 0);
      words.push((encoding << 24) | (type.offset << 16) | type.bits);
      break;
    }
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
      begin(0, false, type.type);
      break;
    case 'type_tag':
      begin(0, type.attribute, type.type);
      break;
    case 'array':
      begin(0, false, 0);
      words.push(type.type, type.indexType, type.length);
      break;
    case 'struct':
    case 'union': {
      const flag = type.members.some(({ bitSize }) => bitSize > 0);
      begin(type.members.length, flag, type.size);
      for (const { name, type: id, bitOffset, bitSize } of type.members) {
        if (flag && bitOffset > 0xff_ffff) throw new InternalError(`member ${name} lies too far behind bit fields`);
        words.push(string(name), id, flag ? ((bitSize << 24) | bitOffset) >>> 0 : bitOffset);
      }
      break;
    }
    case 'enum':
      begin(type.values.length, type.signed, type.size);
      for (const { name, value } of type.values) words.push(string(name), Number(BigInt.asUintN(32, value)));
      break;
    case 'enum64':
      begin(type.values.length, type.signed, type.size);
      for (const { name, value } of type.values)
        words.push(string(name), Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
      break;
    case 'fwd':
      begin(0, type.union, 0);
      break;
    case 'func':
      begin(linkages.indexOf(type.linkage), false, type.type);
      break;
    case 'func_proto':
      begin(type.params.length, false, type.returns);
      for (const { name, type: id } of type.params) words.push(string(name), id);
      break;
    case 'var':
      begin(0, false, type.type);
      words.push(linkages.indexOf(type.linkage));
      break;
    case 'datasec':
      begin(type.vars.length, false, type.size);
      for (const { type: id, offset, size } of type.vars) words.push(id, offset, size);
      break;
    case 'float':
      begin(0, false, type.size);
      break;
    case 'decl_tag':
      begin(0, type.attribute, type.type);
      words.push(type.component >>> 0);
      break;
  }
}
