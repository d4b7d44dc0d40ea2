import { InputError } from '../errors.ts';
import { type CodecNode, describe, scalarNode } from './codec-scalar.ts';
import { btfFault } from './parse.ts';
import type { Btf, BtfMember, BtfType } from './types.ts';
import type { Value } from './value.ts';

type Composite = Extract<BtfType, { readonly kind: 'array' | 'struct' | 'union' | 'datasec' }>;
type Fields = { readonly [member: string]: Value };

export function compositeNode(btf: Btf, id: number, type: Composite, child: (id: number) => CodecNode): CodecNode {
  if (type.kind === 'array') {
    const size = btf.sizeOf(id);
    const { type: element } = btf.resolve(type.type);
    if (element?.kind === 'int' && element.size === 1 && !element.bool) return bytesNode(size);
    return arrayNode(child(type.type), type.length, size);
  }
  const parts = type.kind === 'datasec' ? variables(btf, type.vars, child) : members(btf, type.members, child);
  for (const { name, at, node } of parts)
    if (at + node.size > type.size)
      throw btfFault(`type ${id}: ${name || 'an anonymous member'} ends behind its ${type.size} bytes`);
  return fieldsNode(parts, type.size, type.kind === 'union');
}

function bytesNode(size: number): CodecNode {
  return {
    size,
    weight: 1,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, size).slice(),
    write(view, at, value, path) {
      let bytes: Uint8Array;
      if (typeof value === 'string') bytes = new TextEncoder().encode(value);
      else if (value instanceof Uint8Array) bytes = value;
      else if (isArray(value)) bytes = Uint8Array.from(value, (item, index) => byte(item, `${path}[${index}]`));
      else throw bad(path, `bytes or a string are needed, not ${describe(value)}`);
      if (bytes.length > size) throw bad(path, `${bytes.length} bytes do not fit ${size}`);
      new Uint8Array(view.buffer, view.byteOffset + at, size).set(bytes);
    },
    cover: (mask, at) => mask.fill(0xff, at, at + size),
  };
}

function byte(value: Value, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= -128 && value <= 255) return value & 0xff;
  throw bad(path, `a byte is needed, not ${describe(value)}`);
}

function arrayNode(element: CodecNode, length: number, size: number): CodecNode {
  // Elements without size are all the same nothing: however many there are said to be.
  const count = element.size === 0 ? 0 : length;
  return {
    size,
    weight: 1 + element.weight * count,
    read: (view, at) => Array.from({ length: count }, (_, index) => element.read(view, at + index * element.size)),
    write(view, at, value, path) {
      if (!isArray(value)) throw bad(path, `an array is needed, not ${describe(value)}`);
      if (value.length > count) throw bad(path, `${value.length} elements do not fit ${count}`);
      for (const [index, item] of value.entries())
        element.write(view, at + index * element.size, item, `${path}[${index}]`);
    },
    cover(mask, at) {
      for (let index = 0; index < count; index++) element.cover(mask, at + index * element.size);
    },
  };
}

interface Part {
  /** '' for an anonymous struct or union. */
  readonly name: string;
  readonly at: number;
  readonly node: CodecNode | FieldsNode;
}

/** Of a struct, union or data section; can stand inside another one without a name. */
interface FieldsNode extends CodecNode {
  readonly names: ReadonlySet<string>;
  readInto(view: DataView, at: number, into: Record<string, Value>): void;
  /** Writes those of its members that `fields` has. */
  writeFrom(view: DataView, at: number, fields: Fields, path: string): void;
}

function members(btf: Btf, list: readonly BtfMember[], child: (id: number) => CodecNode): Part[] {
  const parts: Part[] = [];
  for (const { name, type, bitOffset, bitSize } of list) {
    const { type: target } = btf.resolve(type);
    // Old compilers put a bit field's width into an integer type of its own.
    const narrow = target?.kind === 'int' && target.bits !== target.size * 8;
    if (bitSize > 0 || narrow || bitOffset % 8 !== 0) {
      if (name === '') continue;
      if (target?.kind !== 'int' && target?.kind !== 'enum' && target?.kind !== 'enum64')
        throw btfFault(`bit field ${name} is a ${target?.kind ?? 'void'}`);
      const own = target.kind === 'int' ? target : { offset: 0, bits: target.size * 8, bool: false };
      const bits = bitSize || own.bits;
      if (bits === 0 || bits > target.size * 8) throw btfFault(`bit field ${name} has ${bits} bits`);
      const inner = (bitOffset % 8) + own.offset;
      const as = own.bool ? 'boolean' : target.size > 4 ? 'bigint' : 'number';
      const node = scalarNode({ size: 0, bitOffset: inner, bits, as, signed: target.signed });
      parts.push({ name, at: Math.floor(bitOffset / 8), node: { ...node, size: Math.ceil((inner + bits) / 8) } });
      continue;
    }
    if (name === '' && target?.kind !== 'struct' && target?.kind !== 'union') continue;
    parts.push({ name, at: bitOffset / 8, node: child(type) });
  }
  return parts;
}

