/** When a type of the object and one of the target are the same for CO-RE. */
import { InputError } from '../errors.ts';
import type { Accessor } from './core-accessor.ts';
import { essentialName } from './names.ts';
import type { Btf, BtfType } from './types.ts';

/** As libbpf's. */
const MAX_DEPTH = 32;
/** Comparisons for one program: a kernel's largest structs take thousands. */
const MAX_STEPS = 20_000_000;

export function kindsCompatible(a: BtfType['kind'], b: BtfType['kind']): boolean {
  return a === b || (isEnum(a) && isEnum(b));
}

export function isEnum(kind: BtfType['kind'] | undefined): boolean {
  return kind === 'enum' || kind === 'enum64';
}

function isComposite(type: BtfType | undefined): type is Extract<BtfType, { readonly kind: 'struct' | 'union' }> {
  return type?.kind === 'struct' || type?.kind === 'union';
}

function namesMatch(a: string, b: string): boolean {
  return a === b || essentialName(a) === essentialName(b);
}

export class Matcher {
  readonly local: Btf;
  readonly target: Btf;
  #steps = 0;

  constructor(local: Btf, target: Btf) {
    this.local = local;
    this.target = target;
  }

  #step(): void {
    if (++this.#steps > MAX_STEPS) throw new InputError('SLUICE_CORE', 'CO-RE: the types are too complex to compare');
  }

