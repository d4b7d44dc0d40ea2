import { kindNames, linkages } from './kinds.ts';
import type { BtfEnumValue, BtfType } from './types.ts';

/** One type at a byte offset that the index has already checked. */
export function decodeType(view: DataView, at: number, string: (offset: number) => string): BtfType {
  const u32 = (offset: number): number => view.getUint32(offset, true);
  const name = u32(at) === 0 ? '' : string(u32(at));
  const info = u32(at + 4);
  const kind = kindNames[(info >>> 24) & 0x1f]!;
  const flag = info >>> 31 === 1;
  const vlen = info & 0xffff;
  const sizeOrType = u32(at + 8);
  const elements = <T>(size: number, read: (offset: number) => T): T[] => {
    const list: T[] = new Array(vlen);
    for (let i = 0; i < vlen; i++) list[i] = read(at + 12 + i * size);
    return list;
  };
  const named = (offset: number): string => (u32(offset) === 0 ? '' : string(u32(offset)));

  switch (kind) {
    case 'int': {
      const data = u32(at + 12);
      const encoding = (data >>> 24) & 0xf;
      return {
        kind,
        name,
        size: sizeOrType,
        bits: data & 0xff,
        offset: (data >>> 16) & 0xff,
        signed: (encoding & 1) !== 0,
        char: (encoding & 2) !== 0,
        bool: (encoding & 4) !== 0,
      };
    }
    case 'ptr':
      return { kind, name: '', type: sizeOrType };
    case 'array':
      return { kind, name: '', type: u32(at + 12), indexType: u32(at + 16), length: u32(at + 20) };
    case 'struct':
    case 'union':
      return {
        kind,
        name,
        size: sizeOrType,
        members: elements(12, (m) => ({
          name: named(m),
          type: u32(m + 4),
          // With the kind flag: width in the upper 8 bits, offset in the lower 24.
          bitOffset: flag ? u32(m + 8) & 0xff_ffff : u32(m + 8),
          bitSize: flag ? u32(m + 8) >>> 24 : 0,
        })),
      };
    case 'enum':
      return {
        kind,
        name,
        size: sizeOrType,
        signed: flag,
        values: elements(
          8,
          (v): BtfEnumValue => ({ name: named(v), value: BigInt(flag ? view.getInt32(v + 4, true) : u32(v + 4)) }),
        ),
      };
    case 'enum64':
      return {
        kind,
        name,
        size: sizeOrType,
        signed: flag,
        values: elements(
          12,
          (v): BtfEnumValue => ({
            name: named(v),
            value: flag ? view.getBigInt64(v + 4, true) : view.getBigUint64(v + 4, true),
          }),
        ),
      };
    case 'fwd':
      return { kind, name, union: flag };
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
      return { kind, name, type: sizeOrType };
    case 'type_tag':
      return { kind, name, type: sizeOrType, attribute: flag };
    case 'func':
      return { kind, name, type: sizeOrType, linkage: linkages[vlen] ?? 'global' };
    case 'func_proto':
      return {
        kind,
        name: '',
        returns: sizeOrType,
        params: elements(8, (p) => ({ name: named(p), type: u32(p + 4) })),
      };
    case 'var':
      return { kind, name, type: sizeOrType, linkage: linkages[u32(at + 12)] ?? 'global' };
    case 'datasec':
      return {
        kind,
        name,
        size: sizeOrType,
        vars: elements(12, (v) => ({ type: u32(v), offset: u32(v + 4), size: u32(v + 8) })),
      };
    case 'float':
      return { kind, name, size: sizeOrType };
    case 'decl_tag':
      return { kind, name, type: sizeOrType, component: view.getInt32(at + 12, true), attribute: flag };
  }
}
