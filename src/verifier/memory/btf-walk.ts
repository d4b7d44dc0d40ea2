/** What an access at an offset of a kernel struct meets: the field, by BTF alone (btf_struct_walk and its like, kernel/bpf/btf.c). */
import type { Btf, BtfType } from '../../btf/types.ts';
import { PERCPU, RCU, UNTRUSTED, USER } from '../kinds.ts';

export type FieldAccess =
  | { readonly kind: 'scalar' }
  /** Pointer to struct `id`; flags of kinds.ts. */
  | { readonly kind: 'pointer'; readonly id: number; readonly flags: number; readonly field: string }
  /** Pointer to something that is no struct: readable, never trusted. */
  | { readonly kind: 'memory' }
  /** The offset is where struct `id` begins. */
  | { readonly kind: 'struct'; readonly id: number; readonly flags: number }
  | { readonly kind: 'refused'; readonly problem: string };

const SCALAR: FieldAccess = { kind: 'scalar' };
const MEMORY: FieldAccess = { kind: 'memory' };

function refused(problem: string): FieldAccess {
  return { kind: 'refused', problem };
}

const isStruct = (type: BtfType | undefined): type is Extract<BtfType, { kind: 'struct' | 'union' }> =>
  type?.kind === 'struct' || type?.kind === 'union';

/** Array of arrays taken as one: its element and how many there are. */
function flatten(btf: Btf, id: number): { readonly element: number; readonly count: number } {
  let element = id;
  let count = 1;
  for (;;) {
    const { id: resolved, type } = btf.resolve(element);
    if (type?.kind !== 'array') return { element: resolved, count };
    count *= type.length;
    element = type.type;
  }
}

/** The flag that the tag right behind a pointer stands for. */
export function tagFlag(btf: Btf, target: number): number {
  const type = btf.type(target);
  if (type?.kind !== 'type_tag' || type.attribute) return 0;
  return type.name === 'user' ? USER : type.name === 'percpu' ? PERCPU : type.name === 'rcu' ? RCU : 0;
}

/** One step into struct `id`, and into members that do not begin at the offset. @param flags of the way so far. */
export function walkStruct(btf: Btf, id: number, off: number, size: number, flags: number): FieldAccess {
  let at = off;
  let known = flags;
  let { type } = btf.resolve(id);
  again: for (;;) {
    if (!isStruct(type)) return refused(`Type '${type?.name ?? 'void'}' is not a struct`);
    if (type.kind === 'union' && type.members.length !== 1) known |= UNTRUSTED;
    if (at + size > type.size) {
      const last = type.members.at(-1);
      const tail = last === undefined ? undefined : btf.resolve(last.type).type;
      const beyond = refused(`access beyond struct ${type.name} at off ${at} size ${size}`);
      if (last === undefined || tail?.kind !== 'array' || tail.length !== 0) return beyond;
      const start = Math.floor(last.bitOffset / 8);
      if (at < start) return beyond;
      const element = btf.resolve(tail.type).type;
      if (element?.kind === 'int') return SCALAR;
      if (!isStruct(element)) return beyond;
      at = (at - start) % element.size;
      type = element;
      continue;
    }
    for (const member of type.members) {
      let start = Math.floor(member.bitOffset / 8);
      if (at + size <= start) break;
      if (member.bitSize !== 0) {
        const end = Math.ceil((member.bitOffset + member.bitSize) / 8);
        if (at <= start && end <= at + size) return SCALAR;
        continue;
      }
      if (at < start) break;
      let memberId = btf.resolve(member.type).id;
      let memberType = btf.type(memberId);
      let bytes = sizeOf(btf, memberId);
      if (bytes === undefined) return refused(`field ${member.name} doesn't have size`);
      const end = start + bytes;
      if (at >= end) continue;
      if (memberType?.kind === 'array') {
        const { element, count } = flatten(btf, memberId);
        if (start === end) continue;
        bytes /= count;
        start += Math.floor((at - start) / bytes) * bytes;
        memberId = element;
        memberType = btf.type(element);
      }
      if (isStruct(memberType)) {
        if (at === start) return { kind: 'struct', id: memberId, flags: known };
        at -= start;
        type = memberType;
        continue again;
      }
      if (memberType?.kind === 'ptr') {
        if (bytes !== size || at !== start)
          return refused(
            `cannot access ptr member ${member.name} with moff ${start} in struct ${type.name} with off ${at} size ${size}`,
          );
        const target = btf.resolve(memberType.type);
        if (!isStruct(target.type)) return MEMORY;
        return { kind: 'pointer', id: target.id, flags: known | tagFlag(btf, memberType.type), field: member.name };
      }
      if (at + size > end && (known & UNTRUSTED) === 0)
        return refused(
          `access beyond the end of member ${member.name} (mend:${end}) in struct ${type.name} with off ${at} size ${size}`,
        );
      return SCALAR;
    }
    return refused(`struct ${type.name} doesn't have field at offset ${at}`);
  }
}

function sizeOf(btf: Btf, id: number): number | undefined {
  const { kind } = btf.type(id) ?? { kind: 'void' };
  if (kind === 'fwd' || kind === 'void' || kind === 'func_proto') return undefined;
  return btf.sizeOf(id);
}

const known = new WeakMap<Btf, Map<number, Map<number, FieldAccess>>>();

/** The field that `size` bytes at `off` of struct `id` are; what was found once is kept with the BTF. */
export function accessStruct(
  btf: Btf,
  id: number,
  off: number,
  size: number,
): Exclude<FieldAccess, { kind: 'struct' }> {
  let ofBtf = known.get(btf);
  if (ofBtf === undefined) {
    ofBtf = new Map();
    known.set(btf, ofBtf);
  }
  let ofStruct = ofBtf.get(id);
  if (ofStruct === undefined) {
    ofStruct = new Map();
    ofBtf.set(id, ofStruct);
  }
  const key = off * 16 + size;
  let found = ofStruct.get(key);
  if (found === undefined) {
    found = walkStruct(btf, id, off, size, 0);
    while (found.kind === 'struct') found = walkStruct(btf, found.id, 0, size, found.flags);
    ofStruct.set(key, found);
  }
  if (found.kind === 'struct') throw new RangeError('a struct is walked into');
  return found;
}

/** Struct `id` at `off` is, or has there as a first member, struct `wanted` of `wantedBtf` (btf_struct_ids_match). */
export function structMatches(
  btf: Btf,
  id: number,
  off: number,
  wantedBtf: Btf,
  wanted: number,
  strict: boolean,
): boolean {
  if (off === 0 && btf === wantedBtf && id === wanted) return true;
  if (strict || off < 0) return false;
  let at = off;
  let from = id;
  for (;;) {
    const step = walkStruct(btf, from, at, 1, 0);
    if (step.kind !== 'struct') return false;
    if (btf === wantedBtf && step.id === wanted) return true;
    at = 0;
    from = step.id;
  }
}
