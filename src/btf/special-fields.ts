/**
 * Fields that the kernel manages, in map values and in objects of a program's own types: found by names and tags in BTF (btf_parse_fields, kernel/bpf/btf.c).
 */
import { fieldsProblem, isManaged } from './field-rules.ts';
import type { Btf, BtfType } from './types.ts';

/** What a field of pointer kind may hold: `plain` is never owned, `owned` and `percpu` are a reference, `user` memory of a task. */
export type KptrKind = 'plain' | 'owned' | 'percpu' | 'user';

export interface SpecialField {
  /** As btf_field_type_name of the kernel says it. */
  readonly kind: string;
  readonly offset: number;
  readonly size: number;
  /** Of pointers: what they may hold, and the struct in the program's BTF. */
  readonly pointer?: { readonly how: KptrKind; readonly target: number };
  /** Of list heads and tree roots: which member of which struct of the program links its elements. */
  readonly contains?: { readonly struct: string; readonly member: string };
}

const names = new Set([
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_task_work',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
]);
const kptrTags: Readonly<Record<string, readonly [kind: string, how: KptrKind]>> = {
  kptr: ['kptr', 'owned'],
  kptr_untrusted: ['kptr', 'plain'],
  percpu_kptr: ['percpu_kptr', 'percpu'],
  uptr: ['uptr', 'user'],
};
/** Those that only map values have. */
const mapOnly = new Set(['bpf_timer', 'bpf_wq', 'bpf_task_work', 'uptr']);
/** Those that mean nothing in map values. */
const objectOnly = new Set(['bpf_list_node', 'bpf_rb_node']);

const none: readonly SpecialField[] = [];
const ofStructs = new WeakMap<Btf, Map<number, readonly SpecialField[]>>();

/** Fields of a struct of the program's own types, as bpf_obj_new makes them. */
export function recordFields(btf: Btf, struct: number): readonly SpecialField[] {
  let structs = ofStructs.get(btf);
  if (structs === undefined) {
    structs = new Map();
    ofStructs.set(btf, structs);
  }
  let fields = structs.get(struct);
  if (fields === undefined) {
    const all = structFields(btf, struct);
    // Linux loads no BTF in which a struct breaks the rules (structsProblem), and looks after none whose fields lie deeper.
    const type = btf.type(struct);
    const valid = type?.kind === 'struct' && isManaged(btf, type) && fieldsProblem(btf, all) === undefined;
    fields = valid ? all : none;
    structs.set(struct, fields);
  }
  return fields;
}

/** Special fields of a struct as they stand there, whether the rules allow them or not. */
export function structFields(btf: Btf, struct: number): readonly SpecialField[] {
  return collected(btf, struct).filter(({ kind }) => !mapOnly.has(kind));
}

/** Fields of a map's values: of a struct, or of the variables of a section. Linux takes values that break the rules for ones without special fields. */
export function valueFields(btf: Btf, id: number): readonly SpecialField[] {
  const found = collected(btf, id).filter(({ kind }) => !objectOnly.has(kind));
  return fieldsProblem(btf, found) === undefined ? found : none;
}

function collected(btf: Btf, id: number): readonly SpecialField[] {
  const found: SpecialField[] = [];
  collect(btf, id, 0, found, 0, undefined);
  return found;
}

/** Where a `contains:` tag of a list head or tree root would be: on a member of a struct, or on a variable. */
interface Place {
  readonly type: number;
  readonly component: number;
}

function collect(
  btf: Btf,
  id: number,
  offset: number,
  found: SpecialField[],
  depth: number,
  place: Place | undefined,
): void {
  if (depth > 16) return;
  const { id: resolvedId, type } = btf.resolve(id);
  switch (type?.kind) {
    case 'ptr': {
      const tag = btf.type(type.type);
      const kptr = tag?.kind === 'type_tag' && !tag.attribute ? kptrTags[tag.name] : undefined;
      if (kptr === undefined) return;
      found.push({ kind: kptr[0], offset, size: 8, pointer: { how: kptr[1], target: btf.resolve(type.type).id } });
      return;
    }
    case 'array': {
      const element = btf.resolve(type.type).type;
      if (element?.kind !== 'struct' && element?.kind !== 'ptr' && element?.kind !== 'array') return;
      const size = btf.sizeOf(type.type);
      const count = Math.min(type.length, 64);
      for (let i = 0; i < count; i++) collect(btf, type.type, offset + i * size, found, depth + 1, place);
      return;
    }
    case 'datasec':
      for (const each of type.vars) {
        const variable = btf.type(each.type);
        if (variable?.kind !== 'var') continue;
        collect(btf, variable.type, each.offset, found, depth + 1, { type: each.type, component: -1 });
      }
      return;
    case 'struct':
      collectStruct(btf, resolvedId, type, offset, found, depth, place);
  }
}

function collectStruct(
  btf: Btf,
  id: number,
  type: Extract<BtfType, { kind: 'struct' | 'union' }>,
  offset: number,
  found: SpecialField[],
  depth: number,
  place: Place | undefined,
): void {
  if (names.has(type.name)) {
    const graph = type.name === 'bpf_list_head' || type.name === 'bpf_rb_root';
    const contains = graph && place !== undefined ? containsTag(btf, place) : undefined;
    found.push({ kind: type.name, offset, size: btf.sizeOf(id), ...(contains === undefined ? {} : { contains }) });
    return;
  }
  type.members.forEach((member, component) => {
    if (member.bitSize === 0)
      collect(btf, member.type, offset + member.bitOffset / 8, found, depth + 1, { type: id, component });
  });
}

const declarationTags = new WeakMap<Btf, ReadonlyMap<string, string>>();

function containsTag(btf: Btf, { type, component }: Place): SpecialField['contains'] {
  let tags = declarationTags.get(btf);
  if (tags === undefined) {
    const all = new Map<string, string>();
    for (let id = 1; id < btf.typeCount; id++) {
      const each = btf.type(id);
      if (each?.kind === 'decl_tag' && each.name.startsWith('contains:'))
        all.set(`${each.type}:${each.component}`, each.name.slice('contains:'.length));
    }
    tags = all;
    declarationTags.set(btf, tags);
  }
  const text = tags.get(`${type}:${component}`);
  const colon = text?.indexOf(':') ?? -1;
  return text === undefined || colon < 0 ? undefined : { struct: text.slice(0, colon), member: text.slice(colon + 1) };
}
