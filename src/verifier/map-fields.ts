/** Fields of map values that the kernel manages, found by the names of their types in BTF (kernel/bpf/btf.c: btf_parse_fields). */
import type { Btf } from '../btf/types.ts';
import type { MapSpec } from '../object/spec.ts';
import type { Verification } from './verification.ts';

export interface SpecialField {
  readonly kind: string;
  readonly offset: number;
  readonly size: number;
}

const names: Readonly<Record<string, string>> = {
  bpf_spin_lock: 'bpf_spin_lock',
  bpf_res_spin_lock: 'bpf_res_spin_lock',
  bpf_timer: 'bpf_timer',
  bpf_wq: 'bpf_wq',
  bpf_task_work: 'bpf_task_work',
  bpf_list_head: 'bpf_list_head',
  bpf_list_node: 'bpf_list_node',
  bpf_rb_root: 'bpf_rb_root',
  bpf_rb_node: 'bpf_rb_node',
  bpf_refcount: 'bpf_refcount',
};
const kptrTags = new Set(['kptr', 'kptr_untrusted', 'percpu_kptr', 'uptr']);
const known = new WeakMap<MapSpec, readonly SpecialField[]>();

export function specialFields(v: Verification, map: MapSpec): readonly SpecialField[] {
  let fields = known.get(map);
  if (fields === undefined) {
    const found: SpecialField[] = [];
    if (v.btf !== undefined && map.valueTypeId !== 0) collect(v.btf, map.valueTypeId, 0, found, 0);
    fields = found;
    known.set(map, fields);
  }
  return fields;
}

function collect(btf: Btf, id: number, offset: number, found: SpecialField[], depth: number): void {
  if (depth > 16) return;
  const { id: resolvedId, type } = btf.resolve(id);
  if (type === undefined) return;
  if (type.kind === 'ptr') {
    for (let tagged = btf.type(type.type); tagged?.kind === 'type_tag'; tagged = btf.type(tagged.type))
      if (kptrTags.has(tagged.name)) found.push({ kind: 'kptr', offset, size: 8 });
    return;
  }
  if (type.kind === 'array') {
    const element = btf.resolve(type.type).type;
    if (element?.kind !== 'struct' && element?.kind !== 'ptr') return;
    const size = btf.sizeOf(type.type);
    for (let i = 0; i < Math.min(type.length, 64); i++) collect(btf, type.type, offset + i * size, found, depth + 1);
    return;
  }
  if (type.kind !== 'struct' && type.kind !== 'datasec') return;
  if (type.kind === 'datasec') {
    for (const each of type.vars) {
      const variable = btf.type(each.type);
      if (variable?.kind === 'var') collect(btf, variable.type, each.offset, found, depth + 1);
    }
    return;
  }
  const kind = names[type.name];
  if (kind !== undefined) {
    found.push({ kind, offset, size: btf.sizeOf(resolvedId) });
    return;
  }
  for (const member of type.members)
    if (member.bitSize === 0) collect(btf, member.type, offset + member.bitOffset / 8, found, depth + 1);
}
