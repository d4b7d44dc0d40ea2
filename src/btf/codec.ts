/** Bytes <-> JavaScript values, as BTF describes them. Little-endian. */
import { InputError } from '../errors.ts';
import { compositeNode } from './codec-composite.ts';
import { type CodecNode, scalarNode } from './codec-scalar.ts';
import { MAX_CHAIN } from './kinds.ts';
import { btfFault } from './parse.ts';
import type { Btf } from './types.ts';
import type { Value } from './value.ts';

export type { Value } from './value.ts';

export interface Codec {
  /** Bytes. */
  readonly size: number;
  /** A copy: the value does not change with the bytes. Throws InputError `SLUICE_VALUE` for another number of bytes. */
  decode(bytes: Uint8Array): Value;
  /**
   * Missing members and elements are zero. A 64-bit integer may be given as number, a byte array as string (UTF-8) or shorter than
   * it is. Throws InputError `SLUICE_VALUE` that names the member for an unknown member, a number out of range, a value of the wrong
   * kind, and members of a union that contradict each other.
   */
  encode(value: Value): Uint8Array;
}

/** How many values may lie over one byte (unions in unions) before a type is refused. */
const MAX_OVERLAP = 64;

/** Codec of a type with storage, or of a data section (an object with its variables). Throws InputError `SLUICE_BTF_…`. */
export function codecFor(btf: Btf, typeId: number): Codec {
  return codecOf(nodeFor(btf, typeId, new Map(), 0), 'value');
}

/** For bytes that nobody described: 4 bytes are a number (u32), 8 a bigint (u64), everything else is Uint8Array. */
export function rawCodec(size: number): Codec {
  const bytes: CodecNode = {
    size,
    weight: 1,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, size).slice(),
    write(view, at, value, path) {
      if (!(value instanceof Uint8Array) || value.length !== size)
        throw new InputError('SLUICE_VALUE', `${path}: ${size} bytes are needed`);
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(value, at);
    },
    cover: (mask, at) => mask.fill(0xff, at, at + size),
  };
  if (size !== 4 && size !== 8) return codecOf(bytes, 'value');
  const number = scalarNode({
    size,
    bitOffset: 0,
    bits: size * 8,
    as: size === 4 ? 'number' : 'bigint',
    signed: false,
  });
  const write: CodecNode['write'] = (view, at, value, path) =>
    (value instanceof Uint8Array ? bytes : number).write(view, at, value, path);
  return codecOf({ ...number, write }, 'value');
}

function codecOf(node: CodecNode, path: string): Codec {
  const { size } = node;
  return {
    size,
    decode(bytes) {
      if (bytes.length !== size)
        throw new InputError('SLUICE_VALUE', `${path}: ${bytes.length} bytes, but the type has ${size}`);
      return node.read(new DataView(bytes.buffer, bytes.byteOffset, size), 0);
    },
    encode(value) {
      const bytes = new Uint8Array(size);
      node.write(new DataView(bytes.buffer), 0, value, path);
      return bytes;
    },
  };
}

function nodeFor(btf: Btf, typeId: number, known: Map<number, CodecNode>, depth: number): CodecNode {
  const { id, type } = btf.resolve(typeId);
  const before = known.get(id);
  if (before !== undefined) return before;
  if (depth > MAX_CHAIN) throw btfFault(`type ${typeId} is nested too deep`, undefined, 'SLUICE_BTF_LOOP');
  const child = (childId: number) => nodeFor(btf, childId, known, depth + 1);
  const node = build();
  if (node.weight > (node.size + 64) * MAX_OVERLAP)
    throw btfFault(
      `type ${typeId} describes ${node.weight} values in ${node.size} bytes`,
      undefined,
      'SLUICE_BTF_COMPLEX',
    );
  known.set(id, node);
  return node;

  function build(): CodecNode {
    switch (type?.kind) {
      case 'int': {
        if (type.bits === 0 || type.offset + type.bits > type.size * 8 || type.size > 16)
          throw btfFault(`type ${typeId} has ${type.bits} bits in ${type.size} bytes`);
        const as = type.bool ? 'boolean' : type.size > 4 ? 'bigint' : 'number';
        return scalarNode({ size: type.size, bitOffset: type.offset, bits: type.bits, as, signed: type.signed });
      }
      case 'enum':
      case 'enum64': {
        if (![1, 2, 4, 8].includes(type.size)) throw btfFault(`type ${typeId} is an enum of ${type.size} bytes`);
        const as = type.size > 4 ? 'bigint' : 'number';
        return scalarNode({ size: type.size, bitOffset: 0, bits: type.size * 8, as, signed: type.signed });
      }
      case 'float':
        return scalarNode({ size: type.size, bitOffset: 0, bits: type.size * 8, as: 'float', signed: true });
      case 'ptr':
        return scalarNode({ size: 8, bitOffset: 0, bits: 64, as: 'bigint', signed: false });
      case 'array':
      case 'struct':
      case 'union':
      case 'datasec':
        return compositeNode(btf, id, type, child);
      case 'var':
        return child(type.type);
      default:
        throw btfFault(`type ${typeId}: ${type?.kind ?? 'void'} has no values`, undefined, 'SLUICE_BTF_NO_SIZE');
    }
  }
}