  /** The member with the name of `step`'s, also inside of anonymous members, and where; it must have a compatible type. */
  member(
    step: Accessor,
    targetId: number,
  ): { readonly step: Accessor; readonly bitOffset: number; readonly memberType: number } | undefined {
    const container = this.local.type(step.typeId);
    const localType = isComposite(container) ? container.members[step.index]!.type : 0;
    const search = (id: number, bits: number, depth: number): ReturnType<Matcher['member']> | 'incompatible' => {
      const { id: inside, type } = this.target.resolve(id);
      if (!isComposite(type) || depth > MAX_DEPTH) return undefined;
      for (const [index, member] of type.members.entries()) {
        this.#step();
        const bitOffset = bits + member.bitOffset;
        if (member.name === '') {
          const found = search(member.type, bitOffset, depth + 1);
          if (found !== undefined && found !== 'incompatible') return found;
        } else if (member.name === step.name) {
          if (!this.#fieldsCompatible(localType, member.type)) return 'incompatible';
          return { step: { typeId: inside, index, name: member.name }, bitOffset, memberType: member.type };
        }
      }
      return undefined;
    };
    const found = search(targetId, 0, 0);
    return found === 'incompatible' ? undefined : found;
  }

  /** Loose: any two integers, any two pointers, any two structs. */
  #fieldsCompatible(localId: number, targetId: number): boolean {
    let local = this.local.resolve(localId).type;
    let target = this.target.resolve(targetId).type;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      if (local === undefined || target === undefined) return false;
      if (isComposite(local) && isComposite(target)) return true;
      if (!kindsCompatible(local.kind, target.kind)) return false;
      if (local.kind === 'array' && target.kind === 'array') {
        local = this.local.resolve(local.type).type;
        target = this.target.resolve(target.type).type;
        continue;
      }
      if (local.kind === 'ptr' || local.kind === 'float') return true;
      // Integers that are bit fields of an old compiler are not handled.
      if (local.kind === 'int' && target.kind === 'int') return local.offset === 0 && target.offset === 0;
      if (local.kind === 'fwd' || isEnum(local.kind))
        return local.name === '' || target.name === '' || namesMatch(local.name, target.name);
      return false;
    }
    return false;
  }

  /** For type_exists, type_size and type_id_target; names were compared by the search for candidates. */
  typesCompatible(localId: number, targetId: number, depth = 0): boolean {
    const localRaw = this.local.type(localId);
    const targetRaw = this.target.type(targetId);
    if (depth === 0 && (!localRaw || !targetRaw || !kindsCompatible(localRaw.kind, targetRaw.kind))) return false;
    let localAt = localId;
    let targetAt = targetId;
    for (let hops = depth; hops < MAX_DEPTH; hops++) {
      this.#step();
      const local = this.local.resolve(localAt).type;
      const target = this.target.resolve(targetAt).type;
      if (local === undefined || target === undefined) return local === target;
      if (!kindsCompatible(local.kind, target.kind)) return false;
      if (local.kind === 'int' && target.kind === 'int') return local.offset === 0 && target.offset === 0;
      if ((local.kind === 'ptr' && target.kind === 'ptr') || (local.kind === 'array' && target.kind === 'array')) {
        localAt = local.type;
        targetAt = target.type;
      } else if (local.kind === 'func_proto' && target.kind === 'func_proto') {
        if (local.params.length !== target.params.length) return false;
        for (const [index, param] of local.params.entries())
          if (!this.typesCompatible(param.type, target.params[index]!.type, hops + 1)) return false;
        localAt = local.returns;
        targetAt = target.returns;
      } else return isComposite(local) || isEnum(local.kind) || local.kind === 'fwd';
    }
    throw tooDeep();
  }

  /** For type_matches: strict on sizes, signs and members; behind a pointer only names and kinds count. */
  typesMatch(localId: number, targetId: number, behindPointer = false, depth = 0): boolean {
    let localAt = localId;
    let targetAt = targetId;
    let behind = behindPointer;
    for (let hops = depth; hops < MAX_DEPTH; hops++) {
      this.#step();
      const local = this.local.resolve(localAt).type;
      const target = this.target.resolve(targetAt).type;
      if (local === undefined || target === undefined) return local === target;
      if (!namesMatch(local.name, target.name)) return false;
      switch (local.kind) {
        case 'fwd':
          if (target.kind === 'fwd') return local.union === target.union;
          return behind && target.kind === (local.union ? 'union' : 'struct');
        case 'enum':
        case 'enum64':
          return (target.kind === 'enum' || target.kind === 'enum64') && this.#enumsMatch(local, target);
        case 'struct':
        case 'union':
          if (!behind)
            return isComposite(target) && local.kind === target.kind && this.#membersMatch(local, target, hops);
          if (target.kind === 'fwd') return target.union === (local.kind === 'union');
          return local.kind === target.kind;
        case 'int':
          return target.kind === 'int' && local.size === target.size && local.signed === target.signed;
        case 'ptr':
          if (target.kind !== 'ptr') return false;
          behind = true;
          localAt = local.type;
          targetAt = target.type;
          break;
        case 'array':
          if (target.kind !== 'array' || local.length !== target.length) return false;
          localAt = local.type;
          targetAt = target.type;
          break;
        case 'func_proto':
          if (target.kind !== 'func_proto' || local.params.length !== target.params.length) return false;
          for (const [index, param] of local.params.entries())
            if (!this.typesMatch(param.type, target.params[index]!.type, behind, hops + 1)) return false;
          localAt = local.returns;
          targetAt = target.returns;
          break;
        default:
          return false;
      }
    }
    throw tooDeep();
  }

  #enumsMatch(
    local: Extract<BtfType, { readonly kind: 'enum' | 'enum64' }>,
    target: Extract<BtfType, { readonly kind: 'enum' | 'enum64' }>,
  ): boolean {
    if (local.values.length > target.values.length) return false;
    const names = new Set(target.values.map(({ name }) => essentialName(name)));
    return local.values.every(({ name }) => names.has(essentialName(name)));
  }

  #membersMatch(
    local: Extract<BtfType, { readonly kind: 'struct' | 'union' }>,
    target: Extract<BtfType, { readonly kind: 'struct' | 'union' }>,
    depth: number,
  ): boolean {
    if (local.members.length > target.members.length) return false;
    return local.members.every((member) =>
      target.members.some((candidate) => {
        this.#step();
        return (
          namesMatch(member.name, candidate.name) && this.typesMatch(member.type, candidate.type, false, depth + 1)
        );
      }),
    );
  }
}

function tooDeep(): InputError {
  return new InputError('SLUICE_CORE', `CO-RE: types are nested deeper than ${MAX_DEPTH}`);
}
