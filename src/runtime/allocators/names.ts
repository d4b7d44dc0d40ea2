/** What places and structs are called, and how they are told apart across objects. */
import type { Btf } from '../../btf/types.ts';

const keys = new WeakMap<Btf, Map<number, string>>();

/** Equal for structs of the same name and layout, in whichever BTF. Pointers count by the name of what they point to. */
export function structKey(btf: Btf, id: number): string {
  let known = keys.get(btf);
  if (known === undefined) {
    known = new Map();
    keys.set(btf, known);
  }
  let key = known.get(id);
  if (key === undefined) {
    // Hostile types may contain themselves.
    known.set(id, '…');
    key = layoutOf(btf, id);
    known.set(id, key);
  }
  return key;
}

function layoutOf(btf: Btf, id: number): string {
  const { type } = btf.resolve(id);
  switch (type?.kind) {
    case 'struct':
    case 'union':
      return `${type.kind} ${type.name}{${type.members.map((member) => `${member.name}@${member.bitOffset}:${structKey(btf, member.type)}`).join()}}`;
    case 'array':
      return `${structKey(btf, type.type)}[${type.length}]`;
    case 'ptr':
      return `*${btf.resolve(type.type).type?.name ?? ''}`;
    default:
      return type === undefined ? 'void' : `${type.kind} ${type.name}${btf.sizeOf(id)}`;
  }
}

/** Name of the member at a byte, members of members with dots; the offset where there is none. */
export function memberAt(btf: Btf | undefined, id: number, offset: number): string {
  const names: string[] = [];
  let at = offset;
  for (let type = btf?.resolve(id).type; type?.kind === 'struct' && names.length < 16; ) {
    const member = type.members.findLast(({ bitOffset }) => bitOffset <= at * 8);
    if (member === undefined) break;
    names.push(member.name);
    at -= member.bitOffset / 8;
    type = btf!.resolve(member.type).type;
    if (at === 0 && type?.kind === 'struct' && type.name.startsWith('bpf_')) break;
  }
  return names.length === 0 ? `byte ${offset}` : names.join('.');
}
