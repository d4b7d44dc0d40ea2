import { MAX_CHAIN } from './kinds.ts';
import { btfFault } from './parse.ts';
import type { Btf } from './types.ts';

/** Types contain each other: each is looked at once for a BTF. */
const knownOf = new WeakMap<Btf, Map<number, number>>();

/** Alignment in bytes of a type with storage, as C lays it out on a 64-bit machine (libbpf's btf__align_of). */
export function alignmentOf(btf: Btf, id: number): number {
  const known = knownOf.get(btf) ?? new Map<number, number>();
  knownOf.set(btf, known);
  return align(btf, id, 0, known);
}

function align(btf: Btf, id: number, depth: number, known: Map<number, number>): number {
  if (depth > MAX_CHAIN) throw btfFault(`type ${id} is nested too deep`, undefined, 'SLUICE_BTF_LOOP');
  const { id: resolved, type } = btf.resolve(id);
  const before = known.get(resolved);
  if (before !== undefined) return before;
  let result: number;
  switch (type?.kind) {
    case 'int':
    case 'enum':
    case 'enum64':
    case 'float':
      result = Math.max(1, Math.min(type.size, btf.pointerSize));
      break;
    case 'ptr':
      result = btf.pointerSize;
      break;
    case 'array':
    case 'var':
      result = align(btf, type.type, depth + 1, known);
      break;
    case 'struct':
    case 'union': {
      result = 1;
      for (const member of type.members) {
        const needed = align(btf, member.type, depth + 1, known);
        // A member that does not lie at a multiple of its alignment: the struct is packed.
        if (member.bitSize === 0 && member.bitOffset % (8 * needed) !== 0) {
          result = 1;
          break;
        }
        result = Math.max(result, needed);
      }
      if (type.size % result !== 0) result = 1;
      break;
    }
    default:
      throw btfFault(`type ${id}: ${type?.kind ?? 'void'} has no alignment`, undefined, 'SLUICE_BTF_NO_SIZE');
  }
  known.set(resolved, result);
  return result;
}
