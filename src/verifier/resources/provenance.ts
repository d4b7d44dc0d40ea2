/**
 * Where objects of the program's own types come from and where they go, collected while paths are followed (ownership.ts has what it becomes). The
 * origin is part of a pointer, beside its type: paths on which it differs are followed apart.
 */
import { objectKfuncs } from '../../abi/object-kfuncs.ts';
import { recordFields, type SpecialField } from '../../btf/special-fields.ts';
import * as k from '../kinds.ts';
import { AUX2 } from '../layout.ts';
import type { ObjectCall, Origin, OwnerField, Ownership, OwnershipEdge } from '../ownership.ts';
import { aux2Of, auxOf, kindOf, set } from '../states/records.ts';
import type { Verification } from '../verification.ts';

/** In AUX2 of a BTF_ID: an origin by number from 1 on, 0 for none, above the bit that says whose types they are. */
const ORIGIN = 1;

export function originOf(r: number): number {
  return kindOf(r) === k.BTF_ID ? aux2Of(r) >>> ORIGIN : 0;
}

export function setOrigin(r: number, origin: number): void {
  set(r, AUX2, (aux2Of(r) & k.PROGRAM_TYPES) | (origin << ORIGIN));
}

type Collected = { -readonly [K in keyof ObjectCall]: ObjectCall[K] } & { origins: Origin[]; others: number[] };

/** What a call is about; `origin`: of the object that it takes, 0 for none. */
interface Seen extends Pick<ObjectCall, 'name' | 'struct' | 'node' | 'percpu' | 'allocator'> {
  readonly origin: number;
}

/** Calls that say the type: whoever answers them is given one. */
const ONE_TYPE: ReadonlySet<string> = new Set(['make', 'reserve']);

/** The call is about one more struct. */
function addOther(v: Verification, known: Collected, { name, struct, node }: Seen): void {
  if (known.others.includes(struct) && known.node === node) return;
  const fine =
    !ONE_TYPE.has(objectKfuncs.get(name)!.act) &&
    known.node === node &&
    [known.struct, ...known.others].every((each) => each === struct || canBeToldApart(v, each, struct));
  if (!fine) refuseOther(v, known.struct, name, struct);
  known.others.push(struct);
  // Whether the memory waits for readers is then the same for all of them.
  for (const each of [known.struct, struct]) v.provenance.share(each);
}

/** Twice the bytes of the smallest objects that allocators have: what owns something may take 8 more than its size. */
const SMALLEST = 16;

function canBeToldApart(v: Verification, a: number, b: number): boolean {
  const [less, more] = [v.btf!.sizeOf(a), v.btf!.sizeOf(b)].sort((x, y) => x - y);
  return more! >= 2 * Math.max(less!, SMALLEST) || owned(v, a) === owned(v, b);
}

/** What has to be given back with an object of the struct, and whether its references are counted. */
function owned(v: Verification, struct: number): string {
  const fields = recordFields(v.btf!, struct).filter(
    ({ kind, pointer }) =>
      ['bpf_list_head', 'bpf_rb_root', 'bpf_refcount', 'percpu_kptr'].includes(kind) || pointer?.how === 'owned',
  );
  return JSON.stringify(fields.map(({ kind, offset, pointer, contains }) => [kind, offset, pointer?.target, contains]));
}

function refuseOther(v: Verification, before: number, name: string, struct: number): never {
  const nameOf = (id: number) => v.btf!.type(id)?.name ?? '';
  v.refuse(
    'type-differs',
    'Register Type Safety',
    'same insn cannot be used with different types of objects',
    `On another path ${name} is about struct ${nameOf(before)}, here about struct ${nameOf(struct)}.`,
  );
}

export class Provenance {
  readonly #origins: Origin[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #calls = new Map<number, Collected>();
  readonly #edges = new Map<string, OwnershipEdge>();
  readonly #shared = new Set<number>();
  /** Maps of maps by their inner one: indices of the code's maps. */
  readonly #outer = new Map<number, number>();

  inner(inner: number, outer: number): void {
    this.#outer.set(inner, outer);
  }

  /** Number of the origin. Those out of one field are one, whichever instruction took the object. */
  origin(origin: Origin): number {
    const key = JSON.stringify(origin.kind === 'field' ? origin.field : origin);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#origins.push(origin);
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** The field that `r` (a map value or an object) points into. */
  owner(v: Verification, r: number, field: SpecialField): OwnerField {
    const { offset } = field;
    if (kindOf(r) !== k.MAP_VALUE) return { kind: 'object', struct: auxOf(r), offset };
    const outer = this.#outer.get(auxOf(r));
    return { kind: 'map', map: v.code.maps[outer ?? auxOf(r)]!.name, inner: outer !== undefined, offset };
  }

  /**
   * A call at the instruction at hand. Where it is given the type, Linux patches in what the last path said, even if another path came with another
   * one, and then takes one type for the other at run time; here the two must be of one kind or tell themselves apart. Calls that are given no type
   * may be about several.
   */
  call(v: Verification, seen: Seen): void {
    const { slot } = v;
    const { name, struct, node, percpu, allocator, origin } = seen;
    const known = this.#calls.get(slot);
    if (known === undefined) {
      const origins = origin === 0 ? [] : [this.#origins[origin - 1]!];
      this.#calls.set(slot, {
        name,
        struct,
        others: [],
        node,
        percpu,
        origins,
        ...(allocator === undefined ? {} : { allocator }),
      });
      return;
    }
    if (known.struct !== struct || known.node !== node) {
      if (objectKfuncs.get(name)?.record === undefined) known.struct = known.node = 0;
      else addOther(v, known, seen);
    }

    if (known.allocator?.map !== allocator?.map || known.allocator?.part !== allocator?.part) delete known.allocator;
    if (origin !== 0 && !known.origins.includes(this.#origins[origin - 1]!))
      known.origins.push(this.#origins[origin - 1]!);
  }

  /** An object of this origin may go into the field, by the instruction at hand. */
  edge(v: Verification, origin: number, struct: number, into: OwnerField): void {
    if (origin === 0) return;
    const key = `${v.slot} ${origin} ${JSON.stringify(into)}`;
    if (!this.#edges.has(key)) this.#edges.set(key, { slot: v.slot, origin: this.#origins[origin - 1]!, struct, into });
  }

  /** The program has a pointer to an object of the struct that it does not own. */
  share(struct: number): void {
    this.#shared.add(struct);
  }

  /** Undefined for a program without objects of its own types. */
  get facts(): Ownership | undefined {
    if (this.#calls.size === 0 && this.#shared.size === 0) return undefined;
    return { calls: this.#calls, edges: [...this.#edges.values()], shared: this.#shared };
  }
}
