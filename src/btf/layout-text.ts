/** How a type lies in memory, as one line of text: equal texts mean that a program and a reader agree on sizes, offsets and names. */
import { MAX_CHAIN } from './kinds.ts';
import { btfFault } from './parse.ts';
import type { Btf, BtfMember } from './types.ts';

/**
 * `u32`, `s8`, `bool`, `f64`, `ptr`, `T[n]`, and `{name@offset:T,…}size` with offsets in bytes (in bits, as `name@bit/width`, for bit
 * fields). Names of types do not count, names of members do. Throws InputError for a type without storage.
 */
export function layoutText(btf: Btf, typeId: number): string {
  let left = MAX_PARTS;
  return text(
    {
      type: (id) => btf.type(id),
      resolve(id) {
        if (left-- === 0) throw btfFault(`type ${typeId} has too many parts`, undefined, 'SLUICE_BTF_COMPLEX');
        return btf.resolve(id);
      },
    },
    typeId,
    0,
  );
}

/** Types and members in all: few types that contain each other twice make a text without end. */
const MAX_PARTS = 100_000;

type Types = Pick<Btf, 'type' | 'resolve'>;

function text(btf: Types, typeId: number, depth: number): string {
  if (depth > MAX_CHAIN) throw btfFault(`type ${typeId} is nested too deep`, undefined, 'SLUICE_BTF_LOOP');
  const { type } = btf.resolve(typeId);
  switch (type?.kind) {
    case 'int':
      return type.bool ? 'bool' : `${type.signed ? 's' : 'u'}${type.size * 8}`;
    case 'enum':
    case 'enum64':
      return `${type.signed ? 's' : 'u'}${type.size * 8}`;
    case 'float':
      return `f${type.size * 8}`;
    case 'ptr':
      return 'ptr';
    case 'var':
      return text(btf, type.type, depth + 1);
    case 'array':
      return `${text(btf, type.type, depth + 1)}[${type.length}]`;
    case 'struct':
    case 'union':
      return `{${type.members.map((member) => memberText(btf, member, depth)).join(',')}}${type.size}`;
    case 'datasec': {
      const variables = type.vars.map((entry) => {
        const variable = btf.type(entry.type);
        const name = variable?.kind === 'var' ? variable.name : '';
        return `${name}@${entry.offset}:${text(btf, entry.type, depth + 1)}`;
      });
      return `{${variables.join(',')}}${type.size}`;
    }
    default:
      throw btfFault(`type ${typeId}: ${type?.kind ?? 'void'} has no values`, undefined, 'SLUICE_BTF_NO_SIZE');
  }
}

function memberText(btf: Types, member: BtfMember, depth: number): string {
  const place = member.bitSize === 0 ? String(member.bitOffset / 8) : `${member.bitOffset}/${member.bitSize}`;
  return `${member.name}@${place}:${text(btf, member.type, depth + 1)}`;
}