function variables(
  btf: Btf,
  list: readonly { readonly type: number; readonly offset: number }[],
  child: (id: number) => CodecNode,
): Part[] {
  const taken = new Set<string>();
  const parts: Part[] = [];
  for (const { type: id, offset } of list) {
    const variable = btf.type(id);
    if (variable?.kind !== 'var') continue;
    // Statics of different functions may have one name.
    let name = variable.name;
    for (let number = 1; taken.has(name); number++) name = `${variable.name}.${number}`;
    taken.add(name);
    parts.push({ name, at: offset, node: child(variable.type) });
  }
  return parts;
}

function fieldsNode(parts: readonly Part[], size: number, isUnion: boolean): FieldsNode {
  const names = new Set(parts.flatMap(({ name, node }) => (name === '' ? [...inner(node).names] : [name])));
  const write = (part: Part, view: DataView, at: number, fields: Fields, path: string): void => {
    if (part.name === '') inner(part.node).writeFrom(view, at + part.at, fields, path);
    else {
      const value = given(fields, part.name);
      if (value !== undefined) part.node.write(view, at + part.at, value, `${path}.${part.name}`);
    }
  };
  const isGiven = ({ name, node }: Part, fields: Fields): boolean =>
    name === ''
      ? [...inner(node).names].some((one) => given(fields, one) !== undefined)
      : given(fields, name) !== undefined;

  const node: FieldsNode = {
    size,
    weight: 1 + parts.reduce((sum, part) => sum + part.node.weight, 0),
    names,
    read(view, at) {
      const fields: Record<string, Value> = {};
      node.readInto(view, at, fields);
      return fields;
    },
    readInto(view, at, into) {
      for (const { name, at: offset, node: part } of parts) {
        if (name === '') inner(part).readInto(view, at + offset, into);
        // An own property whatever its name: a member may be called __proto__.
        else Object.defineProperty(into, name, { value: part.read(view, at + offset), ...PLAIN });
      }
    },
    write(view, at, value, path) {
      if (typeof value !== 'object' || value === null || isArray(value) || value instanceof Uint8Array)
        throw bad(path, `an object is needed, not ${describe(value)}`);
      const fields = value as Fields; // what is left of Value
      for (const name of Object.keys(fields))
        if (!names.has(name))
          throw bad(`${path}.${name}`, `there is no such member; there are ${[...names].join(', ')}`);
      node.writeFrom(view, at, fields, path);
    },
    writeFrom(view, at, fields, path) {
      if (!isUnion) for (const part of parts) write(part, view, at, fields, path);
      else writeUnion(view, at, fields, path);
    },
    cover(mask, at) {
      for (const part of parts) part.node.cover(mask, at + part.at);
    },
  };
  return node;

  /** All members that are given, as after decoding, must say the same about the bits that they share. */
  function writeUnion(view: DataView, at: number, fields: Fields, path: string): void {
    const present = parts.filter((part) => isGiven(part, fields));
    if (present.length === 1) {
      write(present[0]!, view, at, fields, path);
      return;
    }
    const sum = new Uint8Array(size);
    const decided = new Uint8Array(size);
    for (const part of present) {
      const own = new Uint8Array(size);
      const mask = new Uint8Array(size);
      write(part, new DataView(own.buffer), 0, fields, path);
      part.node.cover(mask, part.at);
      for (let i = 0; i < size; i++) {
        if (((sum[i]! ^ own[i]!) & mask[i]! & decided[i]!) !== 0)
          throw bad(`${path}.${part.name}`, 'contradicts another member of the union; give only one');
        sum[i]! |= own[i]!;
        decided[i]! |= mask[i]!;
      }
    }
    new Uint8Array(view.buffer, view.byteOffset + at, size).set(sum);
  }
}

const PLAIN = { enumerable: true, writable: true, configurable: true } as const;

/** A member may have the name of something that every object inherits. */
function given(fields: Fields, name: string): Value | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function inner(node: CodecNode | FieldsNode): FieldsNode {
  if ('names' in node) return node;
  throw btfFault('an anonymous member is neither struct nor union');
}

/** Array.isArray does not narrow readonly arrays. */
function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function bad(path: string, why: string): InputError {
  return new InputError('SLUICE_VALUE', `${path}: ${why}`);
}
