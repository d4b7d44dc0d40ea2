/**
 * Reads BTF. Types are indexed and checked in one pass and decoded when asked for, so that a kernel's 130,000 types cost
 * milliseconds and a few hundred KiB until they are used.
 */
import { InputError, InternalError } from '../errors.ts';
import { decodeType } from './decode.ts';
import { elementBytes, fixedBytes, HEADER_SIZE, kindNames, MAGIC, MAX_CHAIN, refersToType } from './kinds.ts';
import { NameIndex } from './names.ts';
import { StringTable } from './strings.ts';
import type { Btf, BtfType } from './types.ts';

/**
 * Reads a `.BTF` section or a kernel's BTF file (little-endian). `bytes` is kept, not copied; do not write to it.
 * With `base`, `bytes` is split BTF (a module's): ids and string offsets continue those of the base.
 *
 * Throws InputError `SLUICE_BTF_…` with section `.BTF` and the byte offset for anything malformed.
 */
export function parseBtf(bytes: Uint8Array, base?: Btf): Btf {
  if (base !== undefined && !(base instanceof ParsedBtf)) throw new InternalError('base BTF was not made by parseBtf');
  return new ParsedBtf(bytes, base);
}

/** The string at an offset of the BTF's string table (.BTF.ext and CO-RE refer to strings so). */
export function btfString(btf: Btf, offset: number): string {
  if (!(btf instanceof ParsedBtf)) throw new InternalError('BTF was not made by parseBtf');
  return btf.string(offset);
}

/** Offset that the first string of a BTF on top of this one has. */
export function btfStringEnd(btf: Btf): number {
  if (!(btf instanceof ParsedBtf)) throw new InternalError('BTF was not made by parseBtf');
  return btf.stringEnd;
}

/** Byte offset in `btf.bytes` at which a type stands; for those who patch. */
export function typeOffset(btf: Btf, id: number): number {
  if (!(btf instanceof ParsedBtf)) throw new InternalError('BTF was not made by parseBtf');
  return btf.offsetOf(id);
}

export function btfFault(message: string, offset?: number, code = 'SLUICE_BTF_MALFORMED'): InputError {
  return new InputError(code, message, offset === undefined ? { section: '.BTF' } : { section: '.BTF', offset });
}

class ParsedBtf implements Btf {
  readonly typeCount: number;
  readonly bytes: Uint8Array;
  readonly pointerSize = 8;
  readonly #base: ParsedBtf | undefined;
  /** First id that is ours; 1 without a base. */
  readonly #firstId: number;
  readonly #offsets: Uint32Array;
  readonly #view: DataView;
  readonly #strings: StringTable;
  readonly #decoded = new Map<number, BtfType>();
  #names: NameIndex | undefined;

  constructor(bytes: Uint8Array, base: ParsedBtf | undefined) {
    this.bytes = bytes;
    this.#base = base;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#firstId = base?.typeCount ?? 1;
    const header = readHeader(this.#view);
    this.#strings = new StringTable(
      bytes.subarray(header.stringsFrom, header.stringsTo),
      { section: '.BTF', offset: header.stringsFrom },
      base === undefined ? 0 : base.#strings.end,
    );
    this.#offsets = indexTypes(this.#view, header.typesFrom, header.typesTo, this.#strings.end, this.#firstId);
    this.typeCount = this.#firstId + this.#offsets.length;
  }

