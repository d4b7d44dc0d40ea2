/**
 * Rules of fields that the kernel manages, as BPF_BTF_LOAD and map creation check them (btf_parse_fields, btf_check_ownership_depth; kernel/bpf/btf.c):
 * what may stand together, what a root contains, and who may own whom.
 */
import type { SpecialField } from './special-fields.ts';
import type { Btf, BtfType } from './types.ts';

export interface FieldProblem {
  /** What Linux answers. */
  readonly errno: 'EINVAL' | 'ENOENT' | 'EEXIST' | 'E2BIG' | 'ELOOP';
  readonly text: string;
}

/** Most fields of a value or struct, and structs in a row of which each owns the next (BTF_FIELDS_MAX, BTF_MAX_OWNERSHIP_DEPTH). */
const MAX_FIELDS = 11;
const MAX_DEPTH = 8;
const unique = ['bpf_spin_lock', 'bpf_res_spin_lock', 'bpf_timer', 'bpf_wq', 'bpf_task_work', 'bpf_refcount'];
const nodes: Readonly<Record<string, string>> = { bpf_list_head: 'bpf_list_node', bpf_rb_root: 'bpf_rb_node' };

/** Of the fields of one value or struct, by themselves. */
export function fieldsProblem(btf: Btf, fields: readonly SpecialField[]): FieldProblem | undefined {
  const has = (kind: string) => fields.some((field) => field.kind === kind);
  const problem = (errno: FieldProblem['errno'], text: string): FieldProblem => ({ errno, text });
  if (fields.length > MAX_FIELDS)
    return problem('E2BIG', `${fields.length} special fields, at most ${MAX_FIELDS} are allowed`);
  const twice = unique.find((kind) => fields.filter((field) => field.kind === kind).length > 1);
  if (twice !== undefined) return problem('E2BIG', `more than one ${twice}`);
  for (const field of fields) {
    const wrong = rootProblem(btf, field);
    if (wrong !== undefined) return wrong;
  }
  const sorted = [...fields].sort((a, b) => a.offset - b.offset);
  const over = sorted.find((field, i) => i > 0 && field.offset < sorted[i - 1]!.offset + sorted[i - 1]!.size);
  if (over !== undefined)
    return problem('EEXIST', `${over.kind} at offset ${over.offset} lies over another special field`);
  const locks = ['bpf_spin_lock', 'bpf_res_spin_lock'].filter(has);
  if (locks.length > 1) return problem('EINVAL', 'both bpf_spin_lock and bpf_res_spin_lock');
  const root = Object.keys(nodes).find(has);
  if (root !== undefined && locks.length === 0) return problem('EINVAL', `${root} without a bpf_spin_lock beside it`);
  if (has('bpf_list_node') && has('bpf_rb_node') && !has('bpf_refcount'))
    return problem('EINVAL', 'bpf_list_node and bpf_rb_node without a bpf_refcount');
  return undefined;
}

/** A list head or tree root says by a tag which member of which struct links its elements. */
function rootProblem(btf: Btf, { kind, offset, contains }: SpecialField): FieldProblem | undefined {
  const node = nodes[kind];
  if (node === undefined) return undefined;
  const where = `${kind} at offset ${offset}`;
  if (contains === undefined) return { errno: 'EINVAL', text: `${where} has no tag contains:STRUCT:MEMBER` };
  const { struct, member } = contains;
  const id = btf.find(struct, 'struct');
  const type = id === undefined ? undefined : btf.type(id);
  if (type?.kind !== 'struct')
    return { errno: 'ENOENT', text: `${where} contains struct ${struct}, which is not there` };
  if (member === '') return { errno: 'EINVAL', text: `${where}: its tag names no member` };
  const members = type.members.filter(({ name }) => name === member);
  if (members.length === 0)
    return { errno: 'ENOENT', text: `${where} contains struct ${struct}, which has no member ${member}` };
  if (members.length > 1) return { errno: 'EINVAL', text: `struct ${struct} has two members ${member}` };
  const found = btf.type(members[0]!.type);
  const right = found?.kind === 'struct' && found.name === node && members[0]!.bitOffset % 64 === 0;
  return right ? undefined : { errno: 'EINVAL', text: `${where}: member ${member} of struct ${struct} is no ${node}` };
}

const known = new WeakMap<Btf, { readonly problem: FieldProblem | undefined }>();

/**
 * Of all structs of a program's BTF: Linux does not load BTF in which one is wrong, and a program without BTF has no objects of its own types. @param fieldsOf
 * special fields of a struct, before they are judged.
 */
export function structsProblem(
  btf: Btf,
  fieldsOf: (struct: number) => readonly SpecialField[],
): FieldProblem | undefined {
  let answer = known.get(btf);
  if (answer === undefined) {
    answer = { problem: findProblem(btf, fieldsOf) };
    known.set(btf, answer);
  }
  return answer.problem;
}

function findProblem(btf: Btf, fieldsOf: (struct: number) => readonly SpecialField[]): FieldProblem | undefined {
  const managed = new Map<number, readonly SpecialField[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type?.kind !== 'struct' || !isManaged(btf, type)) continue;
    const fields = fieldsOf(id);
    const wrong = fieldsProblem(btf, fields);
    if (wrong !== undefined) return { errno: wrong.errno, text: `struct ${type.name}: ${wrong.text}` };
    managed.set(id, fields);
  }
  const depths = new Map<number, number>();
  for (const id of managed.keys())
    if (depthOf(btf, managed, depths, id, MAX_DEPTH) === undefined)
      return {
        errno: 'ELOOP',
        text: `struct ${btf.type(id)?.name}: it owns itself, or more than ${MAX_DEPTH} structs in a row own each other`,
      };
  return undefined;
}

const names = new Set([
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
]);
const tags = new Set(['kptr', 'kptr_untrusted', 'percpu_kptr']);

/** Linux looks after a struct's fields if one of its own members is such a field: one inside of another struct or an array is not enough. */
export function isManaged(btf: Btf, type: Extract<BtfType, { kind: 'struct' | 'union' }>): boolean {
  return type.members.some((member) => {
    const of = btf.type(member.type);
    if (of?.kind === 'struct') return names.has(of.name);
    if (of?.kind !== 'ptr') return false;
    const tag = btf.type(of.type);
    return tag?.kind === 'type_tag' && tags.has(tag.name);
  });
}

/** Structs in a row that own each other, from this one on; undefined for more than are left. */
function depthOf(
  btf: Btf,
  managed: ReadonlyMap<number, readonly SpecialField[]>,
  depths: Map<number, number>,
  id: number,
  left: number,
): number | undefined {
  if (left === 0) return undefined;
  let depth = depths.get(id);
  if (depth === undefined) {
    let deepest = 0;
    for (const { pointer, contains } of managed.get(id)!) {
      const owned =
        contains !== undefined
          ? btf.find(contains.struct, 'struct')
          : pointer?.how === 'owned' || pointer?.how === 'percpu'
            ? pointer.target
            : undefined;
      if (owned === undefined || !managed.has(owned)) continue;
      const below = depthOf(btf, managed, depths, owned, left - 1);
      if (below === undefined) return undefined;
      deepest = Math.max(deepest, below);
    }
    depth = deepest + 1;
    depths.set(id, depth);
  }
  return depth > left ? undefined : depth;
}