  type(id: number): BtfType | undefined {
    if (id === 0) return undefined;
    if (id < this.#firstId && this.#base !== undefined) return this.#base.type(id);
    let type = this.#decoded.get(id);
    if (type === undefined) {
      type = decodeType(this.#view, this.offsetOf(id), (offset) => this.string(offset));
      this.#decoded.set(id, type);
    }
    return type;
  }

  offsetOf(id: number): number {
    const offset = this.#offsets[id - this.#firstId];
    if (offset === undefined) throw btfFault(`type id ${id} is out of range`, undefined, 'SLUICE_BTF_TYPE_ID');
    return offset;
  }

  string(offset: number): string {
    if (this.#base !== undefined && offset < this.#strings.start) return this.#base.string(offset);
    return this.#strings.at(offset);
  }

  get stringEnd(): number {
    return this.#strings.end;
  }

  find(name: string, kind?: BtfType['kind']): number | undefined {
    return this.findAll(name).find((id) => kind === undefined || this.type(id)?.kind === kind);
  }

  findAll(name: string): readonly number[] {
    return this.#lookup(name, false);
  }

  findEssential(name: string): readonly number[] {
    return this.#lookup(name, true);
  }

  #lookup(name: string, essential: boolean): number[] {
    this.#names ??= new NameIndex(this.#view, this.#offsets, (offset) => this.#nameBytes(offset));
    const inherited = this.#base === undefined ? [] : this.#base.#lookup(name, essential);
    return [...inherited, ...this.#names.find(name, essential).map((index) => index + this.#firstId)];
  }

  /** The table that holds a string, and where in it. */
  #nameBytes(offset: number): { readonly bytes: Uint8Array; readonly from: number } {
    if (this.#base !== undefined && offset < this.#strings.start) return this.#base.#nameBytes(offset);
    return { bytes: this.#strings.bytes, from: offset - this.#strings.start };
  }

  resolve(id: number): { readonly id: number; readonly type: BtfType | undefined } {
    let at = id;
    for (let step = 0; step < MAX_CHAIN; step++) {
      const type = this.type(at);
      switch (type?.kind) {
        case 'typedef':
        case 'const':
        case 'volatile':
        case 'restrict':
        case 'type_tag':
          at = type.type;
          break;
        default:
          return { id: at, type };
      }
    }
    throw btfFault(`type ${id}: typedefs and qualifiers run in a loop`, this.#safeOffset(id), 'SLUICE_BTF_LOOP');
  }

  sizeOf(id: number): number {
    let count = 1;
    let at = id;
    for (let step = 0; step < MAX_CHAIN; step++) {
      const { type } = this.resolve(at);
      switch (type?.kind) {
        case 'int':
        case 'float':
        case 'enum':
        case 'enum64':
        case 'struct':
        case 'union':
        case 'datasec':
          return this.#checkedSize(id, count * type.size);
        case 'ptr':
          return this.#checkedSize(id, count * this.pointerSize);
        case 'var':
          at = type.type;
          break;
        case 'array':
          count *= type.length;
          at = type.type;
          break;
        default:
          throw btfFault(`type ${id}: ${type?.kind ?? 'void'} has no size`, this.#safeOffset(id), 'SLUICE_BTF_NO_SIZE');
      }
    }
    throw btfFault(`type ${id}: arrays run in a loop`, this.#safeOffset(id), 'SLUICE_BTF_LOOP');
  }

  #checkedSize(id: number, size: number): number {
    if (size > 0xffff_ffff) throw btfFault(`type ${id} is larger than 4 GiB`, this.#safeOffset(id));
    return size;
  }

  #safeOffset(id: number): number | undefined {
    return id >= this.#firstId ? this.#offsets[id - this.#firstId] : undefined;
  }
}

interface Header {
  readonly typesFrom: number;
  readonly typesTo: number;
  readonly stringsFrom: number;
  readonly stringsTo: number;
}

function readHeader(view: DataView): Header {
  if (view.byteLength < HEADER_SIZE) throw btfFault(`${view.byteLength} bytes are too few for a BTF header`, 0);
  const magic = view.getUint16(0, true);
  if (magic === 0x9feb) throw btfFault('big-endian BTF', 0, 'SLUICE_BTF_BIG_ENDIAN');
  if (magic !== MAGIC) throw btfFault(`magic 0x${magic.toString(16)} is not BTF's`, 0);
  if (view.getUint8(2) !== 1) throw btfFault(`BTF version ${view.getUint8(2)} is not known`, 2, 'SLUICE_BTF_VERSION');
  const length = view.getUint32(4, true);
  if (length < HEADER_SIZE || length > view.byteLength) throw btfFault(`header length ${length} is wrong`, 4);
  const area = (at: number, what: string): [number, number] => {
    const from = length + view.getUint32(at, true);
    const to = from + view.getUint32(at + 4, true);
    if (to > view.byteLength) throw btfFault(`${what} end at ${to}, behind the end at ${view.byteLength}`, at);
    return [from, to];
  };
  const [typesFrom, typesTo] = area(8, 'types');
  const [stringsFrom, stringsTo] = area(16, 'strings');
  if (typesFrom % 4 !== 0) throw btfFault('types are not aligned to 4 bytes', 8);
  if (typesFrom < stringsTo && stringsFrom < typesTo) throw btfFault('types and strings overlap', 16);
  if (stringsTo > stringsFrom && view.getUint8(stringsTo - 1) !== 0)
    throw btfFault('the last string does not end', stringsTo - 1);
  return { typesFrom, typesTo, stringsFrom, stringsTo };
}

/** Offsets of all types; checks that each is whole, of a known kind, and refers only to types and strings that exist. */
function indexTypes(view: DataView, from: number, to: number, stringsEnd: number, firstId: number): Uint32Array {
  // A type takes 12 bytes or more: what is allocated is less than what was handed in.
  const offsets = new Uint32Array(Math.floor((to - from) / 12));
  let count = 0;
  let highest = 0;
  let highestAt = 0;
  const refer = (at: number): void => {
    const id = view.getUint32(at, true);
    if (id > highest) {
      highest = id;
      highestAt = at;
    }
  };
  const name = (at: number): void => {
    if (view.getUint32(at, true) >= stringsEnd && view.getUint32(at, true) !== 0)
      throw btfFault(`string offset ${view.getUint32(at, true)} is outside the table`, at);
  };
  for (let at = from; at < to; count++) {
    if (to - at < 12) throw btfFault(`type ${firstId + count} is cut off`, at);
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    if (kind === 0 || kind >= kindNames.length)
      throw btfFault(`type ${firstId + count} has unknown kind ${kind}`, at + 4, 'SLUICE_BTF_KIND');
    const vlen = info & 0xffff;
    const each = elementBytes[kind]!;
    const end = at + 12 + fixedBytes[kind]! + each * vlen;
    if (end > to) throw btfFault(`type ${firstId + count} (${kindNames[kind]}) is cut off`, at);
    name(at);
    if (refersToType.has(kind)) refer(at + 8);
    switch (kindNames[kind]) {
      case 'array':
        refer(at + 12);
        refer(at + 16);
        break;
      case 'struct':
      case 'union':
      case 'func_proto':
        for (let e = at + 12; e < end; e += each) {
          name(e);
          refer(e + 4);
        }
        break;
      case 'enum':
      case 'enum64':
        for (let e = at + 12; e < end; e += each) name(e);
        break;
      case 'datasec':
        for (let e = at + 12; e < end; e += each) refer(e);
        break;
    }
    offsets[count] = at;
    at = end;
  }
  if (highest >= firstId + count) throw btfFault(`type id ${highest} is out of range`, highestAt, 'SLUICE_BTF_TYPE_ID');
  return offsets.slice(0, count);
}
